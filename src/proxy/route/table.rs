//! The table of all claims, by host.

use super::claim::Claim;
use super::host;
use super::path::{Map, Paths};
use super::terms::Route;
use crate::proxy::http1::fields;
use pingora::http::RequestHeader;
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Default)]
pub struct Routes {
    exact: Map<Paths>,
    /// By the part behind the star, dot included.
    wildcard: Map<Paths>,
    /// Bytes of the longest key of `wildcard`.
    longest_wildcard: usize,
    any: Paths,
}

impl Routes {
    /// Claims of equal rank are tried in this order.
    pub fn new(claims: impl IntoIterator<Item = (Claim, Arc<Route>)>) -> Routes {
        let mut routes = Routes::default();
        for (claim, route) in claims {
            let paths = match claim.host.as_deref() {
                None => &mut routes.any,
                Some(host) => match host.strip_prefix('*') {
                    Some(suffix) => {
                        routes.longest_wildcard = routes.longest_wildcard.max(suffix.len());
                        routes.wildcard.entry(suffix.into()).or_default()
                    }
                    None => routes.exact.entry(host.into()).or_default(),
                },
            };
            paths.insert(&claim.path, claim.when, route);
        }
        routes
    }

    /// The route of a request whose path is in its usual spelling.
    pub fn find(&self, head: &RequestHeader, client: Option<IpAddr>) -> Option<&Arc<Route>> {
        let found = match self.exact.is_empty() && self.wildcard.is_empty() {
            true => None,
            false => self.find_by_host(head, client),
        };
        found.or_else(|| self.any.find(head, client))
    }

    fn find_by_host(&self, head: &RequestHeader, client: Option<IpAddr>) -> Option<&Arc<Route>> {
        let mut room = None;
        let name = host::name(fields::host(head)?, &mut room)?;
        let exact = self.exact.get(name);
        exact
            .and_then(|paths| paths.find(head, client))
            .or_else(|| self.find_by_suffix(name, head, client))
    }

    fn find_by_suffix(
        &self,
        name: &str,
        head: &RequestHeader,
        client: Option<IpAddr>,
    ) -> Option<&Arc<Route>> {
        if self.wildcard.is_empty() {
            return None;
        }
        name.match_indices('.')
            .filter(|(at, _)| *at > 0 && name.len() - at <= self.longest_wildcard)
            .filter_map(|(at, _)| self.wildcard.get(&name[at..]))
            .find_map(|paths| paths.find(head, client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::chain::Chain;
    use crate::proxy::route::{Condition, PathClaim, When};
    use crate::service::spec::{Forward, ServiceName};
    use proptest::prelude::*;

    fn route(name: &str) -> Arc<Route> {
        Arc::new(Route {
            service: ServiceName::new(name),
            forward: Forward::default(),
            scaler: None,
            chain: Chain::default(),
            keeps_encoded_slashes: false,
        })
    }

    /// A claim as in `GET *.example.com/api`; a path that ends in `$` is exact.
    fn claim(text: &str) -> Claim {
        let (method, text) = match text.split_once(' ') {
            Some((method, text)) => (Some(method.parse().unwrap()), text),
            None => (None, text),
        };
        let (host, path) = text.split_at(text.find('/').expect("a path"));
        let conditions = method.map(|method| Condition::Method(vec![method]));
        Claim {
            host: (!host.is_empty()).then(|| host.to_owned()),
            path: match path.strip_suffix('$') {
                Some(path) => PathClaim::Exact(path.to_owned()),
                None => PathClaim::Prefix(path.to_owned()),
            },
            when: When::new(conditions.into_iter().collect()),
        }
    }

    fn routes(table: &[(&str, &[&str])]) -> Routes {
        Routes::new(table.iter().flat_map(|(service, claims)| {
            let claims = claims.iter().map(|text| claim(text));
            claims.map(|claim| (claim, route(service)))
        }))
    }

    fn head(method: &str, host: &str, path: &str) -> RequestHeader {
        let mut head = RequestHeader::build(method, path.as_bytes(), None).unwrap();
        head.insert_header("host", host).unwrap();
        head
    }

    #[track_caller]
    fn check(routes: &Routes, request: &str, expected: Option<&str>) {
        let (method, request) = request.split_once(' ').unwrap_or(("GET", request));
        let (host, path) = request.split_at(request.find('/').expect("a path"));
        let head = head(method, host, path);
        let found = routes.find(&head, None);
        let found = found.map(|route| route.service.as_str());
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
            ("rest", &["/"]),
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

    #[test]
    fn an_exact_path_beats_a_prefix_and_claims_nothing_below_it() {
        let routes = routes(&[
            ("below", &["/a"]),
            ("exact", &["/a$", "/b/$"]),
            ("rest", &["/"]),
        ]);
        check(&routes, "h/a", Some("exact"));
        check(&routes, "h/a?b", Some("exact"));
        check(&routes, "h/a/", Some("below"));
        check(&routes, "h/a/b", Some("below"));
        check(&routes, "h/b/", Some("exact"));
        check(&routes, "h/b", Some("rest"));
    }

    #[test]
    fn more_conditions_win_and_a_claim_whose_conditions_fail_passes_the_request_on() {
        let routes = routes(&[
            ("first", &["/a"]),
            ("second", &["/a"]),
            ("writes", &["POST /a", "GET h/a$", "PUT h/"]),
            ("reads", &["GET *.h/a"]),
            ("rest", &["/"]),
        ]);
        check(&routes, "other/a", Some("first"));
        check(&routes, "POST other/a/b", Some("writes"));
        check(&routes, "h/a", Some("writes"));
        check(&routes, "h/a/b", Some("first"));
        check(&routes, "PUT h/a", Some("writes"));
        check(&routes, "x.h/a", Some("reads"));
        check(&routes, "HEAD x.h/a", Some("first"));
        check(&routes, "HEAD x.h/b", Some("rest"));
    }

    proptest! {
        #![proptest_config(crate::cases(1000))]

        /// The order as the module's head says it, without the tables.
        #[test]
        fn the_most_specific_route_is_found(
            claims in prop::collection::vec(
                "(GET )?((\\*\\.)?[ab](\\.[ab]){0,2})?(/|(/[ab]){1,3})\\$?",
                0..12,
            ),
            method in "GET|PUT",
            host in "[ab](\\.[ab]){0,3}",
            path in "(/[ab]{1,2}){0,4}/?",
        ) {
            let routes = Routes::new(
                claims.iter().enumerate().map(|(at, text)| (claim(text), route(&at.to_string()))),
            );
            let path = if path.is_empty() { "/" } else { &path };
            let ranked = claims.iter().enumerate().filter_map(|(at, text)| {
                let claim = claim(text);
                let host_rank = match claim.host.as_deref() {
                    None => 0,
                    Some(claimed) => match claimed.strip_prefix('*') {
                        Some(suffix) => {
                            let fits = host.ends_with(suffix) && host.len() > suffix.len();
                            fits.then_some(suffix.len())?
                        }
                        None => (claimed == host).then_some(usize::MAX)?,
                    },
                };
                let path_rank = match &claim.path {
                    PathClaim::Exact(claimed) => (claimed == path).then_some(usize::MAX)?,
                    PathClaim::Prefix(claimed) => {
                        let claimed = claimed.trim_end_matches('/');
                        let below = path.strip_prefix(claimed)?;
                        (below.is_empty() || below.starts_with('/')).then_some(claimed.len())?
                    }
                };
                let conditions = claim.when.count();
                let fits = conditions == 0 || method == "GET";
                fits.then_some((host_rank, path_rank, conditions, usize::MAX - at))
            });
            let best = ranked.max().map(|(_, _, _, back)| (usize::MAX - back).to_string());
            let head = head(&method, &host, path);
            let found = routes.find(&head, None).map(|route| route.service.to_string());
            prop_assert_eq!(found, best);
        }
    }
}
