//! The edge between the client and the containers: Tidegate, or HAProxy as its peer.

mod admin;
mod either;
mod eye;
mod fetch;
mod haproxy;
mod held;
mod kind;
mod replica;
mod setup;
mod stalled;
mod statistics;
mod tidegate;

pub use either::Edge;
pub use eye::Eye;
pub use haproxy::Haproxy;
pub use kind::Kind;
pub use replica::{IMAGE, Replica, all_ready, crash, image_present};
pub use setup::Setup;
pub use tidegate::{NEIGHBOUR, Neighbour, Tidegate, Wish};
