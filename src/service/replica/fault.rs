//! Failed requests.
//!
//! Each replica and each service keeps its last one for status and API. The log gets one line for a
//! service in ten seconds, with the number of failures in between.

use super::id::ReplicaId;
use crate::service::spec::Slot;
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Time from one line in the log to the next, for each service.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// A request that failed at a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub at: SystemTime,
    pub slot: Slot,
    pub id: ReplicaId,
    pub why: String,
}

/// The last fault, and the pace of the log.
#[derive(Debug)]
pub struct Faults {
    last: ArcSwapOption<Fault>,
    began: Instant,
    /// Time of the next line in the log, in milliseconds after `began`.
    silent_until: AtomicU64,
    left_out: AtomicU64,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            last: ArcSwapOption::empty(),
            began: Instant::now(),
            silent_until: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
        }
    }
}

impl Faults {
    pub fn last(&self) -> Option<Arc<Fault>> {
        self.last.load_full()
    }

    /// Keeps the fault. Returns the number left out of the log, when it is time for a line.
    pub fn note(&self, fault: Fault) -> Option<u64> {
        self.last.store(Some(Arc::new(fault)));
        self.may_say(self.began.elapsed())
    }

    fn may_say(&self, now: Duration) -> Option<u64> {
        let now = now.as_millis() as u64;
        let next = now + SAY_EVERY.as_millis() as u64;
        let until = self.silent_until.load(Ordering::Relaxed);
        let swap = |until| {
            let ordering = Ordering::Relaxed;
            self.silent_until
                .compare_exchange(until, next, ordering, ordering)
        };
        if now < until || swap(until).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.left_out.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_faults_is_a_line_in_a_while_and_a_count() {
        let faults = Faults::default();
        let at = |millis| faults.may_say(Duration::from_millis(millis));
        assert_eq!(at(5), Some(0));
        for millis in 6..106 {
            assert_eq!(at(millis), None);
        }
        assert_eq!(at(10_004), None);
        assert_eq!(at(10_005), Some(101));
        assert_eq!(at(60_000), Some(0));
    }
}
