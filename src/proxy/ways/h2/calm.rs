//! How many requests a client may take back.
//!
//! A request that is reset costs its client a few bytes, and the edge and a replica the whole work
//! (CVE-2023-44487). People who leave a page reset what it has not loaded yet, many at once and
//! then none for a while.

use std::time::Duration;
use tokio::time::Instant;

/// Resets that may come at once: several pages full of pictures.
const AT_ONCE: u32 = 500;
/// Time that earns one more.
const EARNS_ONE: Duration = Duration::from_millis(20);

pub struct Calm {
    left: u32,
    since: Instant,
}

impl Calm {
    pub fn new(now: Instant) -> Calm {
        Calm {
            left: AT_ONCE,
            since: now,
        }
    }

    /// Counts a reset; false: one too many.
    pub fn bears_one(&mut self, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.since).as_millis() / EARNS_ONE.as_millis();
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            self.left = self.left.saturating_add(earned).min(AT_ONCE);
            self.since = now;
        }
        let bears = self.left > 0;
        self.left = self.left.saturating_sub(1);
        bears
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_page_that_is_left_is_borne_and_a_flood_is_not() {
        let mut calm = Calm::new(Instant::now());
        for _ in 0..100 {
            assert!((0..40).all(|_| calm.bears_one(Instant::now())));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let borne = (0..10_000).take_while(|_| calm.bears_one(Instant::now()));
        assert_eq!(borne.count(), AT_ONCE as usize);
    }
}
