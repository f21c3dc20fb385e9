use crate::plugin::prelude::*;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use std::num::NonZeroU32;

/// Wants at least `min` replicas from each time that a cron pattern names, for `duration`.
///
/// The load does not matter: beside other policies, a schedule sets a floor; alone, it sets the
/// number. Of several floors, the highest counts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Each with `cron` (minute, hour, day, month, weekday), `duration`, `min` and `timezone`
    /// (`UTC`).
    #[serde(default)]
    floors: Vec<Floor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Floor {
    cron: String,
    #[serde(deserialize_with = "duration")]
    duration: Duration,
    min: NonZeroU32,
    #[serde(default = "utc")]
    timezone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

const FLOORS_MAX: usize = 100;
const DURATION_MIN: Duration = Duration::from_secs(60);

/// Longest duration of a floor.
const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Age up to which samples are kept; only the last one is used.
const HISTORY: Duration = Duration::from_secs(10);

/// A pattern without a time within so many years is a typing error.
const YEARS_MAX: i64 = 9;

impl Plugin for Schedule {
    const NAME: &'static str = "schedule";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        if self.floors.len() > FLOORS_MAX {
            return Err(PluginError::new(format!(
                "`floors`: at most {FLOORS_MAX}, found {}",
                self.floors.len()
            )));
        }
        let floors = self.floors.iter().enumerate().map(|(index, floor)| {
            Times::read(floor).map_err(|why| PluginError::new(format!("`floors[{index}]`: {why}")))
        });
        let floors = floors.collect::<Result<Vec<Times>, _>>()?;
        hooks.scaler(Floors(floors));
        Ok(())
    }
}

struct Floors(Vec<Times>);

/// The times of a floor.
struct Times {
    cron: Cron,
    typed: String,
    zone: TimeZone,
    duration: Duration,
    min: u32,
}

impl Times {
    fn read(floor: &Floor) -> Result<Times, String> {
        if !(DURATION_MIN..=DURATION_MAX).contains(&floor.duration) {
            return Err("`duration` must be from 1m to 7d".to_owned());
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(&floor.cron).map_err(|why| {
            format!(
                "`cron`: {:?} is not minute, hour, day, month and weekday, as in \"0 8 * * 1-5\": \
                 {why}",
                floor.cron
            )
        })?;
        let zone = TimeZone::get(&floor.timezone).map_err(|_| {
            format!(
                "`timezone`: {:?} is not known; write one as in Europe/Berlin, or UTC",
                floor.timezone
            )
        })?;
        let times = Times {
            cron,
            typed: floor.cron.clone(),
            zone,
            duration: floor.duration,
            min: floor.min.get(),
        };
        let next = times.next(&times.zoned(Timestamp::UNIX_EPOCH));
        let limit = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(YEARS_MAX * 366 * 24);
        if next.is_none_or(|next| next.timestamp() > limit) {
            return Err(format!(
                "`cron`: there is no day such as in {:?}",
                floor.cron
            ));
        }
        Ok(times)
    }

    fn zoned(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.zone.clone())
    }

    fn next(&self, after: &Zoned) -> Option<Zoned> {
        self.cron.find_next_occurrence(after, false).ok()
    }

    /// The end of the floor, if it holds now.
    fn until(&self, now: &Zoned) -> Option<Timestamp> {
        let since = self.cron.find_previous_occurrence(now, true).ok()?;
        let until = since.timestamp() + self.duration;
        (until > now.timestamp()).then_some(until)
    }
}

impl Scaler for Floors {
    fn decide(&self, window: &Window, current: u32, now: Moment) -> Decision {
        let clock = window.latest().map(|latest| latest.clock);
        let Some(clock) = clock.filter(|clock| !clock.is_zero()) else {
            return Decision::unknown(current, "the time is unknown".to_owned());
        };
        let Ok(at) = Timestamp::from_duration(SignedDuration::try_from(clock).unwrap_or_default())
        else {
            return Decision::unknown(current, "the clock is far off".to_owned());
        };
        let (mut highest, mut change): (Option<(&Times, Timestamp)>, Option<Timestamp>) =
            (None, None);
        for times in &self.0 {
            let zoned = times.zoned(at);
            let until = times.until(&zoned);
            let next = times.next(&zoned).map(|next| next.timestamp());
            change = [change, until, next].into_iter().flatten().min();
            if let Some(until) = until
                && highest.is_none_or(|(highest, _)| highest.min < times.min)
            {
                highest = Some((times, until));
            }
        }
        let wake = change.and_then(|at_change| {
            let left = at_change.duration_since(at);
            Some(now + Duration::try_from(left).ok()?)
        });
        let decision = match highest {
            Some((times, until)) => Decision::new(
                times.min,
                "schedule",
                format!(
                    "at least {} since \"{}\", until {}",
                    times.min,
                    times.typed,
                    times.zoned(until).strftime("%a %H:%M %Z"),
                ),
            ),
            None => {
                let because = match change {
                    Some(next) => {
                        format!("no floor before {}", next.strftime("%a %d %b %H:%M UTC"))
                    }
                    None => "no floor is scheduled".to_owned(),
                };
                Decision::new(0, "schedule", because)
            }
        };
        decision.wake(wake)
    }

    fn history(&self) -> Duration {
        HISTORY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Duration {
        let time: Timestamp = time.parse().expect(time);
        Duration::from_secs(time.as_second() as u64)
    }

    fn decide(yaml: &str, time: &str) -> Decision {
        let scaler = testing::install::<Schedule>(yaml).unwrap().scaler.unwrap();
        let mut window = Window::default();
        let sample = Sample {
            at: Moment::from_secs(1_000),
            clock: at(time),
            ..Sample::default()
        };
        window.record(sample, scaler.history());
        scaler.decide(&window, 3, sample.at)
    }

    const WORK: &str = "floors: [{ cron: \"0 8 * * 1-5\", duration: 10h, min: 5 }]";

    #[test]
    fn a_floor_holds_from_its_minute_until_its_duration_is_over() {
        // 2024-03-04 is a Monday.
        for (time, floor) in [
            ("2024-03-04T07:59:59Z", 0),
            ("2024-03-04T08:00:00Z", 5),
            ("2024-03-04T17:59:59Z", 5),
            ("2024-03-04T18:00:00Z", 0),
            ("2024-03-08T09:00:00Z", 5),
            ("2024-03-09T09:00:00Z", 0),
        ] {
            let decision = decide(WORK, time);
            assert_eq!(
                (decision.replicas, decision.proposal),
                (floor, floor),
                "{time}"
            );
        }
    }

    #[test]
    fn it_says_which_floor_until_when_and_looks_again_then() {
        let held = decide(WORK, "2024-03-04T09:30:00Z");
        assert_eq!(
            held.because,
            "at least 5 since \"0 8 * * 1-5\", until Mon 18:00 UTC"
        );
        assert_eq!(held.wake, Some(Moment::from_secs(1_000 + 8 * 3600 + 1800)));
        let free = decide(WORK, "2024-03-08T18:00:00Z");
        assert_eq!(free.because, "no floor before Mon 11 Mar 08:00 UTC");
        let none = decide("", "2024-03-04T09:30:00Z");
        assert_eq!((none.replicas, none.wake), (0, None));
    }

    #[test]
    fn of_several_floors_the_highest_counts_and_one_may_pass_midnight() {
        let two = "floors: [{ cron: \"0 22 * * *\", duration: 4h, min: 2 }, \
                            { cron: \"0 23 * * 1\", duration: 2h, min: 7 }]";
        for (time, floor) in [
            ("2024-03-04T22:30:00Z", 2),
            ("2024-03-04T23:30:00Z", 7),
            ("2024-03-05T00:59:00Z", 7),
            ("2024-03-05T01:30:00Z", 2),
            ("2024-03-05T02:00:00Z", 0),
        ] {
            assert_eq!(decide(two, time).replicas, floor, "{time}");
        }
    }

    #[test]
    fn the_clock_on_the_wall_counts_also_when_it_is_moved() {
        let berlin =
            "floors: [{ cron: \"0 8 * * *\", duration: 1h, min: 5, timezone: Europe/Berlin }]";
        // Summer time began on 2024-03-31: 8 o'clock is 7:00 UTC before and 6:00 after.
        for (time, floor) in [
            ("2024-03-30T07:30:00Z", 5),
            ("2024-03-31T06:30:00Z", 5),
            ("2024-03-31T07:30:00Z", 0),
        ] {
            assert_eq!(decide(berlin, time).replicas, floor, "{time}");
        }
        // A minute that the clock skips comes when it has jumped.
        let night =
            "floors: [{ cron: \"30 2 * * *\", duration: 1h, min: 5, timezone: Europe/Berlin }]";
        assert_eq!(decide(night, "2024-03-31T01:10:00Z").replicas, 5);
    }

    #[test]
    fn without_a_clock_nothing_changes() {
        let decision = decide(WORK, "1970-01-01T00:00:00Z");
        assert_eq!((decision.replicas, decision.bound), (3, "no data"));
    }

    #[test]
    fn bad_values_are_explained() {
        let floor = |keys: &str| format!("floors: [{{ min: 1, duration: 1h, {keys} }}]");
        for (yaml, problem) in [
            (
                floor("cron: \"0 25 * * *\""),
                "`floors[0]`: `cron`: \"0 25 * * *\" is not",
            ),
            (floor("cron: \"* * *\""), "as in \"0 8 * * 1-5\""),
            (floor("cron: \"0 0 8 * * *\""), "`cron`"),
            (floor("cron: \"0 0 30 2 *\""), "there is no day such as"),
            (
                floor("cron: \"0 8 * * *\", timezone: Mars"),
                "\"Mars\" is not known",
            ),
            (
                "floors: [{ min: 1, duration: 8d, cron: \"0 8 * * *\" }]".to_owned(),
                "from 1m to 7d",
            ),
            (
                "floors: [{ min: 0, duration: 1h, cron: \"0 8 * * *\" }]".to_owned(),
                "floors[0].min",
            ),
        ] {
            let error = testing::install::<Schedule>(&yaml).err().expect(&yaml);
            assert!(error.contains(problem), "{yaml}: {error}");
        }
    }
}
