use super::mean::mean;
use crate::plan::scaler::{Decision, Scaler};
use crate::plan::window::{Sample, Window};
use crate::service::time::Moment;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Knative's pod autoscaler with its defaults: 70 % of the concurrency that a replica has, 60 s
/// and 6 s windows every 2 s, and a panic mode at twice what is ready
/// (`pkg/autoscaler/scaling/autoscaler.go`, `config/core/configmaps/autoscaler.yaml`).
///
/// Its activator is taken to be in the path always, with one fair queue, and its metrics to be
/// without delay: both flatter it.
pub struct Knative {
    slots: u32,
    panic: Mutex<Panic>,
}

/// Unlike our scalers, it has a memory.
#[derive(Default)]
struct Panic {
    /// Time at which the panic threshold was exceeded last.
    since: Option<Moment>,
    most: u32,
}

const TICK: u64 = 2;
const UTILIZATION: f64 = 0.7;
const STABLE: Duration = Duration::from_secs(60);
const PANIC: Duration = Duration::from_secs(6);
const PANIC_THRESHOLD: f64 = 2.0;
const UP_RATE: f64 = 1000.0;
const DOWN_RATE: f64 = 2.0;

impl Knative {
    pub fn new(slots: u32) -> Knative {
        Knative {
            slots,
            panic: Mutex::default(),
        }
    }
}

impl Scaler for Knative {
    fn decide(&self, window: &Window, current: u32, now: Moment) -> Decision {
        let stay = |why: &str| Decision::new(current, "tick", why.to_owned());
        if !now.0.as_secs().is_multiple_of(TICK) {
            return stay("between ticks");
        }
        let Some(latest) = window.latest() else {
            return stay("no sample yet");
        };
        // Requests that wait count as concurrency.
        let concurrency = |sample: &Sample| (sample.in_flight + sample.held) as f64;
        let average = |over| mean(window, now, over, concurrency).unwrap_or_default();
        let target = (f64::from(self.slots) * UTILIZATION).max(0.01);
        let ready = f64::from(latest.ready.max(1));
        let (most, least) = ((UP_RATE * ready).ceil(), (ready / DOWN_RATE).floor());
        let pods = |over| (average(over) / target).ceil();
        let over_panic = pods(PANIC);
        let stable = pods(STABLE).clamp(least, most) as u32;
        let quick = over_panic.clamp(least, most) as u32;
        let mut panic = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
        if over_panic / ready >= PANIC_THRESHOLD {
            if panic.since.is_none() {
                panic.most = 0;
            }
            panic.since = Some(now);
        } else if panic.since.is_some_and(|since| now.since(since) >= STABLE) {
            panic.since = None;
        }
        let replicas = match panic.since {
            Some(_) => {
                panic.most = panic.most.max(stable.max(quick));
                panic.most
            }
            None => stable,
        };
        let because = format!("{:.1} at work or waiting on average", average(STABLE));
        Decision::new(replicas, "concurrency", because)
    }

    fn history(&self) -> Duration {
        STABLE + PANIC
    }
}
