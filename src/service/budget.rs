//! The retry budget of a service, which keeps retries from multiplying an overload.
//!
//! As in Finagle's and Linkerd's `RetryBudget`, each request earns a part of a retry, each second
//! earns a few more, and unspent retries expire after ten seconds. With `n` requests since the
//! beginning, after `t` seconds,
//!
//! ```text
//! earned(n, t) = percent / 100 * n + min_per_second * (t + 10)
//! ```
//!
//! and a retry is allowed while `earned - spent >= 1`. Before that, `spent` is raised to `earned`
//! minus the earnings of the last ten seconds, which is the expiry. So only one number changes, and
//! only when a request failed.
//!
//! The defaults cover an ordinary outage. A hanging replica is detected when the first connection
//! to it times out, after 1 s; until then one of `k` replicas gets 1/k of the requests. 20 % of
//! the requests of ten seconds are two seconds' worth of retries at once, enough when every second
//! replica hangs. Refused and broken connections are detected within a millisecond. The 10 retries
//! a second are for services with few requests.

use super::spec::Retries;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Time after which an unspent retry expires.
const WINDOW_MILLIS: u64 = 10_000;
/// One retry; the budget counts in thousandths.
const RETRY: u64 = 1000;

/// The retries that a service has earned and spent.
#[derive(Debug)]
pub struct Budget {
    began: Instant,
    spent: AtomicU64,
    refused: AtomicU64,
    /// Start of the current window; `at_opening` is the number of requests by then.
    opened: AtomicU64,
    at_opening: AtomicU64,
    /// Number of requests at the start of the window before.
    at_last_opening: AtomicU64,
}

impl Budget {
    pub fn new(now: Instant) -> Budget {
        Budget {
            began: now,
            spent: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            at_opening: AtomicU64::new(0),
            at_last_opening: AtomicU64::new(0),
        }
    }

    /// Number of retries that were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Moves the window on, at a request; `total` is the number of requests so far.
    pub fn note(&self, total: u64, now: Instant) {
        let now = self.millis(now);
        let opened = self.opened.load(Ordering::Relaxed);
        if now < opened + WINDOW_MILLIS {
            return;
        }
        let mine = self
            .opened
            .compare_exchange(opened, now, Ordering::Relaxed, Ordering::Relaxed);
        if mine.is_ok() {
            let last = self.at_opening.swap(total, Ordering::Relaxed);
            self.at_last_opening.store(last, Ordering::Relaxed);
        }
    }

    /// Spends a retry, if the budget has one after `total` requests.
    pub fn spend(&self, terms: &Retries, total: u64, now: Instant) -> bool {
        let percent = u64::from(terms.budget_percent) * RETRY / 100;
        let by_time = u64::from(terms.min_per_second) * RETRY / 1000;
        let earned = percent * total + by_time * (self.millis(now) + WINDOW_MILLIS);
        let recent = total.saturating_sub(self.at_last_opening.load(Ordering::Relaxed));
        let kept = percent * recent + by_time * WINDOW_MILLIS;
        let mut is_allowed = false;
        let spend = |spent: u64| {
            // After a reload less may have been earned than was spent.
            let spent = spent.clamp(earned.saturating_sub(kept), earned);
            is_allowed = spent + RETRY <= earned;
            Some(if is_allowed { spent + RETRY } else { spent })
        };
        let _always = self
            .spent
            .try_update(Ordering::Relaxed, Ordering::Relaxed, spend);
        if !is_allowed {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        is_allowed
    }

    fn millis(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A service at work.
    struct Service {
        budget: Budget,
        terms: Retries,
        now: Instant,
        total: u64,
    }

    impl Service {
        fn new(terms: Retries) -> Service {
            let now = Instant::now();
            Service {
                budget: Budget::new(now),
                terms,
                now,
                total: 0,
            }
        }

        /// So many requests, evenly over some seconds, of which a part wants a retry. Returns
        /// how many got one.
        fn works(&mut self, secs: u32, requests: u32, failing_percent: u64) -> u64 {
            let step = Duration::from_secs(secs.into()) / requests;
            let mut allowed = 0;
            for _ in 0..requests {
                self.now += step;
                self.total += 1;
                self.budget.note(self.total, self.now);
                if self.total % 100 < failing_percent {
                    allowed += u64::from(self.wants());
                }
            }
            allowed
        }

        fn wants(&self) -> bool {
            self.budget.spend(&self.terms, self.total, self.now)
        }
    }

    #[test]
    fn in_the_long_run_a_fifth_of_the_requests_and_ten_a_second_are_sent_again() {
        let mut service = Service::new(Retries::default());
        service.works(100, 100_000, 0);
        // The reserve is spent first: what ten to twenty seconds have earned.
        service.works(30, 30_000, 100);
        let allowed = service.works(100, 100_000, 100);
        assert!((20_900..=21_100).contains(&allowed), "{allowed}");
        assert!(service.budget.refused() > 79_000);
    }

    #[test]
    fn an_ordinary_outage_passes() {
        // One of three, and one of two, hangs for two seconds; a service with much to do, with
        // little, and one that has only just begun.
        for (before_secs, rate) in [(100, 1000), (100, 2), (1, 1000), (1, 100)] {
            for failing in [34, 50] {
                let mut service = Service::new(Retries::default());
                service.works(before_secs, before_secs * rate, 0);
                service.works(1, rate, failing);
                assert_eq!(service.budget.refused(), 0, "{before_secs} s at {rate}");
            }
        }
    }

    #[test]
    fn what_was_earned_long_ago_is_lost() {
        let mut service = Service::new(Retries::default());
        service.works(1000, 1_000_000, 0);
        let mut at_once = 0;
        while service.wants() {
            at_once += 1;
        }
        assert!((2_100..=4_100).contains(&at_once), "{at_once}");
    }

    #[test]
    fn terms_that_change_leave_neither_debts_nor_riches() {
        let mut service = Service::new(Retries::default());
        service.works(1000, 1_000_000, 20);
        service.terms.budget_percent = 1;
        assert!(!service.wants());
        service.now += Duration::from_millis(100);
        assert!(service.wants() && !service.wants());
        service.terms.budget_percent = 100;
        let at_once = (0..1_000_000).take_while(|_| service.wants()).count();
        assert!(at_once < 20_200, "{at_once}");
        service.terms = Retries {
            budget_percent: 0,
            min_per_second: 0,
            ..service.terms
        };
        assert!(!service.wants());
    }
}
