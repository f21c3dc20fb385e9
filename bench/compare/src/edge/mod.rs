//! The edges, each as a careful person would set it up: the same health checks, retries,
//! forwarding headers and metrics, as far as it has them, and one thread that serves.

mod caddy;
mod haproxy;
mod nginx;
mod running;
mod setup;
mod tidegate;

pub use running::Edge;
pub use setup::{Certificate, Setup, Which};
