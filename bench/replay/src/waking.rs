//! How long a request waits for a service that sleeps: paused, or with no replica at all.

use crate::client;
use crate::edge::{Edge, IMAGE};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

/// Paused soon, and gone some seconds later.
const SCALE: &str = "{ min: 0, max: 1, idle_timeout: 1s, stop_after: 4s }";
const ROUNDS: usize = 5;
/// Beyond what the container itself takes to start, or to run again.
const OVERHEAD_MAX: Duration = Duration::from_millis(100);
/// For a pause that is just under way, and for whatever Docker has left to do.
const SETTLES: Duration = Duration::from_millis(500);
const ASLEEP_WITHIN: Duration = Duration::from_secs(30);
const STARTS_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(2);

#[derive(Serialize)]
pub struct Waking {
    pub phase: &'static str,
    pub rounds: usize,
    /// Medians, of how long a request took, and of that the container itself: the same image,
    /// started by `docker run` until it answers. Nothing, where it was paused.
    pub request_ms: f64,
    pub container_ms: f64,
    pub overhead_ms: f64,
    pub overhead_max_ms: f64,
    pub kept: bool,
}

pub async fn measured(program: &Path, port: u16, start_ms: u64) -> Result<[Waking; 2], String> {
    let mut alone = Vec::new();
    for _ in 0..ROUNDS {
        alone.push(started_alone(port + 5, start_ms).await?);
    }
    let alone = median(&mut alone);
    let edge = Edge::spawn(program, port, SCALE, start_ms)?;
    let (mut cold, mut paused) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        asleep(&edge, 0).await?;
        cold.push(asked(&edge).await?);
        asleep(&edge, 1).await?;
        paused.push(asked(&edge).await?);
    }
    edge.leave().await?;
    Ok([
        waking("cold start from zero", &mut cold, alone),
        waking("wake from a pause", &mut paused, Duration::ZERO),
    ])
}

fn waking(phase: &'static str, took: &mut [Duration], container: Duration) -> Waking {
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    let request = median(took);
    let longest = took.last().copied().unwrap_or_default();
    let overhead = request.saturating_sub(container);
    Waking {
        phase,
        rounds: took.len(),
        request_ms: millis(request),
        container_ms: millis(container),
        overhead_ms: millis(overhead),
        overhead_max_ms: millis(longest.saturating_sub(container)),
        kept: overhead <= OVERHEAD_MAX,
    }
}

/// Sorts them, too.
fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Waits until the service sleeps with so many replicas, which are paused.
async fn asleep(edge: &Edge, count: usize) -> Result<(), String> {
    let sleeps = async {
        while edge.asleep().await != Some(count) {
            sleep(Duration::from_millis(20)).await;
        }
        sleep(SETTLES).await;
    };
    let slept = timeout(ASLEEP_WITHIN, sleeps).await;
    slept.map_err(|_| format!("the service does not sleep; its log:\n{}", edge.log()))
}

async fn asked(edge: &Edge) -> Result<Duration, String> {
    let began = Instant::now();
    client::once(edge.address).await?;
    Ok(began.elapsed())
}

/// The same container without an edge.
async fn started_alone(port: u16, start_ms: u64) -> Result<Duration, String> {
    let (name, start) = (
        format!("replay-alone-{}", std::process::id()),
        format!("START_MS={start_ms}"),
    );
    let publish = format!("127.0.0.1:{port}:80");
    let began = Instant::now();
    let run = [
        "run",
        "--detach",
        "--name",
        &name,
        "--env",
        &start,
        "--publish",
        &publish,
        IMAGE,
    ];
    let result = match docker(&run).await {
        Ok(()) => {
            let address: SocketAddr = ([127, 0, 0, 1], port).into();
            let answers = async {
                while client::once(address).await.is_err() {
                    sleep(LOOK_EVERY).await;
                }
            };
            let answered = timeout(STARTS_WITHIN, answers).await;
            answered.map_err(|_| format!("{IMAGE} does not answer"))
        }
        Err(why) => Err(why),
    };
    let took = began.elapsed();
    let removed = docker(&["rm", "--force", &name]).await;
    result.and(removed).map(|()| took)
}

async fn docker(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("docker").args(arguments).output().await;
    let output = output.map_err(|why| format!("docker: {why}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

pub fn table(rows: &[Waking]) -> String {
    let mut out = String::new();
    for row in rows {
        out += &format!(
            "{}: {:.0} ms, of which the container takes {:.0} ms: {:.0} ms more, {:.0} ms at most \
             in {} rounds; {} ms are allowed in the middle: {}\n",
            row.phase,
            row.request_ms,
            row.container_ms,
            row.overhead_ms,
            row.overhead_max_ms,
            row.rounds,
            OVERHEAD_MAX.as_millis(),
            if row.kept { "kept" } else { "NOT KEPT" },
        );
    }
    out
}
