//! Instants as plain data.
//!
//! Pure code takes `now: Moment`; loops make one from tokio's clock, so a paused clock makes an
//! hour a millisecond.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// Time passed since the process began to watch.
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

/// A duration as people write it: `250ms`, `1.5s`, `2m`.
pub struct Human(pub Duration);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        match millis {
            0..1_000 => write!(f, "{millis}ms"),
            1_000..120_000 if millis.is_multiple_of(1_000) => write!(f, "{}s", millis / 1_000),
            1_000..120_000 => write!(f, "{:.1}s", self.0.as_secs_f64()),
            _ if (millis / 1_000).is_multiple_of(60) => write!(f, "{}m", millis / 60_000),
            _ => write!(f, "{}m{}s", millis / 60_000, (millis / 1_000) % 60),
        }
    }
}
