//! How many replicas of a service are wanted, from what its fleet and its load show.

use super::fleet::Tracked;
use super::state::ServiceState;
use crate::control::turn::Turn;
use crate::plan::window::Sample;
use crate::service::time::Moment;
use crate::service::usage::Used;

/// Where nobody set a limit, a share is one of a core.
const MILLICORES: u64 = 1000;

impl ServiceState {
    /// Another process knew how many are wanted.
    pub fn want(&mut self, wanted: u32, now: Moment) {
        if let Some(spec) = self.wish.spec() {
            self.count.want(wanted, spec, now);
        }
    }

    /// Wants as many as run: a restart scales nothing down before a whole interval was observed.
    /// Amid a rollout some went ahead, so the count is bounded by the one that the newest container
    /// was made for. Docker is the memory: a scale-up that had made no container yet is decided
    /// anew.
    pub(super) fn want_what_runs(&mut self, now: Moment) {
        if !self.wish.is_declared() {
            return;
        }
        let sleeps = self.wish.sleep_terms().is_some();
        let awake = |tracked: &&Tracked| !sleeps || tracked.is_alive();
        let count = self.fleet.ours().filter(awake).count() as u32;
        let newest = self.fleet.newest().filter(|_| self.wish.has_rollout());
        let made = newest.and_then(|tracked| tracked.observed().made.as_ref());
        let most = made.and_then(|made| made.wanted).unwrap_or(count);
        if !sleeps || count > 0 {
            self.want(count.min(most.max(1)), now);
        }
    }

    /// Holds `replicas` until told otherwise; `None`: lets the policy decide again. Returns how
    /// many are wanted now.
    pub fn scale_by_hand(&mut self, replicas: Option<u32>, turn: &Turn) -> Result<u32, String> {
        let name = &self.name;
        let Some(spec) = self.wish.spec() else {
            return Err(format!("`{name}` left the configuration"));
        };
        if self.wish.is_run_by_others() {
            return Err(format!(
                "`{name}` has fixed addresses; change `addresses` in the file and reload"
            ));
        }
        self.count.hold(replicas, spec)?;
        self.turn_rest(turn);
        self.scale(turn);
        Ok(self.count.wanted())
    }

    /// Samples the counters and asks the scaler; returns the time of its next turn.
    pub fn scale(&mut self, turn: &Turn) -> Option<Moment> {
        self.wish.scaler()?;
        let sample = self.sample(turn);
        self.count.decide(sample, &self.load, &self.wish, turn)
    }

    /// Falls asleep or wakes when it is time; returns when to look again.
    pub fn turn_rest(&mut self, turn: &Turn) -> Option<Moment> {
        let in_flight = || self.fleet.in_flight();
        self.count
            .turn_rest(in_flight, &self.load, &self.wish, turn.now)
    }

    fn sample(&self, turn: &Turn) -> Sample {
        let fleet = &self.fleet;
        let began = fleet.starting_since();
        Sample {
            at: turn.now,
            clock: turn.clock,
            requests: self.load.counted(),
            completed: self.load.completed(),
            busy: self.load.busy(),
            in_flight: fleet.ours().map(Tracked::in_flight).sum(),
            held: self.load.held(),
            ready: fleet.ours().filter(|it| it.is_ready()).count() as u32,
            starting: began.len() as u32,
            starting_for: began.iter().map(|began| turn.now.since(*began)).sum(),
            start_time: fleet.start_time(),
            used: self.used(turn.now),
            rolling: self.wish.is_rolling(),
        }
    }

    /// Whether its policy asks what replicas use.
    pub fn is_measured(&self) -> bool {
        let scaler = self.wish.scaler();
        scaler.is_some_and(|scaler| scaler.needs().usage)
    }

    /// Use of all ready replicas together.
    fn used(&self, now: Moment) -> Used {
        let template = self.wish.spec().and_then(|spec| spec.template());
        let limit = template.and_then(|template| template.nano_cpus);
        let mut used = Used {
            millicores_limit: limit.map_or(MILLICORES, |nano| (nano / 1_000_000) as u64),
            ..Used::default()
        };
        self.fleet.add_use_to(&mut used, now);
        used
    }
}
