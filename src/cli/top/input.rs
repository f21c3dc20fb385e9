//! Input of the picture, beside keys.

use crate::admin::view::{EventJson, StateJson};

/// Something that changes the picture.
pub enum PictureInput {
    State(Box<StateJson>),
    EventJson(Box<EventJson>),
    /// Events were lost; those before are not known any more.
    Missed,
    /// The answer to an order.
    Answered(Result<String, String>),
    /// The stream has ended, and why.
    Lost(String),
}
