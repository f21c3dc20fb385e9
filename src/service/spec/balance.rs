//! How requests are spread over the replicas of a service.

use std::sync::Arc;

/// Which replica gets a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest in flight, of all; among equals, one after the other.
    LeastRequest,
    /// The same one for the same client, as far as that goes.
    Hash(HashBy),
}

/// What makes a client the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashBy {
    /// Its address, as trusted proxies name it.
    Address,
    Header(Arc<str>),
    Cookie(Arc<str>),
}
