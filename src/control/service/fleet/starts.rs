//! Starts that the engine does not show for certain yet.

use super::outcome::{ReplicaFailure, Unanswered};
use crate::control::turn::Turn;
use crate::plan::Reason;
use crate::service::event::Event;
use crate::service::replica::{Observed, RunState};
use crate::service::spec::{ServiceName, Slot, SpecHash};
use crate::service::time::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A start that takes so long may never return: while nothing of its service is ready, another
/// port is tried. Once it has failed, its port counts as taken.
pub const START_HANGS_AFTER: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct Starts {
    by_slot: BTreeMap<Slot, Start>,
    /// When the last one began.
    last: Moment,
}

pub struct Start {
    pub generation: u64,
    pub spec: SpecHash,
    pub since: Moment,
    pub because: Reason,
    /// Whether a listing has shown the replica.
    shown: bool,
    failed: bool,
    /// The failure, when the engine did not answer.
    unanswered: Option<String>,
    /// The newest listing when it ended, well or not: only a later one is sure to show the outcome.
    shown_after: Option<u64>,
}

impl Start {
    pub fn new(generation: u64, spec: SpecHash, because: Reason, now: Moment) -> Start {
        Start {
            generation,
            spec,
            since: now,
            because,
            shown: false,
            failed: false,
            unanswered: None,
            shown_after: None,
        }
    }

    pub fn failure(&self, slot: Slot, why: String) -> ReplicaFailure {
        ReplicaFailure::of_start(slot, self.generation, self.spec.clone(), why)
    }

    pub fn hangs(&self, now: Moment) -> bool {
        now.since(self.since) >= START_HANGS_AFTER
    }

    /// The engine did not answer; a listing tells whether it is away.
    pub fn got_no_answer(&mut self, why: String) {
        self.unanswered = Some(why);
    }

    fn is_under_way(&self) -> bool {
        self.shown_after.is_none()
    }

    fn is_surely_shown(&self, listing: u64) -> bool {
        self.shown_after.is_some_and(|after| listing > after)
    }
}

impl Starts {
    pub fn begin(&mut self, slot: Slot, start: Start) {
        self.last = start.since;
        self.by_slot.insert(slot, start);
    }

    pub fn done(&mut self, slot: Slot, turn: &Turn) {
        if let Some(start) = self.by_slot.get_mut(&slot) {
            start.shown_after = Some(turn.listing);
        }
    }

    pub fn failed(&mut self, slot: Slot, turn: &Turn) -> Option<&mut Start> {
        let start = self.by_slot.get_mut(&slot)?;
        start.failed = true;
        start.shown_after = Some(turn.listing);
        Some(start)
    }

    pub fn is_empty(&self) -> bool {
        self.by_slot.is_empty()
    }

    pub fn last(&self) -> Moment {
        self.last
    }

    pub fn slots(&self) -> BTreeSet<Slot> {
        self.by_slot.keys().copied().collect()
    }

    /// Those that are under way and began at that time, or later.
    pub fn under_way_since(&self, since: Moment) -> u32 {
        let starts = self.by_slot.values();
        let counted = starts.filter(|start| start.is_under_way() && start.since >= since);
        counted.count() as u32
    }

    /// Slots whose start may never return.
    pub fn hanging(&self, now: Moment) -> BTreeSet<Slot> {
        let hangs = |start: &Start| start.is_under_way() && !start.shown && start.hangs(now);
        let starts = self.by_slot.iter();
        let hanging = starts.filter(|(_, start)| hangs(start));
        hanging.map(|(slot, _)| *slot).collect()
    }

    /// When the next start will have taken so long that it may never return.
    pub fn hang_at(&self) -> impl Iterator<Item = Moment> {
        let starts = self.by_slot.values();
        let under_way = starts.filter(|start| start.is_under_way());
        under_way.map(|start| start.since + START_HANGS_AFTER)
    }

    /// How many no listing has shown.
    pub fn unseen(&self) -> usize {
        self.by_slot.values().filter(|start| !start.shown).count()
    }

    /// When those began that no listing has shown and that have not failed.
    pub fn unseen_since(&self) -> impl Iterator<Item = Moment> {
        let starts = self.by_slot.values();
        let unseen = starts.filter(|start| !start.shown && !start.failed);
        unseen.map(|start| start.since)
    }

    /// The engine is away, so that no call got an answer says nothing of the service.
    pub fn excuse(&mut self) {
        for start in self.by_slot.values_mut() {
            start.unanswered = None;
        }
    }

    /// Whether a replica that is new in a listing is not one yet: a start of ours passes through
    /// this state, and is not half-made; the remains of a failed one may be gone by now.
    pub fn covers(&self, observed: &Observed, turn: &Turn) -> bool {
        self.of(observed).is_some_and(|start| {
            !start.is_surely_shown(turn.listing)
                && (start.failed || observed.state == RunState::Created)
        })
    }

    /// Notes that a listing shows a replica; returns the start that it came from.
    pub fn show(&mut self, observed: &Observed) -> Option<&Start> {
        let start = self.by_slot.get_mut(&observed.slot);
        let start = start.filter(|start| start.generation == observed.generation)?;
        start.shown = true;
        Some(start)
    }

    fn of(&self, observed: &Observed) -> Option<&Start> {
        let start = self.by_slot.get(&observed.slot);
        start.filter(|start| start.generation == observed.generation)
    }

    /// Forgets the starts that are done and that this listing was sure to show. Returns those
    /// that were removed as soon as they ran, and the calls that got no answer.
    pub fn forget(
        &mut self,
        service: &ServiceName,
        turn: &Turn,
    ) -> (Vec<ReplicaFailure>, Vec<Unanswered>) {
        let (mut failures, mut unanswered) = (Vec::new(), Vec::new());
        self.by_slot.retain(|slot, start| {
            let surely_shown = start.is_surely_shown(turn.listing);
            if surely_shown && let Some(why) = start.unanswered.take() {
                unanswered.push(Unanswered {
                    generation: start.generation,
                    slot: *slot,
                    why,
                });
            }
            if surely_shown && !start.shown && !start.failed {
                let why = "removed as soon as it ran".to_owned();
                turn.emit(Event::StartFailed {
                    service: service.clone(),
                    slot: *slot,
                    why: why.clone(),
                });
                failures.push(start.failure(*slot, why));
            }
            !surely_shown
        });
        (failures, unanswered)
    }
}
