//! Labels of containers as configuration of a service: the same mapping that a file has, with the
//! label that each key came from, for messages.
//!
//! Tidegate's own words are in `own`, Traefik's and those of others who read labels in `traefik`;
//! the former win. Labels that are not translated are remarks.

mod own;
mod rule;
mod traefik;
mod translation;

pub use own::read as read_own;
pub use traefik::read as read_traefik;
pub use translation::{Label, Translation};
