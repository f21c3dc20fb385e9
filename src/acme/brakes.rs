//! The brakes on orders: limits of our own, below those of any CA, so that a mistake here locks nobody
//! out for a week.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Orders of one name in an hour.
const NAME_PER_HOUR: usize = 5;
/// Orders of all names in a day; twice the number of names, if that is more.
const ALL_PER_DAY: usize = 50;
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Orders that are remembered, whatever the number of names.
const REMEMBERED_MAX: usize = 50_000;

/// Orders of the last day, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Brakes(VecDeque<Placed>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Placed {
    name: String,
    /// In seconds since 1970.
    at: u64,
}

/// Limit that an order would exceed, and when it may be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Braked {
    pub until: SystemTime,
    limit: Limit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Name,
    All(usize),
}

impl Brakes {
    /// Notes an order of `name`, or says why there must be none. `names`: number of names in all.
    pub fn order(&mut self, name: &str, names: usize, now: SystemTime) -> Result<(), Braked> {
        let now_secs = seconds(now);
        let since = |by: Duration| now_secs.saturating_sub(by.as_secs());
        // Times ahead are left from a clock that was wrong.
        self.0
            .retain(|placed| placed.at > since(DAY) && placed.at <= now_secs);
        let mut recent = self
            .0
            .iter()
            .rev()
            .filter(|placed| placed.name == name && placed.at > since(HOUR));
        if let Some(first) = recent.nth(NAME_PER_HOUR - 1) {
            return Err(Braked {
                until: time(first.at) + HOUR,
                limit: Limit::Name,
            });
        }
        let most = ALL_PER_DAY.max(names.saturating_mul(2)).min(REMEMBERED_MAX);
        if self.0.len() >= most {
            let first = self.0[self.0.len() - most].at;
            return Err(Braked {
                until: time(first) + DAY,
                limit: Limit::All(most),
            });
        }
        self.0.push_back(Placed {
            name: name.to_owned(),
            at: now_secs,
        });
        Ok(())
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

impl fmt::Display for Braked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            Limit::Name => write!(
                f,
                "{NAME_PER_HOUR} orders of this name within an hour are the most"
            ),
            Limit::All(most) => write!(f, "{most} orders within a day are the most"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        time(1_000_000 + seconds)
    }

    #[test]
    fn a_name_has_five_orders_an_hour() {
        let mut brakes = Brakes::default();
        for n in 0..5 {
            brakes.order("a", 1, at(n * 60)).unwrap();
        }
        let braked = brakes.order("a", 1, at(300)).unwrap_err();
        assert_eq!(braked.until, at(3600));
        assert!(braked.to_string().starts_with("5 orders of this name"));
        brakes.order("b", 1, at(300)).unwrap();
        brakes.order("a", 1, at(3600)).unwrap();
        assert!(brakes.order("a", 1, at(3601)).is_err());
    }

    #[test]
    fn all_names_have_fifty_a_day_or_two_each() {
        let mut brakes = Brakes::default();
        for n in 0..50 {
            brakes.order(&format!("n{n}"), 10, at(n)).unwrap();
        }
        let braked = brakes.order("x", 10, at(60)).unwrap_err();
        assert_eq!(braked.until, at(24 * 3600));
        // With thirty names more, sixty are allowed.
        for n in 50..80 {
            brakes.order(&format!("n{n}"), 40, at(n)).unwrap();
        }
        let braked = brakes.order("x", 40, at(90)).unwrap_err();
        assert_eq!(braked.to_string(), "80 orders within a day are the most");
        assert!(brakes.order("x", 40, at(24 * 3600 + 1)).is_ok());
    }

    #[test]
    fn orders_in_the_future_do_not_count() {
        let mut brakes = Brakes::default();
        for n in 0..5 {
            brakes.order("a", 1, at(1_000_000 + n)).unwrap();
        }
        brakes.order("a", 1, at(0)).unwrap();
        let json = serde_json::to_string(&brakes).unwrap();
        let again: Brakes = serde_json::from_str(&json).unwrap();
        assert_eq!(again.0.len(), 1);
    }
}
