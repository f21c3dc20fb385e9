//! Who may open a connection to a replica now.
//!
//! The kernel of a replica drops what does not fit into its program's listen queue and says so to
//! nobody; whoever is dropped tries again a second later, just as the others. So connections are
//! made in turns, first come, first served, as many at once as the queue seems to take: each that
//! came to nothing takes one turn away, and a number that succeeded give one back, as TCP does it
//! with its window.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections that one replica may have before it has taken them up: half of the shortest listen
/// queue that programs usually have (128).
pub const DIALS_MAX: usize = 64;
/// A replica that is well takes a few at once, however short its queue.
const DIALS_MIN: usize = 4;
/// So many have to succeed for one more turn. Finding out that it was one too many costs somebody
/// a second.
const SUCCESSES: usize = 256;

#[derive(Debug)]
pub struct Dials {
    turns: Arc<Semaphore>,
    /// How many turns there are, given out or not.
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
    /// Waits for a turn; it is over when it is dropped. It should last until the replica has taken
    /// the connection up: what its kernel has taken waits in the queue.
    pub async fn turn(&self) -> Turn {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        Turn(turn.expect("nobody closes it"))
    }

    /// A connection was made.
    pub fn succeeded(&self) {
        let before = self.succeeded.fetch_add(1, Ordering::Relaxed);
        if (before + 1).is_multiple_of(SUCCESSES) && self.change(|limit| limit + 1) {
            self.turns.add_permits(1);
        }
    }

    /// Nothing was heard of a connection.
    pub fn came_to_nothing(&self, turn: Turn) {
        if self.change(|limit| limit - 1) {
            turn.0.forget();
        }
    }

    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// The replica was away: what was learnt of it is void.
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

#[derive(Debug)]
pub struct Turn(OwnedSemaphorePermit);

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
