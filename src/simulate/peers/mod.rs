//! Other people's policies with their defaults, to compare with. They run nowhere else.

mod hpa;
mod knative;
mod mean;

pub use hpa::Hpa;
pub use knative::Knative;
