//! One event with load before, during and after.

use crate::edge::{Edge, Haproxy, Kind, Tidegate, Wish, all_ready};
use crate::events::{Event, Strength};
use crate::load::{Load, MIX};
use crate::table::Row;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

pub const BEFORE: Duration = Duration::from_secs(3);
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
    sleep(BEFORE).await;
    let from = Instant::now();
    let happened = event.happen(&mut edge).await;
    if happened.is_err() {
        eprintln!("{}", log(&edge));
    }
    let strength = happened?;
    let enough = (load.began + conditions.seconds).max(Instant::now() + AFTER);
    sleep_until(enough).await;
    let sent = load.stop().await?;
    let at = from.saturating_duration_since(sent.began);
    let row = Row::new(kind, event, at, strength.map(|Strength(full)| full), sent);
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
