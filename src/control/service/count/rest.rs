//! A service that sleeps while nobody asks for it, and its replicas that are paused meanwhile.

use crate::control::input::Sink;
use crate::control::service::fleet::tracked::Sleep;
use crate::control::service::state::State;
use crate::engine::{EngineError, ErrorKind};
use crate::plan::scaler::Decision;
use crate::plan::{Depth, Reason, Rest};
use crate::service::event::Event;
use crate::service::replica::{Ailment, ReplicaId, RunState};
use crate::service::spec::SleepTerms;
use crate::service::time::{Human, Moment};

/// What bounds the count of a service that sleeps.
const ASLEEP: &str = "idle";

impl State {
    pub(in crate::control) fn sleep_terms(&self) -> Option<&SleepTerms> {
        self.managed.as_ref()?.spec.sleep.as_ref()
    }

    pub(in crate::control) fn is_asleep(&self) -> bool {
        self.sleep_terms().is_some() && self.rest.is_asleep()
    }

    pub(in crate::control) fn depth(&self, now: Moment) -> Depth {
        self.rest.depth(self.sleep_terms(), now)
    }

    /// Falls asleep or wakes when it is time; returns when to look again.
    pub(in crate::control) fn turn_rest(&mut self, now: Moment) -> Option<Moment> {
        let terms = self.sleep_terms().copied();
        let rolls = self.rollout.as_ref().is_some_and(|it| !it.is_over());
        let asked = self.is_asked_for() || rolls && !self.rest.is_asleep();
        let mut next = self.rest.turn(terms.as_ref(), asked, now);
        if next.is_asleep() && !self.rest.is_asleep() {
            // From here on each request rings; one that came just before is found now.
            self.load.sleeps(true);
            if self.is_asked_for() {
                next = Rest::Awake { idle_since: now };
            }
        }
        self.load.sleeps(next.is_asleep());
        self.rest = next;
        let has_policy = |it: &crate::control::declared::Managed| it.scaler.is_some();
        if terms.is_some() && !self.managed.as_ref().is_some_and(has_policy) {
            match next.is_asleep() {
                true => self.wanted = 0,
                false if self.wanted == 0 => self.want_by_policy(),
                false => {}
            }
        }
        self.rest.wake(terms.as_ref())
    }

    /// Whether somebody did since the last time, is being answered or waits.
    fn is_asked_for(&mut self) -> bool {
        let total = self.load.total();
        let came = std::mem::replace(&mut self.asked_before, total) != total;
        let in_flight = self.replicas.values().any(|it| it.in_flight() > 0);
        came || in_flight || self.load.held() > 0 || self.by_hand.is_some()
    }

    /// Replaces a decision while the service sleeps, adds what runs ahead, and says who woke it.
    pub(in crate::control) fn overrule_by_rest(&self, decision: &mut Decision) {
        let Some(managed) = &self.managed else {
            return;
        };
        let (spare, bounds) = (managed.spec.spare, managed.spec.bounds);
        if self.is_asleep() {
            decision.replicas = 0;
            decision.bound = ASLEEP;
            decision.because = match self.rest {
                Rest::Asleep { after, .. } if !after.is_zero() => format!(
                    "asleep: no request for {} (idle_timeout); a request wakes it",
                    Human(after)
                ),
                _ => "asleep: no request yet; a request wakes it".to_owned(),
            };
            return;
        }
        if spare > 0 && self.by_hand.is_none() {
            let ahead = decision.replicas.saturating_add(spare).min(bounds.max);
            let added = ahead - decision.replicas.min(ahead);
            decision.because += &match added == spare {
                true => format!("; {spare} more to spare"),
                false => format!(
                    "; {added} more to spare, of {spare}: at most {}",
                    bounds.max
                ),
            };
            decision.replicas = ahead;
        }
        if self.wanted == 0 && self.sleep_terms().is_some() && self.by_hand.is_none() {
            decision.because = format!("woken by a request; {}", decision.because);
        }
    }

    // === replicas that are paused ===

    /// Takes a replica out of rotation so that it can be paused. False: it has a request, which
    /// came before the door was shut, and so the service is awake.
    pub(in crate::control) fn pausing(
        &mut self,
        id: &ReplicaId,
        because: &Reason,
        now: Moment,
        sink: &Sink,
    ) -> bool {
        let Some(tracked) = self.replicas.get_mut(id) else {
            return false;
        };
        if let Some(replica) = &tracked.replica
            && replica.gate.close() > 0
        {
            replica.gate.reopen();
            self.wake(now, sink);
            return false;
        }
        tracked.fall_asleep(Sleep::FallingAsleep, because.to_string(), now);
        tracked.tell_asleep(&self.name, sink);
        true
    }

    fn wake(&mut self, now: Moment, sink: &Sink) {
        self.rest = Rest::Awake { idle_since: now };
        self.load.sleeps(false);
        let from = self.wanted;
        self.want_by_policy();
        sink(&Event::Scaled {
            service: self.name.clone(),
            from,
            to: self.wanted,
            because: "woken by a request".to_owned(),
        });
    }

    pub(in crate::control) fn resuming(&mut self, id: &ReplicaId) -> bool {
        let tracked = self.replicas.get_mut(id);
        let found = tracked.is_some();
        if let Some(tracked) = tracked {
            tracked.sleep = Some(Sleep::Waking);
        }
        found
    }

    /// What became of a pause, or of the end of one. Listings up to `sequence` may not know.
    pub(in crate::control) fn frozen(
        &mut self,
        id: &ReplicaId,
        paused: bool,
        result: &Result<(), EngineError>,
        sequence: u64,
        now: Moment,
        sink: &Sink,
    ) {
        let Some(tracked) = self.replicas.get_mut(id).filter(|it| it.sleep.is_some()) else {
            return;
        };
        tracked.paused_after = sequence;
        let (service, slot, id) = (self.name.clone(), tracked.observed.slot, id.clone());
        match (paused, result) {
            (true, Ok(())) => {
                tracked.sleep = Some(Sleep::Asleep);
                tracked.observed.state = RunState::Paused;
            }
            (false, Ok(())) => {
                tracked.runs_again(now);
                tracked.observed.state = RunState::Running;
                sink(&Event::Resumed { service, slot, id });
            }
            (_, Err(error)) if error.kind == ErrorKind::Unreachable => {
                tracked.sleep = Some(Sleep::Unsure);
            }
            (true, Err(error)) => {
                tracked.runs_again(now);
                tracked.is_to_go = true;
                let why = error.to_string();
                sink(&Event::PauseFailed {
                    service,
                    slot,
                    id,
                    why,
                });
            }
            (false, Err(error)) => {
                tracked.sleep = None;
                let why = error.to_string();
                sink(&Event::ResumeFailed {
                    service,
                    slot,
                    id,
                    why,
                });
                if let Some(fall) = tracked.fail(&self.name, Ailment::Paused, now, sink) {
                    self.fell(fall, now, sink);
                }
            }
        }
    }
}
