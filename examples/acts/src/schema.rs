//! The tables, and the way from an older shape to this one.

use std::error::Error;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::photos::Photos;

/// Kept in the file as its `user_version`.
const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS categories (name TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE acts (
        id INTEGER PRIMARY KEY,
        username TEXT NOT NULL,
        posted INTEGER NOT NULL,
        caption TEXT NOT NULL,
        category TEXT NOT NULL REFERENCES categories ON DELETE CASCADE,
        upvotes INTEGER NOT NULL DEFAULT 0,
        file TEXT NOT NULL,
        kind TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        digest TEXT NOT NULL
    );
    CREATE INDEX acts_of_category ON acts (category, posted, id);
    CREATE INDEX acts_by_age ON acts (posted, id);
    CREATE TABLE IF NOT EXISTS heartbeat (id INTEGER PRIMARY KEY, beats INTEGER NOT NULL);
";

/// A number that differs whenever anything does, so that a page can ask cheaply whether to look.
const REVISION: &str = "
    CREATE TABLE revision (n INTEGER NOT NULL);
    INSERT INTO revision VALUES (0);
    CREATE TRIGGER act_added AFTER INSERT ON acts BEGIN UPDATE revision SET n = n + 1; END;
    CREATE TRIGGER act_changed AFTER UPDATE ON acts BEGIN UPDATE revision SET n = n + 1; END;
    CREATE TRIGGER act_removed AFTER DELETE ON acts BEGIN UPDATE revision SET n = n + 1; END;
    CREATE TRIGGER category_added AFTER INSERT ON categories
        BEGIN UPDATE revision SET n = n + 1; END;
    CREATE TRIGGER category_removed AFTER DELETE ON categories
        BEGIN UPDATE revision SET n = n + 1; END;
";

/// Makes the tables what this program expects, all at once or not at all.
pub fn prepare(db: &mut Connection, photos: &Photos) -> Result<(), Box<dyn Error>> {
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = change.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        0 => {}
        VERSION => return Ok(()),
        _ => {
            return Err(
                format!("it has version {version}, and this program knows {VERSION}").into(),
            );
        }
    }
    let old = change.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'acts')",
        [],
        |row| row.get(0),
    )?;
    if old {
        change.execute_batch("DROP INDEX acts_by_age; ALTER TABLE acts RENAME TO old_acts;")?;
    }
    change.execute_batch(TABLES)?;
    let fresh = match old {
        true => move_photos(&change, photos)?,
        false => Vec::new(),
    };
    change.execute_batch(REVISION)?;
    change.pragma_update(None, "user_version", VERSION)?;
    change.commit()?;
    for fresh in fresh {
        fresh.keep();
    }
    Ok(())
}

/// Photos were a column once.
fn move_photos(
    change: &Transaction<'_>,
    photos: &Photos,
) -> Result<Vec<crate::photos::Fresh>, Box<dyn Error>> {
    let mut moved = Vec::new();
    let mut old = change.prepare("SELECT id, image FROM old_acts")?;
    let mut rows = old.query([])?;
    while let Some(row) = rows.next()? {
        let (id, image): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let fresh = photos.write(id, &image)?;
        let photo = &fresh.photo;
        change.execute(
            "INSERT INTO acts SELECT id, username, posted, caption, category, upvotes, ?, ?, ?, ?
             FROM old_acts WHERE id = ?",
            params![photo.file, photo.kind, photo.bytes, photo.digest, id],
        )?;
        moved.push(fresh);
    }
    drop(rows);
    drop(old);
    change.execute_batch("DROP TABLE old_acts")?;
    Ok(moved)
}
