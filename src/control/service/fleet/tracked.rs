//! One replica under control: its state in the engine, the word of its health check, and what
//! was begun with it.

mod health;
mod leaving;
mod sleep;

use super::meter::Meter;
use super::removal::Removal;
use super::slumber::Slumber;
use crate::control::probing::Prober;
use crate::plan::Condition;
use crate::service::replica::doubt::Doubt;
use crate::service::replica::{
    Ailment, Observed, Phase, Replica, ReplicaId, ReplicaView, RunState,
};
use crate::service::spec::{Slot, SpecHash};
use crate::service::time::Moment;
use crate::service::usage::{Usage, Used};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The one who starts and stops a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunBy {
    Us,
    /// Probed and balanced over, and never stopped.
    Somebody,
}

pub struct Tracked {
    run_by: RunBy,
    observed: Observed,
    since: Moment,
    /// When Tidegate began to start it; unknown when it was found running.
    began: Option<Moment>,
    health: Health,
    draining_since: Option<Moment>,
    removal: Removal,
    slumber: Slumber,
    /// Somebody asked for another one in its place.
    is_to_go: bool,
    because: Option<String>,
    replica: Option<Arc<Replica>>,
    doubt: Arc<Doubt>,
    prober: Option<Prober>,
    meter: Meter,
}

enum Health {
    Unknown,
    Healthy,
    Failed(Ailment),
}

impl Tracked {
    pub fn new(observed: Observed, run_by: RunBy, now: Moment) -> Tracked {
        Tracked {
            run_by,
            observed,
            since: now,
            began: None,
            health: Health::Unknown,
            draining_since: None,
            removal: Removal::default(),
            slumber: Slumber::default(),
            is_to_go: false,
            because: None,
            replica: None,
            doubt: Arc::default(),
            prober: None,
            meter: Meter::default(),
        }
    }

    // === questions ===

    pub fn is_ours(&self) -> bool {
        self.run_by == RunBy::Us
    }

    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    pub fn id(&self) -> &ReplicaId {
        &self.observed.id
    }

    pub fn slot(&self) -> Slot {
        self.observed.slot
    }

    pub fn generation(&self) -> u64 {
        self.observed.generation
    }

    pub fn spec(&self) -> &SpecHash {
        &self.observed.spec
    }

    pub fn since(&self) -> Moment {
        self.since
    }

    /// When its start began, or when it was found starting.
    pub fn starting_since(&self) -> Moment {
        self.began.unwrap_or(self.since)
    }

    pub fn replica(&self) -> Option<&Arc<Replica>> {
        self.replica.as_ref()
    }

    pub fn is_to_go(&self) -> bool {
        self.is_to_go
    }

    pub fn is_alive(&self) -> bool {
        self.observed.state == RunState::Running
            && !self.removal.has_begun()
            && self.slumber.is_awake()
    }

    /// The engine shows it running.
    pub fn is_running(&self) -> bool {
        self.observed.state == RunState::Running
    }

    pub fn is_ready(&self) -> bool {
        self.phase() == Phase::Ready
    }

    pub fn has_failed(&self) -> bool {
        matches!(self.health, Health::Failed(_))
    }

    /// Runs, was ready once, and now fails its health check: it may recover.
    pub fn is_unwell(&self) -> bool {
        matches!(self.health, Health::Failed(Ailment::Unhealthy { .. }))
            && self.is_alive()
            && self.draining_since.is_none()
            && self.is_ours()
    }

    pub fn is_asleep(&self) -> bool {
        !self.slumber.is_awake() && !self.removal.has_begun() && !self.has_failed()
    }

    /// Something was begun that only this process knows of.
    pub fn is_busy(&self) -> bool {
        self.removal.is_under_way() || self.slumber.is_turning()
    }

    pub fn in_flight(&self) -> u64 {
        self.replica
            .as_ref()
            .map_or(0, |replica| replica.gate.inside())
    }

    pub fn healthy_at(&self) -> Option<SocketAddr> {
        let replica = self.replica.as_ref()?;
        matches!(self.health, Health::Healthy).then_some(replica.address)
    }

    pub fn phase(&self) -> Phase {
        match (&self.health, self.draining_since) {
            _ if self.removal.has_begun() => Phase::Stopping,
            (Health::Failed(_), _) => Phase::Sick,
            _ if self.is_asleep() => Phase::Asleep,
            (_, Some(_)) => Phase::Draining,
            (Health::Healthy, None) => Phase::Ready,
            (Health::Unknown, None) => Phase::Starting,
        }
    }

    pub fn condition(&self, now: Moment) -> Condition {
        if self.removal.is_stuck(now) {
            return self.removal.stuck();
        }
        match (&self.health, self.draining_since) {
            (Health::Failed(ailment), _) if self.removal.is_due(now) => {
                Condition::Sick(ailment.clone())
            }
            _ if self.removal.is_due(now) => Condition::StopFailed,
            _ if self.removal.has_begun() => Condition::Stopping,
            (Health::Failed(ailment), None) if self.is_unwell() => Condition::Unwell {
                since: self.since,
                ailment: ailment.clone(),
            },
            (Health::Failed(ailment), _) => Condition::Sick(ailment.clone()),
            _ if self.is_asleep() => Condition::Asleep {
                settled: self.slumber.is_settled(),
                in_flight: self.in_flight(),
            },
            (_, Some(since)) => Condition::Draining {
                since,
                in_flight: self.in_flight(),
            },
            (Health::Healthy, None) => Condition::Ready,
            (Health::Unknown, None) => match self.in_flight() {
                0 => Condition::Starting,
                in_flight => Condition::Resumed {
                    since: self.since,
                    in_flight,
                },
            },
        }
    }

    pub fn removal(&self) -> &Removal {
        &self.removal
    }

    pub fn view(&self) -> ReplicaView {
        let because = match &self.health {
            Health::Failed(ailment) => Some(ailment.to_string()),
            _ => {
                let replica = self.replica.as_ref();
                let ejected = replica.and_then(|replica| replica.outlier.because());
                ejected.or_else(|| self.because.clone())
            }
        };
        ReplicaView {
            id: self.id().clone(),
            slot: self.slot(),
            generation: self.generation(),
            phase: self.phase(),
            since: self.since,
            address: self.replica.as_ref().map(|replica| replica.address),
            because,
            live: self.replica.clone(),
        }
    }

    // === listings ===

    /// The start of ours that it came from.
    pub fn was_started(&mut self, since: Moment, because: String) {
        self.began = Some(since);
        self.because = Some(because);
    }

    /// An address keeps what is known of it, wherever it stands in its list.
    pub fn is_listed_as(&mut self, observed: Observed) {
        self.observed = observed;
    }

    pub fn look_again(&mut self, observed: Observed, now: Moment) {
        let runs_on = self.is_alive() && observed.state == RunState::Running;
        if runs_on && self.observed.addresses != observed.addresses {
            self.prober = None;
            let is_lost = |at: SocketAddr| !observed.addresses.contains(&at);
            if self.healthy_at().is_some_and(is_lost) {
                // Restarted by somebody else, or moved: its past is void, its requests are lost.
                self.health = Health::Unknown;
                self.dismiss(Duration::ZERO);
                self.replica = None;
                self.began = None;
                self.since = now;
            }
        }
        self.observed = observed;
    }

    // === use ===

    pub fn measured(&mut self, usage: Usage, now: Moment) {
        self.meter.read(usage, now);
    }

    pub fn add_use_to(&self, used: &mut Used, now: Moment) {
        self.meter.add_to(used, now);
    }
}
