//! What a process has of the machine, from /proc.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs;

pub struct Process(u32);

#[derive(Clone, Copy)]
pub struct Usage {
    /// Resident, in bytes.
    pub memory: u64,
    /// Open descriptors.
    pub files: u64,
}

impl Usage {
    pub fn max(self, other: Usage) -> Usage {
        Usage {
            memory: self.memory.max(other.memory),
            files: self.files.max(other.files),
        }
    }
}

impl Process {
    pub fn new(id: u32) -> Process {
        Process(id)
    }

    pub fn look(&self) -> Result<Usage, String> {
        let gone = |why| format!("the edge is gone: {why}");
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).map_err(gone)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        let files = fs::read_dir(format!("/proc/{}/fd", self.0)).map_err(gone)?;
        Ok(Usage {
            memory: kib.unwrap_or(0) << 10,
            files: files.count() as u64,
        })
    }
}

/// For us, and for what we start.
pub fn raise_open_files() -> Result<(), String> {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    raised.map_err(|why| format!("raising the limit of open files: {why}"))
}
