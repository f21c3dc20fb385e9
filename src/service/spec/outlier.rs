//! When a replica is left out of rotation because of its answers.

use std::time::Duration;

/// When a replica is left out because of its answers, in Envoy's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutlierDetection {
    pub consecutive_5xx: u32,
    /// The first time; each further one takes as much longer.
    pub base_ejection_time: Duration,
    pub max_ejection_time: Duration,
    /// Of the replicas that are ready, at once.
    pub max_ejection_percent: u32,
}

impl Default for OutlierDetection {
    fn default() -> Self {
        OutlierDetection {
            consecutive_5xx: 5,
            base_ejection_time: Duration::from_secs(30),
            max_ejection_time: Duration::from_secs(300),
            max_ejection_percent: 50,
        }
    }
}
