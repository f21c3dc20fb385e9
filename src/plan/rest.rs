//! When an idle service sleeps, how deeply, and what is done with its replicas.
//!
//! A service falls asleep `idle_timeout` after its last request, when none is in flight. Its
//! replicas are paused first, which keeps their memory, and stopped `stop_after` later. The words
//! are KEDA's and Knative's scale to zero.

use crate::service::spec::SleepTerms;
use crate::service::time::Moment;
use std::time::Duration;

/// Whether a service sleeps, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    Awake {
        /// Somebody asked for it then, or was still being answered.
        idle_since: Moment,
    },
    Asleep {
        since: Moment,
        /// How long nobody had asked for it by then.
        after: Duration,
    },
}

/// Depth of a service's sleep, which decides what is done with its replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    Awake,
    /// Paused until `stop_at`.
    Paused {
        idle: Duration,
        stop_at: Moment,
    },
    Stopped {
        idle: Duration,
    },
}

impl Depth {
    /// For an engine that cannot pause: stopped at once.
    pub fn without_pause(self) -> Depth {
        match self {
            Depth::Paused { idle, .. } => Depth::Stopped { idle },
            depth => depth,
        }
    }
}

impl Rest {
    pub fn is_asleep(self) -> bool {
        matches!(self, Rest::Asleep { .. })
    }

    /// The next state; `asked`: a request came since the last turn, or is in flight.
    pub fn turn(self, terms: Option<&SleepTerms>, asked: bool, now: Moment) -> Rest {
        let awake = Rest::Awake { idle_since: now };
        let Some(terms) = terms.filter(|_| !asked) else {
            return awake;
        };
        match self {
            Rest::Awake { idle_since } if now >= idle_since + terms.idle_timeout => Rest::Asleep {
                since: now,
                after: terms.idle_timeout,
            },
            same => same,
        }
    }

    pub fn depth(self, terms: Option<&SleepTerms>, now: Moment) -> Depth {
        let (Rest::Asleep { since, after }, Some(terms)) = (self, terms) else {
            return Depth::Awake;
        };
        let stop_at = since + terms.stop_after;
        match now < stop_at {
            true => Depth::Paused {
                idle: after,
                stop_at,
            },
            false => Depth::Stopped {
                idle: after + terms.stop_after,
            },
        }
    }

    /// When that changes by itself.
    pub fn wake(self, terms: Option<&SleepTerms>) -> Option<Moment> {
        let terms = terms?;
        Some(match self {
            Rest::Awake { idle_since } => idle_since + terms.idle_timeout,
            Rest::Asleep { since, .. } => since + terms.stop_after,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: SleepTerms = SleepTerms {
        idle_timeout: Duration::from_secs(300),
        stop_after: Duration::from_secs(600),
    };

    fn at(secs: u64) -> Moment {
        Moment::from_secs(secs)
    }

    fn depths(terms: Option<&SleepTerms>, turns: &[(u64, bool)]) -> Vec<&'static str> {
        let mut rest = Rest::Awake { idle_since: at(0) };
        let turn = |(secs, asked): &(u64, bool)| {
            rest = rest.turn(terms, *asked, at(*secs));
            match rest.depth(terms, at(*secs)) {
                Depth::Awake => "awake",
                Depth::Paused { .. } => "paused",
                Depth::Stopped { .. } => "stopped",
            }
        };
        turns.iter().map(turn).collect()
    }

    #[test]
    fn who_is_not_asked_for_is_paused_then_stopped_and_wakes_at_the_first_request() {
        for (terms, turns, expected) in [
            (
                Some(&TERMS),
                &[(299, false), (300, false), (899, false), (900, false)][..],
                &["awake", "paused", "paused", "stopped"][..],
            ),
            (
                Some(&TERMS),
                &[
                    (200, true),
                    (499, false),
                    (500, false),
                    (501, true),
                    (800, false),
                    (801, false),
                ],
                &["awake", "awake", "paused", "awake", "awake", "paused"],
            ),
            (
                Some(&TERMS),
                &[(300, false), (2_000, false), (2_001, true)],
                &["paused", "stopped", "awake"],
            ),
            (None, &[(300, false), (9_000, false)], &["awake", "awake"]),
            (
                Some(&SleepTerms {
                    stop_after: Duration::ZERO,
                    ..TERMS
                }),
                &[(299, false), (300, false)],
                &["awake", "stopped"],
            ),
        ] {
            assert_eq!(depths(terms, turns), expected, "{turns:?}");
        }
    }

    #[test]
    fn a_service_stops_at_once_where_nothing_can_be_paused() {
        let asleep = Rest::Asleep {
            since: at(300),
            after: TERMS.idle_timeout,
        };
        let depth = asleep.depth(Some(&TERMS), at(301));
        assert!(matches!(depth, Depth::Paused { .. }));
        let idle = TERMS.idle_timeout;
        assert_eq!(depth.without_pause(), Depth::Stopped { idle });
        assert_eq!(Depth::Awake.without_pause(), Depth::Awake);
    }

    #[test]
    fn it_looks_again_when_something_may_change() {
        let awake = Rest::Awake { idle_since: at(7) };
        assert_eq!(awake.wake(Some(&TERMS)), Some(at(307)));
        assert_eq!(awake.wake(None), None);
        let asleep = awake.turn(Some(&TERMS), false, at(310));
        assert_eq!(asleep.wake(Some(&TERMS)), Some(at(910)));
    }

    #[test]
    fn who_may_sleep_no_more_is_awake() {
        let asleep = Rest::Asleep {
            since: at(1),
            after: TERMS.idle_timeout,
        };
        assert_eq!(
            asleep.turn(None, false, at(2)),
            Rest::Awake { idle_since: at(2) }
        );
    }
}
