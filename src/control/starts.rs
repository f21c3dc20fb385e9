//! Starts that the engine does not show for certain yet, and ports that were somebody else's.

use super::Sink;
use super::managed::State;
use super::tracked::{Fall, Tracked};
use crate::engine::{EngineError, ErrorKind};
use crate::plan::Reason;
use crate::service::event::Event;
use crate::service::spec::{Slot, Spec, SpecHash};
use crate::service::time::Moment;
use std::sync::Arc;
use std::time::Duration;

/// A port that was somebody else's for so long is tried again, when a replica is missing anyway.
const TAKEN_FOR: Duration = Duration::from_secs(60);

/// A start that the engine does not show for certain yet.
pub(super) struct Start {
    pub(super) generation: u64,
    spec: SpecHash,
    pub(super) since: Moment,
    pub(super) because: Reason,
    /// Whether a listing has shown the replica.
    pub(super) shown: bool,
    pub(super) failed: bool,
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

    pub(super) fn is_surely_shown(&self, sequence: u64) -> bool {
        self.shown_after.is_some_and(|after| sequence > after)
    }
}

impl State {
    pub fn starting(
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
            shown_after: None,
        };
        self.starting.insert(slot, start);
        Some(Arc::new(spec))
    }

    pub fn starts_under_way(&self) -> u32 {
        let under_way = |start: &&Start| start.shown_after.is_none();
        self.starting.values().filter(under_way).count() as u32
    }

    pub fn start_done(&mut self, slot: Slot, sequence: u64) {
        if let Some(start) = self.starting.get_mut(&slot) {
            start.shown_after = Some(sequence);
        }
    }

    pub fn start_failed(
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
        match error.kind {
            ErrorKind::PortTaken if taken => {
                self.taken.insert(slot, now);
            }
            // By a start of an earlier life, which came through after all.
            ErrorKind::PortTaken => {}
            ErrorKind::Failed => {
                let fall = start.fall(slot, error.to_string());
                self.fell(fall, now, sink);
            }
            // Says nothing about the image; the engine's return is awaited anyway.
            ErrorKind::Unreachable => {}
        }
    }

    /// Forgets the starts that are done and that this listing was sure to show.
    pub(super) fn forget_starts(&mut self, sequence: u64, sink: &Sink, now: Moment) {
        let mut fallen: Vec<Fall> = Vec::new();
        self.starting.retain(|slot, start| {
            let surely_shown = start.is_surely_shown(sequence);
            if surely_shown && !start.shown && !start.failed {
                let why = "it was removed as soon as it ran".to_owned();
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
    }

    /// Only when a start is due anyway: nothing that runs is moved to find out.
    pub(super) fn forgive_ports(&mut self, now: Moment) {
        let unseen = self.starting.values().filter(|start| !start.shown);
        if self.containers().count() + unseen.count() < self.wanted as usize {
            self.taken.retain(|_, since| now.since(*since) < TAKEN_FOR);
        }
    }
}
