//! Starts that the engine does not show for certain yet, and ports that were somebody else's.

use crate::control::input::Sink;
use crate::control::service::fleet::image::Image;
use crate::control::service::fleet::tracked::{Fall, Tracked};
use crate::control::service::state::State;
use crate::engine::{EngineError, ErrorKind};
use crate::plan::Reason;
use crate::service::event::Event;
use crate::service::spec::{Slot, Spec, SpecHash};
use crate::service::time::Moment;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A port that was somebody else's for so long is tried again, when a replica is missing anyway.
const TAKEN_FOR: Duration = Duration::from_secs(60);

/// A start that takes so long may never return: while nothing of its service is ready, another
/// port is tried. Once it has failed, its port counts as taken.
pub(in crate::control) const START_HANGS_AFTER: Duration = Duration::from_secs(10);

/// A call that got no answer. When a listing gets one, the failure was the call's own.
pub(in crate::control) struct Unanswered {
    pub(in crate::control) generation: u64,
    pub(in crate::control) slot: Slot,
    pub(in crate::control) why: String,
}

/// A start that the engine does not show for certain yet.
pub(in crate::control) struct Start {
    pub(in crate::control) generation: u64,
    spec: SpecHash,
    pub(in crate::control) since: Moment,
    pub(in crate::control) because: Reason,
    /// Whether a listing has shown the replica.
    pub(in crate::control) shown: bool,
    pub(in crate::control) failed: bool,
    /// The failure, when the engine did not answer.
    unanswered: Option<String>,
    /// Once it has ended, well or not: only a listing that began later is sure to show what came
    /// of it.
    shown_after: Option<u64>,
}

impl Start {
    fn fall(&self, slot: Slot, why: String) -> Fall {
        Fall {
            id: None,
            slot,
            generation: self.generation,
            spec: self.spec.clone(),
            why,
            ready_since: None,
            blames_image: true,
        }
    }

    fn is_under_way(&self) -> bool {
        self.shown_after.is_none()
    }

    pub(in crate::control) fn is_surely_shown(&self, sequence: u64) -> bool {
        self.shown_after.is_some_and(|after| sequence > after)
    }
}

impl State {
    pub(in crate::control) fn starting(
        &mut self,
        slot: Slot,
        generation: u64,
        now: Moment,
        because: Reason,
    ) -> Option<Arc<Spec>> {
        let spec = Spec {
            wanted: Some(self.wanted),
            ..Spec::clone(&self.managed.as_ref()?.spec)
        };
        let start = Start {
            generation,
            spec: self.version.as_ref()?.hash.clone(),
            since: now,
            because,
            shown: false,
            failed: false,
            unanswered: None,
            shown_after: None,
        };
        self.started_last = now;
        self.starting.insert(slot, start);
        Some(Arc::new(spec))
    }

    pub(in crate::control) fn starts_under_way(&self) -> u32 {
        self.starts_since(Moment::default())
    }

    /// Those that are under way and began at that time, or later.
    pub(in crate::control) fn starts_since(&self, since: Moment) -> u32 {
        let starts = self.starting.values();
        let counted = starts.filter(|start| start.is_under_way() && start.since >= since);
        counted.count() as u32
    }

    /// Slots whose start may never return.
    pub(in crate::control) fn hanging(&self, now: Moment) -> BTreeSet<Slot> {
        let hangs = |start: &Start| {
            start.is_under_way() && !start.shown && now.since(start.since) >= START_HANGS_AFTER
        };
        let starts = self.starting.iter();
        let hanging = starts.filter(|(_, start)| hangs(start));
        hanging.map(|(slot, _)| *slot).collect()
    }

    /// When the next start will have taken so long that it may never return.
    pub(in crate::control) fn hangs_at(&self) -> impl Iterator<Item = Moment> {
        let starts = self.starting.values();
        let under_way = starts.filter(|start| start.is_under_way());
        under_way.map(|start| start.since + START_HANGS_AFTER)
    }

    /// The engine is away, so that no call got an answer says nothing of the service.
    pub(in crate::control) fn excuse_calls(&mut self) {
        for start in self.starting.values_mut() {
            start.unanswered = None;
        }
        if matches!(self.image, Image::Unanswered { .. }) {
            self.image = Image::Unknown;
        }
    }

    pub(in crate::control) fn start_done(&mut self, slot: Slot, sequence: u64) {
        if let Some(start) = self.starting.get_mut(&slot) {
            start.shown_after = Some(sequence);
        }
    }

    pub(in crate::control) fn start_failed(
        &mut self,
        slot: Slot,
        error: &EngineError,
        sequence: u64,
        now: Moment,
        sink: &Sink,
    ) {
        let service = self.name.clone();
        let holds_it = |tracked: &Tracked| {
            tracked.observed.slot == slot && (tracked.is_alive() || tracked.is_asleep())
        };
        let ours = self.containers().any(holds_it);
        let taken = error.kind == ErrorKind::PortTaken && !ours;
        sink(&if taken {
            Event::PortTaken { service, slot }
        } else {
            let why = error.to_string();
            Event::StartFailed { service, slot, why }
        });
        let Some(start) = self.starting.get_mut(&slot) else {
            return;
        };
        start.failed = true;
        start.shown_after = Some(sequence);
        let hung = now.since(start.since) >= START_HANGS_AFTER;
        if taken || hung && error.kind != ErrorKind::PortTaken {
            self.taken.insert(slot, now);
        }
        match error.kind {
            ErrorKind::PortTaken if taken => {}
            // By a start of an earlier life, which came through after all.
            ErrorKind::PortTaken => {}
            ErrorKind::Failed => {
                // The image may have been removed meanwhile.
                self.image = Image::Unknown;
                let fall = start.fall(slot, error.to_string());
                self.fell(fall, now, sink);
            }
            // A listing tells whether the engine is away.
            ErrorKind::Unreachable => start.unanswered = Some(error.to_string()),
        }
    }

    /// Forgets the starts that are done and that this listing was sure to show.
    pub(in crate::control) fn forget_starts(&mut self, sequence: u64, sink: &Sink, now: Moment) {
        let mut fallen: Vec<Fall> = Vec::new();
        let mut unanswered = Vec::from_iter(self.unanswered_fetch(sequence));
        self.starting.retain(|slot, start| {
            let surely_shown = start.is_surely_shown(sequence);
            if surely_shown && let Some(why) = start.unanswered.take() {
                unanswered.push(Unanswered {
                    generation: start.generation,
                    slot: *slot,
                    why,
                });
            }
            if surely_shown && !start.shown && !start.failed {
                let why = "removed as soon as it ran".to_owned();
                sink(&Event::StartFailed {
                    service: self.name.clone(),
                    slot: *slot,
                    why: why.clone(),
                });
                fallen.push(start.fall(*slot, why));
            }
            !surely_shown
        });
        for fall in fallen {
            self.fell(fall, now, sink);
        }
        for call in unanswered {
            // Nobody knows of what, so it slows the service down and ends no rollout.
            self.slow_down(call.generation, call.slot, call.why, now);
        }
    }

    /// Only when a start is due anyway: nothing that runs is moved to find out.
    pub(in crate::control) fn forgive_ports(&mut self, now: Moment) {
        let unseen = self.starting.values().filter(|start| !start.shown);
        let there = self.containers().filter(|tracked| !tracked.is_stuck(now));
        if there.count() + unseen.count() < self.wanted as usize {
            self.taken.retain(|_, since| now.since(*since) < TAKEN_FOR);
        }
    }
}
