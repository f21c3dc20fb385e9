//! Claims: which requests a route is for.

use super::when::When;
use crate::service::spec::RouteSpec;

/// The requests of a route. The default claims every request.
#[derive(Clone, Default)]
pub struct Claim {
    /// Lower case, without a port; `*.example.com` fits one or more labels before it.
    pub host: Option<String>,
    pub path: PathClaim,
    pub when: When,
}

#[derive(Clone)]
pub enum PathClaim {
    /// This path and no other.
    Exact(String),
    /// This path and everything below it, by whole segments.
    Prefix(String),
}

impl Default for PathClaim {
    fn default() -> PathClaim {
        PathClaim::Prefix("/".to_owned())
    }
}

impl From<&RouteSpec> for Claim {
    fn from(spec: &RouteSpec) -> Claim {
        Claim {
            host: spec.host.clone(),
            path: PathClaim::Prefix(spec.path.clone()),
            when: When::default(),
        }
    }
}
