//! The outcome of a policy.

/// Costs and failures of a policy over a trace.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub requests: u64,
    /// Requests that waited longer than the model's patience, and were served.
    pub late: u64,
    /// Requests that were sent away, or lost with their replica.
    pub lost: u64,
    /// From the start of each replica until it was gone.
    pub replica_seconds: f64,
    pub starts: u64,
    /// Changes of direction less than five minutes after the last change.
    pub flips: u64,
    /// The most replicas at once.
    pub peak: u32,
    /// The longest time without a break in which fewer replicas were ready than the trace's
    /// rate takes, in seconds.
    pub short_for: u64,
    /// Seconds of the run.
    pub seconds: Vec<Second>,
}

/// A second of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Second {
    /// The replicas that the trace's rate keeps busy on average.
    pub load: f32,
    pub wanted: u32,
    pub ready: u32,
    /// Requests waiting at the end of the second.
    pub waiting: u32,
}

impl Outcome {
    /// The share of requests that waited too long or were lost.
    pub fn violations(&self) -> f64 {
        (self.late + self.lost) as f64 / self.requests.max(1) as f64
    }

    pub fn starts_a_day(&self) -> f64 {
        self.starts as f64 * 86_400.0 / self.seconds.len().max(1) as f64
    }
}
