//! The request path: the door (`door/`), the decisions about a request (`request/`) and the
//! ways that its bytes take (`ways/`).
//!
//! The proxy reads snapshots and never meets the engine or the control loop: a dead Docker daemon
//! cannot stop traffic.

mod answers;
pub mod balance;
mod buffers;
mod chain;
mod door;
mod edge;
mod http1;
pub mod hygiene;
mod request;
pub mod route;
mod settings;
pub mod tls;
mod upstream;
mod ways;

pub use chain::{Chain, Passed};
pub use door::{Acceptor, Bounds, Connected};
pub use edge::{Edge, Tell};
pub use hygiene::Limits;
pub use request::context::Context;
pub use request::in_flight::InFlight;
pub use settings::Settings;
