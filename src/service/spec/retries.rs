//! Retries.

/// Retries of failed requests on other replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Attempts of one request, the first included.
    pub attempts: u32,
    /// Retries in percent of all requests.
    pub budget_percent: u32,
    /// Retries a second beyond that.
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
