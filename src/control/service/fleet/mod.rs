//! The replicas of a service, and those that are on their way.

mod addresses;
pub(in crate::control) mod image;
pub(in crate::control) mod meter;
mod sleep;
pub(in crate::control) mod starts;
pub(in crate::control) mod tracked;
