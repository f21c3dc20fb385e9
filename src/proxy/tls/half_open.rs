//! Handshakes that have begun and are not complete, each of which holds 20 KiB.
//!
//! A client that never finishes costs its place until the deadline. So there is a bound, and where
//! it is reached the oldest one is given up for a new one: an honest client needs a round trip or
//! two, so the oldest is hardly ever one of those.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Incomplete handshakes at once; 40 MiB at worst.
const HALF_OPEN_MAX: usize = 2048;

#[derive(Debug, Default)]
pub struct HalfOpen {
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    /// In the order of their numbers. Dropping a sender gives its handshake up.
    open: VecDeque<(u64, oneshot::Sender<()>)>,
}

/// A place among the incomplete handshakes, until it is dropped.
pub struct HalfOpenPlace {
    queue: Arc<Mutex<Queue>>,
    number: u64,
    given_up: oneshot::Receiver<()>,
}

impl HalfOpen {
    pub fn enter(&self) -> HalfOpenPlace {
        self.enter_within(HALF_OPEN_MAX)
    }

    fn enter_within(&self, max: usize) -> HalfOpenPlace {
        let (keep, given_up) = oneshot::channel();
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let number = queue.next;
        queue.next += 1;
        let oldest = match queue.open.len() >= max {
            true => queue.open.pop_front(),
            false => None,
        };
        queue.open.push_back((number, keep));
        drop(queue);
        // Wakes another task, which happens outside of the lock.
        drop(oldest);
        HalfOpenPlace {
            queue: Arc::clone(&self.queue),
            number,
            given_up,
        }
    }
}

impl HalfOpenPlace {
    /// Resolves when the place is needed for a newer handshake.
    pub async fn given_up(&mut self) {
        let _ = (&mut self.given_up).await;
    }
}

impl Drop for HalfOpenPlace {
    fn drop(&mut self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let found = queue
            .open
            .binary_search_by_key(&self.number, |(number, _)| *number);
        if let Ok(at) = found {
            queue.open.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn the_oldest_handshake_is_given_up_for_a_new_one() {
        let half_open = HalfOpen::default();
        let mut first = half_open.enter_within(2);
        let mut second = half_open.enter_within(2);
        assert!(first.given_up().now_or_never().is_none());
        let mut third = half_open.enter_within(2);
        assert!(first.given_up().now_or_never().is_some());
        assert!(second.given_up().now_or_never().is_none());
        drop(second);
        drop(first);
        let _fourth = half_open.enter_within(2);
        assert!(third.given_up().now_or_never().is_none(), "there was room");
    }
}
