//! The seam for scaling policies: a pure function from what was counted to how many are wanted.

use super::window::{Sample, Window};
pub use crate::service::decided::PolicyVote;
use crate::service::spec::Bounds;
use crate::service::time::Moment;
use std::cmp::Ordering;
use std::time::Duration;

/// A scaling policy, without state: the same window gives the same decision.
pub trait Scaler: Send + Sync {
    /// Whether a request to `path` counts.
    fn counts(&self, _path: &str) -> bool {
        true
    }

    /// How many replicas are wanted. The caller holds the result within the service's bounds.
    fn decide(&self, window: &Window, current: u32, now: Moment) -> Decision;

    /// How far back `decide` looks.
    fn history(&self) -> Duration;

    /// Measurements that it needs beside those that are always taken.
    fn needs(&self) -> Needs {
        Needs::default()
    }
}

/// Measurements that cost effort, and are taken only for a policy that asks for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Processors and memory that replicas use: [`Sample::used`].
    pub usage: bool,
    /// How long answers take: [`Window::answers`].
    pub latency: bool,
}

impl Needs {
    pub fn and(self, other: Needs) -> Needs {
        Needs {
            usage: self.usage || other.usage,
            latency: self.latency || other.latency,
        }
    }
}

/// Bound of a decision that could not be made.
pub const NO_DATA: &str = "no data";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub replicas: u32,
    /// Count that the load alone asks for, before anything holds the count up; the window remembers
    /// it as [`Window::highest_proposal`].
    pub proposal: u32,
    /// Cause of the decision in a word or two that stay the same while it does, as in `backlog`.
    pub bound: &'static str,
    /// The inputs and the formula, for a person to read.
    pub because: String,
    /// Of several policies, what each asked for; else empty.
    pub asked: Vec<PolicyVote>,
    /// The next instant at which the answer could change without a new request.
    pub wake: Option<Moment>,
}

impl Decision {
    /// The load asks for `replicas`, and nothing holds them up.
    pub fn new(replicas: u32, bound: &'static str, because: String) -> Decision {
        Decision {
            replicas,
            proposal: replicas,
            bound,
            because,
            asked: Vec::new(),
            wake: None,
        }
    }

    /// A decision without its data: the count stays, and counts as asked for. The first moment with
    /// data afterwards is no reason to scale down.
    pub fn unknown(current: u32, because: String) -> Decision {
        Decision::new(current, NO_DATA, because)
    }

    pub fn wake(self, wake: Option<Moment>) -> Decision {
        Decision { wake, ..self }
    }
}

/// Takes a sample, asks the scaler and holds its answer within the bounds: one turn of a
/// service's scaling, the same in the control loop and in `tidegate simulate`.
pub fn turn(
    scaler: &dyn Scaler,
    window: &mut Window,
    sample: Sample,
    bounds: Bounds,
    current: u32,
) -> Decision {
    let now = sample.at;
    window.record(sample, scaler.history());
    let mut decision = scaler.decide(window, current, now);
    window.propose(now, bounds.clamp(decision.proposal));
    let wanted = bounds.clamp(decision.replicas);
    match wanted.cmp(&decision.replicas) {
        Ordering::Equal => {}
        Ordering::Less => {
            decision.bound = "maximum";
            decision.because.push_str(&format!(", at most {wanted}"));
        }
        Ordering::Greater => {
            decision.bound = "minimum";
            decision.because.push_str(&format!(", at least {wanted}"));
        }
    }
    decision.replicas = wanted;
    decision
}

/// Weight of the newest start in the average.
const NEWEST_SHARE: f64 = 0.2;

/// Updates the moving average of start time; zero: no start was seen.
pub fn update_average(average: Duration, took: Duration) -> Duration {
    match average {
        Duration::ZERO => took,
        _ => average.mul_f64(1.0 - NEWEST_SHARE) + took.mul_f64(NEWEST_SHARE),
    }
}
