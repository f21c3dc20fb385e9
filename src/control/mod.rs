//! The only writer of the replica set.
//!
//! A loop over one closed list of events, each of which only means "look again": the loop brings
//! its picture up to date, plans each service, carries the plan out and publishes a snapshot. Long
//! work (the engine, health checks) runs in tasks that report back as events.

mod acting;
mod command;
mod declared;
mod event_loop;
mod forecast;
mod handle;
mod image_note;
mod input;
mod listing;
mod measuring;
mod orders;
mod permits;
mod probing;
mod schedule;
mod service;
mod turn;

pub use command::{Authority, Deployed};
pub use declared::Managed;
pub use event_loop::Control;
pub use forecast::{Forecast, forecast};
pub use handle::Handle;
pub use image_note::{ImageNote, Images};
pub use input::{Clock, Sink};
