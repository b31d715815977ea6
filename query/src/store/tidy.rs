//! Putting files in the place of others: what compaction and retention do to the tables on disk, and removing what is left over.
//!
//! ```text
//!  choose files ─▶ write new ones ─▶ sync ─▶ one commit: old ones out, new ones in ─▶ one lock section ─▶ (an hour later) old ones removed
//! ```
//! A query sees the rows in the old files or in the new ones. A crash before the commit leaves files that nobody names; they are removed, too.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use ingest::crash;

use super::Backing;
use super::closing::Closing;
use super::cold::ColdFile;
use super::compact::{self, Compacted, Eagerness};
use super::delta::Change;
use super::error::StoreError;
use super::flush::{Writer, write};
use super::retain::{Fate, Retained, Retention, Sieve};
use super::rewrite;
use super::state::{State, Which};
use super::table::Shape;

impl Writer {
    /// Makes one file of several that are small, if there are enough of them; see [`super::compact`]. Flushes wait only while it is committed.
    pub(crate) async fn compact(
        backing: &tokio::sync::Mutex<Backing>,
        state: &RwLock<State>,
        eagerness: Eagerness,
        now: DateTime<Utc>,
        closing: &Closing,
    ) -> Result<Option<Compacted>, StoreError> {
        for which in Which::ALL.into_iter().rev() {
            if !Self::begin(backing, state, which).await? {
                break;
            }
            loop {
                let (shape, old, flushed) = {
                    let state = write(state);
                    let table = which.of(&state);
                    (Arc::clone(&table.shape), compact::next(&table.cold, eagerness), table.flushed)
                };
                let Some(table) = old.first().map(|file| file.place.clone()) else { break };
                if !Self::knows_all_of(backing, which, &shape).await? {
                    break;
                }
                let made = rewrite::into_one(Arc::clone(&shape), &table, flushed, old.clone(), None, closing).await?;
                let Some(new) = made.file else { break };
                crash::at("compact", "files");
                // if another writer was first with one of these files, there may be others
                if Self::swap(backing, state, which, &old, std::slice::from_ref(&new), &Change::Compacted, now).await? {
                    crash::at("compact", "done");
                    return Ok(Some(Compacted {
                        table: shape.name,
                        day: new.day,
                        files: old.len() as u64,
                        rows: made.rows,
                        bytes_before: old.iter().map(|file| file.bytes).sum(),
                        bytes_after: new.bytes,
                    }));
                }
            }
        }
        Ok(None)
    }

    /// Deletes what is too old. Flushes wait only while it is committed.
    pub(crate) async fn retain(
        backing: &tokio::sync::Mutex<Backing>,
        state: &RwLock<State>,
        retention: &Retention,
        now: DateTime<Utc>,
        closing: &Closing,
    ) -> Result<Vec<Retained>, StoreError> {
        let mut done = Vec::new();
        for which in Which::ALL {
            if !Self::begin(backing, state, which).await? {
                break;
            }
            let days = match which {
                Which::Rejects => retention.rejects_days,
                Which::Edges1m => retention.edges_1m_days,
                Which::AccessLogs => retention.access_logs_days,
            };
            let (shape, files, flushed) = {
                let state = write(state);
                let table = which.of(&state);
                (Arc::clone(&table.shape), Arc::clone(&table.cold), table.flushed)
            };
            let Some(sieve) = Sieve::new(days, &retention.holds, shape.time_column, now) else { continue };
            let before = DateTime::from_timestamp_micros(sieve.cutoff).unwrap_or_default();
            let change = Change::Deleted(sieve.predicate(&shape, before));
            let mut retained = Retained { table: shape.name, before, deleted_rows: 0, deleted_files: 0, held_rows: 0 };
            let of = |fate| files.iter().filter(|file| sieve.fate(file) == fate).cloned().collect::<Vec<_>>();
            let (whole, parts) = (of(Fate::Goes), of(Fate::Sifted));
            if !whole.is_empty() {
                crash::at("retain", "files");
                if Self::swap(backing, state, which, &whole, &[], &change, now).await? {
                    crash::at("retain", "done");
                    retained.deleted_files += whole.len() as u64;
                    retained.deleted_rows += whole.iter().filter_map(|file| file.rows).sum::<u64>();
                }
            }
            for file in parts {
                let sifted = rewrite::sift(Arc::clone(&shape), file.clone(), sieve.clone(), closing).await?;
                if sifted.goes == 0 {
                    retained.held_rows += sifted.held;
                    continue;
                }
                if !Self::knows_all_of(backing, which, &shape).await? {
                    continue;
                }
                // one at a time: another writer's vacuum takes what is not named for long
                let old = [file];
                let (table, sieve) = (&old[0].place, Some(sieve.clone()));
                let made = rewrite::into_one(Arc::clone(&shape), table, flushed, old.to_vec(), sieve, closing).await?;
                crash::at("retain", "files");
                if Self::swap(backing, state, which, &old, made.file.as_slice(), &change, now).await? {
                    crash::at("retain", "done");
                    let left = made.file.as_ref().and_then(|file| file.rows).unwrap_or(0);
                    retained.deleted_files += 1;
                    retained.deleted_rows += made.rows - left;
                    retained.held_rows += made.held;
                }
            }
            done.push(retained);
        }
        Ok(done)
    }

    /// Takes over what other writers did to a table; whether it is one of files that may be written again.
    async fn begin(
        backing: &tokio::sync::Mutex<Backing>,
        state: &RwLock<State>,
        which: Which,
    ) -> Result<bool, StoreError> {
        match &mut *backing.lock().await {
            Backing::Folder(writer) => writer.reconcile(state, which).await.map(|()| true),
            Backing::ReadOnly => Err(StoreError::ReadOnly),
            Backing::Closed => Err(StoreError::Closed),
            Backing::Memory | Backing::Passing(_) => Ok(false),
        }
    }

    /// Whether a file of the table can be written again without losing columns that a newer version of this program brought.
    async fn knows_all_of(
        backing: &tokio::sync::Mutex<Backing>,
        which: Which,
        shape: &Shape,
    ) -> Result<bool, StoreError> {
        let Backing::Folder(writer) = &mut *backing.lock().await else { return Err(StoreError::Closed) };
        let known = writer.log(which).is_known_by(shape)?;
        if !known {
            tracing::warn!(
                table = shape.name,
                "a newer version writes to the table: its files are not written again by this one, which would lose columns"
            );
        }
        Ok(known)
    }

    /// Commits `new` files in the place of `old` ones; see [`DeltaLog::exchange`](super::delta::DeltaLog::exchange).
    async fn swap(
        backing: &tokio::sync::Mutex<Backing>,
        state: &RwLock<State>,
        which: Which,
        old: &[ColdFile],
        new: &[ColdFile],
        change: &Change,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut backing = backing.lock().await;
        let Backing::Folder(writer) = &mut *backing else { return Err(StoreError::Closed) };
        writer.reconcile(state, which).await?;
        let shape = Arc::clone(&which.of(&write(state)).shape);
        let exchanged = writer.log(which).exchange(&shape, old, new, change, now).await;
        // whatever came of it, and whatever other writers did meanwhile
        writer.reconcile(state, which).await?;
        exchanged
    }

    /// Removes files that no table names, and did not for `grace`; how many.
    pub(crate) async fn vacuum(&mut self, state: &RwLock<State>, grace: Duration) -> Result<u64, StoreError> {
        let mut removed = 0;
        for which in Which::ALL {
            // what other writers of a bucket named meanwhile
            self.reconcile(state, which).await?;
            let named = which.of(&write(state)).cold.iter().map(|file| file.name.clone()).collect();
            let place = self.log(which).place().clone();
            removed += self.litter.sweep(&place, &named, grace).await?;
        }
        Ok(removed)
    }
}
