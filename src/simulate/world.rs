//! Imagined replicas and requests, event by event, under the real scaler and the real planner.

use super::arrivals::{Arrivals, TraceRequest};
use super::model::Model;
use super::outcome::Outcome;
use super::random::{Lognormal, Random};
use super::replica::{ImaginedReplica, SimulatedEvent};
use super::time::NANOS;
use crate::plan::backoff::Backoff;
use crate::plan::scaler::Scaler;
use crate::plan::window::Window;
use crate::service::latency::Histogram;
use crate::service::spec::Slot;
use crate::service::time::Moment;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

pub(super) const FIRST_SLOT: Slot = 8000;

/// The imagined world.
pub struct ImaginedWorld<'a> {
    pub(super) model: &'a Model,
    pub(super) scaler: &'a dyn Scaler,
    /// Time of day at the beginning; zero: unknown.
    pub(super) start: Duration,
    pub(super) now: u64,
    pub(super) events: BinaryHeap<Reverse<(u64, SimulatedEvent)>>,
    /// Replicas by index; free indices are reused.
    pub(super) replicas: Vec<Option<ImaginedReplica>>,
    pub(super) waiting: VecDeque<TraceRequest>,
    /// Indices of the ready replicas in slot order.
    pub(super) ready: Vec<usize>,
    pub(super) free_slots: u32,
    /// The position in `ready` that is next.
    pub(super) turn: usize,
    pub(super) generations: u64,
    pub(super) starts: Random,
    pub(super) lives: Random,
    pub(super) start_time: Lognormal,
    /// Average start time, as the control loop would have learned it.
    pub(super) learned: Duration,
    pub(super) backoff: Backoff,
    pub(super) window: Window,
    pub(super) counted: WorldCounters,
    pub(super) wanted: u32,
    pub(super) replan: bool,
    pub(super) wake: Option<Moment>,
    pub(super) changed: Option<(u64, bool)>,
    pub(super) short_since: Option<u64>,
    pub(super) outcome: Outcome,
}

#[derive(Default)]
pub(super) struct WorldCounters {
    pub(super) arrived: u64,
    pub(super) completed: u64,
    pub(super) busy: u64,
    pub(super) in_flight: u64,
    pub(super) answers: Histogram,
}

pub(super) fn moment(nanos: u64) -> Moment {
    Moment(Duration::from_nanos(nanos))
}

impl<'a> ImaginedWorld<'a> {
    /// A world in which Tidegate runs already, with replicas for `load` and a quarter more.
    pub fn new(
        model: &'a Model,
        scaler: &'a dyn Scaler,
        start: Duration,
        load: f64,
    ) -> ImaginedWorld<'a> {
        let wanted = model.bounds.clamp((load * 1.25).ceil() as u32);
        let mut world = ImaginedWorld {
            model,
            scaler,
            start,
            now: 0,
            events: BinaryHeap::new(),
            replicas: Vec::new(),
            waiting: VecDeque::new(),
            ready: Vec::new(),
            free_slots: 0,
            turn: 0,
            generations: 0,
            starts: Random::new(model.seed, 4),
            lives: Random::new(model.seed, 5),
            start_time: Lognormal::new(model.start_time.as_secs_f64(), model.start_cv),
            learned: Duration::ZERO,
            backoff: Backoff::default(),
            window: Window::default(),
            counted: WorldCounters::default(),
            wanted,
            replan: true,
            wake: None,
            changed: None,
            short_since: None,
            outcome: Outcome::default(),
        };
        for offset in 0..wanted {
            let index = world.start(FIRST_SLOT + offset as Slot);
            world.becomes_ready(index);
        }
        world
    }

    pub fn run(
        mut self,
        arrivals: Arrivals<'_>,
        seconds: u64,
        load: impl Fn(u64) -> f64,
        mut progress: impl FnMut(u64),
    ) -> Outcome {
        let mut arrivals = arrivals.peekable();
        self.outcome.seconds.reserve(seconds as usize);
        for second in 0..seconds {
            let until = (second + 1) * NANOS;
            loop {
                let arrives = arrivals.peek().map(|request| request.at);
                let happens = self.events.peek().map(|Reverse((at, _))| *at);
                match (happens, arrives) {
                    (Some(at), other) if at < until && other.is_none_or(|other| at <= other) => {
                        let Some(Reverse((at, event))) = self.events.pop() else {
                            break;
                        };
                        self.now = at;
                        self.happens(event);
                    }
                    (_, Some(at)) if at < until => {
                        self.now = at;
                        self.waiting.extend(arrivals.next());
                        self.counted.arrived += 1;
                        self.serve();
                    }
                    _ => break,
                }
            }
            self.now = until;
            self.tick(load(second));
            progress(second + 1);
        }
        self.end()
    }
}
