//! Reasons why a lock is not had.

pub enum Refusal {
    /// By this process.
    Locked(String),
    Failed(String),
}
