//! Processor time and memory of a container, as Docker counts them.

use super::daemon::Daemon;
use super::engine::Docker;
use super::error::CallFailure;
use super::json::target;
use crate::engine::{EngineError, ErrorKind};
use crate::service::replica::ReplicaId;
use crate::service::usage::Usage;
use jiff::Timestamp;
use serde::Deserialize;
use std::time::Duration;

const OP: &str = "measure a container";

/// A reading, as far as it is used here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Stats {
    read: Option<String>,
    cpu_stats: Option<CpuStats>,
    memory_stats: Option<MemoryStats>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CpuStats {
    cpu_usage: Option<CpuUsage>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CpuUsage {
    total_usage: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MemoryStats {
    usage: Option<u64>,
    limit: Option<u64>,
    stats: Option<MemoryFigures>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MemoryFigures {
    total_inactive_file: Option<u64>,
    inactive_file: Option<u64>,
}

impl Docker {
    pub(super) async fn measured(&self, id: &ReplicaId) -> Result<Usage, EngineError> {
        let stats = self.daemon.stats(id).await?;
        usage(&stats).ok_or_else(|| EngineError {
            kind: ErrorKind::Failed,
            op: OP,
            message: format!("Docker has no figures of {id}; it may have ended"),
        })
    }
}

impl Daemon {
    async fn stats(&self, id: &ReplicaId) -> Result<Stats, CallFailure> {
        let client = self.client(OP).await?;
        // One reading at once, where Docker would else take two, a second apart.
        let query = [("stream", "false"), ("one-shot", "true")];
        let target = target(&["containers", &id.0, "stats"], &query);
        self.get(&client, OP, target).await
    }
}

fn usage(stats: &Stats) -> Option<Usage> {
    let read: Timestamp = stats.read.as_ref()?.parse().ok()?;
    let cpu = stats.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage?;
    let memory = stats.memory_stats.as_ref()?;
    Some(Usage {
        // That of a container which does not run is in the year 1.
        taken: Duration::try_from(read.as_duration()).ok()?,
        cpu: Duration::from_nanos(cpu),
        memory_bytes: in_use(memory)?,
        memory_limit_bytes: memory.limit?,
    })
}

/// Memory as `docker stats` shows it: without the inactive file cache, by the
/// name that it has in cgroups v1 or v2 (`cli/command/container/stats_helpers.go`).
fn in_use(memory: &MemoryStats) -> Option<u64> {
    let usage = memory.usage?;
    let figures = memory.stats.as_ref();
    let inactive = figures.and_then(|figures| {
        let v1 = figures.total_inactive_file;
        v1.or(figures.inactive_file)
    });
    Some(usage.saturating_sub(inactive.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(stats: serde_json::Value) -> Option<Usage> {
        usage(&serde_json::from_value(stats).expect("stats"))
    }

    #[test]
    fn a_reading_is_understood_with_either_version_of_cgroups() {
        for inactive in ["total_inactive_file", "inactive_file"] {
            let usage = read(json!({
                "read": "2024-03-04T08:00:00.5Z",
                "cpu_stats": { "cpu_usage": { "total_usage": 2_500_000_000_u64 } },
                "memory_stats": { "usage": 1000, "limit": 4000, "stats": { inactive: 300 } },
            }));
            let expected = Usage {
                taken: Duration::from_millis(1_709_539_200_500),
                cpu: Duration::from_millis(2_500),
                memory_bytes: 700,
                memory_limit_bytes: 4000,
            };
            assert_eq!(usage, Some(expected));
        }
    }

    #[test]
    fn one_that_does_not_run_has_no_figures() {
        let ended = json!({
            "read": "0001-01-01T00:00:00Z",
            "cpu_stats": { "cpu_usage": { "total_usage": 0 } },
            "memory_stats": {},
        });
        assert_eq!(read(ended), None);
        assert_eq!(read(json!({})), None);
    }
}
