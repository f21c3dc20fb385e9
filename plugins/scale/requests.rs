use crate::plugin::prelude::*;
use std::num::NonZeroU32;

/// Wants `floor(requests in the last interval / requests_per_replica) + 1` replicas.
///
/// The clock starts at the first counted request. From then on intervals follow each other, and the
/// last complete one decides; until the first is complete, the number of replicas stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// Length of an interval.
    #[serde(default = "default_interval", deserialize_with = "duration")]
    interval: Duration,
    /// Requests of an interval for each further replica.
    #[serde(default = "default_requests_per_replica")]
    requests_per_replica: NonZeroU32,
    /// Paths that are not counted, matched by whole segments: `/a` means `/a` and `/a/b`, not `/ab`.
    #[serde(default = "default_exclude")]
    exclude: Vec<String>,
}

fn default_interval() -> Duration {
    Duration::from_secs(120)
}

fn default_requests_per_replica() -> NonZeroU32 {
    NonZeroU32::new(20).expect("20 is not zero")
}

fn default_exclude() -> Vec<String> {
    vec!["/api/v1/_health".into(), "/api/v1/_crash".into()]
}

/// Shorter intervals would count noise, and containers start too slowly to follow.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Longer intervals are typing errors, and sums with them could overflow.
const INTERVAL_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Tolerated delay of the samples that `decide` compares.
const SLACK: Duration = Duration::from_secs(30);

/// Pause before the next look for the sample that completes an interval.
const SAMPLE_WAIT: Duration = Duration::from_millis(100);

impl Plugin for Requests {
    const NAME: &'static str = "requests";

    fn install(mut self, hooks: &mut Hooks) -> Result<(), PluginError> {
        if !(INTERVAL_MIN..=INTERVAL_MAX).contains(&self.interval) {
            return Err(PluginError::new("`interval` must be from 100ms to 7d"));
        }
        for path in &mut self.exclude {
            if !path.starts_with('/') {
                let message = format!("`exclude`: {path:?} must begin with a slash");
                return Err(PluginError::new(message));
            }
            path.truncate(path.trim_end_matches('/').len());
        }
        hooks.scaler(self);
        Ok(())
    }
}

impl Scaler for Requests {
    fn counts(&self, path: &str) -> bool {
        let path = path.split('?').next().unwrap_or(path);
        let within = |prefix: &String| {
            let rest = path.strip_prefix(prefix.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        !self.exclude.iter().any(within)
    }

    fn decide(&self, window: &Window, current: u32, now: Moment) -> Decision {
        let every = Human(self.interval);
        let Some(began) = window.began() else {
            let because = "no request yet: the clock starts at the first one".into();
            return stay(current, because, None);
        };
        let complete = now.since(began).as_nanos() / self.interval.as_nanos();
        let complete = u32::try_from(complete).unwrap_or(u32::MAX);
        let end = began + self.interval * complete;
        let wake = Some(end + self.interval);
        if complete == 0 {
            let because = format!("the first {every} of counting are not over");
            return stay(current, because, wake);
        }
        let Some(last) = window.at(end) else {
            let because = format!("the last {every} are not counted out");
            return stay(current, because, Some(now + SAMPLE_WAIT));
        };
        let base = match complete {
            1 => Some(0),
            _ => window.at(end - self.interval).map(|base| base.requests),
        };
        let Some(base) = base else {
            let because = format!("less is remembered than the last {every}");
            return stay(current, because, wake);
        };
        let requests = last.requests.saturating_sub(base);
        let each = u64::from(self.requests_per_replica.get());
        let wanted = requests / each + 1;
        Decision::new(
            u32::try_from(wanted).unwrap_or(u32::MAX),
            "requests",
            format!(
                "{requests} requests in the last {every}: floor({requests} / {each}) + 1 = {wanted}"
            ),
        )
        .wake(wake)
    }

    fn history(&self) -> Duration {
        self.interval * 2 + SLACK
    }
}

fn stay(replicas: u32, because: String, wake: Option<Moment>) -> Decision {
    Decision::new(replicas, "interval", because).wake(wake)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Moment {
        Moment::from_secs(secs)
    }

    /// The decision at `now` with three replicas, after samples of (second, requests so far).
    fn decide(samples: &[(u64, u64)], now: u64) -> Decision {
        let scaler = testing::install::<Requests>("").unwrap().scaler.unwrap();
        let mut window = Window::default();
        for (second, requests) in samples {
            let sample = Sample {
                at: at(*second),
                requests: *requests,
                ..Sample::default()
            };
            window.record(sample, scaler.history());
        }
        scaler.decide(&window, 3, at(now))
    }

    #[test]
    fn the_requests_of_a_complete_interval_decide() {
        for (requests, replicas) in [
            (1, 1),
            (19, 1),
            (20, 2),
            (39, 2),
            (40, 3),
            (59, 3),
            (60, 4),
            (199, 10),
            (1_000, 51),
            (u64::MAX, u32::MAX),
        ] {
            let decision = decide(&[(7, 1), (127, requests)], 127);
            assert_eq!(decision.replicas, replicas, "{requests} requests");
            assert_eq!(decision.wake, Some(at(247)));
        }
        let because = decide(&[(7, 1), (127, 37)], 127).because;
        assert_eq!(
            because,
            "37 requests in the last 2m: floor(37 / 20) + 1 = 2"
        );
    }

    #[test]
    fn until_the_first_interval_is_complete_the_count_stays() {
        for (samples, now, wake) in [
            (&[][..], 500, None),
            (&[(0, 0), (400, 0)], 500, None),
            (&[(7, 1), (126, 99)], 126, Some(at(127))),
        ] {
            let decision = decide(samples, now);
            assert_eq!((decision.replicas, decision.wake), (3, wake), "{samples:?}");
        }
    }

    #[test]
    fn between_ends_the_last_complete_interval_stands() {
        let samples = [(0, 1), (120, 20), (180, 500)];
        for now in [120, 150, 239] {
            let decision = decide(&samples, now);
            assert_eq!((decision.replicas, decision.wake), (2, Some(at(240))));
        }
    }

    #[test]
    fn each_interval_counts_its_own_requests_and_an_empty_one_wants_one_replica() {
        let samples = [(0, 5), (120, 45), (240, 65), (360, 65), (480, 165)];
        for (now, replicas) in [(120, 3), (240, 2), (360, 1), (480, 6)] {
            let seen: Vec<_> = samples.iter().copied().filter(|s| s.0 <= now).collect();
            assert_eq!(decide(&seen, now).replicas, replicas, "at {now} s");
        }
    }

    #[test]
    fn a_late_sample_ends_one_interval_and_begins_the_next() {
        // The interval ended at 120 s and was sampled at 125 s: 41 requests are the first one's,
        // the other 19 the second one's.
        let samples = [(0, 1), (125, 41), (240, 60)];
        assert_eq!(decide(&samples[..2], 125).replicas, 3);
        assert_eq!(decide(&samples, 240).replicas, 1);
    }

    #[test]
    fn without_the_sample_that_completes_the_interval_the_count_stays_for_a_moment() {
        let decision = decide(&[(0, 1), (119, 80)], 120);
        assert_eq!(decision.replicas, 3);
        assert_eq!(decision.wake, Some(at(120) + SAMPLE_WAIT));
    }

    #[test]
    fn after_a_long_silence_the_intervals_still_follow_from_the_first_request() {
        let decision = decide(&[(0, 30), (86_400, 30), (86_460, 55)], 86_460);
        assert_eq!((decision.replicas, decision.wake), (1, Some(at(86_520))));
    }

    #[test]
    fn excluded_paths_are_matched_by_whole_segments_without_the_query() {
        let yaml = "exclude: [/api/v1/_health, /internal/]";
        let scaler = testing::install::<Requests>(yaml).unwrap().scaler.unwrap();
        for (path, counts) in [
            ("/api/v1/_health", false),
            ("/api/v1/_health?deep=1", false),
            ("/api/v1/_health/db", false),
            ("/api/v1/_healthy", true),
            ("/api/v1/acts?next=/api/v1/_health", true),
            ("/internal", false),
            ("/internal/x", false),
            ("/", true),
        ] {
            assert_eq!(scaler.counts(path), counts, "{path}");
        }
    }

    #[test]
    fn bad_values_are_explained() {
        for (yaml, problem) in [
            (
                "interval: 120",
                "expected a duration such as 250ms, 90s or 2m",
            ),
            ("interval: 2 moons", "expected a duration such as"),
            ("interval: 1ms", "from 100ms to 7d"),
            ("interval: 8d", "from 100ms to 7d"),
            ("requests_per_replica: 0", "nonzero"),
            ("exclude: [health]", "\"health\" must begin with a slash"),
        ] {
            let error = testing::install::<Requests>(yaml).err().expect(yaml);
            assert!(error.contains(problem), "{yaml:?}: {error}");
        }
    }
}
