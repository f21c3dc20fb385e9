//! What the replicas of a service write, for `tidegate logs`.

use super::engines::{Line, ReplicaLogs};
use super::start_error::{StartError, system};
use crate::engine::EngineError;
use crate::service::replica::{Observed, ReplicaId, RunState};
use crate::service::spec::Slot;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Lines that wait to be shown.
const WAITING_MAX: usize = 1024;
/// New replicas are looked for at least this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A line, and whose.
pub struct Said {
    pub slot: Slot,
    pub id: ReplicaId,
    pub line: Line,
}

/// Which lines are wanted.
pub struct Wanted<'a> {
    pub instance: &'a str,
    pub service: &'a str,
    pub follow: bool,
    /// Of each replica; `None`: all.
    pub last: Option<u32>,
}

/// Has `show` called with each line, until it says that it is enough: those that are there, in
/// the order in which they were written, or also those that come. Returns how many replicas it
/// saw.
pub fn logs(wanted: &Wanted, show: impl FnMut(&Said) -> bool) -> Result<usize, StartError> {
    let source = ReplicaLogs::of(wanted.instance)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| system(&error))?;
    runtime.block_on(async {
        match wanted.follow {
            true => follow(&source, wanted, show).await,
            false => {
                let replicas = replicas(&source, wanted.service).await?;
                merge(&source, wanted, &replicas, show).await?;
                Ok(replicas.len())
            }
        }
    })
}

/// Shows the lines that are there, in the order in which they were written, and holds one of each
/// replica at a time.
async fn merge(
    source: &ReplicaLogs,
    wanted: &Wanted<'_>,
    replicas: &[Observed],
    mut show: impl FnMut(&Said) -> bool,
) -> Result<(), StartError> {
    let mut logs = Vec::new();
    let mut heads: Vec<Option<Line>> = Vec::new();
    for replica in replicas {
        let mut log = source.log(&replica.id, wanted.last, false);
        heads.push(next(&mut log).await?);
        logs.push(log);
    }
    loop {
        let some = heads.iter().enumerate();
        let some = some.filter_map(|(at, line)| Some((line.as_ref()?.time.as_str(), at)));
        let Some((_, at)) = some.min() else {
            return Ok(());
        };
        let line = heads[at].take();
        heads[at] = next(&mut logs[at]).await?;
        if line.is_some_and(|line| !show(&said(&replicas[at], line))) {
            return Ok(());
        }
    }
}

async fn next(
    log: &mut BoxStream<'static, Result<Line, EngineError>>,
) -> Result<Option<Line>, StartError> {
    log.next().await.transpose().map_err(|error| system(&error))
}

async fn follow(
    source: &ReplicaLogs,
    wanted: &Wanted<'_>,
    mut show: impl FnMut(&Said) -> bool,
) -> Result<usize, StartError> {
    let (sender, mut said) = mpsc::channel(WAITING_MAX);
    let mut changes = source.changes();
    let mut open = JoinSet::new();
    let mut heard: BTreeMap<ReplicaId, Heard> = BTreeMap::new();
    // Whoever comes later is new, and shown from the beginning.
    let mut last = wanted.last;
    let mut is_first = true;
    loop {
        match replicas(source, wanted.service).await {
            Ok(replicas) => {
                for replica in replicas {
                    let (last, after) = match heard.get(&replica.id) {
                        None => (last, None),
                        // A log ends with its process, and is empty before there is one.
                        Some(Heard::Until(after)) if replica.state == RunState::Running => {
                            (None, after.clone())
                        }
                        Some(_) => continue,
                    };
                    heard.insert(replica.id.clone(), Heard::Open);
                    open.spawn(pass(source.clone(), replica, last, after, sender.clone()));
                }
                (last, is_first) = (None, false);
            }
            Err(error) if is_first => return Err(error),
            // It comes back, or whoever looks has had enough.
            Err(_) => {}
        }
        let look_at = tokio::time::Instant::now() + LOOK_EVERY;
        loop {
            tokio::select! {
                Some(said) = said.recv() => if !show(&said) {
                    return Ok(heard.len());
                },
                Some(Ok((id, until))) = open.join_next() => {
                    heard.insert(id, Heard::Until(until));
                }
                _ = changes.next() => break,
                () = tokio::time::sleep_until(look_at) => break,
            }
        }
    }
}

/// How far a replica's log was followed.
enum Heard {
    Open,
    /// It ended after the line of this time, or without any.
    Until(Option<String>),
}

/// Passes on what was written after a time, until the log ends; returns the time of its last line.
async fn pass(
    source: ReplicaLogs,
    replica: Observed,
    last: Option<u32>,
    after: Option<String>,
    sender: mpsc::Sender<Said>,
) -> (ReplicaId, Option<String>) {
    let mut newest = after.clone().unwrap_or_default();
    let mut is_known = after.is_some();
    let mut log = source.log(&replica.id, last, true);
    while let Some(Ok(line)) = log.next().await {
        is_known &= line.time <= newest;
        if is_known {
            continue;
        }
        if line.time > newest {
            newest.clone_from(&line.time);
        }
        if sender.send(said(&replica, line)).await.is_err() {
            break;
        }
    }
    (replica.id, (!newest.is_empty()).then_some(newest))
}

fn said(replica: &Observed, line: Line) -> Said {
    Said {
        slot: replica.slot,
        id: replica.id.clone(),
        line,
    }
}

/// In slot order.
async fn replicas(source: &ReplicaLogs, service: &str) -> Result<Vec<Observed>, StartError> {
    let mut seen = source.replicas().await.map_err(|error| system(&error))?;
    seen.retain(|replica| replica.service.as_str() == service);
    seen.sort_by_key(|replica| (replica.slot, replica.generation));
    Ok(seen)
}
