//! The oracle, which knows the future: the yardstick for the cost of policies.

use super::arrivals::{Arrivals, TraceRequest};
use super::model::Model;
use super::time::{NANOS, nanos};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::iter::Peekable;

/// Interval of its choices; its replicas start at once and for nothing.
const EVERY: u64 = 10 * NANOS;

#[derive(Clone, Default)]
struct Pool {
    /// Ends of the requests in slots.
    busy: BinaryHeap<Reverse<u64>>,
    waiting: VecDeque<TraceRequest>,
}

/// The fewest replica-seconds in which no request waits longer than `model.patience`, and the most
/// replicas at once: in each 10 s the smallest count without a violation.
pub fn oracle(arrivals: Arrivals<'_>, model: &Model, seconds: u64) -> (f64, u32) {
    let mut arrivals = arrivals.peekable();
    let mut pool = Pool::default();
    let (mut replicas, mut total, mut peak) = (1, 0.0, 0);
    let end = seconds * NANOS;
    let mut begin = 0;
    while begin < end {
        let until = (begin + EVERY).min(end);
        let requests = take(&mut arrivals, until);
        let run = |replicas: u32| run(&pool, &requests, begin, until, replicas, model);
        let mut best = run(replicas);
        while best.is_none() && replicas < model.bounds.max {
            replicas += 1;
            best = run(replicas);
        }
        while best.is_some() && replicas > model.bounds.min.max(1) {
            let Some(fewer) = run(replicas - 1) else {
                break;
            };
            replicas -= 1;
            best = Some(fewer);
        }
        // At the maximum, some wait in vain.
        pool = best.unwrap_or_default();
        total += f64::from(replicas) * (until - begin) as f64 / NANOS as f64;
        peak = peak.max(replicas);
        begin = until;
    }
    (total, peak)
}

fn take(arrivals: &mut Peekable<Arrivals<'_>>, until: u64) -> Vec<TraceRequest> {
    std::iter::from_fn(|| arrivals.next_if(|request| request.at < until)).collect()
}

/// Work left at `until`; `None`: a request waited too long.
fn run(
    before: &Pool,
    requests: &[TraceRequest],
    begin: u64,
    until: u64,
    replicas: u32,
    model: &Model,
) -> Option<Pool> {
    let slots = replicas as usize * model.slots as usize;
    let patience = nanos(model.patience.as_secs_f64());
    let mut pool = before.clone();
    let mut requests = requests.iter().peekable();
    let mut now = begin;
    loop {
        while let Some(request) = pool.waiting.front() {
            if pool.busy.len() >= slots {
                break;
            }
            if now - request.at > patience {
                return None;
            }
            pool.busy.push(Reverse(now + request.service));
            pool.waiting.pop_front();
        }
        let freed = pool.busy.peek().map(|Reverse(at)| *at);
        let arrives = requests.peek().map(|request| request.at);
        match (freed, arrives) {
            (Some(at), other) if at < until && other.is_none_or(|other| at <= other) => {
                pool.busy.pop();
                now = now.max(at);
            }
            (_, Some(at)) => {
                pool.waiting.extend(requests.next());
                now = at;
            }
            _ => break,
        }
    }
    let late = |request: &TraceRequest| until - request.at > patience;
    (!pool.waiting.front().is_some_and(late)).then_some(pool)
}
