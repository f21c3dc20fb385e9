//! The requests that a service claims.

use std::fmt;

/// One thing a service claims. Host and path must both match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteSpec {
    /// Lower case, without a port. `*.example.com` matches one or more labels before it.
    pub host: Option<String>,
    /// A prefix, matched by whole segments: `/api` claims `/api` and `/api/x`, not `/apis`.
    pub path: String,
    /// Passes `%2F` in a path on as it is.
    pub keeps_encoded_slashes: bool,
}

impl fmt::Display for RouteSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.host.as_deref().unwrap_or("*"), self.path)
    }
}
