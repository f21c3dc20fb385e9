//! The door: which connections are let in, and what one may cost.
//!
//! ```text
//! listener --> place --> PROXY header --> TLS --> protocol
//!  accept      places     proxy_header   secure    guarded
//! ```
//!
//! Pingora reads a head before it calls any hook, and gives each byte of it as much time as the
//! whole should have. So its parser, like the project's own, reads through a stream that knows
//! which part of a request is due: the parser's end reports where a request begins, and the hooks
//! report the rest.

mod accept;
mod bounds;
mod connection;
mod digests;
mod extent;
mod goodbye;
mod guarded;
mod head;
mod leaving;
mod lent;
mod pace;
mod phase;
mod places;
mod proxy_header;
mod secure;
mod stream;
mod unsent;
mod wire;
pub mod words;

pub use accept::Acceptor;
pub use bounds::Bounds;
pub use connection::Connection;
pub use guarded::Guarded;
pub use lent::AHEAD_MAX;
pub use pace::{Alarm, Pace};
pub use phase::Phase;
pub use places::Connected;
pub use wire::Wire;
