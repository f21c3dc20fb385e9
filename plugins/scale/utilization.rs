//! The number of replicas for a resource, by the rules of Kubernetes' HorizontalPodAutoscaler
//! (`pkg/controller/podautoscaler/replica_calculator.go`, `GetResourceReplicas`).

use crate::plugin::prelude::*;

/// Relative distance from the target without a change.
pub const TOLERANCE: f64 = 0.1;

/// Use of a resource by replicas, in any unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Utilization {
    /// Sum over the measured replicas.
    pub used: f64,
    /// Measured ready replicas.
    pub known: u32,
    pub ready: u32,
    pub starting: u32,
    /// Target of one replica.
    pub target: f64,
    /// Largest use of an unmeasured replica.
    pub full: f64,
}

impl Utilization {
    /// `ceil(current x metric / target)`, where the current replicas are the measured ones.
    ///
    /// Missing measurements count as the value with the least change: for scaling up, starting and
    /// unmeasured replicas use nothing; for scaling down, unmeasured ones use their whole limit.
    /// Where that reverses the direction, nothing changes.
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
    // Slightly less, so that rounding errors do not add a replica.
    (replicas - 1e-9).ceil().min(f64::from(u32::MAX)) as u32
}

/// The mean over the last `over` of the sum of the measured replicas' use.
///
/// The sum does not change when the same work is spread over more replicas. The mean of each
/// replica's own use would still be high after others have joined, and ask for more again.
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
