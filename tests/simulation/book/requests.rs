//! Requests in flight: no pause and no planned stop takes them along.

use super::state::{Book, MAY_HANG, SECOND};
use std::time::Duration;
use tidegate::engine::EngineError;
use tidegate::service::replica::ReplicaId;
use tidegate::service::spec::ServiceName;
use tokio::time::Instant;

/// Time to drain of containers that no configuration names.
const ORPHAN_GRACE: Duration = Duration::from_secs(10);

impl Book {
    /// A paused replica answers nobody.
    pub fn pause_begins(&mut self, id: &ReplicaId) {
        self.acts(&format!("pause {id}"));
        let known = self.replicas.get(id).cloned();
        let free = known.is_some_and(|known| known.held == 0 || known.restarted);
        self.promise(free, || format!("paused {id} with requests in flight"));
    }

    pub fn stop_begins(&mut self, life: u32, id: &ReplicaId) {
        self.acts(&format!("stop {id}"));
        let Some(known) = self.replicas.get(id).cloned() else {
            return self.promise(false, || format!("stopped {id}, which is not ours"));
        };
        self.promise(known.stopping != Some(life), || {
            format!("two stops of {id} under way")
        });
        self.promise(!known.ready || known.restarted, || {
            format!("stopped {id} while in rotation")
        });
        let again = known.stop_failed.is_some_and(|at| at.elapsed() < SECOND);
        self.promise(!again, || format!("stopped {id} again at once"));
        // A stop that failed may be repeated, whatever is still in flight.
        let lost = known.sick || known.restarted;
        let free = known.held == 0 || lost || known.stop_failed.is_some();
        let overdue = known.draining.or(known.resumed).is_some_and(|since| {
            let grace = self.shortest_grace(&known.service, since);
            since.elapsed() >= grace
        });
        self.promise(free || overdue, || {
            format!("stopped {id} with {} in flight", known.held)
        });
        let known = self.replicas.get_mut(id).expect("known");
        known.stopping = Some(life);
        known.stopping_since = Some(Instant::now());
    }

    /// The shortest grace period that the service had since then.
    fn shortest_grace(&self, service: &ServiceName, since: Instant) -> Duration {
        let of_service = self.graces.iter().filter(|(_, name, _)| name == service);
        let mut before = of_service.clone().filter(|(at, ..)| *at <= since);
        let after = of_service.filter(|(at, ..)| *at > since);
        let last_before = before.next_back();
        let graces = last_before.into_iter().chain(after);
        graces
            .map(|(.., grace)| *grace)
            .min()
            .map_or(ORPHAN_GRACE, |grace| grace.min(ORPHAN_GRACE))
    }

    pub fn stop_ends(&mut self, life: u32, id: &ReplicaId, result: &Result<(), EngineError>) {
        let kind = result.as_ref().err().map(|error| error.kind);
        self.note(format!("   stop of {id} ended, {kind:?}, life {life}"));
        if let Some(known) = self.replicas.get_mut(id)
            && known.stopping == Some(life)
        {
            known.stopping = None;
            let took = known.stopping_since.take().map(|since| since.elapsed());
            if life == self.life {
                known.stop_failed = result.is_err().then(Instant::now);
                if result.is_err() || took >= Some(MAY_HANG) {
                    self.taken.insert(known.slot);
                }
            }
        }
    }
}
