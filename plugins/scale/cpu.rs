use super::behavior::Behavior;
use super::utilization::{Utilization, mean};
use crate::plugin::prelude::*;

/// Wants as many replicas as keep each at `target` of its processor time.
///
/// `ceil(replicas x used / target)`, with the tolerance of a tenth and the treatment of missing
/// measurements of Kubernetes' HorizontalPodAutoscaler.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// A share of the service's `cpus`, or of one core where it has none, as in `80%`; or cores,
    /// as in `0.5`.
    #[serde(default = "default_target")]
    target: CpuTarget,
    /// Period over which the measurements, taken every 5 s, are averaged.
    #[serde(default = "default_window", deserialize_with = "duration")]
    window: Duration,
    /// As for `concurrency`.
    #[serde(default)]
    behavior: Behavior,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a share such as 80%, or cores such as 0.5"
)]
enum CpuTarget {
    Cores(f64),
    Share(String),
}

fn default_target() -> CpuTarget {
    CpuTarget::Share("80%".to_owned())
}

fn default_window() -> Duration {
    Duration::from_secs(15)
}

const WINDOW_MIN: Duration = Duration::from_secs(5);
pub const WINDOW_MAX: Duration = Duration::from_secs(10 * 60);
const CORES_MAX: f64 = 1024.0;

impl Plugin for Cpu {
    const NAME: &'static str = "cpu";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        let refuse = |message: &str| Err(PluginError::new(message));
        let target = match &self.target {
            CpuTarget::Cores(cores) if *cores > 0.0 && *cores <= CORES_MAX => {
                CpuAim::Millicores(cores * 1000.0)
            }
            CpuTarget::Share(share) => match percent(share) {
                Some(share) => CpuAim::Share(share),
                None => return refuse("`target` must be from 1% to 100%, or cores such as 0.5"),
            },
            CpuTarget::Cores(_) => {
                return refuse(
                    "`target` must be more than 0 cores and at most 1024, or a share such as 80%",
                );
            }
        };
        check_window(self.window)?;
        self.behavior.check().map_err(PluginError::new)?;
        hooks.scaler(ByCpu {
            target,
            window: self.window,
            behavior: self.behavior,
        });
        Ok(())
    }
}

pub fn check_window(window: Duration) -> Result<(), PluginError> {
    match (WINDOW_MIN..=WINDOW_MAX).contains(&window) {
        true => Ok(()),
        false => Err(PluginError::new("`window` must be from 5s to 10m")),
    }
}

/// From 1 % to 100 %, as a part of 1.
pub fn percent(text: &str) -> Option<f64> {
    let number: f64 = text.trim().strip_suffix('%')?.trim_end().parse().ok()?;
    (1.0..=100.0).contains(&number).then_some(number / 100.0)
}

enum CpuAim {
    Millicores(f64),
    Share(f64),
}

struct ByCpu {
    target: CpuAim,
    window: Duration,
    behavior: Behavior,
}

impl Scaler for ByCpu {
    fn decide(&self, window: &Window, current: u32, now: Moment) -> Decision {
        let latest = window.latest().filter(|latest| latest.used.replicas > 0);
        let used = mean(window, now, self.window, |used| used.millicores);
        let (Some(latest), Some(used)) = (latest, used) else {
            let because = "the use of processors was not measured lately".to_owned();
            return Decision::unknown(current, because);
        };
        let limit = latest.used.millicores_limit as f64;
        let target = match self.target {
            CpuAim::Millicores(millicores) => millicores,
            CpuAim::Share(share) => limit * share,
        };
        let known = latest.used.replicas.min(latest.ready.max(1));
        let utilization = Utilization {
            used,
            known,
            ready: latest.ready,
            starting: latest.starting,
            target,
            full: limit,
        };
        let replicas = utilization.replicas(current);
        let each = utilization.used / f64::from(known);
        let because = format!(
            "{:.2} cores used by each of {known} in the last {}, {:.2} are to be: \
             ceil({known} x {:.2} / {:.2}) = {:.0}{}",
            each / 1000.0,
            Human(self.window),
            target / 1000.0,
            each / 1000.0,
            target / 1000.0,
            (utilization.used / target - 1e-9).ceil(),
            kept(replicas, current, &utilization),
        );
        let proposed = Decision::new(replicas, "cpu", because);
        self.behavior.hold(proposed, window, current, now)
    }

    fn history(&self) -> Duration {
        self.window.max(self.behavior.history()) + Duration::from_secs(30)
    }

    fn needs(&self) -> Needs {
        Needs {
            usage: true,
            ..Needs::default()
        }
    }
}

/// The reason why the number differs from the formula's.
pub fn kept(replicas: u32, current: u32, utilization: &Utilization) -> String {
    let formula = (utilization.used / utilization.target - 1e-9)
        .ceil()
        .max(1.0) as u32;
    let unknown = utilization.ready.saturating_sub(utilization.known);
    match (replicas == formula, replicas == current) {
        (true, _) => String::new(),
        (false, _) if unknown > 0 => format!("; {unknown} not measured yet: {replicas}"),
        (false, true) if utilization.starting > 0 => {
            format!("; {} are starting: {replicas}", utilization.starting)
        }
        (false, true) => format!("; within a tenth: {replicas}"),
        (false, false) => format!("; {replicas}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(ready, known, millicores of all the known)` for so many seconds each.
    fn decide(yaml: &str, phases: &[(u32, u32, u64, u64)], current: u32) -> Decision {
        let scaler = testing::install::<Cpu>(yaml).unwrap().scaler.unwrap();
        assert!(scaler.needs().usage);
        let (mut window, mut sample) = (Window::default(), Sample::default());
        for (ready, known, millicores, seconds) in phases {
            for _ in 0..*seconds {
                sample.at = sample.at + Duration::from_secs(1);
                sample.ready = *ready;
                sample.used = Used {
                    replicas: *known,
                    millicores: *millicores,
                    millicores_limit: 500,
                    ..Used::default()
                };
                window.record(sample, scaler.history());
            }
        }
        scaler.decide(&window, current, sample.at)
    }

    #[test]
    fn replicas_are_kept_at_their_share_of_the_limit() {
        let decision = decide("target: 80%", &[(2, 2, 1_000, 120)], 2);
        assert_eq!((decision.replicas, decision.bound), (3, "cpu"));
        assert_eq!(
            decision.because,
            "0.50 cores used by each of 2 in the last 15s, 0.40 are to be: \
             ceil(2 x 0.50 / 0.40) = 3"
        );
        assert_eq!(decide("target: 0.1", &[(2, 2, 1_000, 120)], 2).replicas, 10);
        assert_eq!(decide("", &[(4, 4, 400, 120)], 4).replicas, 1);
    }

    #[test]
    fn the_same_work_on_more_replicas_asks_for_no_more() {
        // Two were full; four share the same work since a second.
        let phases = [(2, 2, 1_000, 60), (4, 4, 1_000, 1)];
        assert_eq!(decide("target: 50%", &phases, 4).replicas, 4);
        // Those that joined are not measured yet.
        let phases = [(2, 2, 1_000, 60), (4, 2, 1_000, 1)];
        assert_eq!(decide("target: 50%", &phases, 4).replicas, 4);
    }

    #[test]
    fn a_service_that_is_not_measured_stays_as_it_is() {
        let decision = decide("", &[(4, 4, 400, 120), (4, 0, 0, 20)], 4);
        assert_eq!((decision.replicas, decision.bound), (4, "no data"));
    }

    #[test]
    fn bad_values_are_explained() {
        for (yaml, problem) in [
            ("target: 0%", "from 1% to 100%"),
            ("target: lots", "from 1% to 100%"),
            ("target: 0", "more than 0 cores"),
            ("target: []", "expected a share such as 80%"),
            ("window: 1s", "`window` must be from 5s to 10m"),
        ] {
            let error = testing::install::<Cpu>(yaml).err().expect(yaml);
            assert!(error.contains(problem), "{yaml}: {error}");
        }
    }
}
