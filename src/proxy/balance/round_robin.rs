//! Strict round robin over whatever is ready: A B C A B C.

use crate::service::replica::Replica;
use crate::service::replica::lease::Lease;
use crate::service::snapshot::ServiceView;
use crate::service::spec::Forward;

pub fn next(
    service: &ServiceView,
    forward: &Forward,
    fits: impl Fn(&Replica) -> bool,
) -> Option<Lease> {
    let slow = forward.slow_start;
    if !slow.is_zero()
        && let Some(lease) = in_turn(service, forward, |it| fits(it) && it.takes_its_turn(slow))
    {
        return Some(lease);
    }
    // A whole round was passed over, so this goes on where the last request was.
    in_turn(service, forward, &fits).or_else(|| {
        // Others moved the cursor meanwhile, so a replica may have been passed over unseen.
        let mut fitting = service.ready.iter().filter(|replica| fits(replica));
        fitting.find_map(|replica| Lease::claim_within(replica, forward.limit()))
    })
}

fn in_turn(
    service: &ServiceView,
    forward: &Forward,
    fits: impl Fn(&Replica) -> bool,
) -> Option<Lease> {
    let (ready, limit) = (&service.ready, forward.limit());
    for _ in 0..ready.len() {
        let turn = service.cursor.advance(ready.len(), |at| ready[at].slot)?;
        if fits(&ready[turn])
            && let Some(lease) = Lease::claim_within(&ready[turn], limit)
        {
            return Some(lease);
        }
    }
    None
}
