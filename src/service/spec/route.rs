//! The requests that a service claims.

use std::fmt;

/// A claim on requests. Host and path must both match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteSpec {
    /// Host in lower case, without a port. `*.example.com` matches one or more labels before it;
    /// `None` matches every host.
    pub host: Option<String>,
    /// A prefix, matched by whole segments: `/api` claims `/api` and `/api/x`, not `/apis`.
    pub path: String,
    /// Whether `%2F` in a path is passed on as it is, instead of refused.
    pub keeps_encoded_slashes: bool,
}

impl fmt::Display for RouteSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.host.as_deref().unwrap_or("*"), self.path)
    }
}
