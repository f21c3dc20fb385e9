//! Health checks by version. Replicas of a version that is being replaced keep their own: a new
//! version may have another health check, which says nothing of the old one.

use crate::control::declared::Managed;
use crate::plugin::Probe;
use crate::service::spec::{HealthTiming, SpecHash};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone)]
pub struct Check {
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
    fn is(&self, other: &Check) -> bool {
        self.timing == other.timing && Arc::ptr_eq(&self.probe, &other.probe)
    }
}

/// The check of today, and those of versions that are being replaced or gone back to.
#[derive(Default)]
pub struct Checks {
    today: Option<Check>,
    former: BTreeMap<SpecHash, Check>,
}

/// Versions whose replicas have another check now.
#[derive(Default)]
pub struct Rechecked {
    one: Option<SpecHash>,
    /// Everything but these.
    all_but: Option<Vec<SpecHash>>,
}

impl Rechecked {
    pub fn has(&self, version: &SpecHash) -> bool {
        let all_but = self.all_but.as_ref();
        self.one.as_ref() == Some(version) || all_but.is_some_and(|kept| !kept.contains(version))
    }
}

impl Checks {
    pub fn of(&self, version: &SpecHash) -> Option<&Check> {
        let today = self.today.as_ref()?;
        Some(self.former.get(version).unwrap_or(today))
    }

    /// No version is probed any more.
    pub fn end(&mut self) {
        self.today = None;
    }

    /// Takes over the check of today, while `before` was made from until now and `now` is from
    /// now on.
    pub fn change(
        &mut self,
        today: Check,
        before: Option<SpecHash>,
        now: Option<&SpecHash>,
    ) -> Rechecked {
        let mut rechecked = Rechecked::default();
        if let Some(now) = now
            && self.former.remove(now).is_some()
        {
            rechecked.one = Some(now.clone());
        }
        let has_changed = self.today.as_ref().is_none_or(|before| !before.is(&today));
        let last = self.today.replace(today);
        if !has_changed {
            return rechecked;
        }
        match (last, before) {
            // The version has changed with it.
            (Some(last), Some(before)) if now != Some(&before) => {
                self.former.entry(before).or_insert(last);
            }
            _ => self.former.clear(),
        }
        rechecked.all_but = Some(self.former.keys().cloned().collect());
        rechecked
    }

    /// Forgets the checks of all but these versions.
    pub fn keep(&mut self, is_used: impl Fn(&SpecHash) -> bool) {
        self.former.retain(|version, _| is_used(version));
    }
}
