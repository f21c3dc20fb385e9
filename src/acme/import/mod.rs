//! Certificates of Traefik, Caddy and certbot, taken over into the state folder.
//!
//! ```text
//! acme.json, folders --> source (by their shape) --> found certificates --> take_over --> store
//! ```

mod folders;
mod foreign;
mod source;
mod take_over;
#[cfg(test)]
mod tests;
mod traefik;

pub use foreign::{Foreign, Unreadable};
pub use source::read_source;
pub use take_over::{Import, NotTaken, TakenOver, take_over};
