//! Attempts to get a certificate since the last one that worked, and which CA is asked next.

use std::time::SystemTime;

/// Failures at one CA after which the next one is asked.
pub const FAILURES_PER_CA: u32 = 3;

/// Attempts of one name since its last certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Failures in a row, at all CAs.
    pub failures: u32,
    /// Failures in a row at the current CA.
    pub failures_here: u32,
    /// Index of the current CA in the list of the configuration.
    pub ca: usize,
    /// Whether the CA's staging has issued since the last failure.
    pub rehearsed: bool,
    /// End of the last attempt.
    pub last: Option<SystemTime>,
    /// Time before which the CA wants no order.
    pub not_before: Option<SystemTime>,
    /// Reason of the last failure.
    pub why: Option<String>,
}

/// The CA of the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Index in the list of the configuration.
    pub ca: usize,
    /// Whether its staging is asked, whose limits are wide and whose certificates nobody trusts.
    pub rehearsal: bool,
}

impl Attempts {
    /// Chooses the CA: after a failure its staging is asked first, so that a mistake here does not use
    /// up the orders that the real one allows. `has_staging`: by index, of each CA in the list.
    pub fn turn(&self, has_staging: &[bool]) -> Turn {
        let ca = match has_staging.len() {
            0 => 0,
            count => self.ca % count,
        };
        let staging = has_staging.get(ca).copied().unwrap_or_default();
        Turn {
            ca,
            rehearsal: staging && self.failures_here > 0 && !self.rehearsed,
        }
    }

    /// Notes a failure, and moves on to the next CA after several.
    pub fn failed(&mut self, why: String, now: SystemTime, not_before: Option<SystemTime>) {
        self.failures = self.failures.saturating_add(1);
        self.failures_here += 1;
        self.rehearsed = false;
        self.last = Some(now);
        self.not_before = not_before;
        self.why = Some(why);
        if self.failures_here >= FAILURES_PER_CA {
            self.ca = self.ca.wrapping_add(1);
            self.failures_here = 0;
        }
    }

    /// Notes that the staging has issued; the real CA is asked at once.
    pub fn rehearsed(&mut self) {
        self.rehearsed = true;
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staging_comes_after_a_failure_and_the_next_ca_after_three() {
        let now = SystemTime::now();
        let mut attempts = Attempts::default();
        let turn = |attempts: &Attempts| {
            let Turn { ca, rehearsal } = attempts.turn(&[true, false]);
            (ca, rehearsal)
        };
        assert_eq!(turn(&attempts), (0, false));
        attempts.failed("no".to_owned(), now, None);
        assert_eq!(turn(&attempts), (0, true));
        attempts.rehearsed();
        assert_eq!(turn(&attempts), (0, false));
        attempts.failed("no".to_owned(), now, None);
        assert_eq!(turn(&attempts), (0, true));
        attempts.failed("no".to_owned(), now, None);
        // The second has no staging.
        assert_eq!(turn(&attempts), (1, false));
        for _ in 0..3 {
            attempts.failed("no".to_owned(), now, None);
        }
        assert_eq!(turn(&attempts), (0, false));
        assert_eq!(attempts.failures, 6);
    }

    #[test]
    fn one_ca_is_asked_for_ever() {
        let mut attempts = Attempts::default();
        for _ in 0..20 {
            attempts.failed("no".to_owned(), SystemTime::now(), None);
            assert_eq!(attempts.turn(&[false]).ca, 0);
        }
        assert_eq!(Attempts::default().turn(&[]).ca, 0);
    }
}
