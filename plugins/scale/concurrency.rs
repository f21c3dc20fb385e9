use super::behavior::Behavior;
use super::load::Load;
use crate::plugin::prelude::*;
use std::num::NonZeroU32;

/// Wants as many replicas as the requests at work fill, and some room.
///
/// By Little's law, arrivals per second times the service time is the number of requests at work.
/// That number is computed over a minute and over the last seconds, and the larger one wins. The
/// margin is a multiple of the square root of the requests at work, which keeps the probability of
/// waiting constant at every size (square-root staffing; Halfin and Whitt, 1981), or the rest that
/// `target_utilization` leaves.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    /// Requests that a replica should work on at once. A goal, not a limit.
    #[serde(default = "default_target")]
    target: NonZeroU32,
    /// The margin over `stable_window`, in square roots of the requests at work.
    #[serde(default = "default_headroom")]
    headroom: f64,
    /// The margin over `panic_window`, whose counts are noisier.
    #[serde(default = "default_panic_headroom")]
    panic_headroom: f64,
    /// Instead of both margins: the share of `target` to use, from 0.1 to 1.
    #[serde(default)]
    target_utilization: Option<f64>,
    #[serde(default = "default_stable_window", deserialize_with = "duration")]
    stable_window: Duration,
    #[serde(default = "default_panic_window", deserialize_with = "duration")]
    panic_window: Duration,
    /// `scale_up` and `scale_down`, each with `stabilization_window`, `policies` and
    /// `select_policy`; by default, a replica stops when it was not asked for in 75 s.
    #[serde(default)]
    behavior: Behavior,
}

fn default_target() -> NonZeroU32 {
    NonZeroU32::new(10).expect("10 is not zero")
}

// The margins, and the time before a replica stops, are tuned together with `tidegate simulate`:
// more of one needs less of the others.

fn default_headroom() -> f64 {
    0.9
}

fn default_panic_headroom() -> f64 {
    0.65
}

fn default_stable_window() -> Duration {
    Duration::from_secs(60)
}

fn default_panic_window() -> Duration {
    Duration::from_secs(6)
}

/// Largest share of `target` that a steady load may fill, whatever its square root.
const UTILIZATION_MAX: f64 = 0.9;

/// Assumed start time before the first measurement.
const START_TIME: Duration = Duration::from_secs(5);

/// Windows shorter than the panic window: the shorter, the larger their chance deviation.
const GLIMPSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(3),
];

/// Standard deviations within which a difference counts as chance.
const CERTAINTY: f64 = 3.0;

/// The same while many requests wait, which is evidence of its own.
const CERTAINTY_WAITING: f64 = 1.0;

/// Largest number for waiting requests, as a multiple of the number for the load.
const OVERSHOOT_MAX: f64 = 2.2;

/// Variation of real traffic from second to second, beyond Poisson: 5 to 10 % were measured.
const VARIATION: f64 = 0.1;

/// A trend is the difference between the rate of the panic window and the rate this long before.
const TREND_OVER: Duration = Duration::from_secs(20);

/// Smallest trend, as a share of the rate.
const TREND_MIN: f64 = 0.1;

/// Service times within which the ready replicas clear a queue that counts as no backlog.
const BACKLOG_MIN: f64 = 2.0;

/// Time in which waiting requests should be served, once the new replicas are ready. A shorter time
/// costs many replicas for moments, a longer one keeps more requests waiting.
const CLEARED_WITHIN: f64 = 1.5;

/// Longest period for the service time, when too few requests were finished recently.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

const WINDOW_MIN: Duration = Duration::from_secs(1);

impl Plugin for Concurrency {
    const NAME: &'static str = "concurrency";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        let refuse = |message: &str| Err(PluginError::new(message));
        for (key, headroom) in [
            ("headroom", self.headroom),
            ("panic_headroom", self.panic_headroom),
        ] {
            if !(0.0..=10.0).contains(&headroom) {
                return refuse(&format!("`{key}` must be from 0 to 10"));
            }
        }
        let utilization = self.target_utilization.unwrap_or(1.0);
        if !(0.1..=1.0).contains(&utilization) {
            return refuse("`target_utilization` must be from 0.1 to 1");
        }
        if self.panic_window < WINDOW_MIN {
            return refuse("`panic_window` must be at least 1s");
        }
        if !(self.panic_window..=REMEMBERED).contains(&self.stable_window) {
            return refuse("`stable_window` must be from `panic_window` to 10m");
        }
        self.behavior.check().map_err(PluginError::new)?;
        hooks.scaler(self);
        Ok(())
    }
}

/// A number of replicas and its origin.
struct Proposal {
    /// Not rounded up yet.
    replicas: f64,
    bound: &'static str,
    because: String,
}

impl Scaler for Concurrency {
    fn decide(&self, window: &Window, current: u32, now: Moment) -> Decision {
        let stable = Load::of_last(window, now, self.stable_window);
        let (Some(latest), Some(stable)) = (window.latest(), stable) else {
            return Decision {
                proposal: 0,
                ..Decision::new(current, "start", "nothing was counted yet".to_owned())
            };
        };
        let panic = Load::of_last(window, now, self.panic_window).unwrap_or(stable);
        let remembered = || Load::of_last(window, now, REMEMBERED)?.service_time;
        let service_time = stable.service_time.or_else(remembered);
        let rate = |certainty| self.rate_now(window, now, &panic, certainty);
        let start_time = match latest.start_time.is_zero() {
            true => START_TIME,
            false => latest.start_time,
        };
        let proposals = [
            Some(self.steady(&stable, service_time)),
            Some(self.quick(
                window,
                now,
                &panic,
                rate(CERTAINTY),
                service_time,
                start_time,
            )),
            self.backlog(&latest, rate, service_time, start_time),
        ];
        let most = proposals.into_iter().flatten().reduce(|most, next| {
            match next.replicas > most.replicas {
                true => next,
                false => most,
            }
        });
        let Some(most) = most else {
            return Decision::new(current, "start", "nothing was counted yet".to_owned());
        };
        // Slightly less, so that rounding errors do not add a replica.
        let proposal = (most.replicas - 1e-9).ceil().max(1.0) as u32;
        let because = format!("{} = {proposal}", most.because);
        let proposed = Decision::new(proposal, most.bound, because);
        self.behavior.hold(proposed, window, current, now)
    }

    fn history(&self) -> Duration {
        REMEMBERED.max(self.behavior.history()) + Duration::from_secs(30)
    }
}

impl Concurrency {
    /// Replicas for so many requests at work, with the formula.
    fn staffed(&self, at_work: f64, headroom: f64, steady: bool) -> (f64, String) {
        let target = f64::from(self.target.get());
        if let Some(utilization) = self.target_utilization {
            let replicas = at_work / (target * utilization);
            return (
                replicas,
                format!("{at_work:.1} / ({target} x {utilization})"),
            );
        }
        let staffed = at_work + headroom * at_work.sqrt();
        let most_used = at_work / UTILIZATION_MAX;
        if steady && most_used > staffed {
            let words = format!("{at_work:.1} / ({target} x {UTILIZATION_MAX})");
            return (most_used / target, words);
        }
        let words = format!("({at_work:.1} + {headroom} x sqrt({at_work:.1})) / {target}");
        (staffed / target, words)
    }

    fn steady(&self, load: &Load, service_time: Option<f64>) -> Proposal {
        let by_rate = load.rate * service_time.unwrap_or_default();
        let at_work = by_rate.max(load.in_flight);
        let (replicas, words) = self.staffed(at_work, self.headroom, true);
        let over = human(load.over);
        Proposal {
            replicas,
            bound: "load",
            because: match (service_time, by_rate >= load.in_flight) {
                (Some(service_time), true) => format!(
                    "{:.1} requests/s x {} in the last {over}: {words}",
                    load.rate,
                    human(service_time),
                ),
                _ => format!("{at_work:.1} at work in the last {over}: {words}"),
            },
        }
    }

    /// The present rate: of the panic window, or more if the last seconds exceed it beyond chance.
    fn rate_now(&self, window: &Window, now: Moment, panic: &Load, certainty: f64) -> f64 {
        let glimpses = GLIMPSES.iter().filter(|it| **it < self.panic_window);
        let certain = glimpses.filter_map(|back| {
            let load = Load::of_last(window, now, *back)?;
            Some(load.rate - certainty * load.deviation(VARIATION))
        });
        certain.fold(panic.rate, f64::max)
    }

    fn quick(
        &self,
        window: &Window,
        now: Moment,
        panic: &Load,
        rate: f64,
        service_time: Option<f64>,
        start_time: Duration,
    ) -> Proposal {
        // Long requests are counted while at work, before any of them ends; short ones by their
        // rate, which varies less by chance than the number at work at one moment.
        let short = service_time.filter(|it| *it < self.panic_window.as_secs_f64());
        let chance = match short {
            Some(_) => CERTAINTY * (panic.in_flight / panic.over.max(1.0)).sqrt(),
            None => 0.0,
        };
        let staying = panic.in_flight - chance;
        let service_time = short.unwrap_or_default();
        let rising = self.trend(window, now, panic) * start_time.as_secs_f64();
        if staying > (rate + rising) * service_time {
            let (replicas, words) = self.staffed(staying, self.panic_headroom, false);
            let over = human(panic.over);
            return Proposal {
                replicas,
                bound: "burst",
                because: format!("{staying:.1} at work in the last {over}: {words}"),
            };
        }
        let at_work = (rate + rising) * service_time;
        let (replicas, words) = self.staffed(at_work, self.panic_headroom, false);
        let seen = format!("{rate:.1} requests/s now");
        let (bound, seen) = match rising > 0.0 {
            true => (
                "trend",
                format!("{seen} and {rising:.1} more in {}", Human(start_time)),
            ),
            false => ("burst", seen),
        };
        Proposal {
            replicas,
            bound,
            because: format!("{seen}, x {}: {words}", human(service_time)),
        }
    }

    /// Growth of the rate, in requests per second each second; 0 where that may be chance.
    fn trend(&self, window: &Window, now: Moment, panic: &Load) -> f64 {
        let back = self.panic_window + TREND_OVER;
        let Some(before) = Load::between(window, now, back, TREND_OVER) else {
            return 0.0;
        };
        let risen = panic.rate - before.rate;
        let chance = panic.deviation(0.0).hypot(before.deviation(0.0));
        match risen > CERTAINTY * chance + TREND_MIN * before.rate {
            true => risen / TREND_OVER.as_secs_f64(),
            false => 0.0,
        }
    }

    /// Requests that still wait once a replica that starts now is ready: those that wait now, plus
    /// arrivals until then, less those that ready and starting replicas serve in that time.
    fn backlog(
        &self,
        latest: &Sample,
        rate: impl Fn(f64) -> f64,
        service_time: Option<f64>,
        start_time: Duration,
    ) -> Option<Proposal> {
        let service_time = service_time.filter(|it| *it > 0.0 && latest.held > 0)?;
        let start = start_time.as_secs_f64();
        let target = f64::from(self.target.get());
        if latest.held as f64 <= BACKLOG_MIN * f64::from(latest.ready) * target {
            return None;
        }
        let rate = rate(CERTAINTY_WAITING);
        let by_one = target / service_time;
        let starting_for = latest.starting_for.as_secs_f64();
        let credit = starting_for.min(start * f64::from(latest.starting));
        let done = by_one * (f64::from(latest.ready) * start + credit);
        let left = latest.held as f64 + rate * start - done;
        if left <= 0.0 {
            return None;
        }
        let cleared = rate + left / CLEARED_WITHIN;
        let most = rate * OVERSHOOT_MAX;
        let waiting = format!("{} wait, {left:.0} will in {}", latest.held, human(start));
        let words = match cleared <= most {
            true => format!("({rate:.1}/s + {left:.0} / {CLEARED_WITHIN}s)"),
            false => format!("{OVERSHOOT_MAX} x {rate:.1}/s at most,"),
        };
        Some(Proposal {
            replicas: cleared.min(most) * service_time / target,
            bound: "backlog",
            because: format!("{waiting}: {words} x {} / {target}", human(service_time)),
        })
    }
}

fn human(seconds: f64) -> Human {
    Human(Duration::from_secs_f64(seconds.max(0.0)))
}

#[cfg(test)]
#[path = "concurrency_tests.rs"]
mod tests;
