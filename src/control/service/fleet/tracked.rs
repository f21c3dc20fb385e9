//! One replica under control: what the engine shows of it, what its health check says, and what
//! was begun with it.

use crate::control::input::Sink;
use crate::control::probing::Prober;
use crate::control::service::fleet::meter::Metered;
use crate::plan::Condition;
use crate::plan::backoff::SETTLED_AFTER;
use crate::service::event::Event;
use crate::service::load::ServiceLoad;
use crate::service::replica::doubt::Doubt;
use crate::service::replica::{
    Ailment, Observed, Phase, Replica, ReplicaId, ReplicaView, RunState,
};
use crate::service::spec::{ServiceName, Slot, SpecHash};
use crate::service::store::Writer;
use crate::service::time::Moment;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub struct Tracked {
    /// Nothing that an engine runs.
    pub is_address: bool,
    pub observed: Observed,
    pub since: Moment,
    /// When Tidegate began to start it; unknown when it was found running.
    pub began: Option<Moment>,
    pub health: Health,
    pub drain: Option<Drain>,
    pub stop: Option<Stop>,
    /// Stops that failed.
    pub stop_failures: u32,
    /// The last one's failure.
    pub stop_error: Option<String>,
    /// Paused, by us or found so.
    pub sleep: Option<Sleep>,
    /// Listings up to this one may not know whether it is paused.
    pub paused_after: u64,
    /// Somebody asked for another one in its place.
    pub is_to_go: bool,
    pub because: Option<String>,
    pub replica: Option<Arc<Replica>>,
    pub doubt: Arc<Doubt>,
    pub prober: Option<Prober>,
    /// What it uses, when that is asked for.
    pub metered: Option<Metered>,
}

pub enum Health {
    Unknown,
    Healthy,
    Failed(Ailment),
}

pub struct Drain {
    pub since: Moment,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sleep {
    FallingAsleep,
    Asleep,
    Waking,
    /// The engine was asked for a change and did not answer: the next listing tells.
    Unsure,
}

pub enum Stop {
    UnderWay {
        /// By then it takes so long that it may never return.
        hangs_at: Moment,
    },
    RetryAt(Moment),
}

/// The first failure may be one of a moment; after the second one another port is used.
const STUCK_AFTER_FAILURES: u32 = 2;
/// Added to the grace period. Killing, unmounting and deleting takes a tenth of a second; a
/// replica that is wanted need not wait for a disk that takes longer than this.
const STOP_HANGS_AFTER: Duration = Duration::from_secs(5);
/// A stop that failed is tried again after this, and after twice as long each time.
const STOP_RETRY_AFTER: Duration = Duration::from_secs(1);
const STOP_RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

impl Tracked {
    pub fn new(observed: Observed, now: Moment) -> Tracked {
        Tracked {
            is_address: false,
            observed,
            since: now,
            began: None,
            health: Health::Unknown,
            drain: None,
            stop: None,
            stop_failures: 0,
            stop_error: None,
            sleep: None,
            paused_after: 0,
            is_to_go: false,
            because: None,
            replica: None,
            doubt: Arc::default(),
            prober: None,
            metered: None,
        }
    }

    pub fn look_again(&mut self, observed: Observed, now: Moment) {
        let runs_on = self.is_alive() && observed.state == RunState::Running;
        if runs_on && self.observed.addresses != observed.addresses {
            self.prober = None;
            let is_lost = |at: SocketAddr| !observed.addresses.contains(&at);
            if self.healthy_at().is_some_and(is_lost) {
                // Restarted by somebody else, or moved: what was known of it is void, and what
                // was in flight is lost.
                self.health = Health::Unknown;
                self.dismiss(Duration::ZERO);
                self.replica = None;
                self.began = None;
                self.since = now;
            }
        }
        self.observed = observed;
    }

    pub fn healthy_at(&self) -> Option<SocketAddr> {
        let replica = self.replica.as_ref()?;
        matches!(self.health, Health::Healthy).then_some(replica.address)
    }

    pub fn is_alive(&self) -> bool {
        self.observed.state == RunState::Running && self.stop.is_none() && self.sleep.is_none()
    }

    /// It runs and was ready once, and now fails its health check: it may recover.
    pub fn is_unwell(&self) -> bool {
        matches!(self.health, Health::Failed(Ailment::Unhealthy { .. }))
            && self.is_alive()
            && self.drain.is_none()
            && !self.is_address
    }

    pub fn in_flight(&self) -> u64 {
        self.replica
            .as_ref()
            .map_or(0, |replica| replica.gate.inside())
    }

    /// It is on its way out of the picture.
    pub fn dismiss(&self, within: Duration) {
        if let Some(replica) = &self.replica {
            replica.dismiss(within);
        }
    }

    pub fn phase(&self) -> Phase {
        match (&self.stop, &self.health, &self.drain) {
            (Some(_), _, _) => Phase::Stopping,
            (None, Health::Failed(_), _) => Phase::Sick,
            (None, ..) if self.is_asleep() => Phase::Asleep,
            (None, _, Some(_)) => Phase::Draining,
            (None, Health::Healthy, None) => Phase::Ready,
            (None, Health::Unknown, None) => Phase::Starting,
        }
    }

    // === its removal ===

    pub fn stop_begins(&mut self, grace: Duration, now: Moment) {
        let hangs_at = now + grace + STOP_HANGS_AFTER;
        self.stop = Some(Stop::UnderWay { hangs_at });
    }

    /// Returns whether that is news: one line a change, not one an attempt.
    pub fn stop_failed(&mut self, why: String, now: Moment) -> bool {
        let doublings = self.stop_failures.min(16);
        let after = STOP_RETRY_AFTER.saturating_mul(1 << doublings);
        self.stop = Some(Stop::RetryAt(now + after.min(STOP_RETRY_AFTER_MAX)));
        self.stop_failures = self.stop_failures.saturating_add(1);
        self.because = Some(format!("cannot be removed: {why}"));
        self.stop_error.replace(why) != self.stop_error
    }

    /// Its removal failed more than once, or hangs.
    pub fn is_stuck(&self, now: Moment) -> bool {
        match self.stop {
            None => false,
            Some(Stop::UnderWay { hangs_at }) if hangs_at <= now => true,
            Some(_) => self.stop_failures >= STUCK_AFTER_FAILURES,
        }
    }

    fn stuck(&self) -> Condition {
        Condition::Stuck {
            why: self
                .stop_error
                .clone()
                .unwrap_or_else(|| "the engine does not answer".to_owned()),
            again_at: match self.stop {
                Some(Stop::RetryAt(at)) => Some(at),
                _ => None,
            },
        }
    }

    pub fn condition(&self, now: Moment) -> Condition {
        if self.is_stuck(now) {
            return self.stuck();
        }
        match (&self.stop, &self.health, &self.drain) {
            (Some(Stop::RetryAt(at)), Health::Failed(ailment), _) if *at <= now => {
                Condition::Sick(ailment.clone())
            }
            (Some(Stop::RetryAt(at)), _, _) if *at <= now => Condition::StopFailed,
            (Some(_), _, _) => Condition::Stopping,
            (None, Health::Failed(ailment), None) if self.is_unwell() => Condition::Unwell {
                since: self.since,
                ailment: ailment.clone(),
            },
            (None, Health::Failed(ailment), _) => Condition::Sick(ailment.clone()),
            (None, ..) if self.is_asleep() => Condition::Asleep {
                settled: self.sleep == Some(Sleep::Asleep),
            },
            (None, _, Some(drain)) => Condition::Draining {
                since: drain.since,
                in_flight: self.in_flight(),
            },
            (None, Health::Healthy, None) => Condition::Ready,
            (None, Health::Unknown, None) => Condition::Starting,
        }
    }

    pub fn ready(
        &mut self,
        service: &ServiceName,
        address: SocketAddr,
        load: &Arc<ServiceLoad>,
        writer: &Writer,
        now: Moment,
        sink: &Sink,
    ) {
        let same = self
            .replica
            .as_ref()
            .is_some_and(|replica| replica.address == address);
        if !same {
            let replica = writer.new_replica(
                service.clone(),
                self.observed.id.clone(),
                self.observed.slot,
                self.observed.generation,
                address,
                Arc::clone(&self.doubt),
            );
            self.replica = Some(Arc::new(replica.counted_in(load)));
        }
        if matches!(self.health, Health::Healthy) {
            return;
        }
        match (&self.replica, &self.health) {
            (Some(replica), Health::Failed(_)) => replica.find_again(),
            // It slept.
            (Some(replica), Health::Unknown) if same => replica.gate.reopen(),
            _ => {}
        }
        self.health = Health::Healthy;
        self.since = now;
        self.because = None;
        sink(&Event::Ready {
            service: service.clone(),
            slot: self.observed.slot,
            id: self.observed.id.clone(),
            // Once: when it recovers, that was long ago.
            after: self.began.take().map(|began| now.since(began)),
        });
    }

    /// It was started, and its health check does not succeed yet; `slow_after` so long that
    /// everybody should know.
    pub fn not_yet(
        &mut self,
        service: &ServiceName,
        slow_after: Option<Duration>,
        why: String,
        sink: &Sink,
    ) {
        if self.phase() != Phase::Starting {
            return;
        }
        self.because = Some(format!("not healthy yet: {why}"));
        if let Some(after) = slow_after {
            sink(&Event::NotReady {
                service: service.clone(),
                slot: self.observed.slot,
                id: self.observed.id.clone(),
                after,
                why,
            });
        }
    }

    /// Takes the replica out of rotation. `None`: it was out already.
    pub fn fail(
        &mut self,
        service: &ServiceName,
        ailment: Ailment,
        now: Moment,
        sink: &Sink,
    ) -> Option<Fall> {
        if self.stop.is_some() || matches!(self.health, Health::Failed(_)) {
            return None;
        }
        let ready_since = matches!(self.health, Health::Healthy).then_some(self.since);
        let settled = ready_since.is_some_and(|since| now.since(since) >= SETTLED_AFTER);
        let adopted_half_made = ailment == Ailment::HalfMade;
        let slept = self.sleep.take().is_some();
        sink(&Event::Sick {
            service: service.clone(),
            slot: self.observed.slot,
            id: self.observed.id.clone(),
            ailment: ailment.clone(),
        });
        let fall = Fall {
            id: Some(self.observed.id.clone()),
            slot: self.observed.slot,
            generation: self.observed.generation,
            spec: self.observed.spec.clone(),
            why: ailment.to_string(),
            ready_since,
            blames_image: !settled && !adopted_half_made && !slept && !self.is_address,
        };
        self.health = Health::Failed(ailment);
        self.since = now;
        if let Some(replica) = &self.replica {
            replica.lose();
        }
        Some(fall)
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
            id: self.observed.id.clone(),
            slot: self.observed.slot,
            generation: self.observed.generation,
            phase: self.phase(),
            since: self.since,
            address: self.replica.as_ref().map(|replica| replica.address),
            because,
            live: self.replica.clone(),
        }
    }
}

/// A replica that failed, or never came to be.
pub struct Fall {
    pub id: Option<ReplicaId>,
    pub slot: Slot,
    pub generation: u64,
    /// What it was made from.
    pub spec: SpecHash,
    pub why: String,
    /// `None`: it never got ready.
    pub ready_since: Option<Moment>,
    /// It never got ready, or not for long.
    pub blames_image: bool,
}

impl Fall {
    pub fn without_blame(self) -> Fall {
        Fall {
            blames_image: false,
            ..self
        }
    }
}

pub fn ailment_of(state: &RunState) -> Option<Ailment> {
    match state {
        RunState::Running => None,
        RunState::Created => Some(Ailment::HalfMade),
        RunState::Paused => Some(Ailment::Paused),
        RunState::Exited { code } => Some(Ailment::Exited { code: *code }),
    }
}
