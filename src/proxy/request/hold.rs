//! Waiting for a replica instead of failing.

use crate::proxy::balance::{self, Ask};
use crate::proxy::route::Route;
use crate::service::replica::gate::{UNLIMITED, Vacancy};
use crate::service::replica::lease::Lease;
use crate::service::snapshot::ServiceView;
use crate::service::spec::Forward;
use crate::service::store::Reader;
use futures_util::future::{pending, select_all};
use std::pin::pin;
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

/// Waits for a ready replica that is not among `tried` and has a place, as long as one is there or
/// on its way, for `patience` at most and within the service's limit on number.
///
/// All that wait go on the moment one is ready, in the order in which they came, or one for each
/// place that becomes free. Retries skip the queue: they have waited once, and a freed place may be
/// on a replica that they have tried.
pub async fn wait(
    reader: &Reader,
    route: &Route,
    ask: Ask<'_>,
    patience: Duration,
) -> Option<Lease> {
    let tried = ask.tried;
    let deadline = Instant::now() + patience;
    let mut reader = reader.clone();
    let limit = route.forward.limit();
    let load = reader.load().service(route.service.as_str())?.load.clone();
    let mut is_next = !tried.is_empty();
    let mut turn = pin!(load.turn());
    let mut _turn = None;
    let mut place = None;
    loop {
        // Marks today's picture as seen before it is looked at, so that no change is missed.
        reader.seen();
        let freed = pin!(load.place());
        let mut settled = Vec::new();
        let mut there = Vacancy::Closed;
        {
            let snapshot = reader.load();
            let service = snapshot.service(route.service.as_str())?;
            for replica in service.ready.iter().filter(|_| !tried.is_empty()) {
                settled.push(Box::pin(replica.doubt.settled()));
            }
            if place.is_none() {
                place = load.hold(route.forward.hold_max);
            }
            // Where there is no room to wait, nobody is kept from what is there, unless those
            // that wait are kept from it, too.
            if is_next || place.is_none() && limit == UNLIMITED {
                let lease = balance::claim(service, ask);
                // A full listen queue fails a request as well as a dead program; the health check
                // tells them apart.
                if let Some(lease) = lease.or_else(|| balance::claim_again(service, ask)) {
                    return Some(lease);
                }
            }
            if is_next && limit < UNLIMITED {
                there = balance::await_place(service, ask);
            }
            let is_hopeless = !service.coming && service.ready.is_empty();
            let is_left_over = is_next && !service.coming && there == Vacancy::Closed;
            if place.is_none() || is_hopeless || is_left_over || Instant::now() >= deadline {
                return None;
            }
        }
        if there == Vacancy::Free {
            // Somebody else was faster, and somebody left in between.
            yield_now().await;
            continue;
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
            () = freed, if is_next => {}
        }
    }
}

/// Whether a request that has just come would jump the queue: others wait for a place.
pub fn is_kept_by_others(service: &ServiceView, forward: &Forward, tried: &[u64]) -> bool {
    forward.container_concurrency.is_some()
        && tried.is_empty()
        && service.load.held() > 0
        && !forward.hold_timeout.is_zero()
}

/// Waits until the service is published: routes lead to it a moment before that, at the start
/// and when a reload adds it.
pub async fn until_known(reader: &Reader, route: &Route) {
    let deadline = Instant::now() + route.forward.hold_timeout;
    let mut reader = reader.clone();
    loop {
        reader.seen();
        if reader.load().service(route.service.as_str()).is_some() {
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
