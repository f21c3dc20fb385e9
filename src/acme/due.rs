//! When a certificate is ordered: a pure function of its validity, the CA's advice, and the attempts
//! so far.

use super::attempts::Attempts;
use std::fmt;
use std::time::{Duration, SystemTime};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A certificate with less than this lifetime is renewed at half of it, because two thirds would
/// leave too little time for a CA that is away: `shortlived` of Let's Encrypt has 160 hours.
const SHORT_LIFETIME: Duration = Duration::from_secs(10 * 24 * 60 * 60);
/// Difference of two clocks that both count as right.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// Interval at which a wrong clock is looked at again.
const CLOCK_AGAIN: Duration = MINUTE;
/// Waits after failures in a row. The first ones are short, for a DNS record or a firewall rule that
/// is being set; the last one spares a name that nobody will repair.
const WAITS: [Duration; 11] = [
    MINUTE,
    Duration::from_secs(2 * 60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(20 * 60),
    HOUR,
    Duration::from_secs(2 * 60 * 60),
    Duration::from_secs(4 * 60 * 60),
    Duration::from_secs(8 * 60 * 60),
    Duration::from_secs(16 * 60 * 60),
    DAY,
];
/// Waits are shorter or longer by up to this share, so that names do not retry in step.
const JITTER: f64 = 0.1;

/// Validity of a certificate that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub from: SystemTime,
    pub until: SystemTime,
}

/// Time in which the CA wants the certificate renewed (ARI, RFC 9773).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub start: SystemTime,
    pub end: SystemTime,
}

/// Everything that the next order of a name depends on.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    pub held: Option<Validity>,
    pub window: Option<Window>,
    /// Hash of the certificate: the same place within a window after every restart.
    pub seed: u64,
    pub attempts: &'a Attempts,
}

/// Time of the next order, and its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub at: SystemTime,
    pub because: Because,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    Missing,
    Expired,
    /// A moment in the window that the CA suggests.
    Suggested,
    TwoThirds,
    Half,
    /// The last attempts failed.
    Failed(u32),
    /// The CA asked for a pause.
    AskedToWait,
    /// The clock shows a time before the certificate was made.
    ClockBehind,
}

/// Decides when the certificate is ordered next; in the past or `now`: at once.
pub fn due(standing: Standing<'_>, now: SystemTime) -> Due {
    if let Some(held) = standing.held
        && now + CLOCK_TOLERANCE < held.from
    {
        return Due {
            at: now + CLOCK_AGAIN,
            because: Because::ClockBehind,
        };
    }
    let wanted = match standing.held {
        None => Due {
            at: now,
            because: Because::Missing,
        },
        Some(held) if held.until <= now => Due {
            at: now,
            because: Because::Expired,
        },
        Some(held) => renewal(held, standing.window, standing.seed),
    };
    let Attempts {
        failures,
        last,
        not_before,
        ..
    } = *standing.attempts;
    let retry = match (failures, last) {
        (0, _) | (_, None) => None,
        // A time ahead is left from a clock that was wrong.
        (_, Some(last)) if last > now + CLOCK_TOLERANCE => None,
        (failures, Some(last)) => Some(last + pause(failures, standing.seed)),
    };
    let asked = not_before.filter(|until| *until <= now + DAY);
    let mut due = wanted;
    if let Some(retry) = retry.filter(|retry| *retry > due.at) {
        due = Due {
            at: retry,
            because: Because::Failed(failures),
        };
    }
    if let Some(asked) = asked.filter(|asked| *asked > due.at) {
        due = Due {
            at: asked,
            because: Because::AskedToWait,
        };
    }
    due
}

/// Moment at which a certificate that works is renewed.
fn renewal(held: Validity, window: Option<Window>, seed: u64) -> Due {
    if let Some(window) = window.filter(|window| window.start <= window.end) {
        let length = window.end.duration_since(window.start).unwrap_or_default();
        return Due {
            at: window.start + length.mul_f64(fraction(seed)),
            because: Because::Suggested,
        };
    }
    let lifetime = held.until.duration_since(held.from).unwrap_or_default();
    let (share, because) = match lifetime < SHORT_LIFETIME {
        true => (1.0 / 2.0, Because::Half),
        false => (2.0 / 3.0, Because::TwoThirds),
    };
    Due {
        at: held.from + lifetime.mul_f64(share),
        because,
    }
}

/// Pause after that many failures in a row.
pub fn pause(failures: u32, seed: u64) -> Duration {
    let step = (failures.max(1) as usize - 1).min(WAITS.len() - 1);
    let spread = 2.0 * fraction(seed.wrapping_add(u64::from(failures))) - 1.0;
    WAITS[step].mul_f64(1.0 + JITTER * spread)
}

/// A number from 0 to 1 that looks random and is the same for the same seed.
fn fraction(seed: u64) -> f64 {
    // The finaliser of SplitMix64.
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Because::Missing => f.write_str("there is no certificate yet"),
            Because::Expired => f.write_str("the certificate has expired"),
            Because::Suggested => f.write_str("in the time that the CA suggests"),
            Because::TwoThirds => f.write_str("at two thirds of its lifetime"),
            Because::Half => f.write_str("at half of its short lifetime"),
            Because::Failed(1) => f.write_str("the last attempt failed"),
            Because::Failed(failures) => write!(f, "the last {failures} attempts failed"),
            Because::AskedToWait => f.write_str("the CA asked to wait"),
            Because::ClockBehind => f.write_str(
                "this machine's clock shows a time before the certificate was made; set the clock",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    const NOW_DAYS: f64 = 1_000.0;

    fn day(days: f64) -> SystemTime {
        UNIX_EPOCH + DAY.mul_f64(days)
    }

    struct Case {
        held: Option<(f64, f64)>,
        window: Option<(f64, f64)>,
        failures: u32,
        /// Days since the last attempt.
        ago: f64,
        /// Hours for which the CA asked to wait, from now.
        asked: Option<f64>,
    }

    const NOTHING: Case = Case {
        held: None,
        window: None,
        failures: 0,
        ago: 0.0,
        asked: None,
    };

    /// Hours from now, and the reason.
    fn check(case: Case) -> (f64, Because) {
        let now = day(NOW_DAYS);
        let from_now = |days: f64| day(NOW_DAYS + days);
        let attempts = Attempts {
            failures: case.failures,
            last: Some(from_now(-case.ago)),
            not_before: case.asked.map(|hours| from_now(hours / 24.0)),
            ..Attempts::default()
        };
        let due = due(
            Standing {
                held: case.held.map(|(from, until)| Validity {
                    from: from_now(from),
                    until: from_now(until),
                }),
                window: case.window.map(|(start, end)| Window {
                    start: from_now(start),
                    end: from_now(end),
                }),
                seed: 17,
                attempts: &attempts,
            },
            now,
        );
        let hours = match due.at.duration_since(now) {
            Ok(ahead) => ahead.as_secs_f64() / 3600.0,
            Err(past) => -past.duration().as_secs_f64() / 3600.0,
        };
        (hours, due.because)
    }

    #[test]
    fn a_certificate_is_renewed_when_its_lifetime_or_the_ca_says() {
        let held = |from: f64, until: f64| Case {
            held: Some((from, until)),
            ..NOTHING
        };
        for (case, hours, because) in [
            (NOTHING, 0.0, Because::Missing),
            // 90 days: at day 60.
            (held(0.0, 90.0), 60.0 * 24.0, Because::TwoThirds),
            (held(-70.0, 20.0), -10.0 * 24.0, Because::TwoThirds),
            // 160 hours: at hour 80.
            (held(0.0, 160.0 / 24.0), 80.0, Because::Half),
            (held(-91.0, -1.0), 0.0, Because::Expired),
            // A clock that is some minutes behind is none that is wrong.
            (held(0.001, 90.001), 60.0 * 24.0 + 0.024, Because::TwoThirds),
            (held(3.0, 93.0), 1.0 / 60.0, Because::ClockBehind),
        ] {
            let (at, why) = check(case);
            assert_eq!(why, because);
            assert!(
                (at - hours).abs() < 0.01,
                "{at} is not {hours}: {because:?}"
            );
        }
    }

    #[test]
    fn the_moment_in_a_window_is_one_and_the_same_and_a_window_that_passed_is_now() {
        let window = |start, end| Case {
            held: Some((-30.0, 60.0)),
            window: Some((start, end)),
            ..NOTHING
        };
        let (first, because) = check(window(1.0, 3.0));
        assert_eq!(because, Because::Suggested);
        assert!((24.0..72.0).contains(&first), "{first}");
        assert_eq!(check(window(1.0, 3.0)).0, first);
        // Revoked: the CA moves the window into the past.
        assert!(check(window(-2.0, -1.0)).0 < 0.0);
        // Nonsense counts as no window.
        assert_eq!(check(window(3.0, 1.0)).1, Because::TwoThirds);
        let places: Vec<f64> = (0..100).map(fraction).collect();
        let low = places.iter().filter(|place| **place < 0.5).count();
        assert!((30..70).contains(&low), "{low} of 100 in the lower half");
    }

    #[test]
    fn failures_wait_longer_and_longer_up_to_a_day() {
        let failed = |failures| Case {
            failures,
            ..NOTHING
        };
        let minutes: Vec<f64> = (1..=14).map(|n| check(failed(n)).0 * 60.0).collect();
        let about = [
            1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1440.0, 1440.0, 1440.0,
            1440.0,
        ];
        for (wait, about) in minutes.iter().zip(about) {
            assert!(
                (wait / about - 1.0).abs() <= JITTER,
                "{wait} is not {about}"
            );
        }
        // A renewal that fails long before the end waits, too, and the pause counts from the attempt.
        let renewal = Case {
            held: Some((-70.0, 20.0)),
            failures: 5,
            ago: 1.0 / 144.0,
            ..NOTHING
        };
        let (hours, because) = check(renewal);
        assert_eq!(because, Because::Failed(5));
        assert!((hours * 60.0 - 10.0).abs() < 2.1, "{hours}");
        // One that is due later than its retry keeps its moment.
        let later = Case {
            held: Some((-1.0, 89.0)),
            failures: 1,
            ..NOTHING
        };
        assert_eq!(check(later).1, Because::TwoThirds);
    }

    #[test]
    fn a_pause_that_the_ca_asks_for_is_kept_and_nonsense_is_not() {
        let asked = |hours| Case {
            failures: 1,
            asked: Some(hours),
            ..NOTHING
        };
        assert_eq!(check(asked(3.0)), (3.0, Because::AskedToWait));
        // At most a day, whatever it says.
        assert_eq!(check(asked(2_000.0)).1, Because::Failed(1));
        // An attempt in the future is left from a clock that was wrong.
        let ahead = Case {
            failures: 9,
            ago: -400.0,
            ..NOTHING
        };
        assert_eq!(check(ahead), (0.0, Because::Missing));
    }
}
