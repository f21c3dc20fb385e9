//! The key that the labels of containers are sealed with, in the file `key` of the state folder.
//!
//! Beside the key stands the time until which containers without our seal may be ours: an older
//! version has made them, or the key they were sealed with is lost. That time is moved to now
//! whenever the process that had the state folder before this one did not seal, which is so when
//! the process that signed the lock is not the one that signed this file.

use super::engines::{KEY_BYTES, Seal};
use super::start_error::{StartError, system};
use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const FILE: &str = "key";

pub struct SealKey {
    path: PathBuf,
    stored: Stored,
    /// Whether the previous process sealed its containers.
    was_signed: bool,
    seal: Arc<Seal>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    key: [u8; KEY_BYTES],
    /// In seconds since 1970.
    unsealed_until: u64,
    /// Process that sealed with it last.
    signed_by: u32,
}

impl SealKey {
    /// The key in the state folder, or a new one. `before`: the process that signed the lock.
    /// Nothing is written before [`SealKey::sign`], but for a new key.
    pub fn open(state_dir: &Path, before: Option<u32>) -> Result<SealKey, StartError> {
        let path = state_dir.join(FILE);
        let explain = |error: io::Error| system(&format!("cannot use {}: {error}", path.display()));
        let stored = match read(&path).map_err(explain)? {
            Some(stored) => stored,
            None => {
                let stored = Stored {
                    key: random().map_err(explain)?,
                    unsealed_until: 0,
                    signed_by: 0,
                };
                write(&path, &stored).map_err(explain)?;
                stored
            }
        };
        let was_signed = stored.signed_by != 0 && before == Some(stored.signed_by);
        // The previous process may still be creating containers.
        let until = if was_signed {
            stored.unsealed_until
        } else {
            u64::MAX
        };
        Ok(SealKey {
            seal: Arc::new(Seal::new(stored.key, until)),
            path,
            stored,
            was_signed,
        })
    }

    pub fn seal(&self) -> Arc<Seal> {
        Arc::clone(&self.seal)
    }

    /// Records that this process is in control from now on.
    pub fn sign(&mut self) -> io::Result<()> {
        if !self.was_signed {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            self.stored.unsealed_until = now.unwrap_or_default().as_secs();
        }
        self.stored.signed_by = std::process::id();
        write(&self.path, &self.stored)?;
        self.was_signed = true;
        self.seal.believe_unsealed_until(self.stored.unsealed_until);
        Ok(())
    }
}

/// Seal for a process that only reads labels; `None`: this user cannot read the key.
pub fn look(state_dir: &Path) -> Option<Arc<Seal>> {
    let stored = read(&state_dir.join(FILE)).ok()??;
    let until = match stored.signed_by {
        0 => u64::MAX,
        _ => stored.unsealed_until,
    };
    Some(Arc::new(Seal::new(stored.key, until)))
}

/// `None`: the file is missing or broken.
fn read(path: &Path) -> io::Result<Option<Stored>> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let stored = serde_json::from_slice(&text);
    if let Err(error) = &stored {
        log::warn!("{} is broken and counts as lost: {error}", path.display());
    }
    Ok(stored.ok())
}

/// Writes atomically: a crash leaves the old file or the new one.
fn write(path: &Path, stored: &Stored) -> io::Result<()> {
    let next = path.with_extension("next");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&next)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(&serde_json::to_vec(stored)?)?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder)?.sync_all()
}

fn random() -> io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    let mut filled = 0;
    while filled < KEY_BYTES {
        filled += getrandom(&mut key[filled..], GetRandomFlags::empty())?;
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(folder: &Path) -> Stored {
        read(&folder.join(FILE)).unwrap().expect("a key")
    }

    #[test]
    fn a_key_is_made_once_and_for_our_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(look(folder.path()).is_none());
        SealKey::open(folder.path(), None).unwrap();
        let path = folder.path().join(FILE);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let first = stored(folder.path()).key;
        assert_ne!(first, [0; KEY_BYTES]);
        SealKey::open(folder.path(), Some(1))
            .unwrap()
            .sign()
            .unwrap();
        assert_eq!(stored(folder.path()).key, first);
        assert!(look(folder.path()).is_some());
        // A broken file is as good as none.
        fs::write(&path, "{").unwrap();
        SealKey::open(folder.path(), Some(1)).unwrap();
        assert_ne!(stored(folder.path()).key, first);
    }

    #[test]
    fn what_nobody_sealed_is_believed_until_a_process_that_seals_signs() {
        let folder = tempfile::tempdir().unwrap();
        let own = std::process::id();
        let until = || stored(folder.path()).unsealed_until;
        let set_until = |until| {
            let old = Stored {
                unsealed_until: until,
                ..stored(folder.path())
            };
            write(&folder.path().join(FILE), &old).unwrap();
        };
        // The first one that seals, after one that did not.
        let mut key = SealKey::open(folder.path(), Some(17)).unwrap();
        assert_eq!(until(), 0);
        key.sign().unwrap();
        assert!(until() > 0);
        // The next one, after one that did.
        set_until(1_000);
        SealKey::open(folder.path(), Some(own))
            .unwrap()
            .sign()
            .unwrap();
        assert_eq!(until(), 1_000);
        // An older version ran in between.
        SealKey::open(folder.path(), Some(18))
            .unwrap()
            .sign()
            .unwrap();
        assert!(until() > 1_000);
    }
}
