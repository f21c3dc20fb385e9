//! Health checks of replicas: one task each.

mod prober;
mod verdict;

pub use prober::{Prober, Target, spawn};
pub use verdict::Verdict;
