//! The same replica for the same client, as far as that goes.
//!
//! When a replica leaves, its clients are spread over the others and nobody else moves; when one
//! comes, it takes its part of each. A full one passes on what is over to the next on the ring.

use crate::service::replica::Replica;
use crate::service::replica::lease::Lease;
use crate::service::snapshot::ServiceView;
use crate::service::spec::{Balance, Forward, HashBy};
use http::{HeaderMap, header};
use std::net::IpAddr;

/// Identity of a request's client; `None`: the request shows none, or its service does not balance
/// by it.
pub fn key(forward: &Forward, headers: &HeaderMap, client: Option<IpAddr>) -> Option<Box<[u8]>> {
    let Balance::Hash(by) = &forward.balance else {
        return None;
    };
    match by {
        HashBy::Address => match client?.to_canonical() {
            IpAddr::V4(address) => Some(Box::from(address.octets())),
            IpAddr::V6(address) => Some(Box::from(address.octets())),
        },
        HashBy::Header(name) => Some(Box::from(headers.get(&**name)?.as_bytes())),
        HashBy::Cookie(name) => cookie(headers, name).map(Box::from),
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let mut pairs = pairs.map(<[u8]>::trim_ascii);
    pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

pub fn next(
    service: &ServiceView,
    forward: &Forward,
    key: &[u8],
    fits: impl Fn(&Replica) -> bool,
) -> Option<Lease> {
    let ring = service.ring.of(&service.ready);
    ring.from(key)
        .map(|at| &service.ready[at])
        .filter(|replica| fits(replica))
        .find_map(|replica| Lease::claim_within(replica, forward.limit()))
}
