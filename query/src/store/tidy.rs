//! Putting files in the place of others: what compaction and retention do to the tables on disk, and removing what is left over.
//!
//! ```text
//!  choose files ─▶ write new ones ─▶ sync ─▶ one commit: old ones out, new ones in ─▶ one lock section ─▶ (an hour later) old ones removed
//! ```
//! A query sees the rows in the old files or in the new ones. A crash before the commit leaves files that nobody names; they are removed, too.

use std::collections::HashSet;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use ingest::crash;

use super::Backing;
use super::cold::ColdFile;
use super::compact::{self, Compacted, Eagerness};
use super::error::StoreError;
use super::flush::{Writer, write};
use super::retain::{Fate, Retained, Retention, Sieve};
use super::rewrite;
use super::state::{State, Which};

impl Writer {
    /// Makes one file of several that are small, if there are enough of them; see [`super::compact`]. Flushes wait only while it is committed.
    pub(crate) async fn compact(
        backing: &tokio::sync::Mutex<Backing>,
        state: &RwLock<State>,
        eagerness: Eagerness,
        now: DateTime<Utc>,
    ) -> Result<Option<Compacted>, StoreError> {
        match &*backing.lock().await {
            Backing::Folder(_) => {}
            Backing::ReadOnly => return Err(StoreError::ReadOnly),
            Backing::Closed => return Err(StoreError::Closed),
            Backing::Memory | Backing::Passing(_) => return Ok(None),
        }
        for which in Which::ALL.into_iter().rev() {
            let (shape, old, flushed) = {
                let state = write(state);
                let table = which.of(&state);
                (Arc::clone(&table.shape), compact::next(&table.cold, eagerness), table.flushed)
            };
            let Some(table) = old.first().map(|file| file.place.clone()) else { continue };
            let made = rewrite::into_one(Arc::clone(&shape), &table, flushed, old.clone(), None).await?;
            let Some(new) = made.file else { continue };
            crash::at("compact", "files");
            let replaced = match &mut *backing.lock().await {
                Backing::Folder(writer) => writer.swap(state, which, &old, std::slice::from_ref(&new), None, now).await,
                _ => Err(StoreError::Closed),
            };
            if replaced? {
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
        Ok(None)
    }

    /// Deletes what is too old.
    pub(crate) async fn retain(
        &mut self,
        state: &RwLock<State>,
        retention: &Retention,
        now: DateTime<Utc>,
    ) -> Result<Vec<Retained>, StoreError> {
        let mut done = Vec::new();
        for which in Which::ALL {
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
            let mut retained = Retained { table: shape.name, before, deleted_rows: 0, deleted_files: 0, held_rows: 0 };
            let (mut old, mut new) = (Vec::new(), Vec::new());
            for file in files.iter() {
                match sieve.fate(file) {
                    Fate::Stays => continue,
                    Fate::Goes => retained.deleted_rows += file.rows.unwrap_or(0),
                    Fate::Sifted => {
                        let (shape, one) = (Arc::clone(&shape), vec![file.clone()]);
                        let made = rewrite::into_one(shape, &file.place, flushed, one, Some(sieve.clone())).await?;
                        let left = made.file.as_ref().and_then(|file| file.rows).unwrap_or(0);
                        retained.held_rows += made.held;
                        if left == made.rows {
                            // nothing of it goes: it stays as it is
                            if let Some(file) = made.file {
                                file.place.discard(&file.name).await;
                            }
                            continue;
                        }
                        retained.deleted_rows += made.rows - left;
                        new.extend(made.file);
                    }
                }
                old.push(file.clone());
            }
            retained.deleted_files = old.len() as u64;
            if !old.is_empty() {
                let predicate = sieve.predicate(&shape, before);
                crash::at("retain", "files");
                if !self.swap(state, which, &old, &new, Some(predicate), now).await? {
                    continue;
                }
                crash::at("retain", "done");
            }
            done.push(retained);
        }
        Ok(done)
    }

    /// Commits `new` files in the place of `old` ones; with a predicate, rows are gone with it. `false`, and nothing done: some of the old ones are not
    /// in the table any more.
    ///
    /// After an error the commit may have happened, so the new files stay: if nobody names them, they are removed as litter.
    async fn swap(
        &mut self,
        state: &RwLock<State>,
        which: Which,
        old: &[ColdFile],
        new: &[ColdFile],
        predicate: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.reconcile(state, which).await?;
        let log = self.log(which);
        let names = |files: Vec<ColdFile>| files.into_iter().map(|file| file.name).collect::<HashSet<_>>();
        let before = names(log.files()?);
        if !old.iter().all(|file| before.contains(&file.name)) {
            for file in new {
                file.place.discard(&file.name).await;
            }
            return Ok(false);
        }
        let committed = match predicate {
            Some(predicate) => log.delete(old, new, predicate, now).await,
            None => log.replace(old, new, now).await,
        };
        if let Err(error) = committed {
            // its answer may have been lost
            log.refresh().await?;
            let now = names(log.files()?);
            if old.iter().any(|file| now.contains(&file.name)) {
                return Err(error);
            }
        }
        let mut state = write(state);
        let table = which.of_mut(&mut state);
        let flushed = table.flushed;
        table.settle(log.files()?, flushed);
        Ok(true)
    }

    /// Removes files that no table names, and did not for `grace`; how many.
    pub(crate) async fn vacuum(&mut self, grace: Duration) -> Result<u64, StoreError> {
        let mut removed = 0;
        for which in Which::ALL {
            let log = self.log(which);
            if log.place().as_bucket().is_some() {
                // what other writers named meanwhile
                log.refresh().await?;
            }
            let named = log.files()?.into_iter().map(|file| file.name).collect();
            let place = log.place().clone();
            removed += self.litter.sweep(&place, &named, grace).await?;
        }
        Ok(removed)
    }
}
