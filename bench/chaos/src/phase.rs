//! One event with load before, during and after.

use crate::docker::Docker;
use crate::edge::{Edge, Haproxy, Kind, NEIGHBOUR, Setup, Tidegate, all_ready};
use crate::engine::Engine;
use crate::events::{Event, Over};
use crate::happen::Scene;
use crate::happened::Strength;
use crate::load::{Load, MIX};
use crate::row::Row;
use crate::tunnels::Echo;
use crate::wire::Wire;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep, sleep_until};

const BEFORE: Duration = Duration::from_secs(3);
/// As long as a health check's interval: each run meets it, and the mix, at another point.
const MOMENT_MAX_MS: u32 = 1000;
const AFTER: Duration = Duration::from_secs(3);
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// Conditions of every phase.
pub struct Conditions {
    pub tidegate: PathBuf,
    pub rate: f64,
    pub seconds: Duration,
    pub port: u16,
    pub over: Over,
    pub logs: Option<PathBuf>,
    /// Takes the time that slow events need.
    pub long: bool,
}

pub async fn run(
    kind: Kind,
    event: &'static Event,
    round: u32,
    conditions: &Conditions,
) -> Result<Row, String> {
    let mut scene = start(kind, event, conditions).await?;
    let load = Load::start(scene.edge.target()?, conditions.rate, &MIX);
    sleep(BEFORE + a_moment()).await;
    let happened = event.happen(&mut scene).await;
    if happened.is_err() {
        eprintln!("{}", scene.edge.log());
    }
    let happened = happened?;
    let enough = (load.began + conditions.seconds).max(Instant::now() + AFTER);
    sleep_until(enough).await;
    let sent = load.stop().await?;
    let row = Row::new(kind, event, round, &happened, sent);
    if let Some(logs) = &conditions.logs {
        let folder = logs.join(format!("{}-{}-{round}", kind.as_str(), event.name));
        let keep = || {
            fs::create_dir_all(&folder)?;
            scene.edge.keep_logs(&folder)?;
            if let Some(engine) = &scene.engine {
                engine.keep_logs(&folder)?;
            }
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

async fn start(kind: Kind, event: &Event, conditions: &Conditions) -> Result<Scene, String> {
    let engine = match event.needs.engine {
        Some(live_restore) => Some(Engine::start(live_restore).await?),
        None => None,
    };
    let docker = match &engine {
        Some(engine) => engine.docker(),
        None => Docker::default(),
    };
    let echo = match event.needs.echo {
        true => Some(Echo::start().await?),
        false => None,
    };
    let wire = match event.needs.wire {
        true => Some(Wire::new(NEIGHBOUR).map_err(|why| format!("a wire to Docker: {why}"))?),
        false => None,
    };
    let setup = Setup {
        tidegate: conditions.tidegate.clone(),
        port: conditions.port,
        replicas: event.replicas,
        docker: docker.clone(),
        wire: wire.as_ref().map(Wire::path),
        stalls: event.needs.stalled_log,
        held: event.needs.held,
        echo: echo.as_ref().map(|echo| echo.address),
        logs_requests: conditions.logs.is_some(),
        over: conditions.over,
    };
    let edge = match kind {
        Kind::Tidegate => Edge::Tidegate(Tidegate::start(setup).await?),
        Kind::Haproxy => Edge::Haproxy(Haproxy::start(setup).await?),
    };
    let is_full = |seen: &[_]| all_ready(seen, event.replicas as usize);
    match edge.eye().full(STARTS_WITHIN, is_full).await? {
        Strength::Never => Err(format!("the edge did not start; its log:\n{}", edge.log())),
        _ => Ok(Scene {
            edge,
            wire,
            engine,
            made: Vec::new(),
            _echo: echo,
            docker,
            long: conditions.long,
        }),
    }
}
