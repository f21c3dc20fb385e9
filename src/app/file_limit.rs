//! The limit of open files, and how many connections it leaves room for.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs;

/// Each proxied request takes two descriptors.
const OPEN_FILES: u64 = 1 << 20;
/// Descriptors for listeners, logs, the engine, the admin API and connections that are refused.
const OTHER_FILES: u64 = 512;
/// Memory of a connection at worst, when its client does not read a large answer; less than a tenth
/// of it when idle.
const CONNECTION_BYTES: u64 = 1 << 20;
const CONNECTIONS_MIN: u64 = 1024;
const CONNECTIONS_MAX: u64 = 16 << 10;

/// Raises the soft limit as far as the hard one allows.
pub fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = OPEN_FILES.min(hard).max(soft);
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)
    });
    if let Err(error) = raised {
        log::warn!("cannot raise the limit of open files: {error}");
    }
}

/// Limit of clients' connections: `wanted`, or as many as memory allows; fewer when the system grants
/// too few files. Each may need a second one to a replica.
pub fn connections(wanted: Option<u32>) -> u32 {
    let is_typed = wanted.is_some();
    let wanted = wanted.unwrap_or_else(|| room_for(memory_bytes()));
    let Ok((granted, _)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return wanted;
    };
    let affordable = granted.saturating_sub(OTHER_FILES) / 2;
    let affordable = u32::try_from(affordable).unwrap_or(u32::MAX).max(1);
    if affordable < wanted && is_typed {
        log::warn!(
            "the limit of {granted} open files allows for {affordable} connections at once, \
             not for {wanted}"
        );
    }
    wanted.min(affordable)
}

fn room_for(memory: Option<u64>) -> u32 {
    let room = memory.map_or(CONNECTIONS_MIN, |memory| memory / CONNECTION_BYTES);
    room.clamp(CONNECTIONS_MIN, CONNECTIONS_MAX) as u32
}

/// Memory of the machine, or of this process's control group if that is less.
fn memory_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok()?;
    let line = machine
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let machine = line.split_whitespace().next()?.parse::<u64>().ok()? << 10;
    let allowed = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let allowed = allowed.and_then(|allowed| allowed.trim().parse().ok());
    Some(allowed.unwrap_or(machine).min(machine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_machine_has_room_for_fewer_connections() {
        assert_eq!(room_for(Some(512 << 20)), 1024);
        assert_eq!(room_for(Some(4 << 30)), 4096);
        assert_eq!(room_for(Some(1 << 40)), 16384);
        assert_eq!(room_for(None), 1024);
    }
}
