//! The database: one SQLite file that several processes, in containers that share a volume, read
//! and write at once.
//!
//! WAL lets readers and one writer work side by side; a second writer waits (`BUSY_TIMEOUT`). Every
//! write is a single statement, so none can find its snapshot outdated midway.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::ffi::{SQLITE_CONSTRAINT_FOREIGNKEY, SQLITE_CONSTRAINT_PRIMARYKEY};
use rusqlite::{Connection, Error, OptionalExtension, params};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::act::{Act, IMAGE_LIMIT, Image, NewAct, Timestamp};
use crate::failure::Failure;

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

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS categories (name TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS acts (
        id INTEGER PRIMARY KEY,
        username TEXT NOT NULL,
        posted INTEGER NOT NULL,
        caption TEXT NOT NULL,
        category TEXT NOT NULL REFERENCES categories ON DELETE CASCADE,
        image BLOB NOT NULL,
        upvotes INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX IF NOT EXISTS acts_by_age ON acts (category, posted, id);
    CREATE TABLE IF NOT EXISTS heartbeat (id INTEGER PRIMARY KEY, beats INTEGER NOT NULL);
";

pub struct Store {
    path: Arc<Path>,
    idle: Arc<Mutex<Vec<Connection>>>,
    turns: Arc<Semaphore>,
}

impl Store {
    pub async fn open(folder: &Path) -> Result<Self, String> {
        let folder = folder.to_owned();
        let opening = spawn_blocking(move || {
            create(&folder).map_err(|error| format!("opening the database in {folder:?}: {error}"))
        });
        let (path, connection) = opening.await.map_err(|error| error.to_string())??;
        Ok(Self {
            path: path.into(),
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
        self.run(move |db| {
            let removed = db
                .prepare_cached("DELETE FROM categories WHERE name = ?")?
                .execute([&name])?;
            found(removed, || unknown_category(&name))
        })
        .await
    }

    /// The acts of a category, newest first; `range` counts from 1.
    pub async fn acts(
        &self,
        category: String,
        range: Option<RangeInclusive<u64>>,
    ) -> Result<Vec<Act>, Failure> {
        if range
            .as_ref()
            .is_some_and(|range| range.end() - range.start() >= ACTS_LIMIT)
        {
            return Err(Failure::TooLarge(format!(
                "at most {ACTS_LIMIT} acts in one answer"
            )));
        }
        self.run(move |db| {
            // One transaction, so that counting and listing see the same acts.
            let db = db.transaction()?;
            let size = size(&db, &category)?;
            if range.is_none() && size > ACTS_LIMIT {
                return Err(Failure::TooLarge(format!(
                    "{size} acts, and at most {ACTS_LIMIT} in one answer: give start and end"
                )));
            }
            let skip = range.as_ref().map_or(0, |range| range.start() - 1);
            let take = range.map_or(ACTS_LIMIT, |range| range.end() - range.start() + 1);
            let mut query = db.prepare_cached(
                "SELECT id, username, posted, caption, upvotes, image FROM acts
                 WHERE category = ? ORDER BY posted DESC, id DESC LIMIT ? OFFSET ?",
            )?;
            let mut rows = query.query(params![
                category,
                take,
                i64::try_from(skip).unwrap_or(i64::MAX)
            ])?;
            let (mut acts, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let act = Act {
                    act_id: row.get(0)?,
                    username: row.get(1)?,
                    timestamp: Timestamp(row.get(2)?),
                    caption: row.get(3)?,
                    upvotes: row.get(4)?,
                    image: Image(row.get(5)?),
                };
                bytes += act.image.0.len() + act.caption.len();
                if bytes > ANSWER_LIMIT {
                    return Err(Failure::TooLarge(format!(
                        "more than {ANSWER_LIMIT} bytes of photos: ask for fewer acts"
                    )));
                }
                acts.push(act);
            }
            Ok(acts)
        })
        .await
    }

    pub async fn size(&self, category: String) -> Result<u64, Failure> {
        self.run(move |db| size(db, &category)).await
    }

    pub async fn add_act(&self, act: NewAct) -> Result<(), Failure> {
        check_name("username", &act.username)?;
        self.run(move |db| {
            db.prepare_cached(
                "INSERT INTO acts (id, username, posted, caption, category, image)
                 VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                act.act_id,
                act.username,
                act.timestamp.0,
                act.caption,
                act.category_name,
                act.image.0
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
            Ok(())
        })
        .await
    }

    pub async fn remove_act(&self, id: i64) -> Result<(), Failure> {
        self.run(move |db| {
            let removed = db
                .prepare_cached("DELETE FROM acts WHERE id = ?")?
                .execute([id])?;
            found(removed, || unknown_act(id))
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
        self.run(|db| {
            Ok(db
                .prepare_cached("SELECT count(*) FROM acts")?
                .query_row([], |row| row.get(0))?)
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
fn create(folder: &Path) -> Result<(PathBuf, Connection), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder)?;
    let lock = File::create(folder.join("acts.lock"))?;
    lock.lock()?;
    let path = folder.join("acts.db");
    let connection = connect(&path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.execute_batch(SCHEMA)?;
    Ok((path, connection))
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
