//! How many replicas of a service are wanted.

use super::by_hand;
use crate::control::input::Sink;
use crate::control::service::fleet::tracked::Tracked;
use crate::control::service::state::State;
use crate::plan::Rest;
use crate::plan::scaler::turn;
use crate::plan::window::Sample;
use crate::service::decided::Decided;
use crate::service::event::Event;
use crate::service::replica::Phase;
use crate::service::time::Moment;
use std::sync::Arc;
use std::time::Duration;

impl State {
    /// What another process knew about how many are wanted.
    pub(in crate::control) fn want(&mut self, wanted: u32, now: Moment) {
        let Some(managed) = &self.managed else {
            return;
        };
        let (bounds, spare) = (managed.spec.bounds.awake(), managed.spec.spare);
        self.policy = bounds.clamp(wanted.saturating_sub(spare));
        if managed.spec.sleep.is_some() && wanted == 0 {
            let after = Duration::ZERO;
            self.rest = Rest::Asleep { since: now, after };
            self.wanted = 0;
        } else {
            self.rest = Rest::Awake { idle_since: now };
            self.want_by_policy();
        }
    }

    /// As many as the policy wanted last.
    pub(in crate::control) fn want_by_policy(&mut self) {
        if let Some(managed) = &self.managed {
            let wanted = self.policy.saturating_add(managed.spec.spare);
            self.wanted = managed.spec.bounds.awake().clamp(wanted);
        }
    }

    /// What was running was wanted: a restart scales nothing down before a whole interval was
    /// observed. Amid a rollout some went ahead; then not more than when the newest was made.
    pub(in crate::control) fn want_what_runs(&mut self, now: Moment) {
        let Some(managed) = &self.managed else {
            return;
        };
        let sleeps = managed.spec.sleep.is_some();
        let awake = self
            .containers()
            .filter(|tracked| !sleeps || tracked.is_alive());
        let count = awake.count() as u32;
        let newest = self
            .containers()
            .max_by_key(|tracked| tracked.observed.generation);
        let newest = newest.filter(|_| self.rollout.is_some());
        let made = newest.and_then(|tracked| tracked.observed.made.as_ref());
        let most = made.and_then(|made| made.wanted).unwrap_or(count);
        if !sleeps || count > 0 {
            self.want(count.min(most.max(1)), now);
        }
    }

    /// Samples the counters and asks the scaler; returns when it wants to be asked again.
    ///
    /// `clock` is the time of day, which only policies ask for.
    pub(in crate::control) fn scale(
        &mut self,
        now: Moment,
        clock: Duration,
        sink: &Sink,
    ) -> Option<Moment> {
        let managed = self.managed.as_ref()?;
        let scaler = managed.scaler.as_ref()?;
        let (scaler, bounds) = (Arc::clone(scaler), managed.spec.bounds.awake());
        let sample = self.sample(now, clock);
        if scaler.needs().latency {
            let answers = self.load.answers();
            self.window.note_answers(now, answers, scaler.history());
        }
        let mut decision = turn(
            scaler.as_ref(),
            &mut self.window,
            sample,
            bounds,
            self.policy,
        );
        if let Some(count) = self.by_hand {
            by_hand::overrule(&mut decision, &self.name, count);
        }
        self.policy = decision.replicas;
        self.overrule_by_rest(&mut decision);
        let noted = self.decisions.note(Decided {
            at: now,
            from: self.wanted,
            to: decision.replicas,
            proposal: decision.proposal,
            bound: decision.bound,
            because: decision.because.clone(),
            asked: decision.asked,
            wake: decision.wake,
        });
        if let Some(decided) = noted {
            let service = self.name.clone();
            sink(&Event::Decided { service, decided });
        }
        if decision.replicas != self.wanted {
            sink(&Event::Scaled {
                service: self.name.clone(),
                from: self.wanted,
                to: decision.replicas,
                because: decision.because.clone(),
            });
            self.wanted = decision.replicas;
        }
        self.scaled_because = decision.because;
        decision.wake
    }

    fn sample(&self, now: Moment, clock: Duration) -> Sample {
        let replicas = || self.replicas.values().filter(|it| !it.is_address);
        let shown = replicas().filter(|it| it.phase() == Phase::Starting);
        let unshown = self
            .starting
            .values()
            .filter(|start| !start.shown && !start.failed);
        let began = shown.map(|it| it.began.unwrap_or(it.since));
        let began: Vec<Moment> = began.chain(unshown.map(|start| start.since)).collect();
        Sample {
            at: now,
            clock,
            requests: self.load.counted(),
            completed: self.load.completed(),
            busy: self.load.busy(),
            in_flight: replicas().map(Tracked::in_flight).sum(),
            held: self.load.held(),
            ready: replicas().filter(|it| it.phase() == Phase::Ready).count() as u32,
            starting: began.len() as u32,
            starting_for: began.iter().map(|began| now.since(*began)).sum(),
            start_time: self.start_time,
            used: self.used(now),
            rolling: self.rollout.as_ref().is_some_and(|it| !it.is_over()),
        }
    }
}
