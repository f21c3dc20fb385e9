//! A change of the version, on its way through a service's replicas.
//!
//! The planner replaces one replica after another. A rollout remembers how that goes: how long the
//! new ones have lasted, which of them failed, and when it is time to go back.

use crate::service::replica::ReplicaId;
use crate::service::snapshot::{FailedReplica, RolloutStage, RolloutView};
use crate::service::spec::{FailureAction, Slot, Update, Version};
use crate::service::time::Moment;

/// Failures beyond these change nothing any more.
const FAILURES_KEPT: usize = 10;

pub struct Rollout {
    /// The version before, to go back to.
    from: Version,
    to: Version,
    update: Update,
    began: Moment,
    ended: Option<Moment>,
    first_ready: Option<Moment>,
    last_ready: Option<Moment>,
    failed: u32,
    failures: Vec<Failure>,
    stage: RolloutStage,
    why: Option<String>,
}

struct Failure {
    id: Option<ReplicaId>,
    view: FailedReplica,
}

/// The consequence of a failed replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    None,
    GoBack,
    Pause,
}

/// How many replicas of a service there are of what is new and of what is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolloutProgress {
    pub wanted: u32,
    /// Ready, and made from what is wanted now.
    pub ready: u32,
    /// Made from anything else, whatever state they are in.
    pub others: u32,
}

impl Rollout {
    pub fn new(from: Version, to: Version, update: Update, now: Moment) -> Rollout {
        Rollout {
            from,
            to,
            update,
            began: now,
            ended: None,
            first_ready: None,
            last_ready: None,
            failed: 0,
            failures: Vec::new(),
            stage: RolloutStage::Rolling,
            why: None,
        }
    }

    pub fn from(&self) -> &Version {
        &self.from
    }

    pub fn to(&self) -> &Version {
        &self.to
    }

    pub fn update(&mut self, update: &Update) {
        self.update = update.clone();
    }

    pub fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    pub fn is_paused(&self) -> bool {
        self.stage == RolloutStage::Paused
    }

    /// The failure that stopped the rollout, or made it go back.
    pub fn failed_with(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// A new replica is ready.
    pub fn ready(&mut self, now: Moment) {
        self.first_ready.get_or_insert(now);
        self.last_ready = Some(now);
    }

    /// Whether a new replica that has been ready since then still has to prove itself.
    pub fn watches(&self, ready_since: Moment, now: Moment) -> bool {
        self.is_forward() && now.since(ready_since) < self.update.monitor
    }

    fn is_forward(&self) -> bool {
        matches!(self.stage, RolloutStage::Rolling | RolloutStage::Watching)
    }

    /// A new replica failed.
    pub fn failure(
        &mut self,
        id: Option<ReplicaId>,
        slot: Slot,
        why: &str,
        wanted: u32,
        now: Moment,
    ) -> Remedy {
        if !self.is_forward() {
            return Remedy::None;
        }
        self.failed += 1;
        if self.failures.len() < FAILURES_KEPT {
            let view = FailedReplica {
                slot,
                why: why.to_owned(),
                last_logs: Vec::new(),
            };
            self.failures.push(Failure { id, view });
        }
        let ratio = f64::from(self.failed) / f64::from(wanted.max(1));
        if ratio <= self.update.max_failure_ratio {
            return Remedy::None;
        }
        let remedy = match self.update.failure_action {
            FailureAction::Rollback => Remedy::GoBack,
            FailureAction::Pause => Remedy::Pause,
            FailureAction::Continue => return Remedy::None,
        };
        self.why = Some(format!("the new replica on {slot} failed: {why}"));
        (self.stage, self.ended) = match remedy {
            Remedy::Pause => (RolloutStage::Paused, Some(now)),
            _ => (RolloutStage::GoingBack, None),
        };
        remedy
    }

    pub fn read_last_logs(&mut self, id: &ReplicaId, lines: &[String]) {
        let of_it = |failure: &&mut Failure| failure.id.as_ref() == Some(id);
        if let Some(failure) = self.failures.iter_mut().find(of_it) {
            failure.view.last_logs = lines.to_vec();
        }
    }

    /// Old replicas stay until then. The first new ones are watched, so that what breaks soon
    /// after its start has replaced nothing; between batches, the delay is kept.
    pub fn not_before(&self) -> Option<Moment> {
        if !self.is_forward() {
            return None;
        }
        let watched = self.first_ready.map(|at| at + self.update.monitor);
        let delayed = self.last_ready.map(|at| at + self.update.delay);
        watched.max(delayed)
    }

    /// Follows what the replicas are like; true when it has just ended.
    pub fn follow(&mut self, count: RolloutProgress, now: Moment) -> bool {
        // Of a service that sleeps none is wanted: what was rolled out has to show itself first.
        let has_shown = count.wanted > 0 || self.first_ready.is_some();
        let through = has_shown && count.others == 0 && count.ready >= count.wanted;
        let next = match self.stage {
            RolloutStage::Rolling | RolloutStage::Watching if through => match self.lasts_at() {
                Some(at) if now < at => RolloutStage::Watching,
                _ => RolloutStage::Done,
            },
            RolloutStage::Watching => RolloutStage::Rolling,
            RolloutStage::GoingBack if through => RolloutStage::WentBack,
            stage => stage,
        };
        let ends = matches!(next, RolloutStage::Done | RolloutStage::WentBack);
        let ended_now = ends && self.ended.is_none();
        if ended_now {
            self.ended = Some(now);
        }
        self.stage = next;
        ended_now
    }

    fn lasts_at(&self) -> Option<Moment> {
        self.last_ready.map(|at| at + self.update.monitor)
    }

    /// When it may end by itself.
    pub fn wake(&self, now: Moment) -> Option<Moment> {
        let at = self.lasts_at().filter(|at| *at > now);
        at.filter(|_| self.stage == RolloutStage::Watching)
    }

    pub fn view(&self, count: RolloutProgress, now: Moment) -> RolloutView {
        RolloutView {
            stage: self.stage,
            from: self.from.to_string(),
            to: self.to.to_string(),
            ready: count.ready,
            others: count.others,
            wanted: count.wanted,
            took: self.ended.unwrap_or(now).since(self.began),
            why: self.why.clone(),
            failures: self
                .failures
                .iter()
                .map(|failure| failure.view.clone())
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::spec::{SpecHash, Template};
    use std::time::Duration;

    const BEGIN: Moment = Moment::from_secs(100);

    fn version(image: &str) -> Version {
        let json = format!(
            r#"{{"image":"{image}","port":80,"environment":{{}},"volumes":[],"networks":[]}}"#
        );
        let template: Template = serde_json::from_str(&json).expect("a template");
        Version {
            hash: SpecHash::new(image),
            template,
            manual: None,
        }
    }

    fn rollout(update: Update) -> Rollout {
        Rollout::new(version("web:1"), version("web:2"), update, BEGIN)
    }

    fn after(secs: u64) -> Moment {
        BEGIN + Duration::from_secs(secs)
    }

    fn count(ready: u32, others: u32) -> RolloutProgress {
        RolloutProgress {
            wanted: 3,
            ready,
            others,
        }
    }

    #[test]
    fn it_ends_when_all_are_new_and_the_last_one_has_lasted() {
        let mut rollout = rollout(Update::default());
        assert!(!rollout.follow(count(0, 3), after(1)));
        rollout.ready(after(2));
        assert_eq!(rollout.not_before(), Some(after(7)));
        rollout.ready(after(8));
        assert_eq!(rollout.not_before(), Some(after(8)), "the first has lasted");
        assert!(!rollout.follow(count(3, 0), after(9)));
        assert_eq!(rollout.wake(after(9)), Some(after(13)));
        assert!(rollout.follow(count(3, 0), after(13)));
        assert!(!rollout.follow(count(3, 0), after(14)), "it ends once");
    }

    #[test]
    fn the_first_failure_too_many_decides() {
        let table = [
            (
                FailureAction::Rollback,
                0.0,
                vec![Remedy::GoBack, Remedy::None],
            ),
            (FailureAction::Pause, 0.0, vec![Remedy::Pause, Remedy::None]),
            (
                FailureAction::Continue,
                0.0,
                vec![Remedy::None, Remedy::None],
            ),
            (
                FailureAction::Rollback,
                0.34,
                vec![Remedy::None, Remedy::GoBack],
            ),
        ];
        for (failure_action, max_failure_ratio, expected) in table {
            let mut rollout = rollout(Update {
                failure_action,
                max_failure_ratio,
                ..Update::default()
            });
            for remedy in expected {
                assert_eq!(rollout.failure(None, 8003, "exited", 3, after(1)), remedy);
            }
        }
    }

    #[test]
    fn nothing_is_waited_for_on_the_way_back() {
        let mut rollout = rollout(Update::default());
        rollout.ready(after(1));
        rollout.failure(None, 8003, "exited", 3, after(2));
        assert_eq!(rollout.not_before(), None);
        assert!(!rollout.is_over());
        assert!(rollout.follow(count(3, 0), after(3)));
        assert!(rollout.is_over());
    }
}
