//! The claims of one host, by path.

use super::claim::PathClaim;
use super::terms::Route;
use super::when::When;
use ahash::RandomState;
use pingora::http::RequestHeader;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Keyed by text that clients send. The hash has a key of its own in each process, so that
/// nobody can choose names that collide.
pub type Map<T> = HashMap<Box<str>, T, RandomState>;

#[derive(Default)]
pub struct Paths {
    leaves: Map<Leaf>,
    /// Bytes of the longest key: no more of a request's path can match.
    longest: usize,
}

/// Candidates for one path, the best first. Most paths have one, which lies in the table itself.
type Leaf = SmallVec<[Candidate; 1]>;

struct Candidate {
    /// Whether the paths below do not fit.
    is_exact: bool,
    when: When,
    route: Arc<Route>,
}

impl Paths {
    /// Claims of equal rank are tried in the order in which they are inserted.
    pub fn insert(&mut self, path: &PathClaim, when: When, route: Arc<Route>) {
        let (key, is_exact) = match path {
            PathClaim::Exact(path) => (path.as_str(), true),
            PathClaim::Prefix(path) => (path.trim_end_matches('/'), false),
        };
        self.longest = self.longest.max(key.len());
        let leaf = self.leaves.entry(key.into()).or_default();
        leaf.push(Candidate {
            is_exact,
            when,
            route,
        });
        leaf.sort_by_key(|candidate| (!candidate.is_exact, usize::MAX - candidate.when.count()));
    }

    /// Tries the whole path and then each shorter run of whole segments: as many looks as the
    /// path has segments, however many claims there are. A path longer than the longest claim is
    /// cut first, so that a client cannot make this expensive.
    pub fn find(&self, head: &RequestHeader, client: Option<IpAddr>) -> Option<&Arc<Route>> {
        if self.leaves.is_empty() {
            return None;
        }
        let path = head.uri.path();
        let mut rest = path;
        if rest.len() > self.longest {
            // The slash behind a claim that fits ends it. Bytes, because it may be amidst a letter.
            let start = &rest.as_bytes()[..=self.longest];
            rest = &rest[..start.iter().rposition(|byte| *byte == b'/')?];
        }
        loop {
            let is_whole = rest.len() == path.len();
            let fits = |candidate: &&Candidate| {
                (is_whole || !candidate.is_exact) && candidate.when.holds(head, client)
            };
            if let Some(leaf) = self.leaves.get(rest)
                && let Some(candidate) = leaf.iter().find(fits)
            {
                return Some(&candidate.route);
            }
            rest = &rest[..rest.rfind('/')?];
        }
    }
}
