//! The store: every access log and every reject, once, queryable from the moment `append` returns.
//!
//! ```text
//!  AccessLogBatch ─append─▶ hot (memory, by 5 min of event time) ─flush─▶ cold (Parquet files, committed through Delta Lake)
//!        └─ rolled up by minute and edge ─▶ likewise
//!                            └──────────────── snapshot: one consistent cut ────────────────┘─▶ TableProvider ─▶ SQL
//!
//!                                                              ▲ small files become large ones, old rows are deleted (tidy.rs)
//!
//!  DIR/meshwarden.json  format          DIR/access_logs/  Delta table      DIR/coverage/  sums per source
//!  DIR/meshwarden.lock  single writer   DIR/rejects/      Delta table
//!                                       DIR/edges_1m/     Delta table      each by day
//! ```
//! Invariants:
//! - A row is in hot or in cold, never in both, never in neither: both lists live under one lock, and a flush swaps them in one
//!   section of it (per table), after the commit is on stable storage.
//! - Each append has a sequence number, rising, never reused: the journal's ([`Store::append_at`]), or one of the store's own. Each Delta
//!   commit names the last one that it covers (`txn`), so what is on disk is always "all appends up to S".
//! - A flush that fails or is dropped half-way loses nothing and can be repeated; two never overlap; appends and queries go on.
//! - One writer per folder (a lock on a file); any number of readers of what is committed. Tables in a bucket may have several writers, each with a local
//!   folder of its own ([`Location`]).
//!
//! A store in passing ([`Store::in_passing`]) only bounds memory: its files have no log, are not durable, and nobody opens them again; nothing is rolled up.
//!
//! Times are microseconds since the epoch, UTC. Sizes are bytes of memory really held.
//!
//! Absent, on purpose: durability of rows that are still hot (the journal's job: it replays what [`Store::flushed`] does not cover), and the decision
//! when to flush, compact or delete (the caller's: [`Store::wants_flush`] says when size asks for it, a clock belongs to `main`).

mod bucket;
mod closing;
mod cold;
mod compact;
mod coverage;
mod delta;
mod durable;
mod error;
mod flush;
mod folder;
mod hot;
mod location;
mod older;
mod place;
mod provider;
mod retain;
mod rewrite;
mod snapshot;
mod span;
mod spill;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod tidy;
mod vacuum;
mod verify;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

pub use compact::{Compacted, Eagerness};
pub use error::StoreError;
pub use flush::Flushed;
pub use location::Location;
pub use retain::{DEFAULT_DAYS, Hold, Retained, Retention};
pub use snapshot::Snapshot;
pub use state::{StoreStats, TableStats};
pub use verify::{Flaw, Verified};

use chrono::{DateTime, Utc};
use closing::Closing;
use hot::Hot;
use ingest::{AccessLogBatch, Coverage};
use state::{Ready, State, Which};

/// How a store behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// [`Store::wants_flush`] when rows in memory hold this many bytes.
    pub flush_bytes: usize,
    /// [`Store::wants_flush`] when this many rows are in memory.
    pub flush_rows: usize,
}

/// So many times [`StoreOptions::flush_bytes`] are too much.
const CROWDED: u64 = 2;

impl Default for StoreOptions {
    fn default() -> Self {
        Self { flush_bytes: 64 << 20, flush_rows: 1 << 20 }
    }
}

/// A flush that is under way, carried through whether it is waited for or not.
#[derive(Debug)]
pub struct Flushing(tokio::task::JoinHandle<Result<Flushed, StoreError>>);

impl Flushing {
    /// Waits for its end.
    ///
    /// # Errors
    /// As [`Store::flush`].
    pub async fn end(self) -> Result<Flushed, StoreError> {
        self.0.await.map_err(StoreError::Interrupted)?
    }
}

/// The store. All methods take `&self`: share it in an `Arc`.
#[derive(Debug)]
pub struct Store {
    options: StoreOptions,
    rolls_up: bool,
    state: Arc<RwLock<State>>,
    backing: Arc<tokio::sync::Mutex<Backing>>,
    closing: Closing,
}

/// Where rows go when they leave memory.
#[derive(Debug)]
enum Backing {
    /// Nowhere: they stay.
    Memory,
    /// There are none: opened for reading.
    ReadOnly,
    /// To files that nobody will open again.
    Passing(spill::Spill),
    /// To the folder that this writes to.
    Folder(Box<flush::Writer>),
    /// Closed.
    Closed,
}

impl Backing {
    async fn flush(&mut self, state: &RwLock<State>) -> Result<Flushed, StoreError> {
        match self {
            Self::Memory => Ok(Flushed::default()),
            Self::ReadOnly => Err(StoreError::ReadOnly),
            Self::Passing(spill) => spill.flush(state).await,
            Self::Folder(writer) => writer.flush(state).await,
            Self::Closed => Err(StoreError::Closed),
        }
    }
}

impl Store {
    /// Opens a folder, or a bucket, for writing; creates what need be.
    ///
    /// # Errors
    /// If another process writes to the folder, a newer version wrote it, or it cannot be read.
    pub async fn open(at: impl Into<Location>, options: StoreOptions) -> Result<Self, StoreError> {
        let location = at.into();
        let (folder, lock) = folder::claim(location.local()?)?;
        let location = location.within(&folder);
        if let Some(bucket) = location.bucket() {
            folder::claim_in(bucket).await?;
            place::clear_staging(&folder)?;
        }
        let (writer, state) = flush::Writer::open(&location, folder, lock).await?;
        Ok(Self::new(options, state, Backing::Folder(Box::new(writer))))
    }

    /// Opens a folder, or a bucket, to read what is committed in it, whether or not another process writes to it. Nothing is changed.
    ///
    /// # Errors
    /// If there is no data, a newer version wrote it, or it cannot be read.
    pub async fn open_read_only(at: impl Into<Location>) -> Result<Self, StoreError> {
        let mut location = at.into();
        match location.bucket() {
            Some(bucket) => folder::find_in(bucket).await?,
            None => {
                let folder = folder::find(location.local()?)?;
                location = location.within(&folder);
            }
        }
        Ok(Self::new(StoreOptions::default(), flush::read(&location).await?, Backing::ReadOnly))
    }

    /// A store that is gone with this value, but may put rows into the empty folder `dir`: they are quick to write, and not durable.
    ///
    /// # Errors
    /// If there is no such folder.
    pub fn in_passing(dir: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let folder = dir.canonicalize().map_err(StoreError::io("find", dir))?;
        Ok(Self::new(options, State::empty(), Backing::Passing(spill::Spill::new(folder))))
    }

    /// A store without a folder: everything stays in memory and is gone with it.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::new(StoreOptions::default(), State::empty(), Backing::Memory)
    }

    fn new(options: StoreOptions, mut state: State, backing: Backing) -> Self {
        state.closed = matches!(backing, Backing::ReadOnly | Backing::Closed);
        let rolls_up = !matches!(backing, Backing::Passing(_));
        Self {
            options,
            rolls_up,
            state: Arc::new(RwLock::new(state)),
            backing: Arc::new(tokio::sync::Mutex::new(backing)),
            closing: Closing::default(),
        }
    }

    /// Adds a batch, rows and rejects together; when this returns they are queryable. Answers the batch's sequence number.
    ///
    /// # Errors
    /// If the batch does not have the tables' columns, or the store is closed or opened for reading. Then nothing was added.
    pub async fn append(&self, batch: &AccessLogBatch) -> Result<u64, StoreError> {
        let ready = [self.ready(batch)?];
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            drop(state);
            return Err(self.refusal());
        }
        let sequence = state.next();
        state.push(ready, sequence);
        Ok(sequence)
    }

    /// Adds all batches of the journal's frame `sequence`, none of them before the others. Frames come in their order; after a restart those that
    /// the tables do not cover come again, and of them each table takes what it does not have. Answers whether the frame was new to the store.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub async fn append_at(&self, sequence: u64, batches: &[AccessLogBatch]) -> Result<bool, StoreError> {
        let ready = batches.iter().map(|batch| self.ready(batch)).collect::<Result<Vec<_>, _>>()?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            drop(state);
            return Err(self.refusal());
        }
        let new = sequence > state.sequence;
        if new {
            state.push(ready, sequence);
        }
        Ok(new)
    }

    /// A batch as the tables take it: the expensive part, before the lock is taken.
    fn ready(&self, batch: &AccessLogBatch) -> Result<Ready, StoreError> {
        let (logs, rejected, edges) = {
            let state = self.read();
            let shape = |which: Which| Arc::clone(&which.of(&state).shape);
            (shape(Which::AccessLogs), shape(Which::Rejects), shape(Which::Edges1m))
        };
        let rows = hot::split(&logs.fit(&batch.rows)?, logs.time_column)?;
        let rejects = hot::split(&rejected.fit(&batch.rejects)?, rejected.time_column)?;
        let edges = match self.rolls_up {
            true => hot::split(&crate::edges::roll_up(&batch.rows)?, edges.time_column)?,
            false => Vec::new(),
        };
        let coverage = coverage::source_of(batch).map(|source| (source.to_owned(), batch.coverage.clone()));
        Ok(Ready { rows, rejects, edges, coverage })
    }

    /// The last append that is on stable storage with all before it.
    #[must_use]
    pub fn flushed(&self) -> u64 {
        self.read().access_logs.flushed
    }

    /// Everything as of now: one consistent cut.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.read().snapshot()
    }

    /// Moves everything appended so far to disk (in memory: does nothing). Waits for a flush that is running. Once begun it is
    /// carried through, also if the caller stops waiting for it.
    ///
    /// # Errors
    /// If writing or committing fails: then the rows stay in memory, and flushing again is safe.
    pub async fn flush(&self) -> Result<Flushed, StoreError> {
        self.begin_flush().end().await
    }

    /// As [`Store::flush`], without waiting: it goes on beside whatever comes next.
    #[must_use]
    pub fn begin_flush(&self) -> Flushing {
        let (state, backing) = (Arc::clone(&self.state), Arc::clone(&self.backing));
        Flushing(tokio::spawn(async move { backing.lock().await.flush(&state).await }))
    }

    /// Makes one file of several small ones, if there are enough; `None`: there is nothing to do (any more). Appends, flushes and queries go on.
    ///
    /// # Errors
    /// If files cannot be read or written, or the store is not open for writing: then the table is as it was.
    pub async fn compact(&self, eagerness: Eagerness, now: DateTime<Utc>) -> Result<Option<Compacted>, StoreError> {
        let (state, backing, closing) = (Arc::clone(&self.state), Arc::clone(&self.backing), self.closing.clone());
        // carried through, whether it is waited for or not
        let task = tokio::spawn(async move {
            let _at_work = closing.begin().await;
            flush::Writer::compact(&backing, &state, eagerness, now, &closing).await
        });
        task.await.map_err(StoreError::Interrupted)?
    }

    /// Deletes rows that are older than `retention` says, whole days of them, and are not held. What it did to each table.
    ///
    /// # Errors
    /// If files cannot be read or written, or the store is not open for writing: then what was deleted before stays so, and nothing else is.
    pub async fn retain(&self, retention: &Retention, now: DateTime<Utc>) -> Result<Vec<Retained>, StoreError> {
        let (state, backing, closing) = (Arc::clone(&self.state), Arc::clone(&self.backing), self.closing.clone());
        let retention = retention.clone();
        let task = tokio::spawn(async move {
            let _at_work = closing.begin().await;
            flush::Writer::retain(&backing, &state, &retention, now, &closing).await
        });
        task.await.map_err(StoreError::Interrupted)?
    }

    /// Removes the files of rows that were compacted or deleted, and what a crash left behind, once nobody named them for `grace`: a query may still
    /// read them. How many. Waits for [`Store::compact`] and [`Store::retain`]: what they write is not named yet.
    ///
    /// # Errors
    /// If a folder cannot be listed, or a file not be removed.
    pub async fn vacuum(&self, grace: Duration) -> Result<u64, StoreError> {
        let (state, backing, closing) = (Arc::clone(&self.state), Arc::clone(&self.backing), self.closing.clone());
        let task = tokio::spawn(async move {
            let _alone = closing.alone().await;
            match &mut *backing.lock().await {
                Backing::Folder(writer) => writer.vacuum(&state, grace).await,
                _ => Ok(0),
            }
        });
        task.await.map_err(StoreError::Interrupted)?
    }

    /// Whether enough is in memory to be worth a flush. While one is running only what came after it counts.
    #[must_use]
    pub fn wants_flush(&self) -> bool {
        let running = match self.backing.try_lock().as_deref() {
            Ok(Backing::Folder(_) | Backing::Passing(_)) => false,
            Ok(_) => return false,
            Err(_) => true,
        };
        let state = self.read();
        let waiting = |which: Which, size: fn(&Hot) -> usize| -> usize {
            let table = which.of(&state);
            let frozen = table.frozen.iter().map(|frozen| &frozen.rows).filter(|_| !running);
            frozen.chain([&table.hot]).map(size).sum()
        };
        // roll-ups are no rows that anybody sent
        let rows: usize = [Which::AccessLogs, Which::Rejects].map(|which| waiting(which, Hot::rows)).iter().sum();
        let bytes: usize = Which::ALL.map(|which| waiting(which, Hot::bytes)).iter().sum();
        rows >= self.options.flush_rows.max(1) || bytes >= self.options.flush_bytes.max(1)
    }

    /// Whether so much is in memory, a flush that is running included, that who brings more should wait for it.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        let bytes = self.read().hot_bytes();
        bytes >= (self.options.flush_bytes as u64).saturating_mul(CROWDED)
    }

    /// What the store holds.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        self.read().stats()
    }

    /// What each table has on disk.
    #[must_use]
    pub fn tables(&self) -> Vec<TableStats> {
        let state = self.read();
        Which::ALL.iter().rev().map(|which| TableStats::of(which.of(&state))).collect()
    }

    /// When what is on disk was last added to; `None`: never, or it is not known.
    #[must_use]
    pub fn as_of(&self) -> Option<DateTime<Utc>> {
        self.read().as_of
    }

    /// Reads every file on disk and compares it with what was written: its bytes, its rows, their times.
    ///
    /// # Errors
    /// If the work is cut short. A file that is wrong is no error, but a flaw.
    pub async fn verify(&self) -> Result<Vec<Verified>, StoreError> {
        let Snapshot { access_logs, rejects, edges_1m, .. } = self.snapshot();
        let mut verified = Vec::with_capacity(3);
        for table in [access_logs, edges_1m, rejects] {
            verified.push(verify::verify(&table).await?);
        }
        Ok(verified)
    }

    /// Which columns each source filled, summed over everything ever appended.
    #[must_use]
    pub fn coverage(&self) -> BTreeMap<String, Coverage> {
        self.read().coverage.clone()
    }

    /// Flushes and gives the folder back. Appends are refused from here on; queries still see everything. A compaction or retention that is under way
    /// is given up at the next batch of rows.
    ///
    /// # Errors
    /// If the flush fails: then the store stays open, and closing again is safe.
    pub async fn close(&self) -> Result<(), StoreError> {
        let (state, backing, closing) = (Arc::clone(&self.state), Arc::clone(&self.backing), self.closing.clone());
        let task = tokio::spawn(async move {
            let set_closed = |closed| state.write().unwrap_or_else(PoisonError::into_inner).closed = closed;
            let _alone = closing.close().await;
            let mut backing = backing.lock().await;
            if matches!(*backing, Backing::Folder(_)) {
                set_closed(true);
                let reopen = |_: &StoreError| {
                    set_closed(false);
                    closing.reopen();
                };
                backing.flush(&state).await.inspect_err(reopen)?;
            }
            set_closed(true);
            *backing = Backing::Closed;
            Ok(())
        });
        task.await.map_err(StoreError::Interrupted)?
    }

    fn refusal(&self) -> StoreError {
        match self.backing.try_lock().as_deref() {
            Ok(Backing::ReadOnly) => StoreError::ReadOnly,
            _ => StoreError::Closed,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}
