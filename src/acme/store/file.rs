//! Files for our user alone, written atomically.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Mode of files, which hold keys.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// A file of ours is some kilobytes.
const SIZE_MAX: u64 = 8 << 20;

/// Makes the folder and those above it, for our user alone.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)
}

/// Writes atomically: after a crash or on a full disk the old file is there, or the new one.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    make_folder(folder)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".next");
    let beside = Path::new(&beside);
    let written = write_beside(beside, content).and_then(|()| fs::rename(beside, path));
    if written.is_err() {
        let _ = fs::remove_file(beside);
    }
    written?;
    File::open(folder)?.sync_all()
}

fn write_beside(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(FILE_MODE)
        .open(path)?;
    // The mode above is for a new file.
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    file.write_all(content)?;
    file.sync_all()
}

/// Reads a file and takes others' permissions away; `None`: there is none.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let about = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    if about.len() > SIZE_MAX {
        return Err(io::Error::other("the file is too large to be one of ours"));
    }
    let mode = about.permissions().mode() & 0o777;
    if mode & !FILE_MODE != 0 {
        log::warn!(
            "{} could be read or written by others (mode {mode:04o}); it has mode {FILE_MODE:04o} now",
            path.display()
        );
        if let Err(error) = fs::set_permissions(path, Permissions::from_mode(FILE_MODE)) {
            log::warn!("the mode of {} cannot be changed: {error}", path.display());
        }
    }
    fs::read(path).map(Some)
}

pub fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    write(path, &serde_json::to_vec_pretty(value)?)
}

/// Reads a value; a broken file is said, set aside and counts as none.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let Some(text) = read(path)? else {
        return Ok(None);
    };
    match serde_json::from_slice(&text) {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            set_aside(path, &error.to_string());
            Ok(None)
        }
    }
}

/// Renames a broken file, so that somebody can look at it and nothing reads it again.
pub fn set_aside(path: &Path, why: &str) {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".bad");
    let renamed = fs::rename(path, &aside);
    let what = match renamed {
        Ok(()) => format!("set aside as {}", Path::new(&aside).display()),
        Err(error) => format!("left where it is ({error})"),
    };
    log::error!("{} is broken, and was {what}: {why}", path.display());
}

pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_for_our_user_alone_also_when_it_was_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/c.json");
        write_json(&path, &7).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read_json::<u8>(&path).unwrap(), Some(7));
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_broken_file_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.json");
        fs::write(&path, "{\"half\":").unwrap();
        assert_eq!(read_json::<u8>(&path).unwrap(), None);
        assert!(!path.exists());
        assert!(folder.path().join("c.json.bad").exists());
        assert_eq!(read_json::<u8>(&path).unwrap(), None);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.json");
        write(&path, b"old").unwrap();
        // A folder in the way of the file beside.
        fs::create_dir(folder.path().join("c.json.next")).unwrap();
        assert!(write(&path, b"new").is_err());
        assert_eq!(read(&path).unwrap().unwrap(), b"old");
    }
}
