//! What others see of a service: what is in rotation, and why it is as it is.

use crate::control::service::fleet::tracked::Tracked;
use crate::control::service::state::State;
use crate::plan::Reason;
use crate::service::replica::{Phase, Replica, ReplicaView};
use crate::service::ring::LazyRing;
use crate::service::snapshot::ServiceView;
use crate::service::spec::Version;
use crate::service::time::Moment;
use std::sync::Arc;
use std::time::Duration;

impl State {
    /// `engine_lost`: since when the engine does not answer.
    pub(in crate::control) fn view(&self, now: Moment, engine_lost: Option<Moment>) -> ServiceView {
        let mut replicas: Vec<ReplicaView> = self.replicas.values().map(Tracked::view).collect();
        replicas.sort_by_key(|view| (view.slot, view.generation));
        let mut ready: Vec<Arc<Replica>> = self
            .replicas
            .values()
            .filter(|tracked| tracked.phase() == Phase::Ready)
            .filter_map(|tracked| tracked.replica.clone())
            .collect();
        if ready.is_empty() {
            ready = self.least_bad(now);
        }
        ready.sort_by_key(|replica| replica.slot);
        let bounds = self.managed.as_ref().map(|managed| managed.spec.bounds);
        let mut because = vec![self.scaled_because.clone()];
        because.extend(self.because.iter().map(Reason::to_string));
        // Nothing is planned before its first answer.
        let is_told = self.because.contains(&Reason::EngineDown);
        if engine_lost.is_some() && self.needs_engine() && !is_told {
            because.push(Reason::EngineDown.to_string());
        }
        let serving = self.least_bad(now).len() as u32;
        if serving > 0 {
            because.push(Reason::LeastBad { serving }.to_string());
        }
        because.extend(self.is_full(&ready).as_ref().map(Reason::to_string));
        if self.backoff.failures() > 0 {
            because.extend(self.last_failure.iter().map(Reason::to_string));
        }
        because.retain(|reason| !reason.is_empty());
        ServiceView {
            name: self.name.clone(),
            coming: self.is_one_coming(now, engine_lost),
            desired: if self.is_fixed() {
                let addresses = self.replicas.values().filter(|tracked| tracked.is_address);
                addresses.count() as u32
            } else {
                self.wanted
            },
            ready,
            cursor: Arc::clone(&self.cursor),
            load: Arc::clone(&self.load),
            replicas,
            by_hand: self.by_hand,
            asleep: self.is_asleep(),
            min: bounds.map_or(0, |bounds| bounds.min),
            max: bounds.map_or(0, |bounds| bounds.max),
            because,
            decisions: self.decisions.clone(),
            ring: LazyRing::default(),
            image: self.version.as_ref().map(Version::to_string),
            configured_image: self.configured_image(),
            last_words: self
                .last_words
                .clone()
                .filter(|_| self.backoff.failures() > 0),
            spec: self
                .managed
                .as_ref()
                .map(|managed| Arc::clone(&managed.spec)),
            rollout: self
                .rollout
                .as_ref()
                .map(|rollout| rollout.view(self.count(now), now)),
        }
    }

    fn configured_image(&self) -> Option<String> {
        let (declared, version) = (self.declared.as_ref()?, self.version.as_ref()?);
        let differs = declared.image != version.template.image;
        differs.then(|| declared.image.clone())
    }

    fn is_full(&self, ready: &[Arc<Replica>]) -> Option<Reason> {
        let limit = self.managed.as_ref()?.spec.forward.container_concurrency?;
        let held = self.load.held();
        let is_full = |replica: &Arc<Replica>| replica.gate.inside() >= u64::from(limit);
        let waits = held > 0 && !ready.is_empty() && ready.iter().all(is_full);
        waits.then_some(Reason::Full { limit, held })
    }

    /// Whether a request that waits as long as it may is likely to meet a new replica.
    fn is_one_coming(&self, now: Moment, engine_lost: Option<Moment>) -> bool {
        let Some(managed) = &self.managed else {
            return false;
        };
        let patience = managed.spec.forward.hold_timeout;
        if self.is_fixed() {
            // Each was asked once by then.
            let round = self.check_round();
            return self.replicas.values().any(|tracked| {
                tracked.phase() == Phase::Starting && now.since(tracked.since) < round
            });
        }
        let hopeless = |reason: &Reason| match reason {
            Reason::WaitsForBackoff { left, .. } => *left > patience,
            Reason::NoPort { .. } => true,
            Reason::Pulling { since, .. } => *since > patience,
            // A restart of the engine takes seconds; after that, nobody knows.
            Reason::EngineDown => engine_lost.is_some_and(|at| now.since(at) > patience),
            _ => false,
        };
        let starting = |tracked: &Tracked| tracked.phase() == Phase::Starting;
        // Whoever asks wakes it.
        let may_be_sought = self.wanted > 0 || self.is_asleep();
        let sought = may_be_sought && !self.because.iter().any(hopeless);
        sought || self.replicas.values().any(starting)
    }

    // === when none is well ===

    /// A cause that all replicas share shows on each of them within this time.
    pub(in crate::control) fn check_round(&self) -> Duration {
        let managed = self.managed.as_ref();
        managed.map_or(Duration::ZERO, |managed| {
            managed.spec.health.interval + managed.spec.health.timeout
        })
    }

    /// How long requests wait for a replacement before they go to a replica that fails its
    /// health check: twice what the last start took, and not longer than requests are held.
    pub(in crate::control) fn patience(&self) -> Duration {
        let managed = self.managed.as_ref();
        let held = managed.map_or(Duration::ZERO, |managed| managed.spec.forward.hold_timeout);
        (2 * self.started_in).max(self.check_round()).min(held)
    }

    /// Those that serve when none is ready: a bad answer is better than none.
    pub(in crate::control) fn least_bad(&self, now: Moment) -> Vec<Arc<Replica>> {
        let is_ready = |tracked: &&crate::control::service::fleet::tracked::Tracked| {
            tracked.phase() == Phase::Ready
        };
        if self.replicas.values().any(|tracked| is_ready(&tracked)) {
            return Vec::new();
        }
        let patience = self.patience();
        let unwell = self.containers().filter(|tracked| tracked.is_unwell());
        unwell
            .filter(|tracked| now.since(tracked.since) >= patience)
            .filter_map(|tracked| tracked.replica.clone())
            .collect()
    }
}
