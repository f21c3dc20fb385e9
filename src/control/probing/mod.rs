//! Health checks of replicas: one task each.

mod prober;
mod verdict;

pub use prober::{ProbeTarget, Prober, spawn};
pub use verdict::Verdict;
