//! Questions about a fleet, for the planner, the policy and the view.

use super::Fleet;
use super::tracked::Tracked;
use crate::plan;
use crate::plan::Reason;
use crate::plan::backoff::{Backoff, SETTLED_AFTER};
use crate::service::replica::{Observed, Phase, Replica, ReplicaId, ReplicaView};
use crate::service::snapshot::LastLogs;
use crate::service::spec::{ImageId, ServiceName, Slot, SpecHash, Version};
use crate::service::time::Moment;
use crate::service::usage::Used;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

impl Fleet {
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    pub fn all(&self) -> impl Iterator<Item = &Tracked> {
        self.replicas.values()
    }

    /// The replicas that Tidegate runs.
    pub fn ours(&self) -> impl Iterator<Item = &Tracked> {
        self.all().filter(|tracked| tracked.is_ours())
    }

    pub fn others(&self) -> impl Iterator<Item = &Tracked> {
        self.all().filter(|tracked| !tracked.is_ours())
    }

    /// The newest of ours.
    pub fn newest(&self) -> Option<&Tracked> {
        self.ours().max_by_key(|tracked| tracked.generation())
    }

    /// No replica of ours is left, and none is under way.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty() && self.ours().next().is_none()
    }

    /// Something was begun that only this process knows of.
    pub fn is_busy(&self) -> bool {
        self.starts_since(Moment::default()) > 0 || self.all().any(Tracked::is_busy)
    }

    pub fn has_ready(&self) -> bool {
        self.all().any(Tracked::is_ready)
    }

    pub fn in_flight(&self) -> u64 {
        self.all().map(Tracked::in_flight).sum()
    }

    /// The image that the newest replica of a version runs.
    pub fn image_of(&self, version: &SpecHash) -> Option<ImageId> {
        let of_it = self.ours().filter(|tracked| tracked.spec() == version);
        let newest = of_it.max_by_key(|tracked| tracked.generation())?;
        newest.observed().image.clone()
    }

    /// Those of ours that run or sleep, the newest first.
    pub fn running(&self) -> Vec<Observed> {
        let is_running = |tracked: &&Tracked| tracked.is_running() || tracked.is_asleep();
        let running = self.ours().filter(is_running);
        let mut running: Vec<Observed> =
            running.map(|tracked| tracked.observed().clone()).collect();
        running.sort_by_key(|observed| std::cmp::Reverse(observed.generation));
        running
    }

    // === for the planner ===

    pub fn starts_since(&self, since: Moment) -> u32 {
        self.starts.under_way_since(since)
    }

    pub fn started_last(&self) -> Moment {
        self.starts.last()
    }

    pub fn starting_slots(&self) -> BTreeSet<Slot> {
        self.starts.slots()
    }

    pub fn hanging(&self, now: Moment) -> BTreeSet<Slot> {
        self.starts.hanging(now)
    }

    pub fn taken(&self) -> BTreeSet<Slot> {
        self.taken.slots()
    }

    pub fn image(&self, version: Option<&Version>) -> plan::ImageStatus {
        self.image.seen(version)
    }

    pub fn backoff(&self) -> &Backoff {
        self.brake.backoff()
    }

    /// Releases the brake for replicas that have lasted.
    pub fn note_settled(&mut self, now: Moment) {
        for tracked in self.replicas.values() {
            if tracked.is_ready() && now.since(tracked.since()) >= SETTLED_AFTER {
                self.brake.settled(tracked.generation());
            }
        }
    }

    /// Forgives taken ports when a replica is missing anyway.
    pub fn forgive_ports(&mut self, wanted: u32, now: Moment) {
        let there = self.ours().filter(|it| !it.removal().is_stuck(now)).count();
        if there + self.starts.unseen() < wanted as usize {
            self.taken.forgive(now);
        }
    }

    /// When something is due that no event tells of: another attempt of a removal, a request for
    /// those that are the least bad, a start that may never return.
    pub fn turns_at(&self, patience: Duration) -> impl Iterator<Item = Moment> {
        let removals = self.all().filter_map(|it| it.removal().turns_at());
        let unwell = self.all().filter(|tracked| tracked.is_unwell());
        let serve = unwell.map(move |tracked| tracked.since() + patience);
        removals.chain(serve).chain(self.starts.hang_at())
    }

    // === for the policy ===

    /// When each of those that are starting began.
    pub fn starting_since(&self) -> Vec<Moment> {
        let shown = self.ours().filter(|it| it.phase() == Phase::Starting);
        let shown = shown.map(Tracked::starting_since);
        shown.chain(self.starts.unseen_since()).collect()
    }

    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    pub fn start_time(&self) -> Duration {
        self.start_time
    }

    /// Adds what the ready replicas use together.
    pub fn add_use_to(&self, used: &mut Used, now: Moment) {
        let ready = self.ours().filter(|tracked| tracked.is_ready());
        ready.for_each(|tracked| tracked.add_use_to(used, now));
    }

    pub fn ready_ids(&self) -> impl Iterator<Item = ReplicaId> {
        let ready = self.ours().filter(|tracked| tracked.is_ready());
        ready.map(|tracked| tracked.id().clone())
    }

    // === for others to see ===

    pub fn views(&self) -> Vec<ReplicaView> {
        let mut views: Vec<ReplicaView> = self.all().map(Tracked::view).collect();
        views.sort_by_key(|view| (view.slot, view.generation));
        views
    }

    /// Those in rotation.
    pub fn ready(&self) -> Vec<Arc<Replica>> {
        let ready = self.all().filter(|tracked| tracked.is_ready());
        ready.filter_map(|it| it.replica().cloned()).collect()
    }

    /// Those that serve when none is ready: a bad answer is better than none.
    pub fn least_bad(&self, patience: Duration, now: Moment) -> Vec<Arc<Replica>> {
        if self.has_ready() {
            return Vec::new();
        }
        let unwell = self.ours().filter(|tracked| tracked.is_unwell());
        unwell
            .filter(|tracked| now.since(tracked.since()) >= patience)
            .filter_map(|tracked| tracked.replica().cloned())
            .collect()
    }

    pub fn last_failure(&self) -> Option<&Reason> {
        self.brake.last_failure()
    }

    /// The last lines of a failed replica, while starts are held back.
    pub fn last_logs(&self) -> Option<Arc<LastLogs>> {
        self.last_logs.clone().filter(|_| self.brake.is_on())
    }
}
