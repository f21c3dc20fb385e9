//! Reports about a service's replicas, and actions on them.

use super::fleet::{Pausing, Probed};
use super::state::ServiceState;
use crate::control::input::Fetch;
use crate::control::probing::Verdict;
use crate::control::turn::Turn;
use crate::engine::EngineError;
use crate::plan::Reason;
use crate::service::replica::{Observed, ReplicaId};
use crate::service::spec::{Slot, Spec};
use std::sync::Arc;

impl ServiceState {
    // === reports ===

    /// Takes over what the engine listed. `first`: Tidegate itself has just begun.
    pub fn observed(&mut self, seen: Vec<Observed>, first: bool, turn: &Turn) {
        let may_sleep = self.wish.sleep_terms().is_some();
        let mut failures = self.fleet.forget_missing(&seen, turn);
        for observed in seen {
            failures.extend(self.fleet.update(observed, may_sleep, first, turn));
        }
        for failure in failures {
            self.failed(failure, turn);
        }
        if first {
            self.adopt_version(turn);
            self.want_what_runs(turn.now);
        }
        let (failures, unanswered) = self.fleet.forget_starts(turn);
        for failure in failures {
            self.failed(failure, turn);
        }
        for call in unanswered {
            // Nobody knows of what, so it slows the service down and ends no rollout.
            self.fleet
                .slow_down(call.generation, call.slot, call.why, turn.now);
        }
        let fleet = &self.fleet;
        self.wish
            .forget_checks(|version| fleet.all().any(|it| it.spec() == version));
        self.probe_all(turn);
    }

    pub fn probed(&mut self, id: &ReplicaId, verdict: Verdict, turn: &Turn) {
        match self.fleet.probed(id, verdict, &self.load, turn) {
            Probed::Nothing => {}
            Probed::Started(version) => self.wish.ready(&version, turn.now),
            Probed::Failed(failure) => self.failed(failure, turn),
        }
    }

    pub fn start_failed(&mut self, slot: Slot, error: &EngineError, turn: &Turn) {
        if let Some(failure) = self.fleet.start_failed(slot, error, turn) {
            self.failed(failure, turn);
        }
    }

    pub fn fetched(&mut self, fetch: &Fetch, result: Result<(), EngineError>, turn: &Turn) {
        if let Some(failure) = self.fleet.fetched(fetch, result, turn) {
            self.failed(failure, turn);
        }
    }

    /// A pause, or the end of one, has come to an end.
    pub fn frozen(
        &mut self,
        id: &ReplicaId,
        paused: bool,
        result: &Result<(), EngineError>,
        turn: &Turn,
    ) {
        if let Some(failure) = self.fleet.frozen(id, paused, result, turn) {
            self.failed(failure, turn);
        }
        // A resumed replica is checked at once.
        self.probe_all(turn);
    }

    /// The last lines of a failed replica, read before it is removed.
    pub fn read_last_logs(&mut self, slot: Slot, id: &ReplicaId, lines: Vec<String>, turn: &Turn) {
        if lines.is_empty() {
            return;
        }
        self.wish.read_last_logs(id, &lines);
        self.fleet.read_last_logs(slot, id, lines, turn);
    }

    // === actions ===

    /// Notes a start; returns what the replica is made from.
    pub fn starting(
        &mut self,
        slot: Slot,
        generation: u64,
        because: Reason,
        turn: &Turn,
    ) -> Option<Arc<Spec>> {
        let spec = Spec {
            wanted: Some(self.count.wanted()),
            ..Spec::clone(self.wish.spec()?)
        };
        let of = self.wish.version()?.hash.clone();
        self.fleet.starting(slot, generation, of, because, turn.now);
        Some(Arc::new(spec))
    }

    /// Notes that the image is looked for; returns the replica that needs it.
    pub fn fetching(
        &mut self,
        slot: Slot,
        generation: u64,
        turn: &Turn,
    ) -> Option<(Arc<Spec>, Fetch)> {
        let spec = Arc::clone(self.wish.spec()?);
        let of = self.wish.version()?.hash.clone();
        self.fleet.fetching(of.clone(), turn.now);
        let fetch = Fetch {
            service: self.name.clone(),
            slot,
            generation,
            of,
        };
        Some((spec, fetch))
    }

    /// Takes a replica out of rotation so that it can be paused. False: it has a request, which
    /// came before the door was shut, and so the service is awake.
    pub fn pausing(&mut self, id: &ReplicaId, because: &Reason, turn: &Turn) -> bool {
        match self.fleet.pausing(id, because, turn) {
            Pausing::Gone => false,
            Pausing::Begun => true,
            Pausing::Busy => {
                if let Some(spec) = self.wish.spec() {
                    self.count.wake(&self.load, spec, turn);
                }
                false
            }
        }
    }
}
