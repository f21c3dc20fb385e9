//! How many replicas a resource takes, by the rules of Kubernetes' HorizontalPodAutoscaler
//! (`pkg/controller/podautoscaler/replica_calculator.go`, `GetResourceReplicas`).

use crate::plugin::prelude::*;

/// How far off the target is no reason to change anything.
pub const TOLERANCE: f64 = 0.1;

/// What replicas use of a resource, in whatever unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Utilization {
    /// What the known ones use together.
    pub used: f64,
    /// Ready replicas of which it is known.
    pub known: u32,
    pub ready: u32,
    pub starting: u32,
    /// What one replica is to use.
    pub target: f64,
    /// What an unknown one may be using at most.
    pub full: f64,
}

impl Utilization {
    /// `ceil(current x metric / target)`, the current ones being those whose use is known.
    ///
    /// What is not known is taken for what changes least: on the way up, replicas that start or
    /// were not measured use nothing; on the way down, those that were not measured use all they
    /// may. Where that turns the direction round, nothing changes.
    pub fn replicas(&self, current: u32) -> u32 {
        let ratio = self.used / (f64::from(self.known) * self.target);
        let within = |ratio: f64| (ratio - 1.0).abs() <= TOLERANCE + 1e-9;
        let unknown = self.ready.saturating_sub(self.known);
        let unready = if ratio > 1.0 { self.starting } else { 0 };
        let (mut used, mut counted) = (self.used, self.known);
        if unknown > 0 && ratio < 1.0 {
            used += f64::from(unknown) * self.full.max(self.target);
        }
        counted += unknown + unready;
        let damped = used / (f64::from(counted) * self.target);
        let turned = (ratio < 1.0 && damped > 1.0) || (ratio > 1.0 && damped < 1.0);
        if within(damped) || turned {
            return current;
        }
        let replicas = ceil(damped * f64::from(counted)).max(1);
        match ratio < 1.0 {
            true => replicas.min(current),
            false => replicas.max(current),
        }
    }
}

fn ceil(replicas: f64) -> u32 {
    // A hair less, so that what is whole but for the arithmetic stays whole.
    (replicas - 1e-9).ceil().min(f64::from(u32::MAX)) as u32
}

/// The mean over the last `over` of what the known replicas used together.
///
/// Together, because that does not change when the same work is spread over more of them: a mean
/// of each one's own would still say "busy" after others have joined, and ask for more again.
pub fn mean(
    window: &Window,
    now: Moment,
    over: Duration,
    used: impl Fn(&Used) -> u64,
) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0u32);
    let samples = window.since(now - over);
    for sample in samples.filter(|sample| sample.used.replicas > 0) {
        sum += used(&sample.used) as f64;
        count += 1;
    }
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replicas that use so much, each; the target is 50 of 100.
    fn of(each: f64, known: u32, unknown: u32, starting: u32) -> Utilization {
        Utilization {
            used: each * f64::from(known),
            known,
            ready: known + unknown,
            starting,
            target: 50.0,
            full: 100.0,
        }
    }

    #[test]
    fn the_count_follows_the_metric_in_proportion() {
        for (each, known, replicas) in [
            (100.0, 4, 8),
            (75.0, 3, 5),
            (50.0, 3, 3),
            (25.0, 4, 2),
            (0.0, 4, 1),
            // Within the tolerance of a tenth.
            (55.0, 10, 10),
            (56.0, 10, 12),
            (45.0, 10, 10),
            (44.0, 10, 9),
        ] {
            let utilization = of(each, known, 0, 0);
            assert_eq!(utilization.replicas(known), replicas, "{each} x {known}");
        }
    }

    #[test]
    fn what_is_not_known_changes_least() {
        // Up: unknown ones and those that start use nothing.
        assert_eq!(of(100.0, 4, 4, 0).replicas(8), 8);
        assert_eq!(of(100.0, 4, 0, 4).replicas(8), 8);
        assert_eq!(of(100.0, 4, 0, 1).replicas(5), 8);
        assert_eq!(of(100.0, 4, 1, 1).replicas(6), 8);
        // Down: unknown ones use all they may, and those that start do not count.
        assert_eq!(of(25.0, 4, 0, 2).replicas(6), 2);
        assert_eq!(of(25.0, 3, 1, 0).replicas(4), 4);
        assert_eq!(of(10.0, 4, 1, 0).replicas(5), 3);
        assert_eq!(of(25.0, 1, 3, 0).replicas(4), 4);
    }
}
