//! Instants as plain data.
//!
//! Pure code takes `now: Moment`; loops make one from tokio's clock, so a paused clock makes an
//! hour a millisecond.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime};

/// Time since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub Duration);

impl Moment {
    pub const fn from_secs(secs: u64) -> Self {
        Moment(Duration::from_secs(secs))
    }

    pub const fn from_millis(millis: u64) -> Self {
        Moment(Duration::from_millis(millis))
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;
    fn add(self, by: Duration) -> Moment {
        Moment(self.0 + by)
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;
    fn sub(self, by: Duration) -> Moment {
        Moment(self.0.saturating_sub(by))
    }
}

/// A duration as people write it: `0.35ms`, `250ms`, `1.5s`, `2m`.
pub struct Human(pub Duration);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (micros, millis) = (self.0.as_micros(), self.0.as_millis());
        let in_millis = || self.0.as_secs_f64() * 1_000.0;
        match millis {
            0 if micros >= 5 => write!(f, "{:.2}ms", in_millis()),
            1..10 if !micros.is_multiple_of(1_000) => write!(f, "{:.1}ms", in_millis()),
            0..1_000 => write!(f, "{millis}ms"),
            1_000..120_000 if millis.is_multiple_of(1_000) => write!(f, "{}s", millis / 1_000),
            1_000..120_000 => write!(f, "{:.1}s", self.0.as_secs_f64()),
            _ if (millis / 1_000).is_multiple_of(60) => write!(f, "{}m", millis / 60_000),
            _ => write!(f, "{}m{}s", millis / 60_000, (millis / 1_000) % 60),
        }
    }
}

/// A duration of which only the size matters: `75s`, `40m`, `30h`, `12d`.
pub struct Coarse(pub Duration);

impl fmt::Display for Coarse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match (seconds, seconds / 60, seconds / 3_600) {
            (0..120, _, _) => write!(f, "{seconds}s"),
            (_, minutes @ 0..120, _) => write!(f, "{minutes}m"),
            (_, _, hours @ 0..48) => write!(f, "{hours}h"),
            (_, _, hours) => write!(f, "{}d", hours / 24),
        }
    }
}

/// A time of the clock, to the second: `2027-02-28T09:30:00Z`.
pub struct Utc(pub SystemTime);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::try_from(self.0) {
            Ok(at) => write!(f, "{at:.0}"),
            Err(_) => f.write_str("a time beyond the calendar"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_the_digits_that_matter() {
        for (micros, written) in [
            (0, "0ms"),
            (350, "0.35ms"),
            (2_440, "2.4ms"),
            (3_000, "3ms"),
            (12_900, "12ms"),
            (1_500_000, "1.5s"),
            (75_000_000, "75s"),
            (130_000_000, "2m10s"),
        ] {
            assert_eq!(Human(Duration::from_micros(micros)).to_string(), written);
        }
    }
}
