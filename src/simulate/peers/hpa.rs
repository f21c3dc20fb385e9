use super::mean::mean;
use crate::plan::scaler::{Decision, Scaler};
use crate::plan::window::Window;
use crate::service::time::Moment;
use std::time::Duration;

/// Kubernetes' HorizontalPodAutoscaler v2 on CPU: `ceil(ready * utilization / target)` every 15 s
/// with a tolerance of 0.1, at most 4 more or twice as many in 15 s, and down to the highest
/// proposal of the last 300 s.
///
/// The defaults are those of `pkg/apis/autoscaling/v2/defaults.go`. A slot that is in use stands
/// for its share of a CPU, measured without delay, and every sync is on time: both flatter it.
pub struct Hpa {
    pub slots: u32,
    /// Target utilization, as a part of 1.
    pub target: f64,
}

const SYNC: u64 = 15;
const TOLERANCE: f64 = 0.1;
const DOWN_WINDOW: Duration = Duration::from_secs(300);
const PODS_UP: u32 = 4;

impl Scaler for Hpa {
    fn decide(&self, window: &Window, current: u32, now: Moment) -> Decision {
        let stay = |why: &str| Decision {
            proposal: 0,
            ..Decision::new(current, "sync", why.to_owned())
        };
        if !now.0.as_secs().is_multiple_of(SYNC) {
            return stay("between syncs");
        }
        let Some(latest) = window.latest() else {
            return stay("no sample yet");
        };
        let slots = f64::from(self.slots);
        let over = Duration::from_secs(SYNC);
        let utilization = mean(window, now, over, |sample| {
            sample.in_flight as f64 / (f64::from(sample.ready.max(1)) * slots)
        });
        let utilization = utilization.unwrap_or_default().min(1.0);
        let ratio = utilization / self.target;
        let ready = f64::from(latest.ready.max(1));
        // Replicas that are starting count as idle when it goes up.
        let all = f64::from((latest.ready + latest.starting).max(1));
        let proposal = if (ratio - 1.0).abs() <= TOLERANCE {
            current
        } else if ratio > 1.0 {
            let damped = ratio * ready / all;
            match damped > 1.0 + TOLERANCE {
                true => (damped * all - 1e-9).ceil() as u32,
                false => current,
            }
        } else {
            (ready * ratio - 1e-9).ceil() as u32
        };
        let before = now - DOWN_WINDOW;
        let highest = window
            .highest_proposal(before)
            .unwrap_or(proposal)
            .max(proposal);
        let at_most = (current + PODS_UP).max(current * 2);
        let replicas = if proposal >= current {
            proposal.min(at_most)
        } else {
            highest.min(current)
        };
        Decision {
            proposal,
            ..Decision::new(
                replicas,
                "utilization",
                format!("{:.0} % of {ready} replicas in use", utilization * 100.0),
            )
        }
    }

    fn history(&self) -> Duration {
        DOWN_WINDOW + Duration::from_secs(SYNC)
    }
}
