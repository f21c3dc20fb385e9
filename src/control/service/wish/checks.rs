//! How replicas are asked after their health. Those of a version that is being replaced are asked
//! as they were: a new version may have another health check, which says nothing of the old one.

use crate::control::declared::Managed;
use crate::control::service::state::State;
use crate::control::service::wish::rollout::Rollout;
use crate::plugin::Probe;
use crate::service::spec::{HealthTiming, SpecHash};
use std::sync::Arc;

#[derive(Clone)]
pub(in crate::control) struct Check {
    pub probe: Arc<dyn Probe>,
    pub timing: HealthTiming,
}

impl From<&Managed> for Check {
    fn from(managed: &Managed) -> Check {
        Check {
            probe: Arc::clone(&managed.probe),
            timing: managed.spec.health.clone(),
        }
    }
}

impl Check {
    pub(in crate::control) fn is(&self, other: &Check) -> bool {
        self.timing == other.timing && Arc::ptr_eq(&self.probe, &other.probe)
    }
}

impl State {
    pub(in crate::control) fn check(&self) -> Option<Check> {
        self.managed.as_ref().map(Check::from)
    }

    /// After a change of the configuration: `before` was asked until now, of replicas made from
    /// `version`.
    pub(in crate::control) fn recheck(&mut self, before: Option<Check>, version: Option<SpecHash>) {
        let now = self.version.as_ref().map(|version| version.hash.clone());
        let has_changed = match (&before, self.check()) {
            (Some(before), Some(check)) => !before.is(&check),
            (before, check) => before.is_some() || check.is_some(),
        };
        if let Some(now) = &now
            && self.former_checks.remove(now).is_some()
        {
            self.ask_anew(|spec| spec == now);
        }
        if !has_changed {
            return;
        }
        match (before, version) {
            // What goes with it has changed, too.
            (Some(before), Some(version)) if now.as_ref() != Some(&version) => {
                self.former_checks.entry(version).or_insert(before);
            }
            _ => self.former_checks.clear(),
        }
        let kept: Vec<SpecHash> = self.former_checks.keys().cloned().collect();
        self.ask_anew(|spec| !kept.contains(spec));
    }

    fn ask_anew(&mut self, which: impl Fn(&SpecHash) -> bool) {
        for tracked in self.replicas.values_mut() {
            if which(&tracked.observed.spec) {
                tracked.prober = None;
            }
        }
    }

    /// Forgets those of versions that nothing is made from any more.
    pub(in crate::control) fn forget_checks(&mut self) {
        let mut checks = std::mem::take(&mut self.former_checks);
        let rollout = self.rollout.as_ref().filter(|rollout| !rollout.is_over());
        checks.retain(|hash, _| {
            let goes_back_to = |rollout: &Rollout| rollout.from().hash == *hash;
            self.version.as_ref().is_some_and(|it| it.hash == *hash)
                || rollout.is_some_and(goes_back_to)
                || self.replicas.values().any(|it| it.observed.spec == *hash)
        });
        self.former_checks = checks;
    }
}
