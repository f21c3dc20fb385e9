use super::behavior::Behavior;
use super::cpu::{check_window, kept, percent};
use super::utilization::{Utilization, mean};
use crate::plugin::prelude::*;

/// Wants as many replicas as keep the memory of each at `target`.
///
/// The formula is that of `cpu`. This policy suits programs whose memory grows with the requests at
/// work; many programs never return memory, and are then never scaled down.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// A share of the service's `memory`, or of the machine's where it has none, as in `80%`; or
    /// bytes of each replica, as in `256MiB`.
    #[serde(default = "default_target")]
    target: String,
    /// Period over which the measurements, taken every 5 s, are averaged.
    #[serde(default = "default_window", deserialize_with = "duration")]
    window: Duration,
    /// As for `concurrency`.
    #[serde(default)]
    behavior: Behavior,
}

fn default_target() -> String {
    "80%".to_owned()
}

fn default_window() -> Duration {
    Duration::from_secs(15)
}

/// Docker's minimum for a container.
const BYTES_MIN: u64 = 6 << 20;

impl Plugin for Memory {
    const NAME: &'static str = "memory";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        let aim = match (percent(&self.target), bytes(&self.target)) {
            (Some(share), _) => MemoryAim::Share(share),
            (None, Some(bytes)) if bytes >= BYTES_MIN => MemoryAim::Bytes(bytes),
            _ => {
                return Err(PluginError::new(
                    "`target` must be from 1% to 100%, or a size from 6MiB, as in 256MiB",
                ));
            }
        };
        check_window(self.window)?;
        self.behavior.check().map_err(PluginError::new)?;
        hooks.scaler(ByMemory {
            aim,
            window: self.window,
            behavior: self.behavior,
        });
        Ok(())
    }
}

enum MemoryAim {
    Bytes(u64),
    Share(f64),
}

struct ByMemory {
    aim: MemoryAim,
    window: Duration,
    behavior: Behavior,
}

const MIB: f64 = 1_048_576.0;

impl Scaler for ByMemory {
    fn decide(&self, window: &Window, current: u32, now: Moment) -> Decision {
        let latest = window.latest().filter(|latest| latest.used.replicas > 0);
        let used = mean(window, now, self.window, |used| used.memory_bytes);
        let (Some(latest), Some(used)) = (latest, used) else {
            let because = "the use of memory was not measured lately".to_owned();
            return Decision::unknown(current, because);
        };
        let limit = latest.used.memory_limit_bytes as f64;
        let target = match self.aim {
            MemoryAim::Bytes(bytes) => bytes as f64,
            MemoryAim::Share(share) => limit * share,
        };
        if target <= 0.0 {
            let because = "the engine reports no memory limit; give a size as `target`";
            return Decision::unknown(current, because.to_owned());
        }
        let known = latest.used.replicas.min(latest.ready.max(1));
        let utilization = Utilization {
            used,
            known,
            ready: latest.ready,
            starting: latest.starting,
            target,
            full: match self.aim {
                MemoryAim::Bytes(_) => target,
                MemoryAim::Share(_) => limit,
            },
        };
        let replicas = utilization.replicas(current);
        let each = utilization.used / f64::from(known) / MIB;
        let target = target / MIB;
        let because = format!(
            "{each:.0} MiB used by each of {known} in the last {}, {target:.0} MiB are to be: \
             ceil({known} x {each:.0} / {target:.0}) = {:.0}{}",
            Human(self.window),
            (utilization.used / utilization.target - 1e-9).ceil(),
            kept(replicas, current, &utilization),
        );
        let proposed = Decision::new(replicas, "memory", because);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(yaml: &str, replicas: u32, mib: u64, limit_mib: u64) -> Decision {
        let scaler = testing::install::<Memory>(yaml).unwrap().scaler.unwrap();
        let (mut window, mut sample) = (Window::default(), Sample::default());
        for _ in 0..120 {
            sample.at = sample.at + Duration::from_secs(1);
            sample.ready = replicas;
            sample.used = Used {
                replicas,
                memory_bytes: mib << 20,
                memory_limit_bytes: limit_mib << 20,
                ..Used::default()
            };
            window.record(sample, scaler.history());
        }
        scaler.decide(&window, replicas, sample.at)
    }

    #[test]
    fn replicas_are_kept_at_a_size_or_a_share_of_the_limit() {
        let decision = decide("target: 100MiB", 2, 300, 512);
        assert_eq!((decision.replicas, decision.bound), (3, "memory"));
        assert_eq!(
            decision.because,
            "150 MiB used by each of 2 in the last 15s, 100 MiB are to be: \
             ceil(2 x 150 / 100) = 3"
        );
        assert_eq!(decide("target: 50%", 2, 600, 512).replicas, 3);
        assert_eq!(decide("", 4, 400, 512).replicas, 1);
    }

    #[test]
    fn a_share_of_no_limit_is_not_known() {
        let decision = decide("target: 50%", 2, 600, 0);
        assert_eq!((decision.replicas, decision.bound), (2, "no data"));
        assert!(decision.because.contains("give a size"), "{decision:?}");
    }

    #[test]
    fn bad_values_are_explained() {
        for (yaml, problem) in [
            ("target: 120%", "from 1% to 100%"),
            ("target: 1KiB", "a size from 6MiB"),
            ("target: much", "a size from 6MiB"),
            ("window: 1h", "`window` must be from 5s to 10m"),
        ] {
            let error = testing::install::<Memory>(yaml).err().expect(yaml);
            assert!(error.contains(problem), "{yaml}: {error}");
        }
    }
}
