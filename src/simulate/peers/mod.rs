//! Policies of other projects with their defaults, for comparison. They run nowhere else.

mod hpa;
mod knative;
mod mean;

pub use hpa::Hpa;
pub use knative::Knative;
