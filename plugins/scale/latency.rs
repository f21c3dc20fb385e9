use super::behavior::Behavior;
use super::load::Load;
use crate::plugin::prelude::*;

/// Adds replicas while answers are slower than `target`, if that helps.
///
/// `ceil(replicas x latency / target)` with a tolerance of a tenth, the formula of Kubernetes'
/// HorizontalPodAutoscaler for a metric of pods. Latency is no measure of load, though: a slow
/// database raises it as well. A step therefore at most doubles the number, waits for the effect of
/// the last one, is taken only where requests queue at the replicas, and is undone when it did not
/// help.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Time from a request's arrival within which the share `quantile` of the answers should begin.
    #[serde(default = "default_target", deserialize_with = "duration")]
    target: Duration,
    /// From 0.5 to 0.99.
    #[serde(default = "default_quantile")]
    quantile: f64,
    #[serde(default = "default_window", deserialize_with = "duration")]
    window: Duration,
    /// With fewer requests than this at work or waiting for each replica, on average, requests do
    /// not queue, and more replicas would not make them faster.
    #[serde(default = "default_min_concurrency")]
    min_concurrency: f64,
    /// As for `concurrency`.
    #[serde(default)]
    behavior: Behavior,
}

fn default_target() -> Duration {
    Duration::from_millis(500)
}

fn default_quantile() -> f64 {
    0.95
}

fn default_window() -> Duration {
    Duration::from_secs(30)
}

/// By Little's law, a server that works on one request at a time has one at half its capacity: with
/// fewer, an answer takes less than twice as long as alone (M/M/1).
fn default_min_concurrency() -> f64 {
    1.0
}

const TARGET_MIN: Duration = Duration::from_millis(1);
const TARGET_MAX: Duration = Duration::from_secs(60);
const WINDOW_MIN: Duration = Duration::from_secs(5);
const WINDOW_MAX: Duration = Duration::from_secs(5 * 60);

/// Fewer answers do not show the slowest of twenty.
const ANSWERS_MIN: u64 = 20;
const TOLERANCE: f64 = 0.1;

/// Largest factor of a step.
const STEP_MAX: f64 = 2.0;

/// Factor between numbers that are compared, to find out whether more replicas help.
const APART: f64 = 1.5;

/// Time for which the result of that comparison is kept.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// Factor of requests beyond which two loads are not comparable.
const SAME_LOAD: f64 = 1.15;

impl Plugin for Latency {
    const NAME: &'static str = "latency";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        let refuse = |message: &str| Err(PluginError::new(message));
        if !(TARGET_MIN..=TARGET_MAX).contains(&self.target) {
            return refuse("`target` must be from 1ms to 60s");
        }
        if !(0.5..=0.99).contains(&self.quantile) {
            return refuse("`quantile` must be from 0.5 to 0.99");
        }
        if !(WINDOW_MIN..=WINDOW_MAX).contains(&self.window) {
            return refuse("`window` must be from 5s to 5m");
        }
        if !(0.0..=1000.0).contains(&self.min_concurrency) {
            return refuse("`min_concurrency` must be from 0 to 1000");
        }
        self.behavior.check().map_err(PluginError::new)?;
        hooks.scaler(self);
        Ok(())
    }
}

/// Latency, load and replicas in a period.
struct PeriodSample {
    latency: f64,
    answers: u64,
    load: Load,
    ready: u32,
}

impl Scaler for Latency {
    fn decide(&self, window: &Window, current: u32, now: Moment) -> Decision {
        let load = Load::of_last(window, now, self.window);
        let (Some(latest), Some(load)) = (window.latest(), load) else {
            return Decision::unknown(current, "nothing was counted yet".to_owned());
        };
        let over = Human(self.window);
        if load.rate <= 0.0 && load.in_flight <= 0.0 {
            let fewer = current.saturating_sub(1).max(1);
            let because = format!("no request in the last {over}: one fewer, {fewer}");
            let proposed = Decision::new(fewer, "latency", because);
            return self.behavior.hold(proposed, window, current, now);
        }
        let Some(seen) = self.seen(window, now, now) else {
            let because = format!("fewer than {ANSWERS_MIN} answers in the last {over}");
            return Decision::unknown(current, because);
        };
        let target = self.target.as_secs_f64();
        let head = format!(
            "{:.0} % of {} answers within {} in the last {over}, the target is {}",
            self.quantile * 100.0,
            seen.answers,
            human(seen.latency),
            Human(self.target),
        );
        let ratio = seen.latency / target;
        let (replicas, words) = if latest.starting > 0 || self.changed(window, now, latest.ready) {
            (
                current,
                "the effect of the last step is not visible yet".to_owned(),
            )
        } else if ratio > 1.0 + TOLERANCE {
            self.up(window, now, current, &seen, ratio)
        } else {
            down(current, ratio)
        };
        let because = format!("{head}: {words} = {replicas}");
        let proposed = Decision::new(replicas, "latency", because);
        self.behavior.hold(proposed, window, current, now)
    }

    fn history(&self) -> Duration {
        (REMEMBERED + self.window).max(self.behavior.history()) + Duration::from_secs(30)
    }

    fn needs(&self) -> Needs {
        Needs {
            latency: true,
            ..Needs::default()
        }
    }
}

impl Latency {
    /// The measurements of a window that ended at `end`.
    fn seen(&self, window: &Window, now: Moment, end: Moment) -> Option<PeriodSample> {
        let answers = window.answers(end - self.window, end)?;
        let count = answers.count();
        if count < ANSWERS_MIN {
            return None;
        }
        let ago = now.since(end);
        Some(PeriodSample {
            latency: answers.quantile(self.quantile)?.as_secs_f64(),
            answers: count,
            load: Load::between(window, now, ago + self.window, ago)?,
            ready: window.up_to(end)?.ready.max(1),
        })
    }

    /// True if the ready replicas changed within the last window.
    fn changed(&self, window: &Window, now: Moment, ready: u32) -> bool {
        let mut samples = window.since(now - self.window);
        samples.any(|sample| sample.ready != ready)
    }

    fn up(
        &self,
        window: &Window,
        now: Moment,
        current: u32,
        seen: &PeriodSample,
        ratio: f64,
    ) -> (u32, String) {
        let held = window.latest().map_or(0, |latest| latest.held) as f64;
        let each = (seen.load.in_flight + held) / f64::from(seen.ready);
        if each < self.min_concurrency {
            let words = format!(
                "but only {each:.2} at work at each, less than {}: they do not queue, {current} stay",
                self.min_concurrency
            );
            return (current, words);
        }
        // A step that did not help is undone, and not repeated for a while.
        if let Some(fewer) = self.compared(window, now, seen, |ready| {
            f64::from(seen.ready) >= APART * f64::from(ready)
        }) && seen.latency >= (1.0 - TOLERANCE) * fewer.latency
        {
            let words = format!(
                "but with {} it was {}: more do not help",
                fewer.ready,
                human(fewer.latency)
            );
            return (fewer.ready.min(current), words);
        }
        if let Some(more) = self.compared(window, now, seen, |ready| {
            f64::from(ready) >= APART * f64::from(seen.ready)
        }) && more.latency >= (1.0 - TOLERANCE) * seen.latency
        {
            let words = format!(
                "but with {} it was {}: more did not help, {current} stay",
                more.ready,
                human(more.latency)
            );
            return (current, words);
        }
        let step = ratio.min(STEP_MAX);
        let replicas = ((f64::from(current) * step - 1e-9).ceil() as u32).max(current + 1);
        let words = match ratio > STEP_MAX {
            true => format!("{current} x {STEP_MAX} at most"),
            false => format!("ceil({current} x {ratio:.2})"),
        };
        (replicas, words)
    }

    /// The last period with this number of replicas under the same load or more.
    fn compared(
        &self,
        window: &Window,
        now: Moment,
        seen: &PeriodSample,
        is_such: impl Fn(u32) -> bool,
    ) -> Option<PeriodSample> {
        let samples = window.since(now - REMEMBERED);
        let such = samples.filter(|sample| sample.ready > 0 && is_such(sample.ready));
        let before = self.seen(window, now, such.last()?.at)?;
        (seen.load.rate <= SAME_LOAD * before.load.rate).then_some(before)
    }
}

/// One replica fewer, if the others would still be fast enough with its load.
fn down(current: u32, ratio: f64) -> (u32, String) {
    if current < 2 {
        return (current, "enough".to_owned());
    }
    let fewer = current - 1;
    let then = ratio * f64::from(current) / f64::from(fewer);
    match then < 1.0 - TOLERANCE {
        true => (fewer, format!("{then:.2} of it with one fewer")),
        false => (current, "enough, and not with one fewer".to_owned()),
    }
}

fn human(seconds: f64) -> Human {
    Human(Duration::from_secs_f64(seconds.max(0.0)))
}

#[cfg(test)]
#[path = "latency_tests.rs"]
mod tests;
