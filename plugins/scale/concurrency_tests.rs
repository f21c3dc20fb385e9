use super::*;

fn scaler(yaml: &str) -> std::sync::Arc<dyn Scaler> {
    let installed = testing::install::<Concurrency>(yaml).expect(yaml);
    installed.scaler.expect("it is a scaler")
}

/// A service whose replicas take 250 ms for a request, one sample a second.
struct Story {
    window: Window,
    sample: Sample,
}

impl Story {
    fn new(ready: u32) -> Story {
        Story {
            window: Window::default(),
            sample: Sample {
                ready,
                start_time: Duration::from_secs(5),
                ..Sample::default()
            },
        }
    }

    /// So many requests per second for so many seconds.
    fn pass(&mut self, rate: u64, seconds: u64) -> &mut Story {
        for _ in 0..seconds {
            self.sample.at = self.sample.at + Duration::from_secs(1);
            self.sample.requests += rate;
            self.sample.completed += rate;
            self.sample.busy += Duration::from_millis(250) * rate as u32;
            self.sample.in_flight = rate / 4;
            self.window.record(self.sample, Duration::from_secs(630));
        }
        self
    }

    fn decide(&self, yaml: &str, current: u32) -> Decision {
        scaler(yaml).decide(&self.window, current, self.sample.at)
    }
}

const FOUR: &str = "target: 4";

#[test]
fn a_steady_load_gets_what_is_at_work_and_a_room_of_its_square_root() {
    let mut story = Story::new(5);
    let decision = story.pass(64, 120).decide(FOUR, 5);
    assert_eq!((decision.replicas, decision.bound), (5, "load"));
    assert_eq!(
        decision.because,
        "64.0 requests/s x 250ms in the last 60s: (16.0 + 0.9 x sqrt(16.0)) / 4 = 5"
    );
    // A large one needs relatively less, but never all of what there is.
    let mut story = Story::new(112);
    let decision = story.pass(1_600, 120).decide(FOUR, 112);
    assert_eq!(decision.replicas, 112, "{}", decision.because);
}

#[test]
fn target_utilization_takes_the_place_of_the_square_root() {
    let mut story = Story::new(5);
    let decision = story
        .pass(64, 120)
        .decide("{ target: 4, target_utilization: 0.5 }", 5);
    assert_eq!(decision.replicas, 8, "{}", decision.because);
}

#[test]
fn a_jump_is_answered_after_its_first_second() {
    let mut story = Story::new(2);
    story.pass(20, 120);
    assert_eq!(story.decide(FOUR, 2).replicas, 2);
    story.sample.held = 120;
    let decision = story.pass(160, 1).decide(FOUR, 2);
    assert!(
        (10..=25).contains(&decision.replicas),
        "{}",
        decision.because
    );
    assert_eq!(decision.bound, "backlog");
}

#[test]
fn what_may_be_chance_is_no_jump() {
    let mut story = Story::new(5);
    let decision = story.pass(64, 120).pass(84, 1).decide(FOUR, 5);
    assert!(decision.replicas <= 6, "{}", decision.because);
}

#[test]
fn a_rise_is_met_a_start_ahead() {
    let mut story = Story::new(5);
    story.pass(40, 60);
    for rate in (40..120).step_by(2) {
        story.pass(rate, 1);
    }
    let decision = story.decide(FOUR, 5);
    assert_eq!(decision.bound, "trend", "{}", decision.because);
    // 120 a second keep 30 busy, and 130 will when a replica started now is ready.
    assert!(decision.replicas >= 9, "{}", decision.because);
}

#[test]
fn what_starts_already_is_not_asked_for_again() {
    let mut story = Story::new(3);
    story.pass(20, 120);
    story.sample.held = 120;
    story.pass(160, 6);
    let alone = story.decide(FOUR, 3).replicas;
    story.sample.starting = 20;
    story.sample.starting_for = Duration::from_secs(20 * 4);
    story.pass(160, 1);
    let helped = story.decide(FOUR, 23);
    assert!(alone > helped.proposal, "{alone}, then {}", helped.because);
    assert_ne!(helped.bound, "backlog", "{}", helped.because);
}

#[test]
fn a_replica_leaves_when_it_was_not_asked_for_in_75_s() {
    let mut story = Story::new(10);
    story.pass(120, 120);
    let now = story.sample.at;
    story.window.propose(now, 10);
    story.pass(20, 60);
    let held = story.decide(FOUR, 10);
    assert_eq!((held.replicas, held.bound), (10, "stabilization"));
    assert!(
        held.because
            .ends_with("; 10 stay, asked for in the last 75s")
    );
    assert_eq!(story.pass(20, 16).decide(FOUR, 10).replicas, 2);
}

#[test]
fn nothing_leaves_before_a_whole_window_was_watched_without_a_gap() {
    let mut story = Story::new(10);
    let young = story.pass(20, 60).decide(FOUR, 10);
    assert_eq!((young.replicas, young.bound), (10, "watching"));
    assert_eq!(story.pass(20, 20).decide(FOUR, 10).replicas, 2);
    // The loop slept for a minute, and what came in that time is known only as a sum.
    story.sample.at = story.sample.at + Duration::from_secs(60);
    let after = story.pass(20, 1).decide(FOUR, 10);
    assert_eq!((after.replicas, after.bound), (10, "watching"));
    assert_eq!(story.pass(20, 80).decide(FOUR, 10).replicas, 2);
}

#[test]
fn nothing_leaves_while_replicas_are_being_replaced() {
    let mut story = Story::new(10);
    story.sample.rolling = true;
    let decision = story.pass(20, 200).decide(FOUR, 10);
    assert_eq!((decision.replicas, decision.bound), (10, "rollout"));
    let more = story.pass(400, 10).decide(FOUR, 10);
    assert!(more.replicas > 10, "{}", more.because);
}

#[test]
fn without_traffic_one_replica_is_left() {
    let mut story = Story::new(4);
    let decision = story.pass(0, 200).decide(FOUR, 4);
    assert_eq!(decision.replicas, 1, "{}", decision.because);
}

#[test]
fn the_service_time_is_remembered_when_few_requests_end() {
    let mut story = Story::new(2);
    story.pass(40, 60).pass(0, 120);
    let decision = story.pass(12, 1).decide(FOUR, 2);
    assert!(decision.because.contains("x 250ms"), "{}", decision.because);
}

#[test]
fn long_requests_count_by_being_at_work_before_any_of_them_ends() {
    let mut story = Story::new(1);
    for _ in 0..30 {
        story.sample.in_flight = 24;
        story.sample.at = story.sample.at + Duration::from_secs(1);
        story.window.record(story.sample, Duration::from_secs(630));
    }
    let decision = story.decide(FOUR, 1);
    assert_eq!(decision.replicas, 8, "{}", decision.because);
    assert!(decision.because.starts_with("24.0 at work in the last 29s"));
}

#[test]
fn many_that_stay_are_seen_within_the_panic_window_beside_short_ones() {
    let mut story = Story::new(3);
    story.pass(20, 120);
    for _ in 0..6 {
        story.sample.at = story.sample.at + Duration::from_secs(1);
        story.sample.requests += 20;
        story.sample.completed += 20;
        story.sample.busy += Duration::from_secs(5);
        story.sample.in_flight = 100;
        story.window.record(story.sample, Duration::from_secs(630));
    }
    let decision = story.decide(FOUR, 3);
    assert_eq!(decision.bound, "burst", "{}", decision.because);
    assert!(decision.replicas >= 20, "{}", decision.because);
}

#[test]
fn behavior_bounds_the_steps_in_the_words_of_the_hpa() {
    let yaml = "{ target: 4, behavior: { scale_up: { policies: [{ type: replicas, value: 2, \
                period: 30s }] }, scale_down: { stabilization_window: 0s, policies: \
                [{ type: percent, value: 10, period: 60s }] } } }";
    let mut story = Story::new(10);
    let up = story.pass(400, 120).decide(yaml, 10);
    assert_eq!((up.replicas, up.bound), (12, "behavior"));
    let down = story.pass(4, 120).decide(yaml, 10);
    assert_eq!((down.replicas, down.bound), (9, "behavior"));
    let patient = "{ target: 4, behavior: { scale_up: { stabilization_window: 30s } } }";
    story.window.propose(story.sample.at, 4);
    let waits = story.pass(400, 20).decide(patient, 2);
    assert_eq!((waits.replicas, waits.bound), (4, "stabilization"));
}

#[test]
fn bad_values_are_explained() {
    for (yaml, problem) in [
        ("target: 0", "nonzero"),
        ("headroom: -1", "`headroom` must be from 0 to 10"),
        (
            "panic_headroom: 11",
            "`panic_headroom` must be from 0 to 10",
        ),
        ("target_utilization: 1.5", "from 0.1 to 1"),
        ("panic_window: 0s", "at least 1s"),
        ("stable_window: 5s", "from `panic_window` to 10m"),
        ("behavior: { scale_sideways: {} }", "scale_sideways"),
        (
            "behavior: { scale_down: { stabilization_window: 2h } }",
            "at most 1h",
        ),
    ] {
        let error = testing::install::<Concurrency>(yaml).err().expect(yaml);
        assert!(error.contains(problem), "{yaml}: {error}");
    }
}
