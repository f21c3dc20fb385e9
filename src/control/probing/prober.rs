//! One task a replica: asks its health check again and again and reports when the answer turns.

use super::verdict::Verdict;
use crate::control::input::{LoopInput, Sink};
use crate::plugin::Probe;
use crate::service::event::Event;
use crate::service::replica::ReplicaId;
use crate::service::replica::doubt::Doubt;
use crate::service::spec::{HealthTiming, ServiceName};
use std::iter;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior};

/// A starting replica is asked this often: each tenth of a second is one that users wait.
const STARTING_INTERVAL: Duration = Duration::from_millis(100);

/// Answers of 5xx have a replica checked at once, but no more often than this.
const ASKED_INTERVAL: Duration = Duration::from_millis(100);

/// So many checks in a row may go without an answer while requests get theirs. A replica that is
/// flooded, or asked by a process that is, drops some of those who connect; one whose health check
/// alone hangs is found out by this.
const EXCUSES_MAX: u32 = 3;

/// Most replicas are ready sooner; of the others it is said why they are not, each time that
/// changes, but no more often than this.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// A start that takes longer than this is worth an event.
const SLOW_TO_START: Duration = Duration::from_secs(5);

pub struct ProbeTarget {
    pub service: ServiceName,
    pub id: ReplicaId,
    /// Where it may be reached, best first.
    pub addresses: Vec<SocketAddr>,
    pub doubt: Arc<Doubt>,
}

/// Stops the probing when it is dropped.
#[derive(Debug)]
pub struct Prober(AbortHandle);

impl Drop for Prober {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// `healthy_at`: it is known to be healthy there, so that the next failures count at once.
pub fn spawn(
    target: ProbeTarget,
    healthy_at: Option<SocketAddr>,
    probe: Arc<dyn Probe>,
    timing: HealthTiming,
    report: mpsc::Sender<LoopInput>,
    sink: Sink,
) -> Prober {
    let probing = Probing {
        target,
        probe,
        timing,
        report,
        sink,
    };
    Prober(tokio::spawn(probing.run(healthy_at)).abort_handle())
}

struct Probing {
    target: ProbeTarget,
    probe: Arc<dyn Probe>,
    timing: HealthTiming,
    report: mpsc::Sender<LoopInput>,
    sink: Sink,
}

impl Probing {
    async fn run(self, mut healthy_at: Option<SocketAddr>) {
        let mut interval = STARTING_INTERVAL.min(self.timing.interval);
        loop {
            // An address that was healthy by another health check is checked at once.
            let (address, first) = match healthy_at.take() {
                Some(address) => (address, Duration::ZERO),
                None => (self.until_healthy(interval).await, self.timing.interval),
            };
            let why = self.while_healthy(address, first).await;
            self.say(Verdict::Unhealthy { why }).await;
            interval = self.timing.interval;
        }
    }

    async fn until_healthy(&self, interval: Duration) -> SocketAddr {
        let began = Instant::now();
        let mut said = false;
        let mut told = LastReport::default();
        let mut tick = ticks(interval);
        loop {
            tick.tick().await;
            let why = match self.first_that_answers().await {
                Ok(address) => {
                    self.target.doubt.settle();
                    self.say(Verdict::Healthy { address }).await;
                    return address;
                }
                Err(why) => why,
            };
            let after = began.elapsed();
            if !said && after >= self.timing.start_period {
                said = true;
                self.say(Verdict::NeverHealthy { after, why }).await;
                tick = ticks(self.timing.interval);
                tick.tick().await;
            } else if !said && let Some(news) = told.news(after, why) {
                self.say(news).await;
            }
        }
    }

    async fn while_healthy(&self, address: SocketAddr, first: Duration) -> String {
        let mut failures = 0;
        let mut excuses = 0;
        let mut checked = Instant::now();
        let mut tick = ticks(self.timing.interval);
        tick.reset_after(first);
        loop {
            let asked = tokio::select! {
                biased;
                _ = tick.tick() => false,
                () = self.target.doubt.heard() => false,
                () = self.asked(checked) => true,
            };
            checked = Instant::now();
            self.target.doubt.listen();
            match self.check(address).await {
                Ok(()) => {
                    failures = 0;
                    excuses = 0;
                    self.target.doubt.settle();
                }
                Err(_)
                    if checked.elapsed() >= self.timing.timeout
                        && excuses < EXCUSES_MAX
                        && self.target.doubt.has_answered() =>
                {
                    excuses += 1;
                    tick.reset_after(STARTING_INTERVAL.min(self.timing.interval));
                }
                Err(why) => {
                    failures += 1;
                    if failures >= self.timing.retries {
                        return why;
                    }
                    if asked || self.target.doubt.is_raised() {
                        tick.reset_after(STARTING_INTERVAL.min(self.timing.interval));
                    }
                }
            }
        }
    }

    /// Resolves when the request path wants to know, and the last check is not too near.
    async fn asked(&self, checked: Instant) {
        self.target.doubt.asked().await;
        tokio::time::sleep_until(checked + ASKED_INTERVAL).await;
    }

    async fn first_that_answers(&self) -> Result<SocketAddr, String> {
        let mut failures = Vec::new();
        let mut refused = Vec::new();
        for &address in &self.target.addresses {
            let began = Instant::now();
            match self.check(address).await {
                Ok(()) => {
                    // The replica may have come up between two checks; then a better address
                    // answers, too. An address that gave no answer in time is not there at all.
                    for better in refused {
                        if self.check(better).await.is_ok() {
                            return Ok(better);
                        }
                    }
                    return Ok(address);
                }
                Err(why) => {
                    if began.elapsed() < self.timing.timeout {
                        refused.push(address);
                    }
                    failures.push((address, why));
                }
            }
        }
        Err(in_one(&failures))
    }

    async fn check(&self, address: SocketAddr) -> Result<(), String> {
        let checked = tokio::time::timeout(self.timing.timeout, self.probe.check(address)).await;
        let result = checked.unwrap_or_else(|_| {
            Err(format!(
                "no answer within {}",
                crate::service::time::Human(self.timing.timeout)
            ))
        });
        (self.sink)(&Event::Checked {
            service: self.target.service.clone(),
            ok: result.is_ok(),
        });
        result
    }

    async fn say(&self, verdict: Verdict) {
        let _ = self
            .report
            .send(LoopInput::Probed {
                service: self.target.service.clone(),
                id: self.target.id.clone(),
                verdict,
            })
            .await;
    }
}

/// The failure of each address, with equal ones joined.
fn in_one(failures: &[(SocketAddr, String)]) -> String {
    match failures {
        [] => "the replica has no address".to_owned(),
        [(first, why), others @ ..] if others.iter().all(|(_, other)| other == why) => {
            let addresses = iter::once(first).chain(others.iter().map(|(address, _)| address));
            let addresses: Vec<String> = addresses.map(SocketAddr::to_string).collect();
            format!("{} {why}", addresses.join(" and "))
        }
        several => {
            let each = several
                .iter()
                .map(|(address, why)| format!("{address} {why}"));
            each.collect::<Vec<_>>().join("; ")
        }
    }
}

/// The last reason that was reported for a replica that is not healthy yet.
#[derive(Default)]
struct LastReport(Option<(Duration, String)>);

impl LastReport {
    /// Returns a verdict if the reason changed or is overdue, and remembers it.
    fn news(&mut self, after: Duration, why: String) -> Option<Verdict> {
        let (last, known) = match &self.0 {
            Some((last, known)) => (*last, known.as_str()),
            None => (Duration::ZERO, ""),
        };
        let is_slow = last < SLOW_TO_START && after >= SLOW_TO_START;
        if !is_slow && (why == known || after - last < TELL_INTERVAL) {
            return None;
        }
        self.0 = Some((after, why.clone()));
        Some(Verdict::NotYet {
            after,
            why,
            is_slow,
        })
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

#[cfg(test)]
#[path = "prober_tests.rs"]
mod tests;
