//! Reasons why a lock is not had.

pub enum LockRefusal {
    /// By this process.
    Locked(String),
    Failed(String),
}
