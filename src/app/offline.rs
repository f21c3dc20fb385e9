//! Work in the state folder while no process runs.

use super::start_error::StartError;
use super::state_lock::lock_state_dir;
use nix::unistd::{Gid, Uid, geteuid, setgroups, setresgid, setresuid};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Opens the state folder for a command that writes to it; the lock is held as long as the file.
/// Root becomes the owner of the folder for the rest of the process, whose files would be of no use
/// to that user otherwise.
pub fn open_state_dir(dir: &Path, hint: &str) -> Result<File, StartError> {
    if geteuid().is_root()
        && let Ok(about) = dir.metadata()
        && about.uid() != 0
    {
        let (uid, gid) = (Uid::from_raw(about.uid()), Gid::from_raw(about.gid()));
        let became = setgroups(&[gid])
            .and_then(|()| setresgid(gid, gid, gid))
            .and_then(|()| setresuid(uid, uid, uid));
        became.map_err(|error| {
            StartError::System(format!(
                "cannot write as the owner of the state folder {}: {error}",
                dir.display()
            ))
        })?;
    }
    lock_state_dir(dir, hint)
}
