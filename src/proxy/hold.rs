//! Waiting for a replica instead of failing.

use super::round_robin;
use super::route::Target;
use crate::service::lease::Lease;
use crate::service::store::Reader;
use tokio::time::{Instant, timeout_at};

/// Waits for a ready replica that is not among `tried`, as long as one is on its way and within
/// the service's limits on number and time. All that wait go on the moment one is ready.
pub async fn wait(reader: &Reader, target: &Target, tried: &[u64]) -> Option<Lease> {
    let deadline = Instant::now() + target.forward.hold_timeout;
    let mut reader = reader.clone();
    let mut place = None;
    loop {
        // Marks today's picture as seen before it is looked at, so that no change is missed.
        reader.seen();
        {
            let snapshot = reader.load();
            let service = snapshot.service(target.service.as_str())?;
            let lease = round_robin::claim(service, tried);
            // A full listen queue fails a request as well as a dead program; the health check
            // tells them apart.
            if let Some(lease) = lease.or_else(|| round_robin::claim_again(service)) {
                return Some(lease);
            }
            if !service.coming || Instant::now() >= deadline {
                return None;
            }
            if place.is_none() {
                place = Some(service.load.hold(target.forward.hold_max)?);
            }
        }
        // When time is up, the loop looks a last time.
        if let Ok(Err(_)) = timeout_at(deadline, reader.changed()).await {
            return None;
        }
    }
}

/// Waits until the service is published: routes lead to it a moment before that, at the start
/// and when a reload adds it.
pub async fn until_known(reader: &Reader, target: &Target) {
    let deadline = Instant::now() + target.forward.hold_timeout;
    let mut reader = reader.clone();
    loop {
        reader.seen();
        if reader.load().service(target.service.as_str()).is_some() {
            return;
        }
        let Ok(Ok(())) = timeout_at(deadline, reader.changed()).await else {
            return;
        };
    }
}
