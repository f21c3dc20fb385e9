//! Environment variables.

use std::fmt;
use std::sync::Arc;

/// Looks environment variables up; an argument, so that nothing else has to be set to test it.
#[derive(Clone)]
pub struct Env(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Env {
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Env(Arc::new(lookup))
    }

    /// The environment of this process.
    pub fn process() -> Self {
        Env::new(|name| std::env::var(name).ok())
    }

    /// A variable that is set to nothing counts as not set, as `${NAME:-}` leaves it.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Env")
    }
}
