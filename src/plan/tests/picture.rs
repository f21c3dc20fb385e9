//! A service in a few words, and the plan for it in a few lines.

use crate::plan::backoff::Backoff;
use crate::plan::{Action, Condition, Depth, ImageStatus, Input, ReplicaInput, Roll, plan};
use crate::service::replica::{Ailment, ReplicaId};
use crate::service::spec::{Slot, UpdateOrder};
use crate::service::time::Moment;
use std::collections::BTreeSet;
use std::time::Duration;

/// A service in a picture: each word is a slot and its condition, as in `8000=ready 8001=old`.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) replicas: Vec<ReplicaInput>,
    pub(super) starting: BTreeSet<Slot>,
    pub(super) hanging: BTreeSet<Slot>,
    pub(super) image: ImageStatus,
    pub(super) taken: BTreeSet<Slot>,
    pub(super) first_slot: Slot,
    pub(super) wanted: Option<u32>,
    pub(super) roll: Roll,
    pub(super) backoff: Backoff,
    pub(super) starts_left: u32,
    pub(super) reserve: bool,
    pub(super) engine_up: bool,
    pub(super) depth: Depth,
}

pub(super) const NOW: Moment = Moment::from_secs(1000);
pub(super) const GRACE: Duration = Duration::from_secs(10);

pub(super) fn picture(words: &str) -> Picture {
    let mut picture = Picture {
        replicas: Vec::new(),
        starting: BTreeSet::new(),
        hanging: BTreeSet::new(),
        image: ImageStatus::Here,
        taken: BTreeSet::new(),
        first_slot: 8000,
        wanted: Some(1),
        roll: Roll {
            parallelism: 1,
            order: UpdateOrder::StartFirst,
            not_before: None,
        },
        backoff: Backoff::default(),
        starts_left: 4,
        reserve: true,
        engine_up: true,
        depth: Depth::Awake,
    };
    for word in words.split_whitespace() {
        let (slot, condition) = word.split_once('=').expect("slot=condition");
        let slot: Slot = slot.parse().expect("a slot");
        let draining = |in_flight, secs| Condition::Draining {
            since: NOW - Duration::from_secs(secs),
            in_flight,
        };
        let unwell = |secs| Condition::Unwell {
            since: NOW - Duration::from_secs(secs),
            ailment: Ailment::Unhealthy {
                why: "answered 500".to_owned(),
            },
        };
        let asleep = |settled, in_flight| Condition::Asleep { settled, in_flight };
        let resumed = |secs| Condition::Resumed {
            since: NOW - Duration::from_secs(secs),
            in_flight: 2,
        };
        let stuck = |again_at| Condition::Stuck {
            why: "resource busy".to_owned(),
            again_at,
        };
        let condition = match condition {
            "pending" => {
                picture.starting.insert(slot);
                continue;
            }
            "hanging" => {
                picture.starting.insert(slot);
                picture.hanging.insert(slot);
                continue;
            }
            "taken" => {
                picture.taken.insert(slot);
                continue;
            }
            "starting" => Condition::Starting,
            "ready" | "old" => Condition::Ready,
            "sick" => Condition::Sick(Ailment::Exited { code: Some(137) }),
            "paused" => Condition::Sick(Ailment::Paused),
            "unwell" => unwell(1),
            "long-unwell" => unwell(2),
            "busy" => draining(2, 3),
            "drained" | "old-drained" => draining(0, 3),
            "overdue" => draining(2, 10),
            "stopping" => Condition::Stopping,
            "asleep" | "old-asleep" => asleep(true, 0),
            "falling-asleep" => asleep(false, 0),
            "frozen" | "old-frozen" => asleep(true, 2),
            "resumed" | "old-resumed" => resumed(3),
            "long-resumed" => resumed(10),
            "stop-failed" => Condition::StopFailed,
            "stuck" => stuck(Some(NOW + Duration::from_secs(4))),
            "stuck-due" => stuck(Some(NOW)),
            "hangs" => stuck(None),
            other => panic!("unknown condition {other}"),
        };
        picture.replicas.push(ReplicaInput {
            id: ReplicaId::new(format!("r{slot}")),
            slot,
            current: !word.contains("old"),
            condition,
        });
    }
    picture
}

impl Picture {
    pub(super) fn wanted(mut self, wanted: u32) -> Self {
        self.wanted = Some(wanted);
        self
    }

    /// Nobody has asked for it for five minutes; what is paused is stopped in ten.
    pub(super) fn idle(mut self) -> Self {
        self.wanted = Some(0);
        self.depth = Depth::Paused {
            idle: Duration::from_secs(300),
            stop_at: NOW + Duration::from_secs(600),
        };
        self
    }

    pub(super) fn idle_for_long(mut self) -> Self {
        self.wanted = Some(0);
        self.depth = Depth::Stopped {
            idle: Duration::from_secs(900),
        };
        self
    }

    pub(super) fn removed(mut self) -> Self {
        self.wanted = None;
        self
    }

    pub(super) fn at_a_time(mut self, parallelism: u32) -> Self {
        self.roll.parallelism = parallelism;
        self
    }

    pub(super) fn stop_first(mut self) -> Self {
        self.roll.order = UpdateOrder::StopFirst;
        self
    }

    pub(super) fn watched_for(mut self, secs: u64) -> Self {
        self.roll.not_before = Some(NOW + Duration::from_secs(secs));
        self
    }

    pub(super) fn starts_left(mut self, left: u32) -> Self {
        self.starts_left = left;
        self
    }

    /// No start is left, not even the one that is kept for services with nothing ready.
    pub(super) fn no_starts_left(mut self) -> Self {
        (self.starts_left, self.reserve) = (0, false);
        self
    }

    pub(super) fn image(mut self, image: ImageStatus) -> Self {
        self.image = image;
        self
    }

    pub(super) fn engine_down(mut self) -> Self {
        self.engine_up = false;
        self
    }

    pub(super) fn failed(mut self, times: u32) -> Self {
        for _ in 0..times {
            self.backoff.failed(0, NOW);
        }
        self
    }

    pub(super) fn input(&self) -> Input<'_> {
        Input {
            replicas: &self.replicas,
            starting: self.starting.clone(),
            hanging: self.hanging.clone(),
            image: self.image.clone(),
            taken: self.taken.clone(),
            first_slot: self.first_slot,
            wanted: self.wanted,
            depth: self.depth,
            stop_grace_period: GRACE,
            roll: self.roll.clone(),
            check_round: Duration::from_secs(2),
            backoff: &self.backoff,
            starts_left: self.starts_left,
            reserve: self.reserve,
            engine_up: self.engine_up,
            now: NOW,
        }
    }
}

#[track_caller]
pub(super) fn check(picture: Picture, expected: &[&str]) {
    let plan = plan(&picture.input());
    let mut lines: Vec<String> = plan.actions.iter().map(line).collect();
    lines.extend(plan.because.iter().map(|reason| format!("- {reason}")));
    assert_eq!(lines, expected);
}

pub(super) fn line(action: &Action) -> String {
    match action {
        Action::FetchImage { slot, .. } => format!("fetch the image for {slot}"),
        Action::Start { slot, because } => format!("start {slot}: {because}"),
        Action::Drain { slot, because, .. } => format!("drain {slot}: {because}"),
        Action::Return { slot, because, .. } => format!("return {slot}: {because}"),
        Action::Pause { slot, because, .. } => format!("pause {slot}: {because}"),
        Action::Resume { slot, because, .. } => format!("resume {slot}: {because}"),
        Action::Stop { slot, because, .. } => format!("stop {slot}: {because}"),
    }
}
