use super::*;

/// A service that is watched: what its requests meet is told, phase by phase.
struct Watched {
    scaler: std::sync::Arc<dyn Scaler>,
    window: Window,
    sample: Sample,
    answers: Histogram,
}

impl Watched {
    fn by(yaml: &str) -> Watched {
        let scaler = testing::install::<Latency>(yaml).unwrap().scaler.unwrap();
        assert!(scaler.needs().latency);
        Watched {
            scaler,
            window: Window::default(),
            sample: Sample::default(),
            answers: Histogram::default(),
        }
    }

    /// So many seconds with `rate` requests each that take `millis`, at `ready` replicas.
    fn pass(&mut self, seconds: u64, rate: u64, millis: u64, ready: u32) -> &mut Watched {
        for _ in 0..seconds {
            let sample = &mut self.sample;
            sample.at = sample.at + Duration::from_secs(1);
            sample.requests += rate;
            sample.completed += rate;
            // Little's law.
            sample.in_flight = rate * millis / 1000;
            sample.ready = ready;
            for _ in 0..rate {
                self.answers.note(Duration::from_millis(millis));
            }
            let keep = self.scaler.history();
            self.window.record(*sample, keep);
            self.window.note_answers(sample.at, self.answers, keep);
        }
        self
    }

    fn decide(&self, current: u32) -> Decision {
        self.scaler.decide(&self.window, current, self.sample.at)
    }
}

#[test]
fn replicas_are_added_in_proportion_while_answers_are_too_slow() {
    let mut slow = Watched::by("target: 500ms");
    let decision = slow.pass(60, 20, 700, 4).decide(4);
    assert_eq!((decision.replicas, decision.bound), (6, "latency"));
    assert!(
        decision
            .because
            .contains("the target is 500ms: ceil(4 x 1.4"),
        "{}",
        decision.because
    );
    // A step is at most twice as many, and one that was just taken is waited for.
    let mut crawling = Watched::by("target: 500ms");
    assert_eq!(crawling.pass(60, 20, 9_000, 4).decide(4).replicas, 8);
    let young = crawling.pass(10, 20, 6_000, 8).decide(8);
    assert_eq!(young.replicas, 8);
    assert!(
        young.because.contains("not visible yet"),
        "{}",
        young.because
    );
    // More replicas helped, and not enough.
    assert!(crawling.pass(30, 20, 1_000, 8).decide(8).replicas > 8);
}

#[test]
fn what_does_not_queue_is_not_made_faster_by_more_replicas() {
    let mut slow = Watched::by("target: 500ms");
    let decision = slow.pass(60, 1, 2_000, 4).decide(4);
    assert_eq!(decision.replicas, 4);
    assert!(
        decision.because.contains("they do not queue"),
        "{decision:?}"
    );
}

#[test]
fn what_did_not_help_is_given_back_and_not_tried_again_for_ten_minutes() {
    // A database takes 3 s, whoever asks it.
    let mut slow = Watched::by("target: 500ms");
    assert_eq!(slow.pass(120, 20, 3_000, 4).decide(4).replicas, 8);
    slow.window.propose(slow.sample.at, 8);
    let vain = slow.pass(40, 20, 3_000, 8).decide(8);
    assert_eq!(vain.proposal, 4, "{vain:?}");
    let (mut most, mut current) = (0, 8);
    for _ in 0..480 {
        slow.pass(1, 20, 3_000, current);
        let decision = slow.decide(current);
        slow.window.propose(slow.sample.at, decision.proposal);
        most = most.max(decision.replicas);
        current = decision.replicas;
    }
    assert_eq!((current, most), (4, 8));
    // Then it is worth another look, and no more than that.
    assert_eq!(slow.pass(600, 20, 3_000, 4).decide(4).replicas, 8);
}

#[test]
fn more_requests_than_before_are_another_load() {
    let mut busy = Watched::by("target: 500ms");
    busy.pass(120, 20, 1_000, 4);
    // Twice the replicas, twice the requests, as slow as before: they do help.
    assert_eq!(busy.pass(40, 40, 1_000, 8).decide(8).replicas, 16);
}

#[test]
fn one_at_a_time_leaves_when_the_rest_would_be_fast_enough() {
    for (millis, replicas) in [(100, 3), (300, 3), (400, 4), (500, 4), (520, 4)] {
        let mut calm = Watched::by("target: 500ms");
        let decision = calm.pass(120, 20, millis, 4).decide(4);
        assert_eq!(decision.replicas, replicas, "{millis}: {decision:?}");
    }
    let mut idle = Watched::by("");
    assert_eq!(idle.pass(120, 0, 0, 4).decide(4).replicas, 3);
    assert_eq!(idle.decide(1).replicas, 1);
}

#[test]
fn few_answers_say_nothing() {
    let mut rare = Watched::by("window: 10s");
    let decision = rare.pass(120, 1, 3_000, 4).decide(4);
    assert_eq!((decision.replicas, decision.bound), (4, "no data"));
}

#[test]
fn bad_values_are_explained() {
    for (yaml, problem) in [
        ("target: 0ms", "`target` must be from 1ms to 60s"),
        ("target: 500", "target"),
        ("quantile: 95", "`quantile` must be from 0.5 to 0.99"),
        ("window: 1s", "`window` must be from 5s to 5m"),
        ("min_concurrency: -1", "`min_concurrency` must be from 0"),
    ] {
        let error = testing::install::<Latency>(yaml).err().expect(yaml);
        assert!(error.contains(problem), "{yaml}: {error}");
    }
}
