//! Memory, processor time and files of a process, from /proc.

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Pid, SysconfVar, sysconf};
use std::fs;
use std::time::Duration;

#[derive(Clone, Copy)]
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

    pub fn id(&self) -> u32 {
        self.0
    }

    pub fn look(&self) -> Result<Usage, String> {
        let files = fs::read_dir(format!("/proc/{}/fd", self.0)).map_err(gone)?;
        Ok(Usage {
            memory: self.kib("status", "VmRSS:")? << 10,
            files: files.count() as u64,
        })
    }

    /// Its share of what is resident, in bytes: pages that others have, too, count in part.
    pub fn proportional_memory(&self) -> Result<u64, String> {
        Ok(self.kib("smaps_rollup", "Pss:")? << 10)
    }

    fn kib(&self, file: &str, name: &str) -> Result<u64, String> {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.0)).map_err(gone)?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.ok_or_else(|| format!("/proc/{}/{file} has no {name}", self.0))
    }

    /// Processor time of all its threads so far, in user space and in the kernel.
    pub fn cpu(&self) -> Result<Duration, String> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.0)).map_err(gone)?;
        // The name may hold anything, also spaces and brackets.
        let fields = text.rsplit_once(')').map(|(_, fields)| fields);
        let mut fields = fields.unwrap_or_default().split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<u64>().ok();
        let ticks = ticks().zip(ticks()).map(|(user, kernel)| user + kernel);
        let ticks = ticks.ok_or("/proc/PID/stat has another form")?;
        let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
        Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
    }
}

fn gone(why: std::io::Error) -> String {
    format!("the process is gone: {why}")
}

/// For us, and for what we start.
pub fn raise_open_files() -> Result<(), String> {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    raised.map_err(|why| format!("raising the limit of open files: {why}"))
}

pub fn open_files_max() -> Result<u64, String> {
    let limit = getrlimit(Resource::RLIMIT_NOFILE);
    let limit = limit.map_err(|why| format!("the limit of open files: {why}"))?;
    Ok(limit.1)
}

/// The calling thread, and what it starts from now on, stay on this processor.
pub fn stay_on(processor: usize) -> Result<(), String> {
    let mut set = CpuSet::new();
    set.set(processor)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
        .map_err(|why| format!("staying on processor {processor}: {why}"))
}

/// As in `6.1.0-18-amd64`.
pub fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim().to_owned()
}

/// Of the machine, whichever of them we may use.
pub fn processors() -> usize {
    let online = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten();
    online.and_then(|count| count.try_into().ok()).unwrap_or(1)
}
