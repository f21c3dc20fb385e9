//! An open-loop client: requests are due at fixed times, whatever became of those before.
//!
//! A wait is counted from when the request was due, so a stall is seen by everybody who would
//! have come during it, and not only by those who were already there.

mod exchange;
mod failure;
mod mix;
mod target;
#[cfg(test)]
mod tests;
mod upload;

pub use exchange::Outcome;
pub use failure::Failure;
pub use mix::{Ask, MIX};
pub use target::Target;

use exchange::Client;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// More requests in flight than this, and the client's own limits would be what is measured.
const IN_FLIGHT_MAX: usize = 8000;
/// Connections, and what else a process keeps open.
const OPEN_FILES: u64 = IN_FLIGHT_MAX as u64 + 1000;

/// Result of one request.
#[derive(Debug)]
pub struct Sample {
    pub number: u64,
    /// Since the load began.
    pub due: Duration,
    pub ask: &'static Ask,
    /// Whether it went out on a connection that had been used before.
    pub reused: bool,
    /// From when it was due to the answer's last byte, or to its failure.
    pub wait: Duration,
    pub outcome: Outcome,
}

/// Everything that was sent.
#[derive(Debug)]
pub struct Sent {
    pub began: Instant,
    pub samples: Vec<Sample>,
    /// How late the client itself sent a request, at most: what the machine had no time for.
    pub late_max: Duration,
}

/// Requests that keep coming until they are stopped; dropping it ends them unanswered.
pub struct Load {
    pub began: Instant,
    stop: watch::Sender<bool>,
    driver: JoinSet<Result<Sent, String>>,
}

impl Load {
    pub fn start(target: Target, rate: f64, mix: &'static [Ask]) -> Load {
        let (stop, stopped) = watch::channel(false);
        let began = Instant::now();
        let mut driver = JoinSet::new();
        driver.spawn(drive(target, rate, mix, began, stopped));
        Load {
            began,
            stop,
            driver,
        }
    }

    /// Sends no more, and waits for what is in flight.
    pub async fn stop(mut self) -> Result<Sent, String> {
        let _ = self.stop.send(true);
        match self.driver.join_next().await {
            Some(Ok(sent)) => sent,
            Some(Err(why)) => Err(format!("the client failed: {why}")),
            None => Err("the client was stopped twice".to_owned()),
        }
    }
}

async fn drive(
    target: Target,
    rate: f64,
    mix: &'static [Ask],
    began: Instant,
    mut stopped: watch::Receiver<bool>,
) -> Result<Sent, String> {
    let client = Client::new(target);
    let mut in_flight = JoinSet::new();
    let mut samples = Vec::new();
    let mut late_max = Duration::ZERO;
    let mut asks = mix.iter().cycle();
    for number in 0_u64.. {
        // From the beginning each time, so that no error adds up.
        let due = Duration::from_secs_f64(number as f64 / rate);
        tokio::select! {
            biased;
            _ = stopped.changed() => break,
            () = sleep_until(began + due) => {}
        }
        while let Some(sample) = in_flight.try_join_next() {
            samples.push(sample.map_err(|why| why.to_string())?);
        }
        if in_flight.len() >= IN_FLIGHT_MAX {
            return Err(format!(
                "{IN_FLIGHT_MAX} requests wait for their answers, {:.1} s after the load began; \
                 try a lower --rate",
                began.elapsed().as_secs_f64(),
            ));
        }
        late_max = late_max.max(began.elapsed().saturating_sub(due));
        let Some(ask) = asks.next() else {
            return Err("there is nothing to ask for".to_owned());
        };
        let client = client.clone();
        in_flight.spawn(async move {
            let (reused, outcome) = client.ask(number, ask, began + due).await;
            let wait = began.elapsed().saturating_sub(due);
            Sample {
                number,
                due,
                ask,
                reused,
                wait,
                outcome,
            }
        });
    }
    while let Some(sample) = in_flight.join_next().await {
        samples.push(sample.map_err(|why| why.to_string())?);
    }
    samples.sort_by_key(|sample| sample.number);
    Ok(Sent {
        began,
        samples,
        late_max,
    })
}

/// Each request may hold a connection of its own; the usual limit is 1024 files.
pub fn more_files() -> Result<(), String> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|why| why.desc().to_owned())?;
    if soft >= OPEN_FILES {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(OPEN_FILES), hard)
        .map_err(|why| why.desc().to_owned())
}
