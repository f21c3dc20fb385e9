//! Waiting for a replica instead of failing.

use super::round_robin;
use super::route::Target;
use crate::service::lease::Lease;
use crate::service::store::Reader;
use futures_util::future::{pending, select_all};
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Waits for a ready replica that is not among `tried`, as long as one is on its way, for
/// `patience` at most and within the service's limit on number.
///
/// All that wait go on the moment one is ready, in the order in which they came. Who has tried
/// one in vain does not stand in that line: it has waited already, and what suits the next one may
/// not suit it.
pub async fn wait(
    reader: &Reader,
    target: &Target,
    tried: &[u64],
    patience: Duration,
) -> Option<Lease> {
    let deadline = Instant::now() + patience;
    let mut reader = reader.clone();
    let load = reader.load().service(target.service.as_str())?.load.clone();
    let mut is_next = !tried.is_empty();
    let mut turn = pin!(load.turn());
    let mut _turn = None;
    let mut place = None;
    loop {
        // Marks today's picture as seen before it is looked at, so that no change is missed.
        reader.seen();
        let mut settled = Vec::new();
        {
            let snapshot = reader.load();
            let service = snapshot.service(target.service.as_str())?;
            for replica in service.ready.iter().filter(|_| !tried.is_empty()) {
                settled.push(Box::pin(replica.doubt.settled()));
            }
            if place.is_none() {
                place = load.hold(target.forward.hold_max);
            }
            // Where there is no room to wait, nobody is kept from what is there.
            if is_next || place.is_none() {
                let lease = round_robin::claim(service, tried);
                // A full listen queue fails a request as well as a dead program; the health check
                // tells them apart.
                if let Some(lease) = lease.or_else(|| round_robin::claim_again(service)) {
                    return Some(lease);
                }
            }
            let is_hopeless = !service.coming && service.ready.is_empty();
            let is_left_over = is_next && !service.coming;
            if place.is_none() || is_hopeless || is_left_over || Instant::now() >= deadline {
                return None;
            }
        }
        let settled = async {
            match settled.is_empty() {
                true => pending().await,
                false => drop(select_all(settled).await),
            }
        };
        tokio::select! {
            biased;
            mine = &mut turn, if !is_next => {
                is_next = true;
                _turn = Some(mine);
            }
            // When time is up, the loop looks a last time.
            changed = timeout_at(deadline, reader.changed()) => {
                if let Ok(Err(_)) = changed {
                    return None;
                }
            }
            () = settled => {}
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

#[cfg(test)]
#[path = "hold_tests.rs"]
mod tests;
