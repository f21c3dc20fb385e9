//! How many replicas of a service are wanted: by its policy, by hand, or none while it sleeps.

use super::wish::Wish;
use crate::control::turn::Turn;
use crate::plan::scaler::{Decision, turn as decide};
use crate::plan::window::{Sample, Window};
use crate::plan::{Depth, Reason, Rest};
use crate::service::decided::{Decided, Decisions};
use crate::service::event::Event;
use crate::service::load::ServiceLoad;
use crate::service::spec::{ServiceName, SleepTerms, Source, Spec};
use crate::service::time::{Human, Moment};
use std::time::Duration;

/// Bound of the count of a service that sleeps.
const ASLEEP: &str = "idle";

pub struct Count {
    wanted: u32,
    /// How many the policy wants, before any are added to spare, and while the service sleeps.
    policy: u32,
    by_hand: Option<u32>,
    rest: Rest,
    /// Requests until the rest was looked at last.
    asked_before: u64,
    window: Window,
    because: String,
    decisions: Decisions,
}

impl Default for Count {
    fn default() -> Count {
        Count {
            wanted: 0,
            policy: 0,
            by_hand: None,
            rest: Rest::Awake {
                idle_since: Moment::default(),
            },
            asked_before: 0,
            window: Window::default(),
            because: String::new(),
            decisions: Decisions::default(),
        }
    }
}

impl Count {
    pub fn wanted(&self) -> u32 {
        self.wanted
    }

    pub fn by_hand(&self) -> Option<u32> {
        self.by_hand
    }

    /// Why so many, in words.
    pub fn because(&self) -> &str {
        &self.because
    }

    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    // === the configuration ===

    /// The first count of a service that comes into the configuration.
    pub fn begin(&mut self, spec: &Spec, now: Moment) {
        self.policy = spec.bounds.awake().min;
        self.wanted = self.policy.saturating_add(spec.spare);
        self.because = match &spec.source {
            Source::Addresses(_) => "the addresses are fixed".to_owned(),
            _ => "the minimum, until traffic asks for more".to_owned(),
        };
        let after = Duration::ZERO;
        self.rest = match spec.sleep {
            Some(_) => Rest::Asleep { since: now, after },
            None => Rest::Awake { idle_since: now },
        };
    }

    /// Holds everything within the bounds of the configuration.
    pub fn bound(&mut self, spec: &Spec) {
        let bounds = spec.bounds.awake();
        let sleeps = spec.sleep.is_some() && self.rest.is_asleep();
        self.policy = bounds.clamp(self.policy);
        self.wanted = if sleeps { 0 } else { bounds.clamp(self.wanted) };
        self.by_hand = self.by_hand.map(|count| bounds.clamp(count));
    }

    /// The service left the configuration.
    pub fn end(&mut self) {
        self.wanted = 0;
        self.because = Reason::Removed.to_string();
    }

    /// Takes over the count of another process, or of an earlier life.
    pub fn want(&mut self, wanted: u32, spec: &Spec, now: Moment) {
        let bounds = spec.bounds.awake();
        self.policy = bounds.clamp(wanted.saturating_sub(spec.spare));
        if spec.sleep.is_some() && wanted == 0 {
            let after = Duration::ZERO;
            self.rest = Rest::Asleep { since: now, after };
            self.wanted = 0;
        } else {
            self.rest = Rest::Awake { idle_since: now };
            self.want_by_policy(spec);
        }
    }

    /// As many as the policy wanted last.
    fn want_by_policy(&mut self, spec: &Spec) {
        let wanted = self.policy.saturating_add(spec.spare);
        self.wanted = spec.bounds.awake().clamp(wanted);
    }

    /// Holds `replicas` until told otherwise; `None`: lets the policy decide again.
    pub fn hold(&mut self, replicas: Option<u32>, spec: &Spec) -> Result<(), String> {
        let (name, bounds) = (&spec.name, spec.bounds);
        // To have none is not asked for by a number: requests could not wake it.
        let fewest = bounds.min.max(1);
        if replicas == Some(0) && bounds.min == 0 {
            return Err(format!(
                "`{name}` falls asleep by itself when nobody asks for it; `tidegate scale {name} \
                 auto` lets it"
            ));
        }
        if let Some(count) = replicas.filter(|count| *count < fewest || *count > bounds.max) {
            return Err(format!(
                "`{name}` may have {fewest} to {} replicas, not {count}; change `scale.min` or \
                 `scale.max` in the file and reload",
                bounds.max
            ));
        }
        self.by_hand = replicas;
        Ok(())
    }

    // === the policy ===

    /// Asks the scaler for a count; returns the time of its next turn.
    pub fn decide(
        &mut self,
        sample: Sample,
        load: &ServiceLoad,
        wish: &Wish,
        turn: &Turn,
    ) -> Option<Moment> {
        let spec = wish.spec()?;
        let scaler = wish.scaler()?;
        if scaler.needs().latency {
            let answers = load.answers();
            self.window
                .note_answers(turn.now, answers, scaler.history());
        }
        let mut decision = decide(
            scaler.as_ref(),
            &mut self.window,
            sample,
            spec.bounds.awake(),
            self.policy,
        );
        if let Some(count) = self.by_hand {
            overrule_by_hand(&mut decision, &spec.name, count);
        }
        self.policy = decision.replicas;
        self.overrule_by_rest(&mut decision, spec);
        let noted = self.decisions.note(Decided {
            at: turn.now,
            from: self.wanted,
            to: decision.replicas,
            proposal: decision.proposal,
            bound: decision.bound,
            because: decision.because.clone(),
            asked: decision.asked,
            wake: decision.wake,
        });
        if let Some(decided) = noted {
            let service = spec.name.clone();
            turn.emit(Event::Decided { service, decided });
        }
        if decision.replicas != self.wanted {
            turn.emit(Event::Scaled {
                service: spec.name.clone(),
                from: self.wanted,
                to: decision.replicas,
                because: decision.because.clone(),
            });
            self.wanted = decision.replicas;
        }
        self.because = decision.because;
        decision.wake
    }

    /// Replaces a decision while the service sleeps, adds what runs ahead, and says who woke it.
    fn overrule_by_rest(&self, decision: &mut Decision, spec: &Spec) {
        let (spare, bounds) = (spec.spare, spec.bounds);
        if self.is_asleep(spec.sleep.as_ref()) {
            decision.replicas = 0;
            decision.bound = ASLEEP;
            decision.because = match self.rest {
                Rest::Asleep { after, .. } if !after.is_zero() => format!(
                    "asleep: no request for {} (idle_timeout); a request wakes it",
                    Human(after)
                ),
                _ => "asleep: no request yet; a request wakes it".to_owned(),
            };
            return;
        }
        if spare > 0 && self.by_hand.is_none() {
            let ahead = decision.replicas.saturating_add(spare).min(bounds.max);
            let added = ahead - decision.replicas.min(ahead);
            decision.because += &match added == spare {
                true => format!("; {spare} more to spare"),
                false => format!(
                    "; {added} more to spare, of {spare}: at most {}",
                    bounds.max
                ),
            };
            decision.replicas = ahead;
        }
        if self.wanted == 0 && spec.sleep.is_some() && self.by_hand.is_none() {
            decision.because = format!("woken by a request; {}", decision.because);
        }
    }

    // === sleep ===

    pub fn is_asleep(&self, terms: Option<&SleepTerms>) -> bool {
        terms.is_some() && self.rest.is_asleep()
    }

    pub fn depth(&self, terms: Option<&SleepTerms>, now: Moment) -> Depth {
        self.rest.depth(terms, now)
    }

    /// Falls asleep or wakes when it is time; returns when to look again.
    pub fn turn_rest(
        &mut self,
        in_flight: impl Fn() -> u64,
        load: &ServiceLoad,
        wish: &Wish,
        now: Moment,
    ) -> Option<Moment> {
        let terms = wish.sleep_terms();
        let rolls = wish.is_rolling();
        let asked = self.is_asked_for(&in_flight, load) || rolls && !self.rest.is_asleep();
        let mut next = self.rest.turn(terms, asked, now);
        if next.is_asleep() && !self.rest.is_asleep() {
            // From here on each request rings; one that came just before is found now.
            load.sleeps(true);
            if self.is_asked_for(&in_flight, load) {
                next = Rest::Awake { idle_since: now };
            }
        }
        load.sleeps(next.is_asleep());
        self.rest = next;
        if terms.is_some()
            && wish.scaler().is_none()
            && let Some(spec) = wish.spec()
        {
            match next.is_asleep() {
                true => self.wanted = 0,
                false if self.wanted == 0 => self.want_by_policy(spec),
                false => {}
            }
        }
        self.rest.wake(terms)
    }

    /// Whether somebody did since the last time, is being answered or waits.
    fn is_asked_for(&mut self, in_flight: &impl Fn() -> u64, load: &ServiceLoad) -> bool {
        let total = load.total();
        let came = std::mem::replace(&mut self.asked_before, total) != total;
        came || in_flight() > 0 || load.held() > 0 || self.by_hand.is_some()
    }

    /// A request was there before the door was shut.
    pub fn wake(&mut self, load: &ServiceLoad, spec: &Spec, turn: &Turn) {
        self.rest = Rest::Awake {
            idle_since: turn.now,
        };
        load.sleeps(false);
        let from = self.wanted;
        self.want_by_policy(spec);
        turn.emit(Event::Scaled {
            service: spec.name.clone(),
            from,
            to: self.wanted,
            because: "woken by a request".to_owned(),
        });
    }
}

/// The scaler goes on deciding, so that it knows what it needs when it is asked again.
fn overrule_by_hand(decision: &mut Decision, service: &ServiceName, count: u32) {
    decision.because = format!(
        "{count} by hand, until `tidegate scale {service} auto`; the load asks for {}",
        decision.proposal
    );
    decision.replicas = count;
    decision.bound = "by hand";
}
