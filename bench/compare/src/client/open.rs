//! An open loop: requests are due at fixed times, whatever became of those before, and a wait is
//! counted from then.

use super::{Client, Clients};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Time for requests that are still under way after the last one was due.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Default)]
pub struct Open {
    /// Of those that were answered, ascending.
    waits: Vec<Duration>,
    pub sent: u64,
    pub failed: u64,
    pub first_failure: Option<String>,
}

impl Open {
    pub fn quantile(&self, share: f64) -> Duration {
        let at = (self.waits.len() as f64 * share) as usize;
        let last = self.waits.len().saturating_sub(1);
        self.waits.get(at.min(last)).copied().unwrap_or_default()
    }
}

/// Requests that the clients have before them.
#[derive(Default)]
struct Work {
    due: RefCell<VecDeque<Instant>>,
    over: Cell<bool>,
    more: Notify,
    done: RefCell<Open>,
}

/// Requests that are due while `warm_up` lasts are sent and not counted.
pub async fn run(
    clients: &Clients,
    rate: f64,
    warm_up: Duration,
    lasts: Duration,
) -> Result<Open, String> {
    let work: Rc<Work> = Rc::default();
    let mut timer = every(Duration::from_secs_f64(1.0 / rate))?;
    let began = Instant::now();
    let counted_from = began + warm_up;
    let mut tasks = JoinSet::new();
    for _ in 0..clients.connections {
        tasks.spawn_local(one(clients.clone(), Rc::clone(&work), counted_from));
    }
    let count = ((warm_up + lasts).as_secs_f64() * rate) as u64;
    let mut sent = 0;
    while sent < count {
        // How often it fired does not matter: what is due is told by the clock.
        let fired = timer.read_u64().await;
        fired.map_err(|why| format!("the clock: {why}"))?;
        let now = began.elapsed().as_secs_f64();
        while sent < count && sent as f64 / rate <= now {
            let due = began + Duration::from_secs_f64(sent as f64 / rate);
            work.due.borrow_mut().push_back(due);
            work.more.notify_one();
            sent += 1;
        }
    }
    work.over.set(true);
    work.more.notify_waiters();
    let all = async { while tasks.join_next().await.is_some() {} };
    let is_done = timeout(PATIENCE, all).await.is_ok();
    drop(tasks);
    let mut done = work.done.take();
    done.sent = (lasts.as_secs_f64() * rate) as u64;
    if !is_done {
        let missing = done
            .sent
            .saturating_sub(done.waits.len() as u64 + done.failed);
        done.failed += missing;
        done.first_failure
            .get_or_insert_with(|| "not answered in time".to_owned());
    }
    done.waits.sort_unstable();
    Ok(done)
}

async fn one(clients: Clients, work: Rc<Work>, counted_from: Instant) {
    let mut client = Client::new(&clients);
    loop {
        let next = work.due.borrow_mut().pop_front();
        let Some(due) = next else {
            let more = work.more.notified();
            if work.over.get() {
                return;
            }
            more.await;
            continue;
        };
        let asked = client.ask().await;
        if due < counted_from {
            continue;
        }
        let mut done = work.done.borrow_mut();
        match asked {
            Ok(()) => done.waits.push(due.elapsed()),
            Err(why) => {
                done.failed += 1;
                done.first_failure.get_or_insert(why);
            }
        }
    }
}

/// Tokio's own clock has steps of a millisecond.
fn every(period: Duration) -> Result<Receiver, String> {
    let start = || {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        let period = Timespec {
            tv_sec: period.as_secs() as i64,
            tv_nsec: i64::from(period.subsec_nanos()),
        };
        let fires = Itimerspec {
            it_interval: period,
            it_value: period,
        };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &fires)?;
        // Tokio needs a descriptor that can be read, and waited for.
        Receiver::from_owned_fd_unchecked(timer)
    };
    start().map_err(|why: std::io::Error| format!("the clock: {why}"))
}
