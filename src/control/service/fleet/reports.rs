//! Reports of the engine and of health checks about a fleet.

use super::Fleet;
use super::outcome::{Probed, ReplicaFailure, Unanswered};
use super::starts::Start;
use super::tracked::{RunBy, Tracked};
use crate::control::input::Fetch;
use crate::control::probing::{self, Verdict};
use crate::control::service::wish::Check;
use crate::control::turn::Turn;
use crate::engine::{EngineError, ErrorKind};
use crate::plan::Reason;
use crate::plan::scaler::update_average;
use crate::service::event::Event;
use crate::service::load::ServiceLoad;
use crate::service::replica::{Ailment, Observed, ReplicaId, RunState};
use crate::service::spec::{Slot, SpecHash};
use crate::service::time::Moment;
use crate::service::usage::Usage;
use std::sync::Arc;
use std::time::Duration;

impl Fleet {
    // === listings ===

    /// Forgets the replicas that are not listed any more.
    pub fn forget_missing(&mut self, seen: &[Observed], turn: &Turn) -> Vec<ReplicaFailure> {
        let mut failures: Vec<ReplicaFailure> = Vec::new();
        let (service, taken) = (&self.service, &mut self.taken);
        self.replicas.retain(|id, tracked| {
            let there = seen.iter().any(|observed| observed.id == *id);
            // One that is being stopped stays until the engine says that it is done.
            if there || !tracked.is_ours() || tracked.removal().is_under_way() {
                return true;
            }
            let failure = tracked.fail(Ailment::Exited { code: None }, turn);
            // Somebody removed it, which says nothing about its image.
            failures.extend(failure.map(ReplicaFailure::without_blame));
            if tracked.removal().is_stuck(turn.now) {
                taken.take_until_needed(tracked.slot());
            }
            tracked.dismiss(Duration::ZERO);
            turn.emit(Event::Stopped {
                service: service.clone(),
                slot: tracked.slot(),
                id: id.clone(),
            });
            false
        });
        failures
    }

    /// Takes over what the engine says of one replica, known or new. `first`: Tidegate itself
    /// has just begun.
    pub fn update(
        &mut self,
        mut observed: Observed,
        may_sleep: bool,
        first: bool,
        turn: &Turn,
    ) -> Option<ReplicaFailure> {
        let is_new = !self.replicas.contains_key(&observed.id);
        if is_new && self.starts.covers(&observed, turn) {
            return None;
        }
        if observed.state == RunState::Running {
            // The port is ours, then: a start came through whose answer was lost.
            self.taken.free(observed.slot);
        }
        let mut count_failure = true;
        let found_asleep;
        let tracked = match self.replicas.get_mut(&observed.id) {
            Some(tracked) => {
                found_asleep = tracked.update_pause(&mut observed, may_sleep, turn);
                tracked.look_again(observed, turn.now);
                tracked
            }
            None => {
                let mut tracked = Tracked::new(observed.clone(), RunBy::Us, turn.now);
                found_asleep = tracked.update_pause(&mut observed, may_sleep, turn);
                if let Some(start) = self.starts.show(&observed) {
                    tracked.was_started(start.since, start.because.to_string());
                } else {
                    // Found dead: nobody knows of what, or when.
                    count_failure = false;
                    if first && tracked.is_alive() {
                        turn.emit(Event::Adopted {
                            service: self.service.clone(),
                            slot: tracked.slot(),
                            id: tracked.id().clone(),
                        });
                    }
                }
                let id = tracked.id().clone();
                self.replicas.entry(id).or_insert(tracked)
            }
        };
        if found_asleep {
            tracked.report_asleep(turn);
        }
        let ailment = tracked.shown_ailment()?;
        let failure = tracked.fail(ailment, turn);
        failure.filter(|_| count_failure)
    }

    /// Forgets the starts that this listing was sure to show; see [`Starts::forget`].
    ///
    /// [`Starts::forget`]: super::starts::Starts::forget
    pub fn forget_starts(&mut self, turn: &Turn) -> (Vec<ReplicaFailure>, Vec<Unanswered>) {
        let fetch = self.image.take_unanswered(turn);
        let (failures, mut unanswered) = self.starts.forget(&self.service, turn);
        unanswered.splice(0..0, fetch);
        (failures, unanswered)
    }

    /// The engine is away, so that no call got an answer says nothing of the service.
    pub fn excuse_calls(&mut self) {
        self.starts.excuse();
        self.image.excuse();
    }

    pub fn forget_taken_ports(&mut self) {
        self.taken.clear();
    }

    // === starts ===

    pub fn starting(
        &mut self,
        slot: Slot,
        generation: u64,
        of: SpecHash,
        why: Reason,
        now: Moment,
    ) {
        let start = Start::new(generation, of, why, now);
        self.starts.begin(slot, start);
    }

    pub fn start_done(&mut self, slot: Slot, turn: &Turn) {
        self.starts.done(slot, turn);
    }

    pub fn start_failed(
        &mut self,
        slot: Slot,
        error: &EngineError,
        turn: &Turn,
    ) -> Option<ReplicaFailure> {
        let service = self.service.clone();
        let holds_it = |tracked: &Tracked| {
            tracked.slot() == slot && (tracked.is_alive() || tracked.is_asleep())
        };
        let ours = self.ours().any(holds_it);
        let taken = error.kind == ErrorKind::PortTaken && !ours;
        turn.emit(if taken {
            Event::PortTaken { service, slot }
        } else {
            let why = error.to_string();
            Event::StartFailed { service, slot, why }
        });
        let start = self.starts.failed(slot, turn)?;
        if taken || start.hangs(turn.now) && error.kind != ErrorKind::PortTaken {
            self.taken.take(slot, turn.now);
        }
        match error.kind {
            // Somebody else's, or by a start of an earlier life, which came through after all.
            ErrorKind::PortTaken => None,
            ErrorKind::Failed => {
                // The image may have been removed meanwhile.
                self.image.forget();
                Some(start.failure(slot, error.to_string()))
            }
            // A listing tells whether the engine is away.
            ErrorKind::Unreachable => {
                start.got_no_answer(error.to_string());
                None
            }
        }
    }

    pub fn fetching(&mut self, of: SpecHash, now: Moment) {
        self.image.fetching(of, now);
    }

    pub fn fetched(
        &mut self,
        fetch: &Fetch,
        result: Result<(), EngineError>,
        turn: &Turn,
    ) -> Option<ReplicaFailure> {
        self.image.fetched(fetch, result, turn)
    }

    // === health ===

    /// Sees to it that every replica that runs is probed, by the check of its version.
    pub fn probe_all<'a>(&mut self, check: impl Fn(&SpecHash) -> Option<&'a Check>, turn: &Turn) {
        for tracked in self.replicas.values_mut() {
            if !tracked.needs_prober() {
                continue;
            }
            let Some(Check { probe, timing }) = check(tracked.spec()).cloned() else {
                continue;
            };
            let target = probing::ProbeTarget {
                service: self.service.clone(),
                id: tracked.id().clone(),
                addresses: tracked.observed().addresses.clone(),
                doubt: tracked.doubt(),
            };
            let healthy_at = tracked.healthy_at();
            tracked.probed_by(probing::spawn(
                target,
                healthy_at,
                probe,
                timing,
                turn.sender(),
                turn.sink(),
            ));
        }
    }

    /// The health check of these versions is another one now.
    pub fn probe_anew(&mut self, which: impl Fn(&SpecHash) -> bool) {
        for tracked in self.replicas.values_mut() {
            if which(tracked.spec()) {
                tracked.forget_prober();
            }
        }
    }

    pub fn probed(
        &mut self,
        id: &ReplicaId,
        verdict: Verdict,
        load: &Arc<ServiceLoad>,
        turn: &Turn,
    ) -> Probed {
        let Some(tracked) = self.replicas.get_mut(id) else {
            return Probed::Nothing;
        };
        if tracked.is_asleep() {
            // The verdict was on its way when it fell asleep.
            return Probed::Nothing;
        }
        let ailment = match verdict {
            Verdict::Healthy { address } => {
                if !tracked.may_be_ready_at(address) {
                    return Probed::Nothing;
                }
                let mut probed = Probed::Nothing;
                if let Some(took) = tracked.start_took(turn.now) {
                    self.started_in = took;
                    self.start_time = update_average(self.start_time, took);
                    probed = Probed::Started(tracked.spec().clone());
                }
                tracked.ready(address, load, turn);
                return probed;
            }
            Verdict::NotYet {
                after,
                why,
                is_slow,
            } => {
                tracked.not_yet(is_slow.then_some(after), why, turn);
                return Probed::Nothing;
            }
            Verdict::Unhealthy { why } => Ailment::Unhealthy { why },
            Verdict::NeverHealthy { after, why } => Ailment::NeverHealthy { after, why },
        };
        let failure = tracked.fail(ailment, turn);
        failure.map_or(Probed::Nothing, Probed::Failed)
    }

    pub fn measured(&mut self, id: &ReplicaId, usage: Usage, now: Moment) {
        if let Some(tracked) = self.replicas.get_mut(id) {
            tracked.measured(usage, now);
        }
    }

    /// Notes a failure for the brake.
    pub fn slow_down(&mut self, generation: u64, slot: Slot, why: String, now: Moment) {
        self.brake.failed(generation, slot, why, now);
    }

    pub fn release_brake(&mut self) {
        self.brake.release(&self.service);
    }
}
