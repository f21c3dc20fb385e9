//! Outlier detection: ejects a replica for a while whose answers are worse than the others'.
//!
//! As in Envoy, by answers of 5xx in a row. A health check asks for one thing only; the answers
//! that users get tell more.

use crate::service::spec::OutlierDetection;
use crate::service::time::Human;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Recent answers of one replica, and its ejections.
#[derive(Debug)]
pub struct Outlier {
    began: Instant,
    /// Number of 5xx since the last other answer.
    row: AtomicU32,
    /// Whether the last answer was not a 5xx.
    does_well: AtomicBool,
    /// End of the last ejection, in milliseconds since `began`; zero: never ejected.
    until: AtomicU64,
    ejections: AtomicU32,
}

impl Default for Outlier {
    fn default() -> Self {
        Outlier {
            began: Instant::now(),
            row: AtomicU32::new(0),
            does_well: AtomicBool::new(false),
            until: AtomicU64::new(0),
            ejections: AtomicU32::new(0),
        }
    }
}

impl Outlier {
    /// Counts an answer; returns the number of 5xx in a row.
    pub fn note(&self, is_5xx: bool) -> u32 {
        if is_5xx {
            self.does_well.store(false, Ordering::Relaxed);
            return self.row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        }
        // Read first, because a write of the same value still costs the other threads.
        if !self.does_well() {
            self.does_well.store(true, Ordering::Relaxed);
            self.row.store(0, Ordering::Relaxed);
        }
        0
    }

    pub fn does_well(&self) -> bool {
        self.does_well.load(Ordering::Relaxed)
    }

    pub fn is_ejected(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until != 0 && self.millis() < until
    }

    /// Reason for the ejection, while it lasts.
    pub fn because(&self) -> Option<String> {
        let until = self.until.load(Ordering::Relaxed);
        let left = until.checked_sub(self.millis()).filter(|left| *left > 0)?;
        // In whole seconds, rounded up.
        let left = Human(Duration::from_secs(left.div_ceil(1000)));
        Some(format!(
            "ejected for {left}: answered with 5xx while others did better"
        ))
    }

    /// Ejects the replica; returns for how long, or `None` when it is ejected already. Each further
    /// ejection is longer, until the replica has been back for the longest time.
    pub(super) fn eject(&self, terms: &OutlierDetection) -> Option<Duration> {
        self.eject_at(self.millis(), terms)
    }

    fn eject_at(&self, now: u64, terms: &OutlierDetection) -> Option<Duration> {
        let until = self.until.load(Ordering::Relaxed);
        if now < until {
            return None;
        }
        let longest = terms.max_ejection_time.max(terms.base_ejection_time);
        let is_forgotten = Duration::from_millis(now - until) >= longest;
        let before = match is_forgotten {
            true => 0,
            false => self.ejections.load(Ordering::Relaxed),
        };
        let ejections = before.saturating_add(1);
        let span = terms.base_ejection_time.saturating_mul(ejections);
        let span = span.min(longest);
        let next = now + span.as_millis() as u64;
        self.until
            .compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed)
            .ok()?;
        self.ejections.store(ejections, Ordering::Relaxed);
        self.row.store(0, Ordering::Relaxed);
        Some(span)
    }

    fn millis(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_a_row_are_counted_from_the_last_good_one() {
        let outlier = Outlier::default();
        let rows = [true, true, false, true, false, false, true, true, true];
        let rows = rows.map(|is_5xx| outlier.note(is_5xx));
        assert_eq!(rows, [1, 2, 0, 1, 0, 0, 1, 2, 3]);
        assert!(!outlier.does_well());
        outlier.note(false);
        assert!(outlier.does_well());
    }

    #[test]
    fn each_ejection_takes_longer_up_to_a_limit_until_it_is_forgotten() {
        let terms = OutlierDetection::default();
        let outlier = Outlier::default();
        let mut now = 1;
        let mut spans = Vec::new();
        for _ in 0..12 {
            let span = outlier.eject_at(now, &terms).unwrap();
            assert_eq!(outlier.eject_at(now, &terms), None, "it is ejected already");
            now += span.as_millis() as u64;
            spans.push(span.as_secs());
        }
        let expected = [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300];
        assert_eq!(spans, expected);
        now += 300_000;
        let after = outlier.eject_at(now, &terms);
        assert_eq!(after, Some(Duration::from_secs(30)));
    }

    #[test]
    fn an_ejected_one_says_why() {
        let outlier = Outlier::default();
        assert_eq!(outlier.because(), None);
        outlier.eject(&OutlierDetection::default()).unwrap();
        assert!(outlier.is_ejected());
        let because = outlier.because().unwrap();
        assert!(because.starts_with("ejected for 30s:"), "{because}");
    }
}
