//! One replica that is paused.

use crate::control::input::Sink;
use crate::control::service::fleet::tracked::{Health, Sleep, Tracked};
use crate::service::event::Event;
use crate::service::replica::{Observed, RunState};
use crate::service::spec::ServiceName;
use crate::service::time::Moment;

impl Tracked {
    pub(in crate::control) fn is_asleep(&self) -> bool {
        self.sleep.is_some() && self.stop.is_none() && !matches!(self.health, Health::Failed(_))
    }

    pub(in crate::control) fn tell_asleep(&self, service: &ServiceName, sink: &Sink) {
        sink(&Event::Paused {
            service: service.clone(),
            slot: self.observed.slot,
            id: self.observed.id.clone(),
            because: self.because.clone().unwrap_or_default(),
        });
    }

    /// Out of rotation, and asked after its health no more.
    pub fn fall_asleep(&mut self, sleep: Sleep, because: String, now: Moment) {
        self.sleep = Some(sleep);
        self.health = Health::Unknown;
        self.prober = None;
        self.began = None;
        self.since = now;
        self.because = Some(because);
        if let Some(replica) = &self.replica {
            replica.gate.close();
        }
    }

    /// What was known of its health is void.
    pub fn runs_again(&mut self, now: Moment) {
        self.sleep = None;
        self.since = now;
        self.because = None;
    }

    /// Takes over whether a listing shows it paused, and puts that right where the listing is
    /// older than what was done since. One that somebody paused sleeps, if its service `may_sleep`;
    /// else it is for others to judge. True: it has just been found asleep.
    pub(in crate::control) fn hear_of_pause(
        &mut self,
        observed: &mut Observed,
        sequence: u64,
        may_sleep: bool,
        now: Moment,
    ) -> bool {
        let paused = match observed.state {
            RunState::Paused => true,
            RunState::Running => false,
            RunState::Created | RunState::Exited { .. } => return false,
        };
        if self.stop.is_some() || matches!(self.health, Health::Failed(_)) {
            return false;
        }
        if self.sleep == Some(Sleep::Unsure) && sequence > self.paused_after {
            self.sleep = Some(Sleep::Asleep);
        }
        let is_settled = matches!(self.sleep, None | Some(Sleep::Asleep));
        if !is_settled || sequence <= self.paused_after {
            observed.state = match self.sleep {
                Some(_) => RunState::Paused,
                None => RunState::Running,
            };
            return false;
        }
        match (paused, &self.sleep) {
            (true, None) if may_sleep && self.drain.is_none() => {
                self.fall_asleep(Sleep::Asleep, "found paused".to_owned(), now);
                true
            }
            // By somebody else.
            (false, Some(_)) => {
                self.runs_again(now);
                false
            }
            _ => false,
        }
    }
}
