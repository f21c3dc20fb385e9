//! Unix sockets in the state folder.

use super::start_error::{StartError, system};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// A unix socket for this user alone: bound beside its path, and renamed into place once it may be
/// used.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    pub fn bind(path: PathBuf) -> Result<Socket, StartError> {
        let beside = beside(&path);
        let make = || {
            match fs::remove_file(&beside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&beside)?;
            fs::set_permissions(&beside, Permissions::from_mode(0o600))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listener =
            make().map_err(|error| system(&format!("cannot make {}: {error}", path.display())))?;
        Ok(Socket { listener, path })
    }

    pub fn listener(&self) -> Result<UnixListener, StartError> {
        self.listener.try_clone().map_err(|error| system(&error))
    }

    /// Renames the socket into place, so that clients reach this process from now on.
    pub fn place(&self) -> io::Result<()> {
        fs::rename(beside(&self.path), &self.path)
    }
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("next")
}
