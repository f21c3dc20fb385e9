//! DNS: names resolved, and records written at a provider for DNS-01.

mod message;
#[cfg(feature = "dns")]
mod provider;
mod record;
mod resolver;

pub use record::{Published, publish};
pub use resolver::Resolver;
