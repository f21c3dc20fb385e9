//! Logs of a service's replicas, for `tidegate logs`.

use super::engines::{LogLine, ReplicaLogs};
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
/// Interval at which new replicas are looked for, at least.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A line, and the replica that wrote it.
pub struct ReplicaLine {
    pub slot: Slot,
    pub id: ReplicaId,
    pub line: LogLine,
}

/// Lines to show.
pub struct LogQuery<'a> {
    pub instance: &'a str,
    pub service: &'a str,
    pub follow: bool,
    /// Number of last lines of each replica; `None`: all.
    pub last: Option<u32>,
}

/// Calls `show` with each line until it returns false: lines so far in the order in which they were
/// written, and with `follow` new ones as well. Returns the number of replicas seen.
pub fn logs(query: &LogQuery, show: impl FnMut(&ReplicaLine) -> bool) -> Result<usize, StartError> {
    let source = ReplicaLogs::of(query.instance)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| system(&error))?;
    runtime.block_on(async {
        match query.follow {
            true => follow(&source, query, show).await,
            false => {
                let replicas = replicas(&source, query.service).await?;
                merge(&source, query, &replicas, show).await?;
                Ok(replicas.len())
            }
        }
    })
}

/// Merges the lines so far by time, holding one of each replica.
async fn merge(
    source: &ReplicaLogs,
    query: &LogQuery<'_>,
    replicas: &[Observed],
    mut show: impl FnMut(&ReplicaLine) -> bool,
) -> Result<(), StartError> {
    let mut logs = Vec::new();
    let mut heads: Vec<Option<LogLine>> = Vec::new();
    for replica in replicas {
        let mut log = source.log(&replica.id, query.last, false);
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
        if line.is_some_and(|line| !show(&line_of(&replicas[at], line))) {
            return Ok(());
        }
    }
}

async fn next(
    log: &mut BoxStream<'static, Result<LogLine, EngineError>>,
) -> Result<Option<LogLine>, StartError> {
    log.next().await.transpose().map_err(|error| system(&error))
}

async fn follow(
    source: &ReplicaLogs,
    query: &LogQuery<'_>,
    mut show: impl FnMut(&ReplicaLine) -> bool,
) -> Result<usize, StartError> {
    let (sender, mut said) = mpsc::channel(WAITING_MAX);
    let mut changes = source.changes();
    let mut open = JoinSet::new();
    let mut progress: BTreeMap<ReplicaId, LogProgress> = BTreeMap::new();
    // Replicas that start later are shown from their first line.
    let mut last = query.last;
    let mut is_first = true;
    loop {
        match replicas(source, query.service).await {
            Ok(replicas) => {
                for replica in replicas {
                    let (last, after) = match progress.get(&replica.id) {
                        None => (last, None),
                        // A log ends with its process, and is empty before there is one.
                        Some(LogProgress::Until(after)) if replica.state == RunState::Running => {
                            (None, after.clone())
                        }
                        Some(_) => continue,
                    };
                    progress.insert(replica.id.clone(), LogProgress::Open);
                    open.spawn(pass(source.clone(), replica, last, after, sender.clone()));
                }
                (last, is_first) = (None, false);
            }
            Err(error) if is_first => return Err(error),
            // The engine may come back; the user ends the command otherwise.
            Err(_) => {}
        }
        let look_at = tokio::time::Instant::now() + LOOK_EVERY;
        loop {
            tokio::select! {
                Some(said) = said.recv() => if !show(&said) {
                    return Ok(progress.len());
                },
                Some(Ok((id, until))) = open.join_next() => {
                    progress.insert(id, LogProgress::Until(until));
                }
                _ = changes.next() => break,
                () = tokio::time::sleep_until(look_at) => break,
            }
        }
    }
}

/// Progress in a replica's log.
enum LogProgress {
    Open,
    /// Ended after the line of this time, or without a line.
    Until(Option<String>),
}

/// Sends the lines after a time until the log ends; returns the time of the last one.
async fn pass(
    source: ReplicaLogs,
    replica: Observed,
    last: Option<u32>,
    after: Option<String>,
    sender: mpsc::Sender<ReplicaLine>,
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
        if sender.send(line_of(&replica, line)).await.is_err() {
            break;
        }
    }
    (replica.id, (!newest.is_empty()).then_some(newest))
}

fn line_of(replica: &Observed, line: LogLine) -> ReplicaLine {
    ReplicaLine {
        slot: replica.slot,
        id: replica.id.clone(),
        line,
    }
}

/// Replicas of a service in slot order.
async fn replicas(source: &ReplicaLogs, service: &str) -> Result<Vec<Observed>, StartError> {
    let mut seen = source.replicas().await.map_err(|error| system(&error))?;
    seen.retain(|replica| replica.service.as_str() == service);
    seen.sort_by_key(|replica| (replica.slot, replica.generation));
    Ok(seen)
}
