//! Replicas that leave rotation: drained, removed, paused.

use super::Fleet;
use super::outcome::{Pausing, ReplicaFailure};
use super::tracked::Tracked;
use crate::control::turn::Turn;
use crate::engine::{EngineError, ErrorKind};
use crate::plan::Reason;
use crate::service::event::Event;
use crate::service::replica::ReplicaId;
use crate::service::snapshot::LastLogs;
use crate::service::spec::Slot;
use std::sync::Arc;
use std::time::Duration;

/// Lines of a failed replica's log that are logged; `deploy` shows more.
const LINES_LOGGED: usize = 3;

impl Fleet {
    pub fn drain(&mut self, id: &ReplicaId, because: &Reason, turn: &Turn) {
        if let Some(tracked) = self.replicas.get_mut(id) {
            tracked.drain(because.to_string(), turn);
        }
    }

    pub fn take_back(&mut self, id: &ReplicaId, because: &Reason, turn: &Turn) {
        if let Some(tracked) = self.replicas.get_mut(id) {
            tracked.take_back(because.to_string(), turn);
        }
    }

    /// Begins a removal. Returns its slot, and whether it is the first attempt. Never for a
    /// replica that somebody else runs.
    pub fn removing(
        &mut self,
        id: &ReplicaId,
        because: &Reason,
        grace: Duration,
        turn: &Turn,
    ) -> Option<(Slot, bool)> {
        let tracked = self.replicas.get_mut(id).filter(|it| it.is_ours())?;
        let is_first = !tracked.removal().has_failed();
        tracked.remove(because.to_string(), grace, turn);
        Some((tracked.slot(), is_first))
    }

    pub fn removed(&mut self, id: &ReplicaId, result: &Result<(), EngineError>, turn: &Turn) {
        let Some(tracked) = self.replicas.get_mut(id) else {
            return;
        };
        if let Err(error) = result {
            return tracked.removal_failed(error.to_string(), turn);
        }
        let slot = tracked.slot();
        if tracked.removal().is_stuck(turn.now) {
            self.taken.take_until_needed(slot);
        }
        tracked.dismiss(Duration::ZERO);
        self.replicas.remove(id);
        turn.emit(Event::Stopped {
            service: self.service.clone(),
            slot,
            id: id.clone(),
        });
    }

    /// The last lines of a failed replica, read before it is removed.
    pub fn read_last_logs(&mut self, slot: Slot, id: &ReplicaId, lines: Vec<String>, turn: &Turn) {
        let last = lines.len().saturating_sub(LINES_LOGGED);
        turn.emit(Event::LastLogs {
            service: self.service.clone(),
            slot,
            id: id.clone(),
            lines: lines[last..].to_vec(),
        });
        self.last_logs = Some(Arc::new(LastLogs { slot, lines }));
    }

    /// Marks the replica in this slot as one to be replaced. The error lists the slots that
    /// have one.
    pub fn replace(&mut self, slot: Slot) -> Result<ReplicaId, Vec<Slot>> {
        let is_there = |it: &Tracked| it.is_ours() && (it.is_alive() || it.is_asleep());
        let mut there = self.replicas.values_mut().filter(|it| is_there(it));
        let Some(tracked) = there.find(|tracked| tracked.slot() == slot) else {
            let there = self.replicas.values().filter(|it| is_there(it));
            return Err(there.map(Tracked::slot).collect());
        };
        tracked.is_to_be_replaced();
        Ok(tracked.id().clone())
    }

    /// Closes connections to replicas that nobody uses any more.
    pub fn sweep(&self) {
        let replicas = self.replicas.values();
        for replica in replicas.filter_map(Tracked::replica) {
            replica.connections.sweep();
        }
    }

    // === sleep ===

    /// Takes a replica out of rotation so that it can be paused.
    pub fn pausing(&mut self, id: &ReplicaId, because: &Reason, turn: &Turn) -> Pausing {
        let Some(tracked) = self.replicas.get_mut(id) else {
            return Pausing::Gone;
        };
        if tracked.close() > 0 {
            tracked.reopen();
            return Pausing::Busy;
        }
        tracked.falls_asleep(because.to_string(), turn);
        Pausing::Begun
    }

    /// Returns whether there is such a replica.
    pub fn resuming(&mut self, id: &ReplicaId) -> bool {
        let tracked = self.replicas.get_mut(id);
        tracked.map(Tracked::wakes).is_some()
    }

    /// Notes the result of a pause, or of a resume.
    pub fn frozen(
        &mut self,
        id: &ReplicaId,
        paused: bool,
        result: &Result<(), EngineError>,
        turn: &Turn,
    ) -> Option<ReplicaFailure> {
        let tracked = self.replicas.get_mut(id)?;
        if !tracked.pause_answered(turn) {
            return None;
        }
        let (service, slot, id) = (self.service.clone(), tracked.slot(), id.clone());
        match (paused, result) {
            (true, Ok(())) => tracked.is_paused(),
            (false, Ok(())) => {
                tracked.is_resumed(turn.now);
                turn.emit(Event::Resumed { service, slot, id });
            }
            (_, Err(error)) if error.kind == ErrorKind::Unreachable => tracked.may_be_paused(),
            (true, Err(error)) => {
                tracked.runs_on(turn.now);
                let why = error.to_string();
                turn.emit(Event::PauseFailed {
                    service,
                    slot,
                    id,
                    why,
                });
            }
            (false, Err(error)) => {
                let why = error.to_string();
                turn.emit(Event::ResumeFailed {
                    service,
                    slot,
                    id,
                    why,
                });
                return tracked.cannot_be_resumed(turn);
            }
        }
        None
    }
}
