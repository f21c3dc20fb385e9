//! Measures Tidegate beside HAProxy, nginx and Caddy. `bench/README.md` has the method and the
//! results.

#![forbid(unsafe_code)]

pub mod backend;
pub mod case;
pub mod client;
pub mod containers;
pub mod edge;
pub mod figures;
pub mod memory;
pub mod message;
pub mod place;
pub mod rounds;
pub mod speed;
pub mod table;
