//! Locks of this room.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The data behind a lock: replaced whole, so a panic elsewhere cannot have broken it.
pub fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
