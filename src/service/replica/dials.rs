//! Turns to open new connections to a replica.
//!
//! A replica's kernel silently drops connections that do not fit into the program's listen queue;
//! the kernel here tries again a second later, together with all others. So connections are opened
//! in turns, first come, first served, as many at once as the queue seems to take. As with TCP's
//! window, a dial without an answer takes one turn away and a number of successes give one back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Dials of one replica at once: half of the shortest usual listen queue (128).
pub const DIALS_MAX: usize = 64;
/// Fewest dials at once; a well replica takes these however short its queue.
const DIALS_MIN: usize = 4;
/// Successes for one more turn. One turn too many costs a client a second.
const SUCCESSES: usize = 256;

/// The turns of one replica.
#[derive(Debug)]
pub struct Dials {
    turns: Arc<Semaphore>,
    /// Number of turns, given out or not.
    limit: AtomicUsize,
    succeeded: AtomicUsize,
}

impl Default for Dials {
    fn default() -> Self {
        Dials {
            turns: Arc::new(Semaphore::new(DIALS_MAX)),
            limit: AtomicUsize::new(DIALS_MAX),
            succeeded: AtomicUsize::new(0),
        }
    }
}

impl Dials {
    /// Waits for a turn, which ends when it is dropped. Keep it until the replica's program has
    /// accepted the connection: until then it is in the queue.
    pub async fn turn(&self) -> DialTurn {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        DialTurn(turn.expect("nobody closes it"))
    }

    /// Counts a connection that was opened.
    pub fn succeeded(&self) {
        let before = self.succeeded.fetch_add(1, Ordering::Relaxed);
        if (before + 1).is_multiple_of(SUCCESSES) && self.change(|limit| limit + 1) {
            self.turns.add_permits(1);
        }
    }

    /// Takes the turn of a dial without an answer away.
    pub fn came_to_nothing(&self, turn: DialTurn) {
        if self.change(|limit| limit - 1) {
            turn.0.forget();
        }
    }

    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Forgets the limit: the replica was away.
    pub(super) fn begin_anew(&self) {
        let limit = self.limit.swap(DIALS_MAX, Ordering::Relaxed);
        self.turns.add_permits(DIALS_MAX - limit);
    }

    fn change(&self, by_one: impl Fn(usize) -> usize) -> bool {
        let range = DIALS_MIN..=DIALS_MAX;
        let within = |limit| Some(by_one(limit)).filter(|next| range.contains(next));
        self.limit
            .try_update(Ordering::Relaxed, Ordering::Relaxed, within)
            .is_ok()
    }
}

/// A turn to open a connection.
#[derive(Debug)]
pub struct DialTurn(OwnedSemaphorePermit);

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    /// How many turns can be had at once.
    fn at_once(dials: &Dials) -> usize {
        let all: Vec<_> = std::iter::from_fn(|| dials.turn().now_or_never()).collect();
        all.len()
    }

    #[test]
    fn turns_become_fewer_with_what_comes_to_nothing_but_never_too_few() {
        let dials = Dials::default();
        assert_eq!(at_once(&dials), DIALS_MAX);
        for _ in 0..10 {
            dials.came_to_nothing(dials.turn().now_or_never().unwrap());
        }
        assert_eq!((at_once(&dials), dials.limit()), (54, 54));
        for _ in 0..100 {
            dials.came_to_nothing(dials.turn().now_or_never().unwrap());
        }
        assert_eq!((at_once(&dials), dials.limit()), (DIALS_MIN, DIALS_MIN));
        dials.begin_anew();
        assert_eq!(at_once(&dials), DIALS_MAX);
    }

    #[test]
    fn turns_come_back_with_what_succeeds_and_no_more_than_there_were() {
        let dials = Dials::default();
        for _ in 0..2 {
            dials.came_to_nothing(dials.turn().now_or_never().unwrap());
        }
        for expected in [62, 63, 64, 64] {
            assert_eq!((at_once(&dials), dials.limit()), (expected, expected));
            for _ in 0..SUCCESSES {
                dials.succeeded();
            }
        }
    }
}
