//! The sleep of a replica: paused, and resumed.

use super::{Health, Tracked};
use crate::control::service::fleet::outcome::ReplicaFailure;
use crate::control::service::fleet::slumber::ListedPause;
use crate::control::turn::Turn;
use crate::service::event::Event;
use crate::service::replica::{Ailment, Observed, RunState};
use crate::service::time::Moment;

impl Tracked {
    /// Takes over whether a listing shows it paused, and corrects the listing where it is older
    /// than the last change. One that somebody paused sleeps, if its service `may_sleep`; else
    /// the pause is an ailment. True: it has just been found asleep.
    pub fn update_pause(&mut self, observed: &mut Observed, may_sleep: bool, turn: &Turn) -> bool {
        if self.removal.has_begun() || self.has_failed() {
            return false;
        }
        match self.slumber.compare(&observed.state, turn.listing) {
            ListedPause::Same => {}
            ListedPause::Stale(state) => observed.state = state,
            ListedPause::Paused if may_sleep && self.draining_since.is_none() => {
                self.slumber.is_asleep_now();
                self.rest("found paused".to_owned(), turn.now);
                return true;
            }
            ListedPause::Paused => {}
            ListedPause::Resumed => self.runs_again(turn.now),
        }
        false
    }

    /// Out of rotation and about to be paused.
    pub fn falls_asleep(&mut self, because: String, turn: &Turn) {
        self.slumber.falls_asleep();
        self.rest(because, turn.now);
        self.report_asleep(turn);
    }

    pub fn report_asleep(&self, turn: &Turn) {
        turn.emit(Event::Paused {
            service: self.observed.service.clone(),
            slot: self.slot(),
            id: self.id().clone(),
            because: self.because.clone().unwrap_or_default(),
        });
    }

    pub fn wakes(&mut self) {
        self.slumber.wakes();
    }

    /// The engine has answered to a pause, or to the end of one. False: nobody waits for that.
    pub fn pause_answered(&mut self, turn: &Turn) -> bool {
        if self.slumber.is_awake() {
            return false;
        }
        self.slumber.answered(turn.listing);
        true
    }

    pub fn is_paused(&mut self) {
        self.slumber.is_asleep_now();
        self.observed.state = RunState::Paused;
    }

    pub fn is_resumed(&mut self, now: Moment) {
        self.runs_again(now);
        self.observed.state = RunState::Running;
    }

    /// Paused or not: the next listing tells.
    pub fn may_be_paused(&mut self) {
        self.slumber.is_unsure();
    }

    /// Runs on, cannot be paused, and is to be replaced.
    pub fn runs_on(&mut self, now: Moment) {
        self.runs_again(now);
        self.is_to_go = true;
    }

    /// Stays paused against its service's will.
    pub fn cannot_be_resumed(&mut self, turn: &Turn) -> Option<ReplicaFailure> {
        self.slumber.ends();
        self.fail(Ailment::Paused, turn)
    }

    fn rest(&mut self, because: String, now: Moment) {
        self.health = Health::Unknown;
        self.prober = None;
        self.began = None;
        self.since = now;
        self.because = Some(because);
        self.close();
    }

    /// Its health is unknown again.
    fn runs_again(&mut self, now: Moment) {
        self.slumber.ends();
        self.since = now;
        self.because = None;
    }
}
