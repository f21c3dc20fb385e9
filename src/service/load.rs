//! What the request path counts for a service.

use super::answers::Answers;
use super::budget::Budget;
use super::latency::{Histogram, Latencies};
use super::replica::fault::Faults;
use super::spec::Retries;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// What one request adds to the time in service at most. Scalers ask what a minute of traffic
/// needs; a stream that ends after an hour says no more about that than one of a minute.
const BUSY_MAX: Duration = Duration::from_secs(60);

/// The counters of one service. They outlive snapshots, reloads and replicas.
#[derive(Debug)]
pub struct ServiceLoad {
    counted: AtomicU64,
    total: AtomicU64,
    held: AtomicU64,
    completed: AtomicU64,
    busy_micros: AtomicU64,
    latencies: Latencies,
    /// What clients got.
    pub answers: Answers,
    /// Those of its replicas that reached a client.
    pub faults: Faults,
    line: Semaphore,
    places: Notify,
    budget: Budget,
    is_busy: AtomicBool,
    /// Whether the service sleeps, so that each request is news.
    sleeps: AtomicBool,
    wake: Arc<Notify>,
}

impl ServiceLoad {
    pub(super) fn new(wake: Arc<Notify>) -> Self {
        ServiceLoad {
            counted: AtomicU64::new(0),
            total: AtomicU64::new(0),
            held: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            busy_micros: AtomicU64::new(0),
            latencies: Latencies::default(),
            answers: Answers::default(),
            faults: Faults::default(),
            line: Semaphore::new(1),
            places: Notify::new(),
            budget: Budget::new(Instant::now()),
            is_busy: AtomicBool::new(false),
            sleeps: AtomicBool::new(false),
            wake,
        }
    }

    /// Notes a request; `counts` says whether the scaler wants to know of it.
    pub fn note(&self, counts: bool) {
        // In one order with `sleeps`: either this request finds out that the service sleeps, or
        // whoever puts it to sleep finds this request.
        self.total.fetch_add(1, Ordering::SeqCst);
        if self.sleeps.load(Ordering::SeqCst) {
            self.wake.notify_one();
        }
        // The first request starts the scaling clock, so the control loop hears of it at once.
        if counts && self.counted.fetch_add(1, Ordering::Relaxed) == 0 {
            self.wake.notify_one();
        }
    }

    /// Requests that the scaler counts, since the service was first seen.
    pub fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }

    pub fn total(&self) -> u64 {
        self.total.load(Ordering::SeqCst)
    }

    /// From now on the control loop hears of each request at once, or no more.
    pub fn sleeps(&self, sleeps: bool) {
        self.sleeps.store(sleeps, Ordering::SeqCst);
    }

    /// Notes that a replica is done with a request that it had for this long.
    pub(super) fn served(&self, took: Duration) {
        self.completed.fetch_add(1, Ordering::Relaxed);
        let micros = took.min(BUSY_MAX).as_micros() as u64;
        self.busy_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Requests that replicas were done with, well or not.
    pub fn completed(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }

    /// How long these kept their replicas, in total; of each, a minute at most.
    pub fn busy(&self) -> Duration {
        Duration::from_micros(self.busy_micros.load(Ordering::Relaxed))
    }

    /// Notes how long after its arrival a request's answer began.
    pub fn answered(&self, after: Duration) {
        self.latencies.note(after);
    }

    /// How long answers have taken until now.
    pub fn answers(&self) -> Histogram {
        self.latencies.counts()
    }

    /// Tells the budget the time, with each request.
    pub fn keep_time(&self, now: Instant) {
        self.budget.note(self.total(), now);
    }

    /// Whether a request may be sent again; if so, that is spent.
    pub fn may_retry(&self, terms: &Retries) -> bool {
        self.budget.spend(terms, self.total(), Instant::now())
    }

    /// Retries that the budget did not allow.
    pub fn retries_refused(&self) -> u64 {
        self.budget.refused()
    }

    /// Runs `decide` unless somebody else of this service is at it; nobody waits.
    pub fn exclusively<T>(&self, decide: impl FnOnce() -> T) -> Option<T> {
        if self.is_busy.swap(true, Ordering::Acquire) {
            return None;
        }
        let decided = decide();
        self.is_busy.store(false, Ordering::Release);
        Some(decided)
    }

    /// Requests that wait for a replica.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// To be the one of those that wait whose turn it is, in the order of asking; over when it is
    /// dropped.
    pub async fn turn(&self) -> SemaphorePermit<'_> {
        let turn = self.line.acquire().await;
        turn.expect("nobody closes it")
    }

    /// A replica that was full has a place again, and somebody asked to be told.
    pub(super) fn place_is_free(&self) {
        self.places.notify_waiters();
    }

    /// Resolves when that happens from now on, also before it is first polled.
    pub fn place(&self) -> Notified<'_> {
        self.places.notified()
    }

    /// A place among those that wait, unless `max` are taken.
    pub fn hold(self: &Arc<Self>, max: u64) -> Option<Held> {
        let one_more = |held: u64| (held < max).then_some(held + 1);
        let place = self
            .held
            .try_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        place.ok().map(|_| Held(Arc::clone(self)))
    }
}

/// A request's place among those that wait; free again when it is dropped.
#[derive(Debug)]
pub struct Held(Arc<ServiceLoad>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}
