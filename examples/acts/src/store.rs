//! The database: one SQLite file that several processes, in containers that share a volume, read
//! and write at once.
//!
//! WAL lets readers and one writer work side by side; a second writer waits (`BUSY_TIMEOUT`). Every
//! write is a single statement, so none can find its snapshot outdated midway. Photos are files
//! beside it (`photos.rs`).

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::ffi::{SQLITE_CONSTRAINT_FOREIGNKEY, SQLITE_CONSTRAINT_PRIMARYKEY};
use rusqlite::{Connection, Error, OptionalExtension, TransactionBehavior, params};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::act::{Act, Card, IMAGE_LIMIT, Image, NewAct, Timestamp};
use crate::failure::Failure;
use crate::photos::{Photo, Photos};
use crate::schema;

/// How long a writer waits for the writers of other processes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How many queries run at once in one process; the others wait without holding a thread.
const CONNECTIONS: usize = 4;

/// The most acts in one answer.
const ACTS_LIMIT: u64 = 100;

/// The most photos and captions in one answer, in bytes. A hundred of the largest are a gigabyte.
const ANSWER_LIMIT: usize = 4 * IMAGE_LIMIT;

/// The longest category or user name, in bytes.
const NAME_LIMIT: usize = 200;

pub struct Store {
    path: Arc<Path>,
    photos: Photos,
    idle: Arc<Mutex<Vec<Connection>>>,
    turns: Arc<Semaphore>,
}

impl Store {
    pub async fn open(folder: &Path) -> Result<Self, String> {
        let folder = folder.to_owned();
        let opening = spawn_blocking(move || {
            create(&folder).map_err(|error| format!("opening the database in {folder:?}: {error}"))
        });
        let (path, photos, connection) = opening.await.map_err(|error| error.to_string())??;
        Ok(Self {
            path: path.into(),
            photos,
            idle: Arc::new(Mutex::new(vec![connection])),
            turns: Arc::new(Semaphore::new(CONNECTIONS)),
        })
    }

    /// Really reads and really writes, and leaves the file no larger.
    pub async fn beat(&self) -> Result<(), Failure> {
        self.run(|db| {
            db.prepare_cached("SELECT EXISTS (SELECT 1 FROM categories)")?
                .query_row([], |_| Ok(()))?;
            db.prepare_cached(
                "INSERT INTO heartbeat VALUES (1, 0)
                 ON CONFLICT (id) DO UPDATE SET beats = beats + 1",
            )?
            .execute([])?;
            Ok(())
        })
        .await
    }

    /// Every category with the number of its acts.
    pub async fn categories(&self) -> Result<BTreeMap<String, u64>, Failure> {
        self.run(|db| {
            let mut query = db.prepare_cached(
                "SELECT name, count(id) FROM categories LEFT JOIN acts ON category = name
                 GROUP BY name",
            )?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    pub async fn add_category(&self, name: String) -> Result<(), Failure> {
        check_name("category", &name)?;
        self.run(move |db| {
            db.prepare_cached("INSERT INTO categories VALUES (?)")?
                .execute([&name])
                .map_err(|error| match constraint(&error) {
                    Some(_) => Failure::Refused(format!("category {name:?} exists already")),
                    None => error.into(),
                })?;
            Ok(())
        })
        .await
    }

    /// Removes a category and its acts.
    pub async fn remove_category(&self, name: String) -> Result<(), Failure> {
        let photos = self.photos.clone();
        self.run(move |db| {
            // Nobody writes between the two: an act that comes meanwhile waits, and is refused.
            let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let files: Vec<String> = change
                .prepare_cached("SELECT file FROM acts WHERE category = ?")?
                .query_map([&name], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let removed = change
                .prepare_cached("DELETE FROM categories WHERE name = ?")?
                .execute([&name])?;
            change.commit()?;
            files.iter().for_each(|file| photos.remove(file));
            found(removed, || unknown_category(&name))
        })
        .await
    }

    /// The acts of a category with their photos, newest first; `range` counts from 1.
    pub async fn acts(
        &self,
        category: String,
        range: Option<RangeInclusive<u64>>,
    ) -> Result<Vec<Act>, Failure> {
        check_range(range.as_ref())?;
        let photos = self.photos.clone();
        self.run(move |db| {
            let (mut acts, mut bytes) = (Vec::new(), 0);
            for (card, file) in listed(db, Some(&category), range)? {
                bytes += card.bytes as usize + card.caption.len();
                if bytes > ANSWER_LIMIT {
                    return Err(Failure::TooLarge(format!(
                        "more than {ANSWER_LIMIT} bytes of photos: ask for fewer acts"
                    )));
                }
                acts.push((card, file));
            }
            let with_photo = |(card, file): (Card, String)| {
                let image = match image(db, &photos, card.act_id, &file) {
                    Ok(image) => image,
                    // Removed since it was listed.
                    Err(Failure::Missing(_)) => return None,
                    Err(failure) => return Some(Err(failure)),
                };
                Some(Ok(Act {
                    act_id: card.act_id,
                    username: card.username,
                    timestamp: card.timestamp,
                    caption: card.caption,
                    upvotes: card.upvotes,
                    image,
                }))
            };
            acts.into_iter().filter_map(with_photo).collect()
        })
        .await
    }

    /// The acts of one category, or of all, without their photos, newest first.
    pub async fn cards(
        &self,
        category: Option<String>,
        range: Option<RangeInclusive<u64>>,
    ) -> Result<Vec<Card>, Failure> {
        check_range(range.as_ref())?;
        self.run(move |db| {
            let listed = listed(db, category.as_deref(), range)?;
            Ok(listed.into_iter().map(|(card, _)| card).collect())
        })
        .await
    }

    pub async fn photo(&self, id: i64) -> Result<(Photo, Image), Failure> {
        let photos = self.photos.clone();
        self.run(move |db| {
            let photo = db
                .prepare_cached("SELECT file, kind, bytes, digest FROM acts WHERE id = ?")?
                .query_row([id], |row| {
                    Ok(Photo {
                        file: row.get(0)?,
                        kind: row.get(1)?,
                        bytes: row.get(2)?,
                        digest: row.get(3)?,
                    })
                })
                .optional()?
                .ok_or_else(|| Failure::Missing(unknown_act(id)))?;
            let image = image(db, &photos, id, &photo.file)?;
            Ok((photo, image))
        })
        .await
    }

    pub async fn size(&self, category: String) -> Result<u64, Failure> {
        self.run(move |db| size(db, &category)).await
    }

    pub async fn add_act(&self, act: NewAct) -> Result<(), Failure> {
        check_name("username", &act.username)?;
        let fresh = self.photos.add(act.act_id, act.image).await?;
        self.run(move |db| {
            let photo = &fresh.photo;
            db.prepare_cached(
                "INSERT INTO acts
                 (id, username, posted, caption, category, file, kind, bytes, digest)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                act.act_id,
                act.username,
                act.timestamp.0,
                act.caption,
                act.category_name,
                photo.file,
                photo.kind,
                photo.bytes,
                photo.digest,
            ])
            .map_err(|error| match constraint(&error) {
                Some(SQLITE_CONSTRAINT_PRIMARYKEY) => {
                    Failure::Refused(format!("act {} exists already", act.act_id))
                }
                Some(SQLITE_CONSTRAINT_FOREIGNKEY) => {
                    Failure::Refused(unknown_category(&act.category_name))
                }
                _ => error.into(),
            })?;
            fresh.keep();
            Ok(())
        })
        .await
    }

    pub async fn remove_act(&self, id: i64) -> Result<(), Failure> {
        let photos = self.photos.clone();
        self.run(move |db| {
            let file: Option<String> = db
                .prepare_cached("DELETE FROM acts WHERE id = ? RETURNING file")?
                .query_row([id], |row| row.get(0))
                .optional()?;
            if let Some(file) = &file {
                photos.remove(file);
            }
            found(file.iter().count(), || unknown_act(id))
        })
        .await
    }

    pub async fn upvote(&self, id: i64) -> Result<(), Failure> {
        self.run(move |db| {
            let voted = db
                .prepare_cached("UPDATE acts SET upvotes = upvotes + 1 WHERE id = ?")?
                .execute([id])?;
            found(voted, || unknown_act(id))
        })
        .await
    }

    pub async fn count_acts(&self) -> Result<u64, Failure> {
        self.run(|db| count(db)).await
    }

    /// Another number whenever anything has changed.
    pub async fn revision(&self) -> Result<u64, Failure> {
        self.run(|db| {
            Ok(db
                .prepare_cached("SELECT n FROM revision")?
                .query_row([], |row| row.get(0))?)
        })
        .await
    }

    /// Removes the photos that killed processes left without a row.
    pub async fn sweep(&self) -> Result<usize, Failure> {
        let photos = self.photos.clone();
        self.run(move |db| {
            // In this order: what is settled gets no row any more.
            let settled = photos
                .settled()
                .map_err(|error| Failure::Broken(format!("listing the photos: {error}")))?;
            let named: HashSet<String> = db
                .prepare_cached("SELECT file FROM acts")?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            Ok(photos.sweep(&settled, &named))
        })
        .await
    }

    /// Runs `work` on a thread of its own, for SQLite blocks.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let turn = self
            .turns
            .clone()
            .acquire_owned()
            .await
            .expect("the turns are never closed");
        let (path, idle) = (self.path.clone(), self.idle.clone());
        let working = spawn_blocking(move || {
            // Held to the end of the work, even when the client has left by then.
            let _turn = turn;
            let kept = lock(&idle).pop();
            let mut connection = kept.map_or_else(|| connect(&path), Ok)?;
            let result = work(&mut connection);
            lock(&idle).push(connection);
            result
        });
        working
            .await
            .unwrap_or_else(|error| Err(Failure::Broken(error.to_string())))
    }
}

pub fn unknown_act(id: impl std::fmt::Display) -> String {
    format!("there is no act {id}")
}

fn unknown_category(name: &str) -> String {
    format!("there is no category {name:?}")
}

/// Creates the database, or finds it. A lock file keeps apart processes that start together: SQLite
/// does not wait, but fails, when two of them switch a new file to WAL.
fn create(folder: &Path) -> Result<(PathBuf, Photos, Connection), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder)?;
    let lock = File::create(folder.join("acts.lock"))?;
    lock.lock()?;
    let path = folder.join("acts.db");
    let photos = Photos::open(folder)?;
    let mut connection = connect(&path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    schema::prepare(&mut connection, &photos)?;
    Ok((path, photos, connection))
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // In WAL, a killed process loses nothing; a power cut may lose the last writes, not the file.
    connection.pragma_update(None, "synchronous", "normal")?;
    Ok(connection)
}

fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

fn size(db: &Connection, category: &str) -> Result<u64, Failure> {
    db.prepare_cached(
        "SELECT (SELECT count(*) FROM acts WHERE category = name) FROM categories WHERE name = ?",
    )?
    .query_row([category], |row| row.get(0))
    .optional()?
    .ok_or_else(|| Failure::Missing(unknown_category(category)))
}

/// Cards with the names of their photos.
fn listed(
    db: &mut Connection,
    category: Option<&str>,
    range: Option<RangeInclusive<u64>>,
) -> Result<Vec<(Card, String)>, Failure> {
    // One transaction, so that counting and listing see the same acts.
    let db = db.transaction()?;
    let size = match category {
        Some(category) => size(&db, category)?,
        None => count(&db)?,
    };
    if range.is_none() && size > ACTS_LIMIT {
        return Err(Failure::TooLarge(format!(
            "{size} acts, and at most {ACTS_LIMIT} in one answer: give start and end"
        )));
    }
    let skip = range.as_ref().map_or(0, |range| range.start() - 1);
    let take = range.map_or(ACTS_LIMIT, |range| range.end() - range.start() + 1);
    let only = category.map_or("", |_| "WHERE category = ?3");
    let mut query = db.prepare_cached(&format!(
        "SELECT id, username, posted, caption, category, upvotes, kind, bytes, digest, file
         FROM acts {only} ORDER BY posted DESC, id DESC LIMIT ?1 OFFSET ?2"
    ))?;
    let skip = i64::try_from(skip).unwrap_or(i64::MAX);
    let mut rows = match category {
        Some(category) => query.query(params![take, skip, category])?,
        None => query.query(params![take, skip])?,
    };
    let mut listed = Vec::new();
    while let Some(row) = rows.next()? {
        let card = Card {
            act_id: row.get(0)?,
            username: row.get(1)?,
            timestamp: Timestamp(row.get(2)?),
            caption: row.get(3)?,
            category_name: row.get(4)?,
            upvotes: row.get(5)?,
            kind: row.get(6)?,
            bytes: row.get(7)?,
            digest: row.get(8)?,
        };
        listed.push((card, row.get(9)?));
    }
    Ok(listed)
}

/// The photo of an act; `Missing` when the act has been removed since its row was read.
fn image(db: &Connection, photos: &Photos, id: i64, file: &str) -> Result<Image, Failure> {
    let read = photos
        .read(file)
        .map_err(|error| Failure::Broken(format!("reading the photo of act {id}: {error}")))?;
    if let Some(bytes) = read {
        return Ok(Image(bytes));
    }
    let still_there = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM acts WHERE file = ?)")?
        .query_row([file], |row| row.get(0))?;
    match still_there {
        true => Err(Failure::Broken(format!(
            "act {id} has lost its photo {file}"
        ))),
        false => Err(Failure::Missing(unknown_act(id))),
    }
}

fn count(db: &Connection) -> Result<u64, Failure> {
    Ok(db
        .prepare_cached("SELECT count(*) FROM acts")?
        .query_row([], |row| row.get(0))?)
}

fn check_range(range: Option<&RangeInclusive<u64>>) -> Result<(), Failure> {
    match range {
        Some(range) if range.end() - range.start() >= ACTS_LIMIT => Err(Failure::TooLarge(
            format!("at most {ACTS_LIMIT} acts in one answer"),
        )),
        _ => Ok(()),
    }
}

fn check_name(what: &str, name: &str) -> Result<(), Failure> {
    match name.len() {
        1..=NAME_LIMIT => Ok(()),
        _ => Err(Failure::Refused(format!(
            "a {what} has 1 to {NAME_LIMIT} bytes"
        ))),
    }
}

fn found(rows: usize, what: impl FnOnce() -> String) -> Result<(), Failure> {
    match rows {
        0 => Err(Failure::Missing(what())),
        _ => Ok(()),
    }
}

fn constraint(error: &Error) -> Option<i32> {
    match error.sqlite_error() {
        Some(error) if error.code == rusqlite::ErrorCode::ConstraintViolation => {
            Some(error.extended_code)
        }
        _ => None,
    }
}
