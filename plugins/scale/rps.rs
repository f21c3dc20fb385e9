use super::behavior::Behavior;
use super::load::Load;
use crate::plugin::prelude::*;

/// Wants as many replicas as it takes to give each at most `target` requests per second.
///
/// The rate is measured over a minute and over the last seconds, and the larger number wins. Suited
/// to services with a known capacity of a replica; `concurrency` needs less knowledge.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rps {
    /// Requests per second that a replica can serve.
    #[serde(default = "default_target")]
    target: f64,
    /// The share of `target` to use, from 0.1 to 1.
    #[serde(default = "default_utilization")]
    target_utilization: f64,
    #[serde(default = "default_stable_window", deserialize_with = "duration")]
    stable_window: Duration,
    #[serde(default = "default_panic_window", deserialize_with = "duration")]
    panic_window: Duration,
    /// As for `concurrency`.
    #[serde(default)]
    behavior: Behavior,
}

fn default_target() -> f64 {
    200.0
}

fn default_utilization() -> f64 {
    0.7
}

fn default_stable_window() -> Duration {
    Duration::from_secs(60)
}

fn default_panic_window() -> Duration {
    Duration::from_secs(6)
}

const TARGET_MAX: f64 = 1_000_000.0;
const WINDOW_MIN: Duration = Duration::from_secs(1);
const WINDOW_MAX: Duration = Duration::from_secs(10 * 60);

impl Plugin for Rps {
    const NAME: &'static str = "rps";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        let refuse = |message: &str| Err(PluginError::new(message));
        if !(self.target > 0.0 && self.target <= TARGET_MAX) {
            return refuse("`target` must be more than 0 and at most 1000000");
        }
        if !(0.1..=1.0).contains(&self.target_utilization) {
            return refuse("`target_utilization` must be from 0.1 to 1");
        }
        if self.panic_window < WINDOW_MIN {
            return refuse("`panic_window` must be at least 1s");
        }
        if !(self.panic_window..=WINDOW_MAX).contains(&self.stable_window) {
            return refuse("`stable_window` must be from `panic_window` to 10m");
        }
        self.behavior.check().map_err(PluginError::new)?;
        hooks.scaler(self);
        Ok(())
    }
}

impl Scaler for Rps {
    fn decide(&self, window: &Window, current: u32, now: Moment) -> Decision {
        let Some(stable) = Load::of_last(window, now, self.stable_window) else {
            return Decision {
                proposal: 0,
                ..Decision::new(current, "start", "nothing was counted yet".to_owned())
            };
        };
        let panic = Load::of_last(window, now, self.panic_window).unwrap_or(stable);
        let (bound, load) = match panic.rate > stable.rate {
            true => ("burst", panic),
            false => ("load", stable),
        };
        let each = self.target * self.target_utilization;
        let replicas = (load.rate / each - 1e-9).ceil().max(1.0) as u32;
        let because = format!(
            "{:.1} requests/s in the last {}: {:.1} / ({} x {}) = {replicas}",
            load.rate,
            Human(Duration::from_secs_f64(load.over)),
            load.rate,
            self.target,
            self.target_utilization,
        );
        let proposed = Decision::new(replicas, bound, because);
        self.behavior.hold(proposed, window, current, now)
    }

    fn history(&self) -> Duration {
        self.stable_window.max(self.behavior.history()) + Duration::from_secs(30)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The decision after so many seconds at each of these rates.
    fn decide(yaml: &str, rates: &[(u64, u64)], current: u32) -> Decision {
        let scaler = testing::install::<Rps>(yaml).unwrap().scaler.unwrap();
        let (mut window, mut sample) = (Window::default(), Sample::default());
        for (rate, seconds) in rates {
            for _ in 0..*seconds {
                sample.at = sample.at + Duration::from_secs(1);
                sample.requests += rate;
                window.record(sample, scaler.history());
            }
        }
        scaler.decide(&window, current, sample.at)
    }

    #[test]
    fn each_replica_gets_its_share_of_what_it_bears() {
        let decision = decide("target: 100", &[(210, 120)], 3);
        assert_eq!((decision.replicas, decision.bound), (3, "load"));
        assert_eq!(
            decision.because,
            "210.0 requests/s in the last 60s: 210.0 / (100 x 0.7) = 3"
        );
        assert_eq!(decide("target: 100", &[(211, 120)], 3).replicas, 4);
    }

    #[test]
    fn the_last_seconds_count_when_they_are_busier() {
        let decision = decide("target: 100", &[(70, 120), (700, 6)], 1);
        assert_eq!((decision.replicas, decision.bound), (10, "burst"));
    }

    #[test]
    fn nothing_leaves_before_the_load_was_watched_for_long_enough() {
        let young = decide("target: 100", &[(0, 60)], 5);
        assert_eq!((young.replicas, young.bound), (5, "watching"));
        assert_eq!(decide("target: 100", &[(0, 90)], 5).replicas, 1);
    }

    #[test]
    fn bad_values_are_explained() {
        for (yaml, problem) in [
            ("target: 0", "`target` must be more than 0"),
            ("target: .nan", "`target` must be more than 0"),
            ("target_utilization: 2", "from 0.1 to 1"),
            ("panic_window: 1ms", "at least 1s"),
            ("stable_window: 1h", "from `panic_window` to 10m"),
        ] {
            let error = testing::install::<Rps>(yaml).err().expect(yaml);
            assert!(error.contains(problem), "{yaml}: {error}");
        }
    }
}
