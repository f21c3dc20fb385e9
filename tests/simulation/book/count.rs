//! Counts: as many replicas as are wanted, within the bounds, and none leaves before another one
//! is there.

use super::state::{Book, INTERVAL, PARALLELISM_MAX};
use std::collections::BTreeSet;
use tidegate::service::replica::ReplicaId;
use tidegate::service::snapshot::ServiceView;
use tidegate::service::spec::{Bounds, ServiceName, Spec, UpdateOrder};

/// How many replicas of what is wanted may be missing while they are replaced.
fn may_miss(spec: &Spec) -> u32 {
    match spec.update.order {
        UpdateOrder::StartFirst => 0,
        UpdateOrder::StopFirst => spec.update.parallelism,
    }
}

impl Book {
    /// Judges the count that is wanted: within the bounds, and after a restart not below the
    /// replicas that run.
    ///
    /// Docker is the memory of a restart, so the promise covers the count that containers show:
    /// a scale-up that had made no container yet is decided anew.
    pub(super) fn judge_wanted(&mut self, name: &ServiceName, view: &ServiceView) {
        self.wanted.insert(name.clone(), view.desired);
        let bounds: Vec<Option<Bounds>> = self
            .configs
            .iter()
            .map(|config| Some(config.get(name)?.bounds))
            .collect();
        let fixed = self.configs.iter().any(|config| {
            config
                .get(name)
                .is_some_and(|spec| spec.template().is_none())
        });
        let within = |bounds: &Option<Bounds>| match bounds {
            Some(bounds) => (bounds.min..=bounds.max).contains(&view.desired),
            None => view.desired == 0,
        };
        let within = fixed || bounds.iter().any(within);
        self.promise(within, || {
            format!("{name}: {} are wanted of {bounds:?}", view.desired)
        });
        if self.planned {
            self.keeps(name, view.ready.len() as u32);
        }
        // Replicas that ran when this life began stay wanted for an interval at least.
        let floor = self.floor.get(name).copied().unwrap_or(0);
        let before = self.wanted_before.get(name);
        let floor = before.map_or(floor, |before| floor.min(*before));
        // All that an earlier life left of what it wanted.
        let made_for = self.made_for.get(name).copied().flatten();
        let floor = made_for.map_or(floor, |made_for| floor.min(made_for));
        let removed = bounds.contains(&None);
        if !self.reloaded && !removed && self.life_began.elapsed() < INTERVAL {
            let max = bounds.iter().flatten().map(|bounds| bounds.max).min();
            let floor = floor.min(max.unwrap_or(0));
            self.promise(fixed || view.desired >= floor, || {
                format!("{name}: {} are wanted after {floor} ran", view.desired)
            });
        }
    }

    /// A planned stop leaves as many in rotation as are wanted.
    pub(super) fn enough_others(&mut self, service: &ServiceName, id: &ReplicaId) {
        let wanted = self.wanted.get(service).copied().unwrap_or(0);
        let (mut most, mut missing) = (u32::MAX, 0);
        for config in &self.configs {
            match config.get(service) {
                Some(spec) if spec.template().is_some() => {
                    most = most.min(spec.bounds.max);
                    missing = missing.max(may_miss(spec));
                }
                _ => return,
            }
        }
        let wanted = wanted.min(most).saturating_sub(missing);
        let others = self.replicas.iter();
        let others = others.filter(|(_, known)| known.service == *service && known.ready);
        let others = others.count() as u32;
        self.promise(others >= wanted, || {
            format!("{id} drains though only {others} others are ready of {wanted} wanted")
        });
    }

    /// A planned stop never takes away what is ready and wanted.
    pub(super) fn keeps(&mut self, service: &ServiceName, ready: u32) {
        let mut least = u32::MAX;
        for config in &self.configs {
            least = least.min(match config.get(service) {
                Some(spec) if spec.template().is_some() => {
                    spec.bounds.min.saturating_sub(may_miss(spec))
                }
                Some(_) => 1,
                None => 0,
            });
        }
        let kept = self.kept.get(service).copied().unwrap_or(0).min(least);
        self.promise(ready >= kept, || {
            format!("{service}: {ready} ready of {kept} that were")
        });
        self.kept
            .insert(service.clone(), kept.max(ready.min(least)));
    }

    /// Containers that are to stay, and starts: never more than are wanted at most, one ahead,
    /// and those on ports that the service has left.
    pub fn judge_count(&mut self, service: &ServiceName, staying: usize) {
        let max = self.max_ever.get(service).copied().unwrap_or(0) as usize;
        let ranges = self.first_ports.get(service).map_or(1, BTreeSet::len);
        // Starts of an earlier life that the engine carried out all the same.
        let late = if self.life > 1 { max } else { 0 };
        // Beside a start that hangs, and comes through after all, there is another one.
        let most = max * ranges + PARALLELISM_MAX as usize + late + self.given_up_ever;
        self.promise(staying <= most, || {
            format!("{service}: {staying} containers, {most} at most")
        });
    }

    pub fn stays(&self, id: &ReplicaId) -> bool {
        let known = self.replicas.get(id);
        known.is_some_and(|known| {
            known.stopping.is_none() && known.draining.is_none() && !known.sick
        })
    }
}
