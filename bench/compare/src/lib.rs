//! Measures Tidegate beside HAProxy, nginx and Caddy. `bench/README.md` has the method and the
//! results.

#![forbid(unsafe_code)]

pub mod backend;
pub mod client;
pub mod edge;
pub mod message;
