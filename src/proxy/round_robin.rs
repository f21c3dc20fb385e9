//! Strict round robin over whatever is ready: A B C A B C.

use crate::service::lease::Lease;
use crate::service::snapshot::ServiceView;

/// Claims the next replica in turn, passing over those already tried (by generation) and those
/// that began to drain since the snapshot was taken. `None`: there is no other.
pub fn claim(service: &ServiceView, tried: &[u64]) -> Option<Lease> {
    let ready = &service.ready;
    for _ in 0..ready.len() {
        let next = service.cursor.advance(ready.len(), |at| ready[at].slot)?;
        let replica = &ready[next];
        if tried.contains(&replica.generation) {
            continue;
        }
        if let Some(lease) = Lease::claim(replica) {
            return Some(lease);
        }
    }
    // Others moved the cursor meanwhile, so a replica may have been passed over unseen.
    ready
        .iter()
        .filter(|replica| !tried.contains(&replica.generation))
        .find_map(Lease::claim)
}

#[cfg(test)]
#[path = "round_robin_tests.rs"]
mod tests;
