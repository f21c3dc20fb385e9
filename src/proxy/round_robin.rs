//! Strict round robin over whatever is ready: A B C A B C.

use crate::service::gate::{Place, UNLIMITED};
use crate::service::lease::Lease;
use crate::service::replica::Replica;
use crate::service::snapshot::ServiceView;

/// Claims the next replica in turn, passing over those already tried (by generation), those that
/// began to drain since the snapshot was taken and, while there is another, those in doubt and
/// those that their answers ejected.
/// `None`: there is no other, or `limit` requests are on each; then one of them is worth waiting
/// for, see [`await_place`].
pub fn claim(service: &ServiceView, limit: u64, tried: &[u64]) -> Option<Lease> {
    for manner in MANNERS {
        let fits = |replica: &Replica| manner.fits(replica, tried);
        let lease = next(service, limit, fits);
        if lease.is_some() || is_there(service, limit, fits) {
            return lease;
        }
    }
    None
}

/// Claims one that was tried and that its health check found well since then.
pub fn claim_again(service: &ServiceView, limit: u64) -> Option<Lease> {
    next(service, limit, |replica| !replica.doubt.is_raised())
}

/// Has the service told when one of the replicas that [`claim`] would choose from has a place
/// again. `Closed`: there is none.
pub fn await_place(service: &ServiceView, limit: u64, tried: &[u64]) -> Place {
    for manner in MANNERS.into_iter().chain([Manner::Again]) {
        let fitting = service.ready.iter().filter(|it| manner.fits(it, tried));
        let mut there = Place::Closed;
        for replica in fitting {
            match replica.gate.await_place(limit) {
                Place::Free => return Place::Free,
                Place::Awaited => there = Place::Awaited,
                Place::Closed => {}
            }
        }
        if there == Place::Awaited {
            return there;
        }
    }
    Place::Closed
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

fn next(service: &ServiceView, limit: u64, fits: impl Fn(&Replica) -> bool) -> Option<Lease> {
    let ready = &service.ready;
    for _ in 0..ready.len() {
        let turn = service.cursor.advance(ready.len(), |at| ready[at].slot)?;
        if fits(&ready[turn])
            && let Some(lease) = Lease::claim_within(&ready[turn], limit)
        {
            return Some(lease);
        }
    }
    // Others moved the cursor meanwhile, so a replica may have been passed over unseen.
    let mut fitting = ready.iter().filter(|replica| fits(replica));
    fitting.find_map(|replica| Lease::claim_within(replica, limit))
}

#[cfg(test)]
#[path = "round_robin_tests.rs"]
mod tests;
