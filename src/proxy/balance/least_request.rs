//! The replica with the fewest requests in flight, of all; among equals, one after the other.

use crate::service::replica::lease::Lease;
use crate::service::replica::{Replica, WHOLE_SHARE};
use crate::service::snapshot::ServiceView;
use crate::service::spec::Forward;

/// A replica that starts slowly counts as if it had more: `(in flight + 1) / share`, as Envoy
/// weighs them.
pub fn next(
    service: &ServiceView,
    forward: &Forward,
    fits: impl Fn(&Replica) -> bool,
) -> Option<Lease> {
    let (ready, limit) = (&service.ready, forward.limit());
    let first = service.cursor.advance(ready.len(), |at| ready[at].slot)?;
    let in_turn = || ready[first..].iter().chain(&ready[..first]);
    // A request that enters in between makes the claim look again, as often as there are replicas.
    for _ in 0..ready.len() {
        let fitting = in_turn().filter(|replica| fits(replica) && replica.gate.is_open());
        let counted = fitting.map(|replica| (replica.gate.inside(), replica));
        let with_a_place = counted.filter(|(inside, _)| *inside < limit);
        let (inside, least) = with_a_place.min_by_key(|(inside, replica)| {
            (inside + 1) * WHOLE_SHARE / replica.share(forward.slow_start)
        })?;
        if let Some(lease) = Lease::claim_within(least, inside + 1) {
            return Some(lease);
        }
    }
    let mut fitting = in_turn().filter(|replica| fits(replica));
    fitting.find_map(|replica| Lease::claim_within(replica, limit))
}
