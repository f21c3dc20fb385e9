//! Strict round robin over whatever is ready: A B C A B C.

use crate::service::lease::Lease;
use crate::service::replica::Replica;
use crate::service::snapshot::ServiceView;

/// Claims the next replica in turn, passing over those already tried (by generation), those that
/// began to drain since the snapshot was taken and, while there is another, those in doubt and
/// those that their answers ejected.
/// `None`: there is no other.
pub fn claim(service: &ServiceView, tried: &[u64]) -> Option<Lease> {
    let untried = |replica: &Replica| !tried.contains(&replica.generation);
    let undoubted = |replica: &Replica| untried(replica) && !replica.doubt.is_raised();
    next(service, |replica| {
        undoubted(replica) && !replica.outlier.is_ejected()
    })
    .or_else(|| next(service, undoubted))
    .or_else(|| next(service, untried))
}

/// Claims one that was tried and that its health check found well since then.
pub fn claim_again(service: &ServiceView) -> Option<Lease> {
    next(service, |replica| !replica.doubt.is_raised())
}

fn next(service: &ServiceView, fits: impl Fn(&Replica) -> bool) -> Option<Lease> {
    let ready = &service.ready;
    for _ in 0..ready.len() {
        let turn = service.cursor.advance(ready.len(), |at| ready[at].slot)?;
        if fits(&ready[turn])
            && let Some(lease) = Lease::claim(&ready[turn])
        {
            return Some(lease);
        }
    }
    // Others moved the cursor meanwhile, so a replica may have been passed over unseen.
    let mut fitting = ready.iter().filter(|replica| fits(replica));
    fitting.find_map(Lease::claim)
}

#[cfg(test)]
#[path = "round_robin_tests.rs"]
mod tests;
