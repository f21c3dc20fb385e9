//! How fast an edge is, and what that takes of its processor.

use crate::client::closed::Closed;
use crate::client::connection::Ask;
use crate::client::{Clients, open};
use crate::edge::Edge;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long each loop runs before it counts.
const WARM_UP: Duration = Duration::from_millis(400);
const WARM_UP_OPEN: Duration = Duration::from_millis(250);

/// Result of a closed loop.
pub struct Most {
    pub per_second: f64,
    /// Of the edge, all its threads, for one request.
    pub cpu: Duration,
    /// How much of a processor that was.
    pub busy: f64,
}

/// Result of an open loop.
pub struct Waits {
    pub p50: Duration,
    pub p99: Duration,
    pub p999: Duration,
}

pub async fn most(edge: &Edge, clients: &Clients, lasts: Duration) -> Result<Most, String> {
    let name = edge.which.name();
    let closed = Closed::start(clients);
    sleep(WARM_UP).await;
    let (began, cpu, answered) = (Instant::now(), edge.process.cpu()?, closed.answered());
    sleep(lasts).await;
    let (took, answered) = (began.elapsed(), closed.answered() - answered);
    let cpu = edge.process.cpu()? - cpu;
    if let Some((count, why)) = closed.failed() {
        let log = edge.log();
        return Err(format!("{name}: {count} requests failed: {why}\n{log}"));
    }
    if answered == 0 {
        return Err(format!("{name} answered nothing"));
    }
    Ok(Most {
        per_second: answered as f64 / took.as_secs_f64(),
        cpu: cpu.div_f64(answered as f64),
        busy: cpu.as_secs_f64() / took.as_secs_f64(),
    })
}

/// Requests a second when the clients ask a server themselves: more than that nobody can do here.
pub async fn without_an_edge(server: SocketAddr, lasts: Duration) -> Result<f64, String> {
    let closed = Closed::start(&Clients {
        edge: server,
        ask: Ask::small(),
        connections: 64,
        always_new: false,
    });
    sleep(WARM_UP).await;
    let (began, answered) = (Instant::now(), closed.answered());
    sleep(lasts).await;
    match closed.failed() {
        Some((_, why)) => Err(format!("asking a server directly: {why}")),
        None => Ok((closed.answered() - answered) as f64 / began.elapsed().as_secs_f64()),
    }
}

pub async fn waits(
    edge: &Edge,
    clients: &Clients,
    rate: f64,
    lasts: Duration,
) -> Result<Waits, String> {
    let done = open::run(clients, rate, WARM_UP_OPEN, lasts).await?;
    if let Some(why) = &done.first_failure {
        let (name, count) = (edge.which.name(), done.failed);
        return Err(format!("{name}: {count} requests failed: {why}"));
    }
    Ok(Waits {
        p50: done.quantile(0.5),
        p99: done.quantile(0.99),
        p999: done.quantile(0.999),
    })
}
