//! The photos: a file each, beside the database.
//!
//! An act is its row. A photo is whole and on the disk before its row is written, and is removed
//! after its row is gone: whoever is killed between the two leaves a file that no row names, and
//! never an act without its photo. `sweep` removes such files at the next start.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::act::{Image, kind};
use crate::failure::Failure;

/// Bytes of no known kind, which no browser should try to show.
pub const UNKNOWN: &str = "application/octet-stream";

/// How many photos are written at once in one process. They do not share the database's turns: a
/// slow disk must not keep the health check waiting.
const WRITES: usize = 4;

/// A file without a row that is older than this belongs to no upload under way.
const ORPHAN_AGE: Duration = Duration::from_secs(10 * 60);

/// A photo as its row describes it.
pub struct Photo {
    pub file: String,
    pub kind: String,
    pub bytes: u64,
    /// SHA-256, in hexadecimal digits.
    pub digest: String,
}

#[derive(Clone)]
pub struct Photos {
    folder: Arc<Path>,
    turns: Arc<Semaphore>,
}

impl Photos {
    pub fn open(data: &Path) -> io::Result<Self> {
        let folder = data.join("photos");
        fs::create_dir_all(&folder)?;
        Ok(Self {
            folder: folder.into(),
            turns: Arc::new(Semaphore::new(WRITES)),
        })
    }

    pub async fn add(&self, id: i64, image: Image) -> Result<Fresh, Failure> {
        let turn = self
            .turns
            .clone()
            .acquire_owned()
            .await
            .expect("the turns are never closed");
        let photos = self.clone();
        let writing = spawn_blocking(move || {
            let _turn = turn;
            photos.write(id, &image.0)
        });
        let fresh = writing
            .await
            .map_err(|error| Failure::Broken(error.to_string()))?;
        fresh.map_err(|error| Failure::Broken(format!("writing the photo of act {id}: {error}")))
    }

    /// Under a name of its own: the same act may be on its way through another replica, too.
    pub fn write(&self, id: i64, image: &[u8]) -> io::Result<Fresh> {
        let file = format!("{id}-{}", Uuid::new_v4().simple());
        let path = self.folder.join(&file);
        let fresh = Fresh {
            photo: Photo {
                file,
                kind: kind(image).unwrap_or(UNKNOWN).into(),
                bytes: image.len() as u64,
                digest: hex(&Sha256::digest(image)),
            },
            path: Some(path.clone()),
        };
        let mut open = File::create_new(path)?;
        open.write_all(image)?;
        open.sync_all()?;
        File::open(&self.folder)?.sync_all()?;
        Ok(fresh)
    }

    /// `None` when it is not there.
    pub fn read(&self, file: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.folder.join(file)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub fn remove(&self, file: &str) {
        discard(&self.folder.join(file));
    }

    /// The files that are too old to be waiting for a row.
    pub fn settled(&self) -> io::Result<Vec<String>> {
        let mut settled = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let written = match entry.metadata() {
                Ok(metadata) => metadata.modified()?,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let old = written.elapsed().is_ok_and(|age| age > ORPHAN_AGE);
            if let (true, Ok(name)) = (old, entry.file_name().into_string()) {
                settled.push(name);
            }
        }
        Ok(settled)
    }

    /// Removes those of `settled` that no row names, and says how many that were.
    pub fn sweep(&self, settled: &[String], named: &HashSet<String>) -> usize {
        let orphans = settled.iter().filter(|file| !named.contains(*file));
        orphans.map(|file| self.remove(file)).count()
    }
}

/// A photo that has no row yet; dropped without one, it is gone again.
pub struct Fresh {
    pub photo: Photo,
    path: Option<PathBuf>,
}

impl Fresh {
    pub fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            discard(path);
        }
    }
}

fn discard(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            eprintln!("acts: removing {path:?}: {error}");
        }
        _ => {}
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
