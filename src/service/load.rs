//! Counters of a service, which the request path writes.

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

/// Longest time that one request adds to the busy time. Scalers ask what a minute of traffic needs,
/// about which a stream of an hour says no more than one of a minute.
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
    /// Answers that clients got.
    pub answers: Answers,
    /// Failures of its replicas that reached a client.
    pub faults: Faults,
    line: Semaphore,
    places: Notify,
    budget: Budget,
    is_busy: AtomicBool,
    /// Whether the service sleeps, so that each request wakes the control loop.
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

    /// Counts a request, for the scaler as well if it `counts`.
    pub fn note(&self, counts: bool) {
        // In one order with `sleeps`: either this request sees that the service sleeps, or the
        // control loop, about to put it to sleep, sees this request.
        self.total.fetch_add(1, Ordering::SeqCst);
        if self.sleeps.load(Ordering::SeqCst) {
            self.wake.notify_one();
        }
        // The first request starts the scaling clock, so it wakes the control loop.
        if counts && self.counted.fetch_add(1, Ordering::Relaxed) == 0 {
            self.wake.notify_one();
        }
    }

    /// Number of requests that count for scaling, since the service was first seen.
    pub fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }

    pub fn total(&self) -> u64 {
        self.total.load(Ordering::SeqCst)
    }

    /// Sets whether each request wakes the control loop.
    pub fn sleeps(&self, sleeps: bool) {
        self.sleeps.store(sleeps, Ordering::SeqCst);
    }

    /// Counts a request that a replica has finished, well or not.
    pub(super) fn served(&self, took: Duration) {
        self.completed.fetch_add(1, Ordering::Relaxed);
        let micros = took.min(BUSY_MAX).as_micros() as u64;
        self.busy_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Number of requests that replicas have finished, well or not.
    pub fn completed(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }

    /// Total time for which these requests had a replica, at most a minute each.
    pub fn busy(&self) -> Duration {
        Duration::from_micros(self.busy_micros.load(Ordering::Relaxed))
    }

    /// Counts the time from a request's arrival to the beginning of its answer.
    pub fn answered(&self, after: Duration) {
        self.latencies.note(after);
    }

    /// Times until answers began.
    pub fn answers(&self) -> Histogram {
        self.latencies.counts()
    }

    /// Moves the window of the retry budget on; called with each request.
    pub fn keep_time(&self, now: Instant) {
        self.budget.note(self.total(), now);
    }

    /// Spends a retry, if the budget has one.
    pub fn may_retry(&self, terms: &Retries) -> bool {
        self.budget.spend(terms, self.total(), Instant::now())
    }

    /// Number of retries that the budget refused.
    pub fn retries_refused(&self) -> u64 {
        self.budget.refused()
    }

    /// Runs `decide`, or returns `None` at once while another thread runs one for this service.
    pub fn exclusively<T>(&self, decide: impl FnOnce() -> T) -> Option<T> {
        if self.is_busy.swap(true, Ordering::Acquire) {
            return None;
        }
        let decided = decide();
        self.is_busy.store(false, Ordering::Release);
        Some(decided)
    }

    /// Number of requests that wait for a replica.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Waits in the queue of requests that wait for a replica, first come, first served. The turn
    /// ends when the permit is dropped.
    pub async fn turn(&self) -> SemaphorePermit<'_> {
        let turn = self.line.acquire().await;
        turn.expect("nobody closes it")
    }

    /// Wakes the requests that wait, because a full replica has a free place.
    pub(super) fn place_is_free(&self) {
        self.places.notify_waiters();
    }

    /// Resolves at the next free place, counted from this call on.
    pub fn place(&self) -> Notified<'_> {
        self.places.notified()
    }

    /// A place among the waiting requests, unless `max` are taken.
    pub fn hold(self: &Arc<Self>, max: u64) -> Option<HeldRequest> {
        let one_more = |held: u64| (held < max).then_some(held + 1);
        let place = self
            .held
            .try_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        place.ok().map(|_| HeldRequest(Arc::clone(self)))
    }
}

/// A place among the waiting requests, given back when it is dropped.
#[derive(Debug)]
pub struct HeldRequest(Arc<ServiceLoad>);

impl Drop for HeldRequest {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}
