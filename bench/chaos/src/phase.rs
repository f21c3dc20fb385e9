//! One event with load before, during and after.

use crate::edge::{Edge, Haproxy, Kind, Tidegate, Wish, all_ready};
use crate::events::Event;
use crate::load::{Load, MIX};
use crate::table::Row;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep, sleep_until};

const BEFORE: Duration = Duration::from_secs(3);
/// As long as a health check's interval: each run meets it, and the mix, at another point.
const MOMENT_MAX_MS: u32 = 1000;
const AFTER: Duration = Duration::from_secs(3);
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// What holds for every phase.
pub struct Conditions {
    pub tidegate: PathBuf,
    pub rate: f64,
    pub seconds: Duration,
    pub port: u16,
    pub logs: Option<PathBuf>,
}

pub async fn run(
    kind: Kind,
    event: &'static Event,
    conditions: &Conditions,
) -> Result<Row, String> {
    let mut edge = start(kind, event.replicas, conditions).await?;
    let load = Load::start(edge.address(), conditions.rate, &MIX);
    sleep(BEFORE + a_moment()).await;
    let happened = event.happen(&mut edge).await;
    if happened.is_err() {
        eprintln!("{}", log(&edge));
    }
    let happened = happened?;
    let enough = (load.began + conditions.seconds).max(Instant::now() + AFTER);
    sleep_until(enough).await;
    let sent = load.stop().await?;
    let row = Row::new(kind, event, &happened, sent);
    if let Some(logs) = &conditions.logs {
        let folder = logs.join(format!("{}-{}", kind.as_str(), event.name));
        let keep = || {
            fs::create_dir_all(&folder)?;
            edge.keep_logs(&folder)?;
            fs::write(folder.join("failed.json"), row.failures_as_json())
        };
        keep().map_err(|why| format!("keeping logs in {}: {why}", folder.display()))?;
    }
    Ok(row)
}

/// Anything from nothing to `MOMENT_MAX_MS`.
fn a_moment() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = now.unwrap_or_default().subsec_micros();
    Duration::from_millis((micros % MOMENT_MAX_MS).into())
}

async fn start(kind: Kind, replicas: u32, conditions: &Conditions) -> Result<Edge, String> {
    let edge = match kind {
        Kind::Tidegate => {
            let wish = Wish {
                replicas,
                environment: None,
            };
            let logs_requests = conditions.logs.is_some();
            let (binary, port) = (&conditions.tidegate, conditions.port);
            Edge::Tidegate(Tidegate::start(binary, port, &wish, logs_requests).await?)
        }
        Kind::Haproxy => Edge::Haproxy(Haproxy::start(conditions.port, replicas).await?),
    };
    let is_full = |seen: &[_]| all_ready(seen, replicas as usize);
    match edge
        .eye()
        .full(Instant::now(), STARTS_WITHIN, is_full)
        .await
    {
        Some(_) => Ok(edge),
        None => Err(format!("it did not start; its log:\n{}", log(&edge))),
    }
}

fn log(edge: &Edge) -> String {
    match edge {
        Edge::Tidegate(edge) => edge.log(),
        Edge::Haproxy(edge) => edge.log(),
    }
}
