//! Which payloads were taken already, by the keys that their senders name: for 24 hours, across any crash. A payload without one goes by its content for an
//! hour: key and body are one digest then, of the door and of what was sent. In the same file are the positions of streams ([`super::positions`]), for what the
//! journal may forget has to be in one place.
//!
//! ```text
//!  claim ─▶ recent (memory) ── there? ─▶ taken, with the same body or another; or on its way: wait
//!             └─ no: reserved ─▶ idempotency.db ── there? ─▶ the same
//!                                     └─ no ─▶ it is new ─▶ journal ─▶ recent
//!  the tables cover everything up to S ─▶ keys up to S: recent ─▶ idempotency.db, with S ─▶ the journal may forget
//! ```
//! Invariant: the key of a payload that was acknowledged is in a frame of the journal after the S of the database, or in the database. What is in
//! a frame is in `recent`, for the journal hands out each frame after that S when it is opened.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use ingest::journal::{Idempotency, Position};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::watch;

use super::positions::Positions;

/// The tables. `covered` has one row: every key up to that sequence of the journal is in `keys`.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS keys (
        key BLOB PRIMARY KEY,
        body BLOB NOT NULL,
        sequence INTEGER NOT NULL,
        at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS keys_by_time ON keys (at);
    CREATE INDEX IF NOT EXISTS contents_by_time ON keys (at) WHERE key = body;
    CREATE TABLE IF NOT EXISTS covered (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        sequence INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS positions (
        receiver TEXT NOT NULL,
        stream BLOB NOT NULL,
        state BLOB NOT NULL,
        PRIMARY KEY (receiver, stream)
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 2;
";
/// The newest version of the tables that is known. The first one had no positions.
const VERSION: i64 = 2;

/// How long a key is remembered.
const REMEMBERED: TimeDelta = TimeDelta::hours(24);
/// How long a content is: longer than shippers try again, and short enough for a thousand payloads a second.
const CONTENT_REMEMBERED: TimeDelta = TimeDelta::hours(1);
/// Keys that are too old are removed so many at a time: nobody waits long for it.
const REMOVED_AT_ONCE: i64 = 10_000;

/// The keys. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub(super) struct Keys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    // one connection: a write waits for another instead of running into SQLITE_BUSY
    pool: SqlitePool,
    recent: Mutex<HashMap<[u8; 32], Recent>>,
    positions: Positions,
    /// Something in `recent` changed.
    changed: watch::Sender<()>,
}

/// A key that is not in the database yet.
#[derive(Clone, Copy, Debug)]
enum Recent {
    /// Its payload is on its way to the journal.
    Claimed,
    Taken(TakenAs),
}

/// What a payload was taken as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TakenAs {
    body: [u8; 32],
    sequence: u64,
    at: DateTime<Utc>,
}

/// What is known of a key.
#[derive(Debug)]
pub(super) enum Claim {
    /// Nothing: the payload is to be taken.
    New(Claimed),
    /// The payload was taken, as that sequence.
    Taken(u64),
    /// Another body was taken under this key.
    OtherBody,
}

/// A key whose payload is on its way. Dropping it says that nothing came of it.
#[derive(Debug)]
pub(super) struct Claimed {
    keys: Keys,
    idempotency: Idempotency,
    at: DateTime<Utc>,
    /// What the key stood for a day ago.
    before: Option<TakenAs>,
    taken: bool,
}

/// The keys could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file.
    #[error(
        "the idempotency keys '{path}' could not be opened: {source} (does its folder exist, may this user write there?)"
    )]
    Open {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
    /// Written by a later release.
    #[error(
        "the idempotency keys '{path}' have version {version}, which a newer meshwarden wrote: use that one, or move the file away"
    )]
    Newer {
        /// Its path.
        path: PathBuf,
        /// Its version.
        version: i64,
    },
    /// A statement.
    #[error("the idempotency keys could not be read or written: {0}")]
    Sql(#[from] sqlx::Error),
}

impl Keys {
    /// Opens or makes the file of a journal whose frames up to `flushed` the tables cover.
    pub(super) async fn open(path: &Path, flushed: u64) -> Result<Self, KeysError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        Self::with(options, path, flushed).await
    }

    /// Keys that are gone with this value.
    pub(super) async fn in_memory() -> Result<Self, KeysError> {
        Self::with(SqliteConnectOptions::new().in_memory(true), Path::new(":memory:"), 0).await
    }

    async fn with(options: SqliteConnectOptions, path: &Path, flushed: u64) -> Result<Self, KeysError> {
        let wrong = |source| KeysError::Open { path: path.to_owned(), source };
        // a connection in memory must not be replaced by another
        let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let pool = pool.connect_with(options).await.map_err(wrong)?;
        let version = sqlx::query("PRAGMA user_version").fetch_one(&pool).await.and_then(|row| row.try_get(0));
        let version: i64 = version.map_err(wrong)?;
        if version > VERSION {
            return Err(KeysError::Newer { path: path.to_owned(), version });
        }
        sqlx::raw_sql(SCHEMA).execute(&pool).await.map_err(wrong)?;
        sqlx::query("INSERT OR IGNORE INTO covered (one, sequence) VALUES (1, ?1)")
            .bind(flushed.cast_signed())
            .execute(&pool)
            .await
            .map_err(wrong)?;
        Ok(Keys(Arc::new(Inner {
            pool,
            recent: Mutex::default(),
            positions: Positions::default(),
            changed: watch::Sender::new(()),
        })))
    }

    /// The sequence up to which the database has every key.
    pub(super) async fn covered(&self) -> Result<u64, KeysError> {
        let row = sqlx::query("SELECT sequence FROM covered").fetch_one(&self.0.pool).await?;
        Ok(row.try_get::<i64, _>(0)?.cast_unsigned())
    }

    /// Takes in again what a frame of the journal says.
    pub(super) fn again(&self, idempotency: Idempotency, sequence: u64, at: DateTime<Utc>) {
        let taken = Recent::Taken(TakenAs { body: idempotency.body, sequence, at });
        self.recent().insert(idempotency.key, taken);
    }

    /// A frame of the journal has this, whether it was written now or is read again.
    pub(super) fn at(&self, position: Position, sequence: u64) {
        self.0.positions.at(position, sequence);
    }

    /// Up to where a receiver's streams were taken: all that it knows.
    pub(super) async fn positions(&self, receiver: &str) -> Result<Vec<([u8; 16], Vec<u8>)>, KeysError> {
        Ok(self.0.positions.of(&self.0.pool, receiver).await?)
    }

    /// Forgets streams that are gone for good.
    pub(super) async fn forget_streams(&self, receiver: &str, streams: &[[u8; 16]]) -> Result<(), KeysError> {
        Ok(self.0.positions.forget(&self.0.pool, receiver, streams).await?)
    }

    /// Asks for the right to take a payload. Waits while another with the same key is on its way.
    pub(super) async fn claim(&self, idempotency: Idempotency, now: DateTime<Utc>) -> Result<Claim, KeysError> {
        let mut changes = self.0.changed.subscribe();
        let before = loop {
            changes.mark_unchanged();
            {
                let mut recent = self.recent();
                match recent.get(&idempotency.key) {
                    Some(Recent::Taken(taken)) if taken.is_remembered(&idempotency.key, now) => {
                        return Ok(taken.claim(&idempotency));
                    }
                    Some(Recent::Claimed) => {}
                    Some(Recent::Taken(_)) | None => match recent.insert(idempotency.key, Recent::Claimed) {
                        Some(Recent::Taken(before)) => break Some(before),
                        Some(Recent::Claimed) | None => break None,
                    },
                }
            }
            // the sender is in `self`: it cannot be gone
            let _ = changes.changed().await;
        };
        // a key leaves `recent` after it is in the database: what is now in neither is new
        let claimed = Claimed { keys: self.clone(), idempotency, at: now, before, taken: false };
        let row = sqlx::query("SELECT body, sequence, at FROM keys WHERE key = ?1")
            .bind(idempotency.key.as_slice())
            .fetch_optional(&self.0.pool)
            .await?;
        let Some(row) = row else { return Ok(Claim::New(claimed)) };
        let known = TakenAs {
            body: <[u8; 32]>::try_from(row.try_get::<&[u8], _>(0)?).unwrap_or_default(),
            sequence: row.try_get::<i64, _>(1)?.cast_unsigned(),
            at: DateTime::from_timestamp_micros(row.try_get(2)?).unwrap_or_default(),
        };
        Ok(if known.is_remembered(&idempotency.key, now) { known.claim(&idempotency) } else { Claim::New(claimed) })
    }

    /// Puts the keys and positions of everything up to `covered` into the database: then the journal may forget their frames.
    pub(super) async fn keep(&self, covered: u64) -> Result<(), KeysError> {
        let taken: Vec<([u8; 32], TakenAs)> = {
            let recent = self.recent();
            let taken = recent.iter().filter_map(|(key, recent)| match recent {
                Recent::Taken(taken) if taken.sequence <= covered => Some((*key, *taken)),
                Recent::Taken(_) | Recent::Claimed => None,
            });
            taken.collect()
        };
        let mut transaction = self.0.pool.begin().await?;
        for (key, taken) in &taken {
            sqlx::query("INSERT OR REPLACE INTO keys (key, body, sequence, at) VALUES (?1, ?2, ?3, ?4)")
                .bind(key.as_slice())
                .bind(taken.body.as_slice())
                .bind(taken.sequence.cast_signed())
                .bind(taken.at.timestamp_micros())
                .execute(&mut *transaction)
                .await?;
        }
        let written = self.0.positions.write(&mut transaction, covered).await?;
        sqlx::query("UPDATE covered SET sequence = max(sequence, ?1)")
            .bind(covered.cast_signed())
            .execute(&mut *transaction)
            .await?;
        // by the newest key, not by a clock: one that jumps ahead must not make it forget
        for (which, remembered) in [("1", REMEMBERED), ("key = body", CONTENT_REMEMBERED)] {
            let statement = format!(
                "DELETE FROM keys WHERE key IN (
                    SELECT key FROM keys WHERE {which} AND at < (SELECT max(at) FROM keys) - ?1 ORDER BY at LIMIT ?2
                )"
            );
            sqlx::query(sqlx::AssertSqlSafe(statement))
                .bind(2 * remembered.num_seconds() * 1_000_000)
                .bind(REMOVED_AT_ONCE)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        self.0.positions.written(&written);
        let mut recent = self.recent();
        for (key, taken) in taken {
            // the same key may have been taken again meanwhile, a day later
            if matches!(recent.get(&key), Some(Recent::Taken(now)) if *now == taken) {
                recent.remove(&key);
            }
        }
        Ok(())
    }

    fn recent(&self) -> MutexGuard<'_, HashMap<[u8; 32], Recent>> {
        // a panic elsewhere leaves whole entries behind
        self.0.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TakenAs {
    fn is_remembered(&self, key: &[u8; 32], now: DateTime<Utc>) -> bool {
        let remembered = if *key == self.body { CONTENT_REMEMBERED } else { REMEMBERED };
        now.signed_duration_since(self.at) < remembered
    }

    fn claim(&self, idempotency: &Idempotency) -> Claim {
        if self.body == idempotency.body { Claim::Taken(self.sequence) } else { Claim::OtherBody }
    }
}

impl Claimed {
    /// The journal has it, as that sequence.
    pub(super) fn taken(mut self, sequence: u64) {
        self.taken = true;
        self.keys.again(self.idempotency, sequence, self.at);
        self.keys.0.changed.send_replace(());
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        if !self.taken {
            let mut recent = self.keys.recent();
            match self.before {
                Some(before) => drop(recent.insert(self.idempotency.key, Recent::Taken(before))),
                None => drop(recent.remove(&self.idempotency.key)),
            }
            drop(recent);
            self.keys.0.changed.send_replace(());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn payload(key: u8, body: u8) -> Idempotency {
        Idempotency { key: [key; 32], body: [body + 100; 32] }
    }

    /// One that goes by its content.
    fn content(body: u8) -> Idempotency {
        Idempotency { key: [body; 32], body: [body; 32] }
    }

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
    }

    async fn take(keys: &Keys, payload: Idempotency, hour: i64, sequence: u64) {
        match keys.claim(payload, at(hour)).await.unwrap() {
            Claim::New(claimed) => claimed.taken(sequence),
            other => panic!("{other:?}"),
        }
    }

    /// What a claim says, without making one.
    async fn known(keys: &Keys, payload: Idempotency, hour: i64) -> Option<Result<u64, &'static str>> {
        match keys.claim(payload, at(hour)).await.unwrap() {
            Claim::New(_) => None,
            Claim::Taken(sequence) => Some(Ok(sequence)),
            Claim::OtherBody => Some(Err("another body")),
        }
    }

    #[tokio::test]
    async fn a_key_is_remembered_for_a_day_in_memory_and_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("idempotency.db");
        let keys = Keys::open(&path, 7).await.unwrap();
        assert_eq!(keys.covered().await.unwrap(), 7);
        take(&keys, payload(1, 1), 0, 8).await;
        take(&keys, payload(2, 1), 1, 9).await;
        for covered in [8, 9] {
            assert_eq!(known(&keys, payload(1, 1), 23).await, Some(Ok(8)));
            assert_eq!(known(&keys, payload(1, 2), 23).await, Some(Err("another body")));
            assert_eq!(known(&keys, payload(1, 2), 24).await, None);
            assert_eq!(known(&keys, payload(2, 1), 24).await, Some(Ok(9)));
            assert_eq!(known(&keys, payload(3, 1), 0).await, None);
            // a clock that was set back
            assert_eq!(known(&keys, payload(1, 1), -48).await, Some(Ok(8)));
            keys.keep(covered).await.unwrap();
            assert_eq!(keys.covered().await.unwrap(), covered);
        }
        drop(keys);
        let keys = Keys::open(&path, 7).await.unwrap();
        assert_eq!(keys.covered().await.unwrap(), 9);
        assert_eq!(known(&keys, payload(1, 1), 23).await, Some(Ok(8)));
        // a key that was used again a day later
        take(&keys, payload(1, 2), 25, 10).await;
        assert_eq!(known(&keys, payload(1, 2), 26).await, Some(Ok(10)));
        assert_eq!(known(&keys, payload(1, 1), 26).await, Some(Err("another body")));
        keys.keep(10).await.unwrap();
        assert_eq!(known(&keys, payload(1, 2), 26).await, Some(Ok(10)));
        // by its content, a payload is remembered for an hour
        take(&keys, content(5), 26, 11).await;
        assert_eq!(known(&keys, content(5), 26).await, Some(Ok(11)));
        keys.keep(11).await.unwrap();
        assert_eq!(known(&keys, content(5), 26).await, Some(Ok(11)));
        assert_eq!(known(&keys, content(5), 27).await, None);
        take(&keys, payload(6, 1), 29, 12).await;
        keys.keep(12).await.unwrap();
        let rows: i64 = sqlx::query("SELECT count(*) FROM keys").fetch_one(&keys.0.pool).await.unwrap().get(0);
        assert_eq!(rows, 3, "1, 2 and 6");
        // in the end it is gone
        take(&keys, payload(4, 1), 80, 13).await;
        keys.keep(13).await.unwrap();
        let rows: i64 = sqlx::query("SELECT count(*) FROM keys").fetch_one(&keys.0.pool).await.unwrap().get(0);
        assert_eq!(rows, 1);
    }

    #[tokio::test]
    async fn of_many_at_once_one_is_taken() {
        let keys = Keys::in_memory().await.unwrap();
        let sequence = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let tasks: Vec<_> = (0..50)
            .map(|number| {
                let (keys, sequence) = (keys.clone(), Arc::clone(&sequence));
                tokio::spawn(async move {
                    match keys.claim(payload(1, 1), at(0)).await.unwrap() {
                        Claim::New(claimed) => {
                            tokio::task::yield_now().await;
                            // of the first few nothing comes
                            if number >= 5 {
                                claimed.taken(sequence.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1);
                            }
                            0
                        }
                        Claim::Taken(sequence) => sequence,
                        Claim::OtherBody => 99,
                    }
                })
            })
            .collect();
        for task in tasks {
            assert!(task.await.unwrap() <= 1);
        }
        assert_eq!(known(&keys, payload(1, 1), 0).await, Some(Ok(1)));
        assert_eq!(sequence.load(std::sync::atomic::Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_newer_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("idempotency.db");
        let keys = Keys::open(&path, 0).await.unwrap();
        sqlx::raw_sql("PRAGMA user_version = 3").execute(&keys.0.pool).await.unwrap();
        drop(keys);
        let error = Keys::open(&path, 0).await.unwrap_err().to_string();
        assert!(error.contains("has version 3") || error.contains("have version 3"), "{error}");
    }
}
