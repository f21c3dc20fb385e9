//! Which service a request belongs to.
//!
//! The most specific host wins: an exact name, then the longest wildcard, then any host; within
//! a host the longest path. A host whose paths do not fit passes the request on to the next one,
//! so one catch-all service can stand behind all others.

use super::chain::Chain;
use crate::plugin::Scaler;
use crate::service::spec::{Forward, RouteSpec, ServiceName};
use std::collections::HashMap;
use std::sync::Arc;

/// Where a route leads.
pub struct Target {
    pub service: ServiceName,
    pub forward: Forward,
    /// Decides which requests count; `None` counts none.
    pub scaler: Option<Arc<dyn Scaler>>,
    pub chain: Chain,
    /// Passes `%2F` on as it is.
    pub keeps_encoded_slashes: bool,
}

#[derive(Default)]
pub struct Routes {
    exact: HashMap<String, Paths>,
    /// By what follows the star, dot included.
    wildcard: HashMap<String, Paths>,
    any: Paths,
}

#[derive(Default)]
struct Paths {
    targets: HashMap<String, Arc<Target>>,
    /// Bytes of the longest one: no more of a request's path can match.
    longest: usize,
}

impl Routes {
    /// A target without routes claims everything that no other one does.
    pub fn new(targets: impl IntoIterator<Item = (Vec<RouteSpec>, Arc<Target>)>) -> Routes {
        let mut routes = Routes::default();
        for (specs, target) in targets {
            if specs.is_empty() {
                routes.any.insert("/", &target);
            }
            for spec in specs {
                let paths = match spec.host.as_deref() {
                    None => &mut routes.any,
                    Some(host) => match host.strip_prefix('*') {
                        Some(suffix) => routes.wildcard.entry(suffix.to_owned()).or_default(),
                        None => routes.exact.entry(host.to_owned()).or_default(),
                    },
                };
                paths.insert(&spec.path, &target);
            }
        }
        routes
    }

    /// `host` as the client sent it, with or without a port; `path` without a query.
    pub fn find(&self, host: &str, path: &str) -> Option<&Arc<Target>> {
        if self.exact.is_empty() && self.wildcard.is_empty() {
            return self.any.find(path);
        }
        let host = without_port(host);
        // The same name, spelled to its very end.
        let host = host.strip_suffix('.').unwrap_or(host);
        let lowered;
        let host = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            lowered = host.to_ascii_lowercase();
            &lowered
        } else {
            host
        };
        let exact = self.exact.get(host).and_then(|paths| paths.find(path));
        exact
            .or_else(|| self.find_wildcard(host, path))
            .or_else(|| self.any.find(path))
    }

    fn find_wildcard(&self, host: &str, path: &str) -> Option<&Arc<Target>> {
        if self.wildcard.is_empty() {
            return None;
        }
        host.match_indices('.')
            .filter(|(at, _)| *at > 0)
            .filter_map(|(at, _)| self.wildcard.get(&host[at..]))
            .find_map(|paths| paths.find(path))
    }
}

impl Paths {
    fn insert(&mut self, path: &str, target: &Arc<Target>) {
        let key = path.trim_end_matches('/').to_owned();
        self.longest = self.longest.max(key.len());
        self.targets.insert(key, Arc::clone(target));
    }

    /// Tries the whole path and then each shorter run of whole segments: as many looks as the
    /// path has segments, however many routes there are. What is longer than the longest route is
    /// cut first, so a client cannot make this dear.
    fn find(&self, path: &str) -> Option<&Arc<Target>> {
        if self.targets.is_empty() {
            return None;
        }
        let mut rest = path;
        if rest.len() > self.longest {
            // The slash behind a route that fits ends it. Bytes, because it may be amidst a letter.
            let start = &rest.as_bytes()[..=self.longest];
            rest = &rest[..start.iter().rposition(|byte| *byte == b'/')?];
        }
        loop {
            if let Some(target) = self.targets.get(rest) {
                return Some(target);
            }
            rest = &rest[..rest.rfind('/')?];
        }
    }
}

fn without_port(host: &str) -> &str {
    if host.starts_with('[') {
        return host.find(']').map_or(host, |end| &host[..=end]);
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target(name: &str) -> Arc<Target> {
        Arc::new(Target {
            service: ServiceName::new(name),
            forward: Forward::default(),
            scaler: None,
            chain: Chain::default(),
            keeps_encoded_slashes: false,
        })
    }

    fn routes(table: &[(&str, &[&str])]) -> Routes {
        Routes::new(table.iter().map(|(service, specs)| {
            let specs = specs.iter().map(|spec| {
                let (host, path) = spec.split_at(spec.find('/').expect("a path"));
                RouteSpec {
                    host: (!host.is_empty()).then(|| host.to_owned()),
                    path: path.to_owned(),
                    keeps_encoded_slashes: false,
                }
            });
            (specs.collect(), target(service))
        }))
    }

    #[track_caller]
    fn check(routes: &Routes, request: &str, expected: Option<&str>) {
        let (host, path) = request.split_at(request.find('/').expect("a path"));
        let found = routes
            .find(host, path)
            .map(|target| target.service.as_str());
        assert_eq!(found, expected, "{request}");
    }

    #[test]
    fn a_path_is_matched_by_whole_segments_and_the_longest_wins() {
        let routes = routes(&[("api", &["/api"]), ("v1", &["/api/v1"])]);
        check(&routes, "h/api", Some("api"));
        check(&routes, "h/api/", Some("api"));
        check(&routes, "h/api/v2/x", Some("api"));
        check(&routes, "h/api/v1", Some("v1"));
        check(&routes, "h/api/v1/x/y", Some("v1"));
        check(&routes, "h/apis", None);
        check(&routes, "h/", None);
        check(&routes, "h/ap", None);
    }

    #[test]
    fn the_most_specific_host_wins_and_passes_on_what_its_paths_do_not_fit() {
        let routes = routes(&[
            ("exact", &["a.example.com/app"]),
            ("wild", &["*.example.com/"]),
            ("wilder", &["*.b.example.com/"]),
            ("rest", &[]),
        ]);
        check(&routes, "a.example.com/app", Some("exact"));
        check(&routes, "A.Example.COM:8080/app", Some("exact"));
        check(&routes, "a.example.com.:80/app", Some("exact"));
        check(&routes, "a.example.com/other", Some("wild"));
        check(&routes, "x.b.example.com/", Some("wilder"));
        check(&routes, "example.com/", Some("rest"));
        check(&routes, "[::1]:80/", Some("rest"));
    }

    #[test]
    fn a_long_path_is_cut_to_what_a_route_can_claim() {
        let routes = routes(&[("api", &["/api"]), ("rest", &["/"])]);
        let many = "/a".repeat(4000);
        check(&routes, &format!("h/api{many}"), Some("api"));
        check(&routes, &format!("h/api{}", "x".repeat(4000)), Some("rest"));
        check(&routes, &format!("h{many}"), Some("rest"));
        check(&routes, "h/apx/", Some("rest"));
        check(&routes, "h/ap\u{e4}/x", Some("rest"));
    }

    #[test]
    fn without_a_catch_all_an_unclaimed_request_finds_nothing() {
        let routes = routes(&[("acts", &["/api/v1"])]);
        check(&routes, "localhost/", None);
        check(&routes, "localhost/favicon.ico", None);
    }

    proptest! {
        #![proptest_config(crate::cases(1000))]

        /// As the text at the top says it, without the tables.
        #[test]
        fn the_most_specific_route_is_found(
            claims in prop::collection::btree_set(("(\\*\\.)?[ab](\\.[ab]){0,2}|", "(/[ab]){0,3}"), 0..8),
            host in "[ab](\\.[ab]){0,3}",
            path in "(/[ab]{1,2}){0,4}/?",
        ) {
            let claims: Vec<_> = claims.into_iter().collect();
            let routes = Routes::new(claims.iter().map(|(host, path)| {
                let spec = RouteSpec {
                    host: (!host.is_empty()).then(|| host.clone()),
                    path: if path.is_empty() { "/".to_owned() } else { path.clone() },
                    keeps_encoded_slashes: false,
                };
                (vec![spec], target(&format!("{host}{path}")))
            }));
            let path = if path.is_empty() { "/" } else { &path };
            let fits = |(claimed, below): &&(String, String)| {
                let is_host = match claimed.strip_prefix('*') {
                    Some(suffix) => host.ends_with(suffix) && host.len() > suffix.len(),
                    None => claimed.is_empty() || *claimed == host,
                };
                let rest = path.strip_prefix(below.as_str());
                is_host && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            let rank = |(claimed, below): &&(String, String)| {
                let is_exact = !claimed.is_empty() && !claimed.starts_with('*');
                (is_exact, claimed.len(), below.len())
            };
            let best = claims.iter().filter(fits).max_by_key(rank);
            let expected = best.map(|(host, path)| format!("{host}{path}"));
            let found = routes.find(&host, path).map(|target| target.service.to_string());
            prop_assert_eq!(found, expected);
        }
    }
}
