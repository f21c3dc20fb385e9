//! One service under control: the wish, the count and the fleet.

mod count;
mod deploy;
mod fleet;
mod input;
mod lifecycle;
mod scaling;
mod state;
mod view;
mod wish;

pub use fleet::START_HANGS_AFTER;
pub use state::ServiceState;
pub use wish::{changed_besides_image, in_use, version_of};
