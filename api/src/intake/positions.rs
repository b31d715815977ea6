//! Up to where streams were taken that can be read again: files that are followed.
//!
//! ```text
//!  a frame of the journal: bytes, and the position behind them ─▶ recent (memory) ─▶ the tables cover it ─▶ idempotency.db ─▶ the journal may forget
//! ```
//! Bytes and position are in one frame, so that after any crash a stream goes on behind the last bytes that were kept, neither before nor after that. Of a
//! stream the latest position counts; a frame that is not covered by the tables is handed out again by the journal, and its position with it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ingest::journal::Position;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

/// Positions that are not in the database yet.
#[derive(Debug, Default)]
pub(super) struct Positions(Mutex<HashMap<Stream, At>>);

/// The receiver's name, and its name for the stream.
type Stream = (String, [u8; 16]);

#[derive(Clone, Debug, PartialEq, Eq)]
struct At {
    sequence: u64,
    state: Vec<u8>,
}

/// What was written in a transaction that may yet fail.
#[derive(Debug)]
pub(super) struct Written(Vec<(Stream, At)>);

impl Positions {
    /// The journal's frame `sequence` has this.
    pub(super) fn at(&self, position: Position, sequence: u64) {
        let Position { receiver, stream, state } = position;
        let mut recent = self.recent();
        let at = recent.entry((receiver, stream)).or_insert(At { sequence, state: Vec::new() });
        if sequence >= at.sequence {
            *at = At { sequence, state };
        }
    }

    /// All of a receiver's, by stream.
    pub(super) async fn of(&self, pool: &SqlitePool, receiver: &str) -> sqlx::Result<Vec<([u8; 16], Vec<u8>)>> {
        let rows = sqlx::query("SELECT stream, state FROM positions WHERE receiver = ?1");
        let rows = rows.bind(receiver).fetch_all(pool).await?;
        let mut all = HashMap::new();
        for row in rows {
            let stream = <[u8; 16]>::try_from(row.try_get::<&[u8], _>(0)?).unwrap_or_default();
            all.insert(stream, row.try_get::<Vec<u8>, _>(1)?);
        }
        let recent = self.recent();
        let own = recent.iter().filter(|((of, _), _)| of == receiver);
        all.extend(own.map(|((_, stream), at)| (*stream, at.state.clone())));
        Ok(all.into_iter().collect())
    }

    /// Writes those of frames up to `covered`.
    pub(super) async fn write(&self, into: &mut SqliteConnection, covered: u64) -> sqlx::Result<Written> {
        let recent: Vec<(Stream, At)> = {
            let recent = self.recent();
            let covered = recent.iter().filter(|(_, at)| at.sequence <= covered);
            covered.map(|(stream, at)| (stream.clone(), at.clone())).collect()
        };
        for ((receiver, stream), at) in &recent {
            sqlx::query("INSERT OR REPLACE INTO positions (receiver, stream, state) VALUES (?1, ?2, ?3)")
                .bind(receiver)
                .bind(stream.as_slice())
                .bind(at.state.as_slice())
                .execute(&mut *into)
                .await?;
        }
        Ok(Written(recent))
    }

    /// The transaction was committed.
    pub(super) fn written(&self, Written(written): &Written) {
        let mut recent = self.recent();
        for (stream, at) in written {
            // it may be further by now
            if recent.get(stream) == Some(at) {
                recent.remove(stream);
            }
        }
    }

    pub(super) async fn forget(&self, pool: &SqlitePool, receiver: &str, streams: &[[u8; 16]]) -> sqlx::Result<()> {
        let mut transaction = pool.begin().await?;
        for stream in streams {
            self.recent().remove(&(receiver.to_owned(), *stream));
            sqlx::query("DELETE FROM positions WHERE receiver = ?1 AND stream = ?2")
                .bind(receiver)
                .bind(stream.as_slice())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await
    }

    fn recent(&self) -> MutexGuard<'_, HashMap<Stream, At>> {
        // a panic elsewhere leaves whole entries behind
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
