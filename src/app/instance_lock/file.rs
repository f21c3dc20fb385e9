//! The file half of the lock.

use super::refusal::LockRefusal;
use nix::unistd::getuid;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

/// Folder of root, and of users to whom root gave it.
const SHARED_FOLDER: &str = "/run/tidegate";
/// Attempts, because others may unlink the file while it is being locked.
const TRIES: usize = 5;

/// Folder where strangers cannot write, and that as many processes as possible share: in `/run` when
/// root made it or may make it, else the user's own, else the state folder.
pub fn folder(state_dir: &Path) -> PathBuf {
    let user = getuid();
    let shared = PathBuf::from(SHARED_FOLDER);
    let own = format!("/run/user/{user}/tidegate");
    let make = match user.is_root() {
        true => shared.as_path(),
        false => Path::new(&own),
    };
    let _ = DirBuilder::new().mode(0o700).create(make);
    let mut candidates = [shared.clone(), PathBuf::from(&own)].into_iter();
    let found = candidates.find(|folder| is_usable(folder));
    found.unwrap_or_else(|| state_dir.to_owned())
}

/// Whether only its owner may write there. The parents belong to root, so the owner can be trusted.
fn is_usable(folder: &Path) -> bool {
    use nix::unistd::{AccessFlags, access};
    let others_write = |found: &fs::Metadata| found.mode() & 0o022 != 0;
    fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir() && !others_write(&found))
        && access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

/// Locks the file and signs it with this process.
pub fn lock_file(path: &Path) -> Result<OwnedFd, LockRefusal> {
    let failed = |error: io::Error| LockRefusal::Failed(format!("{}: {error}", path.display()));
    for _ in 0..TRIES {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _ = file.read_to_string(&mut owner);
                let owner = owner.chars().take_while(char::is_ascii_digit);
                return Err(LockRefusal::Locked(owner.collect()));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // The file may have been removed since it was opened, and another one made in its place.
        if is_at(&file, path) {
            let signed = give_to_owner(&file, path).and_then(|()| sign(&mut file));
            signed.map_err(failed)?;
            return Ok(file.into());
        }
    }
    Err(failed(io::Error::other("it is removed again and again")))
}

fn is_at(file: &File, path: &Path) -> bool {
    let same = |(a, b): (fs::Metadata, fs::Metadata)| (a.dev(), a.ino()) == (b.dev(), b.ino());
    let both = file
        .metadata()
        .and_then(|a| Ok((a, fs::symlink_metadata(path)?)));
    both.is_ok_and(same)
}

/// Gives a file that root made to the folder's owner.
fn give_to_owner(file: &File, path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|_| getuid().is_root()) {
        let folder = fs::metadata(folder)?;
        // Without that right, root keeps the file.
        let _ = fchown(file, Some(folder.uid()), Some(folder.gid()));
    }
    Ok(())
}

/// Writes this process into a file that it has locked.
pub fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_alone_keeps_others_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let held = lock_file(&path);
        assert!(matches!(lock_file(&path), Err(LockRefusal::Locked(_))));
        drop(held);
        assert!(lock_file(&path).is_ok());
        let link = folder.path().join("link.lock");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(matches!(lock_file(&link), Err(LockRefusal::Failed(_))));
    }

    #[test]
    fn a_folder_that_others_write_to_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        assert!(is_usable(folder.path()));
        for mode in [0o777, 0o720] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert!(!is_usable(folder.path()), "{mode:o}");
        }
        assert!(!is_usable(Path::new("/nowhere")));
    }
}
