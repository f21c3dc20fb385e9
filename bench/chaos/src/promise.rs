//! Promises about events, and whether they were kept.

use crate::happened::{Happened, Strength};
use crate::load::Failure;
use serde::Serialize;
use std::time::Duration;

/// Beside the time that a container takes to start, a replica that died is missing no longer.
const HEALS_WITHIN: Duration = Duration::from_secs(1);
/// Beside that time, no request waits longer: for a second until the failure is noticed, and
/// half of one for the slowest answer on a busy machine.
const WAITS_WITHIN: Duration = Duration::from_millis(1500);
/// A removal that failed is tried once more, a second later, before another port is used.
const GIVES_A_PORT_UP_WITHIN: Duration = Duration::from_millis(1500);
/// One and a half times the interval and the timeout of a health check, a second each.
const TWO_CHECKS: Duration = Duration::from_secs(3);
/// A bad answer has a replica asked after its health at once, and at most every 100 ms.
const NOTICED_WITHIN: Duration = Duration::from_millis(250);
/// A request that was sent before the moment may come in after it.
const ON_ITS_WAY: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug)]
pub struct Promise {
    fails: Fails,
    p99_max: Option<Duration>,
    heals: bool,
    waits: bool,
    another_port: bool,
}

/// Which requests may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fails {
    None,
    /// Those that are not idempotent.
    NoGet,
    /// The same, and only those that had been sent when the replica died.
    OnlyInside,
    /// Those that came before it was noticed: what a replica answers is passed on.
    UntilNoticed,
    /// While nobody holds the socket, connections are refused; all else is answered.
    OnlyRefused,
    /// Requests in flight are lost, and the numbers show how many.
    Anything,
}

/// The numbers of a run that a promise is about.
pub struct Seen<'a> {
    pub happened: &'a Happened,
    pub failed: &'a [(Duration, &'static str, Failure)],
    /// Since the load began: when it happened, and when that was over.
    pub moment: (Duration, Duration),
    pub p99: Duration,
    pub longest: Duration,
}

const fn only(fails: Fails) -> Promise {
    Promise {
        fails,
        p99_max: None,
        heals: false,
        waits: false,
        another_port: false,
    }
}

impl Promise {
    pub const NONE_FAILS: Promise = only(Fails::None);
    pub const NO_GET_FAILS: Promise = only(Fails::NoGet);
    pub const ONLY_INSIDE_FAILS: Promise = only(Fails::OnlyInside);
    pub const ONLY_UNTIL_NOTICED_FAILS: Promise = only(Fails::UntilNoticed);
    pub const ONLY_REFUSED: Promise = only(Fails::OnlyRefused);
    pub const NOTHING: Promise = only(Fails::Anything);

    pub const fn healing(self) -> Promise {
        Promise {
            heals: true,
            ..self
        }
    }

    /// The same two, and a port that has to be given up first.
    pub const fn healing_on_another_port(self) -> Promise {
        Promise {
            heals: true,
            waits: true,
            another_port: true,
            ..self
        }
    }

    pub const fn waiting_for_a_start(self) -> Promise {
        Promise {
            waits: true,
            ..self
        }
    }

    pub const fn p99_within_two_checks(self) -> Promise {
        Promise {
            p99_max: Some(TWO_CHECKS),
            ..self
        }
    }

    /// Whether there is anything to keep.
    pub fn is_one(&self) -> bool {
        self.fails != Fails::Anything
    }

    /// In words, everything that was not kept.
    pub fn broken(&self, seen: &Seen) -> Vec<String> {
        let mut broken = seen.happened.broken.clone();
        let mut demand = |kept: bool, why: String| {
            if !kept {
                broken.push(why);
            }
        };
        let count = |bad: &dyn Fn(&(Duration, &'static str, Failure)) -> bool| {
            seen.failed.iter().filter(|failed| bad(failed)).count()
        };
        let is_get = |method: &str| method == "GET";
        match self.fails {
            Fails::Anything => return Vec::new(),
            Fails::None => {
                let failed = seen.failed.len();
                demand(failed == 0, format!("{failed} requests failed"));
            }
            Fails::NoGet | Fails::OnlyInside => {
                let gets = count(&|(_, method, _)| is_get(method));
                demand(gets == 0, format!("{gets} GETs failed"));
            }
            Fails::UntilNoticed => {
                let noticed = seen.moment.1 + NOTICED_WITHIN;
                let after = count(&|(due, ..)| *due > noticed);
                demand(
                    after == 0,
                    format!("{after} failed that were sent {NOTICED_WITHIN:?} later, or after"),
                );
            }
            Fails::OnlyRefused => {
                let others = count(&|(_, _, failure)| *failure != Failure::Refused);
                demand(
                    others == 0,
                    format!("{others} failed otherwise than refused"),
                );
            }
        }
        if self.fails == Fails::OnlyInside {
            let late = seen.moment.1 + ON_ITS_WAY;
            let after = count(&|(due, method, _)| !is_get(method) && *due > late);
            demand(
                after == 0,
                format!("{after} others failed that were sent after the replica had died"),
            );
        }
        if let Some(max) = self.p99_max {
            let p99 = seen.p99;
            demand(p99 < max, format!("p99 is {p99:.2?} and not below {max:?}"));
        }
        let mut start = seen.happened.start_time.unwrap_or_default();
        if self.another_port {
            start += GIVES_A_PORT_UP_WITHIN;
        }
        if self.heals {
            let max = HEALS_WITHIN + start;
            let kept = matches!(seen.happened.strength, Strength::After(after) if after <= max);
            demand(
                kept,
                format!("not at full strength within 1 s and the {start:.2?} of a start"),
            );
        }
        if self.waits {
            let longest = seen.longest;
            demand(
                longest <= start + WAITS_WITHIN,
                format!("a request waited {longest:.2?}, and a start took {start:.2?}"),
            );
        }
        broken
    }
}

/// In JSON, for who reads it by machine.
impl Serialize for Promise {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self.fails {
            Fails::None => "none_fails",
            Fails::NoGet => "no_get_fails",
            Fails::OnlyInside => "only_inside_fails",
            Fails::UntilNoticed => "only_until_noticed_fails",
            Fails::OnlyRefused => "only_refused",
            Fails::Anything => "nothing",
        })
    }
}
