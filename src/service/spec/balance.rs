//! How requests are spread over the replicas of a service.

use std::sync::Arc;

/// Policy that picks the replica for a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Replicas in turn.
    #[default]
    RoundRobin,
    /// The replica with the fewest requests in flight; equal ones in turn.
    LeastRequest,
    /// The same replica for the same client, by consistent hashing.
    Hash(HashBy),
}

/// Identity of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashBy {
    /// The client's address, as trusted proxies report it.
    Address,
    Header(Arc<str>),
    Cookie(Arc<str>),
}
