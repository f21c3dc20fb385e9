//! The health of a replica: its checks, its way into rotation, its failure.

use super::{Health, Tracked};
use crate::control::probing::Prober;
use crate::control::service::fleet::outcome::ReplicaFailure;
use crate::control::turn::Turn;
use crate::plan::backoff::SETTLED_AFTER;
use crate::service::event::Event;
use crate::service::load::ServiceLoad;
use crate::service::replica::doubt::Doubt;
use crate::service::replica::{Ailment, Phase, RunState};
use crate::service::time::Moment;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

impl Tracked {
    pub fn needs_prober(&self) -> bool {
        self.prober.is_none() && self.is_alive()
    }

    pub fn doubt(&self) -> Arc<Doubt> {
        Arc::clone(&self.doubt)
    }

    pub fn probed_by(&mut self, prober: Prober) {
        self.prober = Some(prober);
    }

    /// Its health check is another one from now on.
    pub fn forget_prober(&mut self) {
        self.prober = None;
    }

    /// Whether a good check at this address puts it into rotation. Late ones are void: from before
    /// it was told to stop, or had other addresses.
    pub fn may_be_ready_at(&self, address: SocketAddr) -> bool {
        let late = self.removal.has_begun() || !self.observed.addresses.contains(&address);
        let may_recover = !self.is_ours() || self.is_unwell();
        !late && (may_recover || !self.has_failed())
    }

    /// How long its start took, told once.
    pub fn start_took(&self, now: Moment) -> Option<Duration> {
        self.began.map(|began| now.since(began))
    }

    pub fn ready(&mut self, address: SocketAddr, load: &Arc<ServiceLoad>, turn: &Turn) {
        let same = self
            .replica
            .as_ref()
            .is_some_and(|replica| replica.address == address);
        if !same {
            let replica = turn.writer().new_replica(
                self.observed.service.clone(),
                self.id().clone(),
                self.slot(),
                self.generation(),
                address,
                self.doubt(),
            );
            self.replica = Some(Arc::new(replica.counted_in(load)));
        }
        if matches!(self.health, Health::Healthy) {
            return;
        }
        match (&self.replica, &self.health) {
            (Some(replica), Health::Failed(_)) => replica.find_again(),
            // Closed since its sleep.
            (Some(replica), Health::Unknown) if same => replica.gate.reopen(),
            _ => {}
        }
        self.health = Health::Healthy;
        self.since = turn.now;
        self.because = None;
        turn.emit(Event::Ready {
            service: self.observed.service.clone(),
            slot: self.slot(),
            id: self.id().clone(),
            // Once: when it recovers, that was long ago.
            after: self.began.take().map(|began| turn.now.since(began)),
        });
    }

    /// Notes that the health check of a started replica does not succeed yet; `slow_after`: so long
    /// that it is worth an event.
    pub fn not_yet(&mut self, slow_after: Option<Duration>, why: String, turn: &Turn) {
        if self.phase() != Phase::Starting {
            return;
        }
        self.because = Some(format!("not healthy yet: {why}"));
        if let Some(after) = slow_after {
            turn.emit(Event::NotReady {
                service: self.observed.service.clone(),
                slot: self.slot(),
                id: self.id().clone(),
                after,
                why,
            });
        }
    }

    /// The ailment that the engine shows by itself.
    pub fn shown_ailment(&self) -> Option<Ailment> {
        match self.observed.state {
            RunState::Running => None,
            RunState::Created => Some(Ailment::HalfMade),
            RunState::Paused if self.is_asleep() => None,
            RunState::Paused => Some(Ailment::Paused),
            RunState::Exited { code } => Some(Ailment::Exited { code }),
        }
    }

    /// Takes the replica out of rotation. `None`: it was out already.
    pub fn fail(&mut self, ailment: Ailment, turn: &Turn) -> Option<ReplicaFailure> {
        if self.removal.has_begun() || self.has_failed() {
            return None;
        }
        let ready_since = matches!(self.health, Health::Healthy).then_some(self.since);
        let settled = ready_since.is_some_and(|since| turn.now.since(since) >= SETTLED_AFTER);
        let adopted_half_made = ailment == Ailment::HalfMade;
        let slept = self.slumber.ends();
        turn.emit(Event::Sick {
            service: self.observed.service.clone(),
            slot: self.slot(),
            id: self.id().clone(),
            ailment: ailment.clone(),
        });
        let failure = ReplicaFailure {
            id: Some(self.id().clone()),
            slot: self.slot(),
            generation: self.generation(),
            spec: self.spec().clone(),
            why: ailment.to_string(),
            ready_since,
            blames_image: !settled && !adopted_half_made && !slept && self.is_ours(),
        };
        self.health = Health::Failed(ailment);
        self.since = turn.now;
        if let Some(replica) = &self.replica {
            replica.lose();
        }
        Some(failure)
    }
}
