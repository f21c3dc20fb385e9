//! How often a failed request is tried again.

/// How often a request that failed is tried on another replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Of one request, the first included.
    pub attempts: u32,
    /// Of all requests of the service, in percent.
    pub budget_percent: u32,
    /// Whatever the number of requests.
    pub min_per_second: u32,
}

impl Default for Retries {
    fn default() -> Self {
        Retries {
            attempts: 4,
            budget_percent: 20,
            min_per_second: 10,
        }
    }
}
