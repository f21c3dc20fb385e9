//! The running process: put together from its parts, kept, reloaded, upgraded and ended.
//!
//! ```text
//! start --> keeper (one loop: signals, orders, successors) --> leaving --> exit
//!             |  reload: parts and observers are swapped         ^
//!             '- upgrade: another process takes over ------------'
//! ```
//!
//! `start` is the composition root, the only file that knows all rooms; `engines` is the only one
//! that knows which engines there are.

mod admin_token;
mod certificates;
mod doors;
mod engines;
mod exit;
mod file_limit;
mod forecast;
mod instance_lock;
mod keeper;
mod key;
mod leaving;
mod life;
mod listener;
mod logs;
mod observers;
mod offline;
mod options;
mod orders;
mod parts;
mod reload;
mod services;
mod signals;
mod socket_activation;
mod start;
mod start_error;
mod state_lock;
mod supervisor;
mod tasks;
mod tls;
mod unix_socket;
mod upgrade;
mod workers;

pub use certificates::wanted_of;
pub use engines::{ImageFacts, image_facts};
pub use forecast::forecast;
pub use logs::{LogQuery, ReplicaLine, logs};
pub use offline::open_state_dir;
pub use options::Options;
pub use start::run;
pub use start_error::StartError;
pub use upgrade::handover::TakeOver;
