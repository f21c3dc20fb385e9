use super::*;
use crate::service::time::Human;
use proptest::prelude::*;

/// A service in a picture: each word is a slot and its condition, as in `8000=ready 8001=old`.
#[derive(Debug)]
struct Picture {
    replicas: Vec<Seen>,
    starting: BTreeSet<Slot>,
    hanging: BTreeSet<Slot>,
    image: Image,
    taken: BTreeSet<Slot>,
    first_slot: Slot,
    wanted: Option<u32>,
    roll: Roll,
    backoff: Backoff,
    starts_left: u32,
    reserve: bool,
    engine_up: bool,
    depth: Depth,
}

const NOW: Moment = Moment::from_secs(1000);
const GRACE: Duration = Duration::from_secs(10);

fn picture(words: &str) -> Picture {
    let mut picture = Picture {
        replicas: Vec::new(),
        starting: BTreeSet::new(),
        hanging: BTreeSet::new(),
        image: Image::Here,
        taken: BTreeSet::new(),
        first_slot: 8000,
        wanted: Some(1),
        roll: Roll {
            parallelism: 1,
            order: Order::StartFirst,
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
            "asleep" | "old-asleep" => Condition::Asleep { settled: true },
            "falling-asleep" => Condition::Asleep { settled: false },
            "stop-failed" => Condition::StopFailed,
            "stuck" => stuck(Some(NOW + Duration::from_secs(4))),
            "stuck-due" => stuck(Some(NOW)),
            "hangs" => stuck(None),
            other => panic!("unknown condition {other}"),
        };
        picture.replicas.push(Seen {
            id: ReplicaId::new(format!("r{slot}")),
            slot,
            current: !word.contains("old"),
            condition,
        });
    }
    picture
}

impl Picture {
    fn wanted(mut self, wanted: u32) -> Self {
        self.wanted = Some(wanted);
        self
    }

    /// Nobody has asked for it for five minutes; what is paused is stopped in ten.
    fn idle(mut self) -> Self {
        self.wanted = Some(0);
        self.depth = Depth::Paused {
            idle: Duration::from_secs(300),
            stop_at: NOW + Duration::from_secs(600),
        };
        self
    }

    fn idle_for_long(mut self) -> Self {
        self.wanted = Some(0);
        self.depth = Depth::Stopped {
            idle: Duration::from_secs(900),
        };
        self
    }

    fn removed(mut self) -> Self {
        self.wanted = None;
        self
    }

    fn at_a_time(mut self, parallelism: u32) -> Self {
        self.roll.parallelism = parallelism;
        self
    }

    fn stop_first(mut self) -> Self {
        self.roll.order = Order::StopFirst;
        self
    }

    fn watched_for(mut self, secs: u64) -> Self {
        self.roll.not_before = Some(NOW + Duration::from_secs(secs));
        self
    }

    fn starts_left(mut self, left: u32) -> Self {
        self.starts_left = left;
        self
    }

    /// No start is left, not even the one that is kept for services with nothing ready.
    fn no_starts_left(mut self) -> Self {
        (self.starts_left, self.reserve) = (0, false);
        self
    }

    fn image(mut self, image: Image) -> Self {
        self.image = image;
        self
    }

    fn engine_down(mut self) -> Self {
        self.engine_up = false;
        self
    }

    fn failed(mut self, times: u32) -> Self {
        for _ in 0..times {
            self.backoff.failed(0, NOW);
        }
        self
    }

    fn input(&self) -> Input<'_> {
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
fn check(picture: Picture, expected: &[&str]) {
    let plan = plan(&picture.input());
    let mut lines: Vec<String> = plan.actions.iter().map(line).collect();
    lines.extend(plan.because.iter().map(|reason| format!("- {reason}")));
    assert_eq!(lines, expected);
}

fn line(action: &Action) -> String {
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

#[test]
fn the_first_replica_starts_on_the_first_port() {
    check(picture(""), &["start 8000: 1 replica is wanted"]);
}

#[test]
fn growing_takes_the_next_ports_and_starts_nothing_twice() {
    let after = picture("8000=ready 8001=pending 8002=starting").wanted(4);
    check(after, &["start 8003: 4 replicas are wanted"]);
}

#[test]
fn a_port_that_somebody_else_holds_is_skipped() {
    let after = picture("8000=ready 8001=taken").wanted(2);
    check(after, &["start 8002: 2 replicas are wanted"]);
}

#[test]
fn shrinking_drains_the_highest_ports_first() {
    check(
        picture("8000=ready 8001=ready 8002=ready").wanted(1),
        &["drain 8002: only 1 wanted", "drain 8001: only 1 wanted"],
    );
}

#[test]
fn a_ready_replica_is_kept_until_enough_others_are_ready() {
    // 8000 was lost and comes back; until then 8001 is the only one there is.
    check(
        picture("8000=starting 8001=ready").wanted(1),
        &["- waiting for a replacement to be ready: 1 of 2 are"],
    );
}

#[test]
fn a_sick_replica_is_stopped_at_once_and_its_port_waits_for_it() {
    check(
        picture("8000=sick 8001=ready").wanted(2),
        &["stop 8000: exited with code 137"],
    );
    check(picture("8000=stopping 8001=ready").wanted(2), &[]);
    check(
        picture("8001=ready").wanted(2),
        &["start 8000: 2 replicas are wanted"],
    );
}

#[test]
fn a_sick_replica_gets_half_a_second_and_a_paused_one_none() {
    let grace_of = |words: &str, configured: Duration| {
        let picture = picture(words);
        let mut input = picture.input();
        input.stop_grace_period = configured;
        match plan(&input).actions.first() {
            Some(Action::Stop { grace, .. }) => *grace,
            other => panic!("{words} led to {other:?}"),
        }
    };
    assert_eq!(grace_of("8000=sick", GRACE), SICK_GRACE);
    assert_eq!(SICK_GRACE, Duration::from_millis(500));
    let shorter = Duration::from_millis(200);
    assert_eq!(grace_of("8000=sick", shorter), shorter);
    // SIGTERM does not reach a paused process.
    assert_eq!(grace_of("8000=paused", GRACE), Duration::ZERO);
}

#[test]
fn a_draining_replica_stops_when_empty_or_overdue() {
    check(
        picture("8000=ready 8001=busy"),
        &["- waiting for 2 in flight on 8001, at most 7s"],
    );
    check(
        picture("8000=ready 8001=drained"),
        &["stop 8001: nothing in flight"],
    );
    check(
        picture("8000=ready 8001=overdue"),
        &["stop 8001: 2 still in flight after 10s, the stop grace period"],
    );
}

#[test]
fn a_stop_that_failed_is_repeated_though_the_replica_is_wanted_again() {
    // Nobody knows what it got to hear of the first one, so it cannot come back.
    check(
        picture("8000=ready 8001=stop-failed").wanted(2),
        &["stop 8001: the last attempt to stop it failed"],
    );
}

const CANNOT: &str =
    "cannot be removed, so the next free port is used: resource busy; trying again";

#[test]
fn a_removal_that_fails_or_hangs_costs_a_port_and_no_replica() {
    let start = "start 8001: 1 replica is wanted";
    let held = format!("the container on 8000 {CANNOT}");
    check(picture("8000=hangs"), &[start, &format!("- {held}")]);
    let waits = format!("- {held} in 4s");
    check(picture("8000=stuck"), &[start, &waits]);
    check(picture("8000=stuck 8001=ready"), &[&waits]);
    let again = "stop 8000: the last attempt to stop it failed";
    let due = format!("- {held}");
    check(picture("8000=stuck-due 8001=ready"), &[again, &due]);
    // Also while the service sleeps, or is gone.
    check(picture("8000=stuck-due").idle_for_long(), &[again, &due]);
    check(picture("8000=stuck-due").removed(), &[again, &due]);
}

#[test]
fn a_start_that_hangs_costs_a_port_only_while_nothing_is_ready() {
    let start = "start 8001: 1 replica is wanted";
    check(
        picture("8000=hanging").no_starts_left(),
        &["- waiting for other starts to finish"],
    );
    check(picture("8000=hanging").starts_left(0), &[start]);
    check(picture("8000=hanging 8001=pending").starts_left(0), &[]);
    check(picture("8000=hanging 8001=ready").wanted(2), &[]);
    let waits = "- waiting for other starts to finish";
    check(
        picture("8000=hanging 8001=hanging").starts_left(0),
        &[waits],
    );
    let mut in_a_row = picture("8000=hanging").starts_left(0);
    in_a_row.backoff.failed(0, NOW - Duration::from_secs(100));
    in_a_row.backoff.failed(0, NOW - Duration::from_secs(100));
    check(in_a_row, &[start]);
}

#[test]
fn one_start_is_kept_for_a_service_with_nothing_ready_and_nothing_on_its_way() {
    let waits = "- waiting for other starts to finish";
    check(
        picture("").wanted(2).starts_left(0),
        &["start 8000: 2 replicas are wanted", waits],
    );
    check(picture("8000=pending").wanted(2).starts_left(0), &[waits]);
    check(picture("8000=starting").wanted(2).starts_left(0), &[waits]);
    check(picture("8000=ready").wanted(2).starts_left(0), &[waits]);
}

#[test]
fn nothing_starts_before_its_image_is_here() {
    let coming = || Image::Coming {
        name: "web:2".to_owned(),
        since: NOW - Duration::from_secs(12),
    };
    let pulling = "- pulling web:2, since 12s ago";
    check(
        picture("").wanted(3).image(Image::Unknown),
        &["fetch the image for 8000"],
    );
    check(picture("").wanted(3).image(coming()), &[pulling]);
    // Running replicas stay meanwhile, also where one would have to make room.
    let old = || picture("8000=old").stop_first();
    check(old().image(Image::Unknown), &["fetch the image for 8000"]);
    check(old().image(coming()), &[pulling]);
    check(old(), &["drain 8000: it is to be replaced"]);
    // The request that wakes a service should not have to wait for a pull.
    check(
        picture("").idle_for_long().image(Image::Unknown),
        &["fetch the image for 8000"],
    );
}

#[test]
fn a_draining_replica_that_is_wanted_again_returns() {
    check(
        picture("8000=ready 8001=busy").wanted(2),
        &["return 8001: 2 replicas are wanted"],
    );
}

#[test]
fn an_old_template_is_replaced_one_by_one_with_one_ahead() {
    let surge = "start 8002: one ahead while 2 are replaced";
    let waits = "- waiting for a replacement to be ready: 2 of 3 are";
    let old = "it is to be replaced";
    for (words, expected) in [
        ("8000=old 8001=old", [surge, waits]),
        (
            "8000=old 8001=old 8002=ready",
            [&format!("drain 8001: {old}"), waits],
        ),
        (
            "8000=old 8001=old-drained 8002=ready",
            ["stop 8001: nothing in flight", waits],
        ),
        (
            "8000=old 8002=ready",
            ["start 8001: 2 replicas are wanted", waits],
        ),
        (
            "8000=old 8001=ready 8002=ready",
            [&format!("drain 8000: {old}"), ""],
        ),
        (
            "8001=ready 8002=ready",
            ["start 8000: 2 replicas are wanted", waits],
        ),
        (
            "8000=ready 8001=ready 8002=ready",
            ["drain 8002: only 2 wanted", ""],
        ),
    ] {
        let expected: Vec<&str> = expected
            .into_iter()
            .filter(|line| !line.is_empty())
            .collect();
        check(picture(words).wanted(2), &expected);
    }
}

#[test]
fn several_at_a_time_go_with_as_many_ahead() {
    check(
        picture("8000=old 8001=old 8002=old").wanted(3).at_a_time(2),
        &[
            "start 8003: one ahead while 3 are replaced",
            "start 8004: one ahead while 3 are replaced",
            "- waiting for a replacement to be ready: 3 of 4 are",
        ],
    );
    check(
        picture("8000=old 8001=old 8002=old 8003=ready 8004=ready")
            .wanted(3)
            .at_a_time(2),
        &[
            "drain 8002: it is to be replaced",
            "drain 8001: it is to be replaced",
            "- waiting for a replacement to be ready: 3 of 4 are",
        ],
    );
}

#[test]
fn stop_first_replaces_in_place_and_never_misses_more_than_a_batch() {
    for (words, expected) in [
        (
            "8000=old 8001=old",
            [
                "drain 8001: it is to be replaced",
                "- waiting for a replacement to be ready: 1 of 2 are",
            ],
        ),
        (
            "8000=old",
            [
                "start 8001: 2 replicas are wanted",
                "- waiting for a replacement to be ready: 1 of 2 are",
            ],
        ),
        (
            "8000=old 8001=starting",
            ["- waiting for a replacement to be ready: 1 of 2 are", ""],
        ),
        (
            "8000=old 8001=ready",
            ["drain 8000: it is to be replaced", ""],
        ),
    ] {
        let expected: Vec<&str> = expected
            .into_iter()
            .filter(|line| !line.is_empty())
            .collect();
        check(picture(words).wanted(2).stop_first(), &expected);
    }
    // One alone makes way as well.
    check(
        picture("8000=old").stop_first(),
        &["drain 8000: it is to be replaced"],
    );
}

#[test]
fn without_a_port_to_start_ahead_an_old_one_makes_room() {
    let mut full = picture("65535=old");
    full.first_slot = LAST_PORT;
    check(full, &["drain 65535: it is to be replaced"]);
}

#[test]
fn the_plan_names_missing_ports_only_when_they_are_missing() {
    let start = "start 65535: 2 replicas are wanted";
    let none_left = "- no port is free from 65535 to 65535; free one or choose another first_port";
    let mut short = picture("").wanted(2);
    short.first_slot = LAST_PORT;
    check(short, &[start, none_left]);
    let mut exact = picture("").wanted(1);
    exact.first_slot = LAST_PORT;
    check(exact, &["start 65535: 1 replica is wanted"]);
}

#[test]
fn what_is_new_is_watched_before_anything_old_leaves() {
    check(
        picture("8000=old 8001=ready").watched_for(3),
        &["- watching what is new for 3s more before old ones leave"],
    );
    // What nobody wants goes all the same.
    check(
        picture("8000=ready 8001=ready").watched_for(3),
        &["drain 8001: only 1 wanted"],
    );
}

#[test]
fn one_that_is_unwell_is_replaced_at_once() {
    for words in ["8000=unwell", "8000=unwell 8001=ready 8002=ready"] {
        let wanted = words.split(' ').count() as u32;
        check(
            picture(words).wanted(wanted),
            &["stop 8000: unhealthy: answered 500"],
        );
    }
}

#[test]
fn several_that_are_unwell_wait_until_it_has_shown_that_others_are_well() {
    let waits = |slot| {
        format!(
            "- {slot} fails its health check and waits: one is replaced at a time while none is \
             well"
        )
    };
    check(
        picture("8000=unwell 8001=unwell 8002=ready").wanted(3),
        &["stop 8000: unhealthy: answered 500", &waits(8001)],
    );
    check(
        picture("8000=starting 8001=long-unwell 8002=ready").wanted(3),
        &["stop 8001: unhealthy: answered 500"],
    );
    check(
        picture("8000=starting 8001=long-unwell 8002=long-unwell").wanted(3),
        &[&waits(8001), &waits(8002)],
    );
    // A replacement that could not be started is no reason to end what still answers.
    let held_back = plan(
        &picture("8000=long-unwell 8001=long-unwell")
            .wanted(2)
            .failed(3)
            .input(),
    );
    assert_eq!(held_back.actions, []);
}

#[test]
fn while_none_is_ready_the_one_that_was_ahead_may_be_the_first() {
    // The old one on 8000 died; 8001 was to replace it.
    check(
        picture("8001=starting").wanted(1),
        &["start 8000: 1 replica is wanted"],
    );
    check(
        picture("8000=ready 8001=starting").wanted(1),
        &["stop 8001: only 1 wanted"],
    );
}

#[test]
fn a_service_that_left_the_configuration_drains_and_stops() {
    check(
        picture("8000=ready 8001=starting").removed(),
        &[
            "stop 8001: the service left the configuration",
            "drain 8000: the service left the configuration",
        ],
    );
}

#[test]
fn starts_are_held_back_by_the_hosts_limit_and_by_failures() {
    check(
        picture("").wanted(3).starts_left(1),
        &[
            "start 8000: 3 replicas are wanted",
            "- waiting for other starts to finish",
        ],
    );
    let failed = picture("").failed(3);
    let left = failed.backoff.until(NOW).expect("it waits").since(NOW);
    let waits = format!(
        "- waiting {} before the next start: 3 failures in a row",
        Human(left)
    );
    check(failed, &[&waits]);
}

#[test]
fn nothing_is_done_while_the_engine_is_away() {
    check(
        picture("8000=sick").engine_down(),
        &["- the container engine does not answer; waiting for it"],
    );
}

#[test]
fn a_service_that_nobody_asks_for_is_paused_and_then_stopped() {
    check(
        picture("8000=ready 8001=ready").idle(),
        &[
            "pause 8000: nobody asked for it for 5m",
            "pause 8001: nobody asked for it for 5m",
        ],
    );
    let waits = "- 1 paused: a request wakes it, or it is stopped in 10m";
    check(
        picture("8000=asleep 8001=starting 8002=busy").idle(),
        &["- waiting for 2 in flight on 8002, at most 7s", waits],
    );
    check(picture("8000=falling-asleep").idle(), &[waits]);
    check(
        picture("8000=asleep 8001=ready 8002=starting 8003=falling-asleep 8004=drained")
            .idle_for_long(),
        &[
            "stop 8000: nobody asked for it for 15m",
            "drain 8001: nobody asked for it for 15m",
            "stop 8002: nobody asked for it for 15m",
            "stop 8004: nothing in flight",
        ],
    );
}

#[test]
fn nothing_is_started_or_replaced_for_a_service_that_sleeps() {
    check(picture("").idle(), &[]);
    check(
        picture("8000=sick 8001=unwell 8002=old 8003=old-asleep").idle(),
        &[
            "stop 8000: exited with code 137",
            "stop 8001: unhealthy: answered 500",
            "drain 8002: it is to be replaced",
            "stop 8003: it is to be replaced",
        ],
    );
}

#[test]
fn who_wakes_resumes_what_is_wanted_and_lets_the_rest_go() {
    check(
        picture("8000=asleep 8001=asleep").wanted(1),
        &[
            "resume 8000: 1 replica is wanted",
            "stop 8001: only 1 wanted",
        ],
    );
    check(
        picture("8000=asleep").wanted(2),
        &[
            "resume 8000: 2 replicas are wanted",
            "start 8001: 2 replicas are wanted",
        ],
    );
    check(picture("8000=falling-asleep").wanted(1), &[]);
    check(
        picture("8000=old-asleep").wanted(1),
        &["stop 8000: it is to be replaced"],
    );
    check(
        picture("8000=asleep").removed(),
        &["stop 8000: the service left the configuration"],
    );
}

/// A world that carries plans out at once and without failures.
fn carry_out(picture: &mut Picture, plan: &Plan) {
    for action in &plan.actions {
        match action {
            Action::Start { slot, .. } => picture.replicas.push(Seen {
                id: ReplicaId::new(format!("new{slot}")),
                slot: *slot,
                current: true,
                condition: Condition::Ready,
            }),
            Action::FetchImage { .. } => picture.image = Image::Here,
            Action::Stop { id, .. } => picture.replicas.retain(|replica| replica.id != *id),
            Action::Drain { id, .. } => set(
                picture,
                id,
                Condition::Draining {
                    since: NOW,
                    in_flight: 0,
                },
            ),
            Action::Return { id, .. } | Action::Resume { id, .. } => {
                set(picture, id, Condition::Ready);
            }
            Action::Pause { id, .. } => set(picture, id, Condition::Asleep { settled: true }),
        }
    }
}

fn set(picture: &mut Picture, id: &ReplicaId, condition: Condition) {
    for replica in &mut picture.replicas {
        if replica.id == *id {
            replica.condition = condition.clone();
        }
    }
}

fn any_condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        3 => Just(Condition::Ready),
        1 => Just(Condition::Starting),
        1 => Just(Condition::Stopping),
        1 => Just(Condition::StopFailed),
        1 => prop::option::of(-1..3i64).prop_map(|secs| Condition::Stuck {
            why: "resource busy".to_owned(),
            again_at: secs.map(|secs| match u64::try_from(secs) {
                Ok(secs) => NOW + Duration::from_secs(secs),
                Err(_) => NOW - Duration::from_secs(1),
            }),
        }),
        1 => prop::bool::ANY.prop_map(|settled| Condition::Asleep { settled }),
        1 => Just(Condition::Sick(Ailment::Paused)),
        1 => (0..4u64).prop_map(|secs| Condition::Unwell {
            since: NOW - Duration::from_secs(secs),
            ailment: Ailment::Unhealthy { why: "answered 500".to_owned() },
        }),
        1 => (0..3u64, 0..20u64).prop_map(|(in_flight, secs)| Condition::Draining {
            since: NOW - Duration::from_secs(secs),
            in_flight,
        }),
    ]
}

prop_compose! {
    fn any_picture()(
        replicas in prop::collection::btree_map(8000..8014u16, (any_condition(), prop::bool::weighted(0.7)), 0..12),
        starting in prop::collection::btree_set(8000..8014u16, 0..3),
        taken in prop::collection::btree_set(8000..8014u16, 0..3),
        wanted in prop::option::weighted(0.9, 0..11u32),
        failures in 0..3u32,
        starts_left in 0..5u32,
        parallelism in 1..4u32,
        stop_first in prop::bool::weighted(0.3),
    ) -> Picture {
        let mut picture = picture("").failed(failures).starts_left(starts_left);
        picture.roll.parallelism = parallelism;
        if stop_first {
            picture = picture.stop_first();
        }
        picture.wanted = wanted;
        picture.replicas = replicas
            .into_iter()
            .map(|(slot, (condition, current))| Seen {
                id: ReplicaId::new(format!("r{slot}")),
                slot,
                current,
                condition,
            })
            .collect();
        picture.starting = starting;
        picture.taken = taken;
        picture
    }
}

fn ready_after(picture: &Picture, plan: &Plan) -> u32 {
    let drained = plan
        .actions
        .iter()
        .filter(|action| matches!(action, Action::Drain { .. }))
        .count();
    let returned = plan
        .actions
        .iter()
        .filter(|action| matches!(action, Action::Return { .. }))
        .count();
    ready(&picture.input()) + returned as u32 - drained as u32
}

proptest! {
    #[test]
    fn the_same_input_gives_the_same_plan(picture in any_picture()) {
        prop_assert_eq!(plan(&picture.input()), plan(&picture.input()));
    }

    #[test]
    fn a_plan_never_drains_below_what_is_wanted(picture in any_picture()) {
        let before = ready(&picture.input());
        let wanted = picture.wanted.unwrap_or(0);
        let may_miss = match picture.roll.order {
            Order::StartFirst => 0,
            Order::StopFirst => picture.roll.parallelism,
        };
        let after = ready_after(&picture, &plan(&picture.input()));
        let least = before.min(wanted.saturating_sub(may_miss));
        prop_assert!(after >= least, "{before} ready, {wanted} wanted, {after} left");
    }

    #[test]
    fn no_start_meets_a_held_or_foreign_port_or_the_hosts_limit(picture in any_picture()) {
        let plan = plan(&picture.input());
        let mut starts = BTreeSet::new();
        for action in &plan.actions {
            if let Action::Start { slot, .. } = action {
                prop_assert!(!picture.taken.contains(slot) && !picture.starting.contains(slot));
                prop_assert!(picture.replicas.iter().all(|replica| replica.slot != *slot));
                prop_assert!(starts.insert(*slot));
            }
        }
        let reserve = u32::from(picture.reserve);
        prop_assert!(starts.len() as u32 <= picture.starts_left.max(reserve));
    }

    #[test]
    fn what_is_in_flight_is_never_stopped_before_its_deadline(picture in any_picture()) {
        for action in plan(&picture.input()).actions {
            let Action::Stop { id, .. } = action else { continue };
            let stopped = picture.replicas.iter().find(|replica| replica.id == id).unwrap();
            match stopped.condition {
                Condition::Ready | Condition::Stopping => prop_assert!(false, "stopped {stopped:?}"),
                Condition::Draining { since, in_flight } => {
                    prop_assert!(in_flight == 0 || NOW.since(since) >= GRACE);
                }
                Condition::Asleep { settled } => prop_assert!(settled),
                Condition::Sick(_)
                | Condition::Unwell { .. }
                | Condition::Starting
                | Condition::StopFailed
                | Condition::Stuck { .. } => {}
            }
        }
    }

    #[test]
    fn carried_out_plans_come_to_rest_with_exactly_what_is_wanted(mut picture in any_picture()) {
        picture.starts_left = 4;
        picture.backoff = Backoff::default();
        for _ in 0..100 {
            // The world finishes what was under way; starts that nobody saw have failed.
            picture.starting.clear();
            for replica in &mut picture.replicas {
                match &mut replica.condition {
                    Condition::Starting => replica.condition = Condition::Ready,
                    Condition::Draining { in_flight, .. } => *in_flight = 0,
                    Condition::Asleep { settled } => *settled = true,
                    Condition::Stuck { .. } => replica.condition = Condition::Stopping,
                    _ => {}
                }
            }
            picture.replicas.retain(|replica| replica.condition != Condition::Stopping);
            let next = plan(&picture.input());
            carry_out(&mut picture, &next);
            if next.actions.is_empty() {
                break;
            }
        }
        prop_assert_eq!(plan(&picture.input()).actions, vec![]);
        let wanted = picture.wanted.unwrap_or(0) as usize;
        let slots: BTreeSet<Slot> = picture.replicas.iter().map(|replica| replica.slot).collect();
        let lowest: BTreeSet<Slot> =
            (8000..).filter(|slot| !picture.taken.contains(slot)).take(wanted).collect();
        prop_assert_eq!(slots, lowest);
        prop_assert!(picture.replicas.iter().all(|replica| replica.current));
    }
}
