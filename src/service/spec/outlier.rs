//! Outlier detection: ejection of replicas because of their answers.

use std::time::Duration;

/// Terms on which a replica is ejected because of its answers, in Envoy's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutlierDetection {
    pub consecutive_5xx: u32,
    /// Time of the first ejection; each further one is longer by this.
    pub base_ejection_time: Duration,
    pub max_ejection_time: Duration,
    /// Share of the ready replicas that may be ejected at once.
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
