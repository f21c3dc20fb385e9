//! The lock on the state folder.

use super::start_error::StartError;
use std::fs;
use std::io::{self, Read, Seek};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Advice to a process that wants to run.
pub const TO_RUN: &str = "stop it, or give this one its own `state_dir` and `instance`";

/// Locks the state folder: two processes must not share a socket, nor control the same containers.
/// `hint` is the advice when another one has it.
pub fn lock_state_dir(dir: &Path, hint: &str) -> Result<fs::File, StartError> {
    let explain = |error: io::Error| {
        StartError::System(format!(
            "cannot use the state folder {}: {error}\n  hint: set `state_dir` to a folder that \
             this user may write",
            dir.display()
        ))
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(explain)?;
    let path = dir.join("lock");
    let mut file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(explain)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            let mut owner = String::new();
            let _ = file.read_to_string(&mut owner);
            Err(StartError::System(format!(
                "another tidegate (process {}) runs with the state folder {}\n  hint: {hint}",
                owner.trim(),
                dir.display()
            )))
        }
        Err(fs::TryLockError::Error(error)) => Err(explain(error)),
    }
}

/// Process that signed the lock last.
pub fn signed_by(mut lock: &fs::File) -> Option<u32> {
    let mut owner = String::new();
    lock.rewind().ok()?;
    lock.read_to_string(&mut owner).ok()?;
    owner.trim().parse().ok()
}
