//! A service as others see it: its rotation, and the reasons for its state.

use super::fleet::Tracked;
use super::state::ServiceState;
use crate::plan::Reason;
use crate::service::replica::{Phase, Replica};
use crate::service::ring::LazyRing;
use crate::service::snapshot::ServiceView;
use crate::service::spec::Version;
use crate::service::time::Moment;
use std::sync::Arc;
use std::time::Duration;

impl ServiceState {
    /// `engine_lost`: since when the engine does not answer.
    pub fn view(&self, now: Moment, engine_lost: Option<Moment>) -> ServiceView {
        let mut ready = self.fleet.ready();
        let least_bad = self.least_bad(now);
        let serving = least_bad.len() as u32;
        if ready.is_empty() {
            ready = least_bad;
        }
        ready.sort_by_key(|replica| replica.slot);
        let bounds = self.wish.spec().map(|spec| spec.bounds);
        let because = self.reasons(&ready, serving, engine_lost);
        ServiceView {
            name: self.name.clone(),
            coming: self.is_one_coming(now, engine_lost),
            desired: match self.wish.is_run_by_others() {
                true => self.fleet.others().count() as u32,
                false => self.count.wanted(),
            },
            ready,
            cursor: Arc::clone(&self.cursor),
            load: Arc::clone(&self.load),
            replicas: self.fleet.views(),
            by_hand: self.count.by_hand(),
            asleep: self.is_asleep(),
            min: bounds.map_or(0, |bounds| bounds.min),
            max: bounds.map_or(0, |bounds| bounds.max),
            because,
            decisions: self.count.decisions().clone(),
            ring: LazyRing::default(),
            image: self.wish.version().map(Version::to_string),
            configured_image: self.wish.configured_image(),
            last_logs: self.fleet.last_logs(),
            spec: self.wish.spec().map(Arc::clone),
            rollout: self.wish.rollout_view(self.progress(now), now),
        }
    }

    fn reasons(
        &self,
        ready: &[Arc<Replica>],
        serving: u32,
        engine_lost: Option<Moment>,
    ) -> Vec<String> {
        let mut because = vec![self.count.because().to_owned()];
        because.extend(self.because.iter().map(Reason::to_string));
        // Nothing is planned before its first answer.
        let is_told = self.because.contains(&Reason::EngineDown);
        if engine_lost.is_some() && self.needs_engine() && !is_told {
            because.push(Reason::EngineDown.to_string());
        }
        if serving > 0 {
            because.push(Reason::LeastBad { serving }.to_string());
        }
        because.extend(self.is_full(ready).as_ref().map(Reason::to_string));
        because.extend(self.fleet.last_failure().map(Reason::to_string));
        because.retain(|reason| !reason.is_empty());
        because
    }

    fn is_full(&self, ready: &[Arc<Replica>]) -> Option<Reason> {
        let limit = self.wish.spec()?.forward.container_concurrency?;
        let held = self.load.held();
        let is_full = |replica: &Arc<Replica>| replica.gate.inside() >= u64::from(limit);
        let waits = held > 0 && !ready.is_empty() && ready.iter().all(is_full);
        waits.then_some(Reason::Full { limit, held })
    }

    /// Whether a request that waits as long as it may is likely to meet a new replica.
    fn is_one_coming(&self, now: Moment, engine_lost: Option<Moment>) -> bool {
        let Some(spec) = self.wish.spec() else {
            return false;
        };
        let patience = spec.forward.hold_timeout;
        let starting = |tracked: &Tracked| tracked.phase() == Phase::Starting;
        if self.wish.is_run_by_others() {
            // The first check of each is over by then.
            let round = self.wish.check_round();
            return self
                .fleet
                .all()
                .any(|tracked| starting(tracked) && now.since(tracked.since()) < round);
        }
        let hopeless = |reason: &Reason| match reason {
            Reason::WaitsForBackoff { left, .. } => *left > patience,
            Reason::NoPort { .. } => true,
            Reason::Pulling { since, .. } => *since > patience,
            // A restart of the engine takes seconds; after that, nobody knows.
            Reason::EngineDown => engine_lost.is_some_and(|at| now.since(at) > patience),
            _ => false,
        };
        // A request wakes it.
        let may_be_sought = self.count.wanted() > 0 || self.is_asleep();
        let sought = may_be_sought && !self.because.iter().any(hopeless);
        sought || self.fleet.all().any(starting)
    }

    // === when none is well ===

    /// How long requests wait for a replacement before they go to a replica that fails its
    /// health check: twice what the last start took, and not longer than requests are held.
    pub(super) fn patience(&self) -> Duration {
        let spec = self.wish.spec();
        let held = spec.map_or(Duration::ZERO, |spec| spec.forward.hold_timeout);
        (2 * self.fleet.started_in())
            .max(self.wish.check_round())
            .min(held)
    }

    /// Those that serve when none is ready: a bad answer is better than none.
    pub fn least_bad(&self, now: Moment) -> Vec<Arc<Replica>> {
        self.fleet.least_bad(self.patience(), now)
    }
}
