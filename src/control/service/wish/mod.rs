//! What is declared of a service, and which version of it its containers are made from.

pub(in crate::control) mod checks;
pub(in crate::control) mod found;
pub(in crate::control) mod rollout;
mod version;
