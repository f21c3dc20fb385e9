//! Claiming a ready replica for a request.

use super::{hash, least_request, round_robin};
use crate::service::replica::Replica;
use crate::service::replica::gate::{UNLIMITED, Vacancy};
use crate::service::replica::lease::Lease;
use crate::service::snapshot::ServiceView;
use crate::service::spec::{Balance, Forward};

/// Demands of a request on its replica.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    pub forward: &'a Forward,
    /// Identity of the client; without one the request takes its turn.
    pub key: Option<&'a [u8]>,
    /// The replicas that failed it, by generation.
    pub tried: &'a [u64],
}

/// Claims a replica, passing over those already tried, those that began to drain since the
/// snapshot was taken and, while there is another, those in doubt and those that their answers
/// ejected.
/// `None`: there is no other, or all are full; then one of them is worth waiting for, see
/// [`await_place`].
pub fn claim(service: &ServiceView, ask: Ask<'_>) -> Option<Lease> {
    for manner in MANNERS {
        let fits = |replica: &Replica| manner.fits(replica, ask.tried);
        let lease = next(service, ask, fits);
        if lease.is_some() || is_there(service, ask.forward.limit(), fits) {
            return lease;
        }
    }
    None
}

/// Claims one that was tried and that its health check found well since then.
pub fn claim_again(service: &ServiceView, ask: Ask<'_>) -> Option<Lease> {
    next(service, ask, |replica| !replica.doubt.is_raised())
}

/// Has the service told when one of the replicas that [`claim`] would choose from has a place
/// again. `Closed`: there is none.
pub fn await_place(service: &ServiceView, ask: Ask<'_>) -> Vacancy {
    for manner in MANNERS.into_iter().chain([Manner::Again]) {
        let mut ready = service.ready.iter();
        let fitting = ready.by_ref().filter(|it| manner.fits(it, ask.tried));
        let mut there = Vacancy::Closed;
        for replica in fitting {
            match replica.gate.await_place(ask.forward.limit()) {
                Vacancy::Free => return Vacancy::Free,
                Vacancy::Awaited => there = Vacancy::Awaited,
                Vacancy::Closed => {}
            }
        }
        if there == Vacancy::Awaited {
            return there;
        }
    }
    Vacancy::Closed
}

/// How choosy a request is.
#[derive(Clone, Copy)]
enum Manner {
    Good,
    Undoubted,
    Untried,
    /// When all were tried.
    Again,
}

const MANNERS: [Manner; 3] = [Manner::Good, Manner::Undoubted, Manner::Untried];

impl Manner {
    fn fits(self, replica: &Replica, tried: &[u64]) -> bool {
        let is_untried = || !tried.contains(&replica.generation);
        let is_undoubted = || !replica.doubt.is_raised();
        match self {
            Manner::Good => is_untried() && is_undoubted() && !replica.outlier.is_ejected(),
            Manner::Undoubted => is_untried() && is_undoubted(),
            Manner::Untried => is_untried(),
            Manner::Again => !tried.is_empty() && is_undoubted(),
        }
    }
}

/// Whether one that fits is only full: what is worse is no choice then.
fn is_there(service: &ServiceView, limit: u64, fits: impl Fn(&Replica) -> bool) -> bool {
    let mut ready = service.ready.iter();
    limit < UNLIMITED && ready.any(|replica| fits(replica) && replica.gate.is_open())
}

fn next(service: &ServiceView, ask: Ask<'_>, fits: impl Fn(&Replica) -> bool) -> Option<Lease> {
    match (&ask.forward.balance, ask.key) {
        (Balance::LeastRequest, _) => least_request::next(service, ask.forward, fits),
        (Balance::Hash(_), Some(key)) => hash::next(service, ask.forward, key, fits),
        (Balance::RoundRobin | Balance::Hash(_), _) => {
            round_robin::next(service, ask.forward, fits)
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
