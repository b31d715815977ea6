//! What has been taken from the feed and is not confirmed yet: SQLite, `outbox.db` in the data folder.
//!
//! ```text
//! feed ──take──▶ pending ──record──▶ delivered      (without its finding; the last 1,000 of a sink are kept)
//!                   │ ▲
//!                   ▼ └──replay── rejected           (dead letter: kept with its finding until replayed)
//! ```
//! Invariants: a sink's place moves in the same transaction in which the deliveries up to it are written, so a change is
//! neither skipped nor taken twice, whatever is killed when. A delivery's id is its change's id, over retries and restarts.
//! Every write is on stable storage before it is acknowledged (`synchronous = FULL`). Times are UTC microseconds.

mod error;
mod row;
#[cfg(test)]
mod tests;

pub use error::OutboxError;
pub use row::Failed;
pub(super) use row::Pending;

use std::path::Path;

use chrono::{DateTime, Utc};
use query::finding::Change;
use query::finding::json::FindingJson;
use sqlx::Row as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};

/// The tables. `place`: the last seq of the feed that was taken; `disabled`: why the receiver wants no more.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS sinks (
        name TEXT PRIMARY KEY,
        place INTEGER NOT NULL,
        disabled TEXT
    ) STRICT;
    CREATE TABLE IF NOT EXISTS deliveries (
        sink TEXT NOT NULL REFERENCES sinks (name),
        id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        kind TEXT NOT NULL,
        at INTEGER NOT NULL,
        finding TEXT,
        state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'rejected')),
        attempts INTEGER NOT NULL DEFAULT 0,
        next_attempt INTEGER NOT NULL,
        hurried INTEGER NOT NULL DEFAULT 0,
        last_error TEXT,
        PRIMARY KEY (sink, id)
    ) STRICT;
    CREATE INDEX IF NOT EXISTS deliveries_in_order ON deliveries (sink, state, seq);
    CREATE INDEX IF NOT EXISTS deliveries_by_time ON deliveries (sink, next_attempt) WHERE state = 'pending';
    PRAGMA user_version = 1;
";

/// Delivered rows that are kept per sink, to tell a repeat.
const HISTORY: i64 = 1000;
/// Most dead letters in one answer.
const MOST_FAILED: i64 = 1000;

/// How a delivery goes on after an attempt.
#[derive(Debug)]
pub(super) enum Next {
    Delivered,
    Again { at: DateTime<Utc>, reason: String },
    Rejected { reason: String },
}

/// How many deliveries a sink has in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) pending: i64,
    pub(super) rejected: i64,
}

/// The open outbox.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    // one connection: writes of several sinks wait for each other in order instead of running into SQLITE_BUSY
    pool: SqlitePool,
}

impl Outbox {
    /// Opens or makes the file.
    pub(super) async fn open(path: &Path) -> Result<Self, OutboxError> {
        let wrong = |source| OutboxError::Open { path: path.to_owned(), source };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(wrong)?;
        let version: i64 =
            sqlx::query("PRAGMA user_version").fetch_one(&pool).await.and_then(|row| row.try_get(0)).map_err(wrong)?;
        if version > 1 {
            return Err(OutboxError::Newer { path: path.to_owned(), version });
        }
        sqlx::raw_sql(SCHEMA).execute(&pool).await.map_err(wrong)?;
        Ok(Self { pool })
    }

    /// Makes the sink known, at `place` if it is new, and gives it a new chance if its receiver had wanted no more. Returns its place.
    pub(super) async fn register(&self, sink: &str, place: i64) -> Result<i64, OutboxError> {
        let row = sqlx::query(
            "INSERT INTO sinks (name, place) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET disabled = NULL RETURNING place",
        )
        .bind(sink)
        .bind(place)
        .fetch_one(&self.pool)
        .await?;
        Ok(row.try_get(0)?)
    }

    /// Moves the sink's place to `place` and writes a pending delivery for each of `changes`, in one transaction. A change that the
    /// sink has already is left as it is.
    pub(super) async fn take(
        &self,
        sink: &str,
        place: i64,
        changes: &[&Change],
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        let mut transaction = self.pool.begin().await?;
        for change in changes {
            let finding = serde_json::to_string(&FindingJson::from(&change.finding))
                .map_err(|source| OutboxError::Json { id: change.id.clone(), source })?;
            sqlx::query(
                "INSERT INTO deliveries (sink, id, seq, kind, at, finding, next_attempt) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (sink, id) DO NOTHING",
            )
            .bind(sink)
            .bind(&change.id)
            .bind(change.seq)
            .bind(change.kind.as_str())
            .bind(change.at.timestamp_micros())
            .bind(finding)
            .bind(now.timestamp_micros())
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query("UPDATE sinks SET place = ?2 WHERE name = ?1")
            .bind(sink)
            .bind(place)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "DELETE FROM deliveries WHERE sink = ?1 AND state = 'delivered' AND seq <= (
                SELECT seq FROM deliveries WHERE sink = ?1 AND state = 'delivered' ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
        )
        .bind(sink)
        .bind(HISTORY)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// Up to `limit` pending deliveries that are due, in the feed's order.
    pub(super) async fn due(&self, sink: &str, now: DateTime<Utc>, limit: i64) -> Result<Vec<Pending>, OutboxError> {
        let rows = sqlx::query(
            "SELECT id, seq, kind, at, finding, attempts, next_attempt FROM deliveries
             WHERE sink = ?1 AND state = 'pending' AND next_attempt <= ?2 ORDER BY seq LIMIT ?3",
        )
        .bind(sink)
        .bind(now.timestamp_micros())
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        self.readable(sink, &rows).await
    }

    /// The first pending delivery in the feed's order, due or not.
    pub(super) async fn head(&self, sink: &str) -> Result<Option<Pending>, OutboxError> {
        let rows = sqlx::query(
            "SELECT id, seq, kind, at, finding, attempts, next_attempt FROM deliveries
             WHERE sink = ?1 AND state = 'pending' ORDER BY seq LIMIT 1",
        )
        .bind(sink)
        .fetch_all(&self.pool)
        .await?;
        Ok(self.readable(sink, &rows).await?.pop())
    }

    /// The deliveries in `rows`. One that cannot be read is rejected, so that it does not stand in the way of the others.
    async fn readable(&self, sink: &str, rows: &[SqliteRow]) -> Result<Vec<Pending>, OutboxError> {
        let mut deliveries = Vec::with_capacity(rows.len());
        for row in rows {
            match Pending::from_row(row) {
                Ok(pending) => deliveries.push(pending),
                Err(error @ OutboxError::Sql(_)) => return Err(error),
                Err(error) => {
                    self.record(sink, row.try_get("id")?, &Next::Rejected { reason: error.to_string() }).await?
                }
            }
        }
        Ok(deliveries)
    }

    /// When the first pending delivery that is not due yet will be.
    pub(super) async fn next_attempt(
        &self,
        sink: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, OutboxError> {
        let row = sqlx::query(
            "SELECT MIN(next_attempt) FROM deliveries WHERE sink = ?1 AND state = 'pending' AND next_attempt > ?2",
        )
        .bind(sink)
        .bind(now.timestamp_micros())
        .fetch_one(&self.pool)
        .await?;
        Ok(row.try_get::<Option<i64>, _>(0)?.and_then(DateTime::from_timestamp_micros))
    }

    /// Writes down what became of an attempt.
    pub(super) async fn record(&self, sink: &str, id: &str, next: &Next) -> Result<(), OutboxError> {
        let query = match next {
            Next::Delivered => sqlx::query(
                "UPDATE deliveries SET attempts = attempts + 1, state = 'delivered', finding = NULL, last_error = NULL
                 WHERE sink = ?1 AND id = ?2",
            )
            .bind(sink)
            .bind(id),
            Next::Again { at, reason } => sqlx::query(
                "UPDATE deliveries SET attempts = attempts + 1, next_attempt = ?3, last_error = ?4 WHERE sink = ?1 AND id = ?2",
            )
            .bind(sink)
            .bind(id)
            .bind(at.timestamp_micros())
            .bind(reason),
            Next::Rejected { reason } => sqlx::query(
                "UPDATE deliveries SET attempts = attempts + 1, state = 'rejected', last_error = ?3 WHERE sink = ?1 AND id = ?2",
            )
            .bind(sink)
            .bind(id)
            .bind(reason),
        };
        query.execute(&self.pool).await?;
        Ok(())
    }

    /// The receiver is back: everything that waits is due now, once in a delivery's life. Returns how many.
    pub(super) async fn hurry(&self, sink: &str, now: DateTime<Utc>) -> Result<u64, OutboxError> {
        let done = sqlx::query(
            "UPDATE deliveries SET next_attempt = ?2, hurried = 1
             WHERE sink = ?1 AND state = 'pending' AND next_attempt > ?2 AND hurried = 0",
        )
        .bind(sink)
        .bind(now.timestamp_micros())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Writes down that the receiver wants no more.
    pub(super) async fn disable(&self, sink: &str, reason: &str) -> Result<(), OutboxError> {
        sqlx::query("UPDATE sinks SET disabled = ?2 WHERE name = ?1")
            .bind(sink)
            .bind(reason)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// How many deliveries wait and are dead.
    pub(super) async fn counts(&self, sink: &str) -> Result<Counts, OutboxError> {
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM deliveries WHERE sink = ?1 AND state = 'pending'),
                    (SELECT COUNT(*) FROM deliveries WHERE sink = ?1 AND state = 'rejected')",
        )
        .bind(sink)
        .fetch_one(&self.pool)
        .await?;
        Ok(Counts { pending: row.try_get(0)?, rejected: row.try_get(1)? })
    }

    /// The newest dead letters of all sinks, up to 1,000.
    pub(super) async fn failed(&self) -> Result<Vec<Failed>, OutboxError> {
        let rows = sqlx::query(
            "SELECT sink, id, seq, kind, at, attempts, last_error FROM deliveries
             WHERE state = 'rejected' ORDER BY seq DESC, sink LIMIT ?1",
        )
        .bind(MOST_FAILED)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(Failed::from_row).collect()
    }

    /// Makes the dead letters of a change pending again, from the first attempt on. Returns the names of their sinks.
    pub(super) async fn replay(&self, id: &str, now: DateTime<Utc>) -> Result<Vec<String>, OutboxError> {
        let rows = sqlx::query(
            "UPDATE deliveries SET state = 'pending', attempts = 0, hurried = 0, next_attempt = ?2
             WHERE id = ?1 AND state = 'rejected' RETURNING sink",
        )
        .bind(id)
        .bind(now.timestamp_micros())
        .fetch_all(&self.pool)
        .await?;
        if rows.is_empty() {
            return Err(OutboxError::NotDead { id: id.to_owned() });
        }
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }

    /// Writes the journal back and lets go of the file.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}
