//! Environment variables.

use std::fmt;
use std::sync::Arc;

/// Environment variables. Passed as an argument, so that tests need not set any.
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

    /// Value of a variable; `None` also for an empty one, as `${NAME:-}` treats it.
    pub fn get(&self, name: &str) -> Option<String> {
        self.lookup(name).filter(|value| !value.is_empty())
    }

    /// Value of a variable, which may be empty.
    pub fn lookup(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Env")
    }
}
