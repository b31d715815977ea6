//! Moving rows from memory to disk for good, in steps that can be cut off anywhere.
//!
//! ```text
//!  1 reconcile   ask the Delta logs what they cover: a commit whose answer was lost is taken over, not repeated
//!  2 freeze      one lock section: sequence S, all rows up to S, the coverage up to S
//!  3 rejects     write Parquet ─▶ sync ─▶ commit with txn S ─▶ sync ─▶ one lock section: memory out, file in
//!  4 edges_1m    the same, rows of one minute and edge made one
//!  5 access_logs the same, after the coverage file of S; this commit is what "flushed up to S" means
//! ```
//! Appends go on during all of it. A failure leaves the frozen rows in memory, queryable, and the next flush takes them along.
//!
//! After step 5 everything up to S is on stable storage, and the journal may forget it. Where the process died between 3 and 5 the tables
//! cover different sequences: of what the journal hands out again each takes what it does not have (`Table::flushed`).

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use ingest::crash;

use super::cold::{self, ColdFile};
use super::coverage;
use super::delta::{DeltaLog, Listing};
use super::error::StoreError;
use super::folder::WriterLock;
use super::hot::Piece;
use super::location::Location;
use super::older;
use super::place::Place;
use super::state::{State, Which};
use super::table::Table;
use super::vacuum::Litter;

/// What one flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Access logs moved to disk.
    pub rows: u64,
    /// Rejects moved to disk.
    pub rejects: u64,
    /// Rows of `edges_1m` moved to disk.
    pub edges: u64,
    /// Size of the new Parquet files, bytes.
    pub bytes: u64,
    /// Every append up to this number is on stable storage.
    pub sequence: u64,
    /// Version of the Delta table `access_logs` (`None`: in memory, nothing is ever flushed).
    pub version: Option<u64>,
}

/// What it takes to write to a folder.
#[derive(Debug)]
pub(crate) struct Writer {
    /// On local disk.
    folder: PathBuf,
    access_logs: DeltaLog,
    rejects: DeltaLog,
    edges_1m: DeltaLog,
    /// For [`super::tidy`].
    pub(super) litter: Litter,
    _lock: WriterLock,
}

impl Writer {
    /// Opens or creates the tables of a store whose local folder is `folder`, that `lock` was taken for, and answers what is in them.
    pub(crate) async fn open(
        location: &Location,
        folder: PathBuf,
        lock: WriterLock,
    ) -> Result<(Self, State), StoreError> {
        let writer = location.writer()?;
        let (access_logs, access_logs_table, as_of) = open_table(location, &writer, Which::AccessLogs).await?;
        let (rejects, rejects_table, rejects_as_of) = open_table(location, &writer, Which::Rejects).await?;
        let (mut edges_1m, mut edges_table, edges_as_of) = open_table(location, &writer, Which::Edges1m).await?;
        // buckets are younger than roll-ups
        let older = location.bucket().is_none() && edges_table.flushed == 0 && access_logs_table.flushed > 0;
        if older {
            edges_table = older::roll_up(&mut edges_1m, &access_logs_table).await?;
        }
        let coverage = coverage::load(&folder, access_logs_table.flushed)?;
        let as_of = as_of.max(rejects_as_of).max(edges_as_of);
        let state = State { as_of, ..State::new(access_logs_table, rejects_table, edges_table, coverage) };
        super::folder::write_format(&folder)?;
        Ok((Self { folder, access_logs, rejects, edges_1m, litter: Litter::default(), _lock: lock }, state))
    }

    /// The log of a table.
    pub(super) fn log(&mut self, which: Which) -> &mut DeltaLog {
        match which {
            Which::AccessLogs => &mut self.access_logs,
            Which::Rejects => &mut self.rejects,
            Which::Edges1m => &mut self.edges_1m,
        }
    }

    /// Moves everything appended so far to disk.
    pub(crate) async fn flush(&mut self, state: &RwLock<State>) -> Result<Flushed, StoreError> {
        for which in Which::ALL {
            self.reconcile(state, which).await?;
        }
        let (sequence, before, sums, rejects, edges, rows) = {
            let mut state = write(state);
            let sequence = state.sequence;
            let [rejects, edges, rows] = Which::ALL.map(|which| {
                let table = which.of_mut(&mut state);
                let pieces = table.freeze(sequence);
                if pieces.is_empty() && which != Which::AccessLogs {
                    table.unfreeze();
                }
                pieces
            });
            (sequence, state.access_logs.flushed, state.coverage.clone(), rejects, edges, rows)
        };
        let mut flushed = Flushed { sequence, version: self.access_logs.version(), ..Flushed::default() };
        if sequence == before {
            return Ok(flushed);
        }
        crash::at("flush", "begin");
        if !rejects.is_empty() {
            let files = self.move_to_disk(state, Which::Rejects, rejects, sequence).await?;
            count(&files, &mut flushed.rejects, &mut flushed.bytes);
        }
        if !edges.is_empty() {
            let files = self.move_to_disk(state, Which::Edges1m, edges, sequence).await?;
            count(&files, &mut flushed.edges, &mut flushed.bytes);
        }
        coverage::save(&self.folder, sequence, &sums)?;
        crash::at("coverage", "saved");
        let files = self.move_to_disk(state, Which::AccessLogs, rows, sequence).await?;
        count(&files, &mut flushed.rows, &mut flushed.bytes);
        coverage::forget_others(&self.folder, [before, sequence]);
        flushed.version = self.access_logs.version();
        tracing::info!(
            rows = flushed.rows,
            rejects = flushed.rejects,
            edges = flushed.edges,
            bytes = flushed.bytes,
            sequence,
            version = flushed.version,
            "flushed"
        );
        Ok(flushed)
    }

    /// Takes over what the log says and this process does not know of: its own last commit, if the answer to it was lost, and those of other writers.
    pub(super) async fn reconcile(&mut self, state: &RwLock<State>, which: Which) -> Result<(), StoreError> {
        let log = self.log(which);
        let covered = log.refresh().await?;
        if which.of(&write(state)).version == log.version() {
            return Ok(());
        }
        // beside the lock: it may be long
        let listing = log.list()?;
        let mut state = write(state);
        let table = which.of_mut(&mut state);
        if covered != table.flushed && !table.frozen.iter().any(|frozen| frozen.up_to == covered) {
            let flushed = table.flushed;
            return Err(log.foreign(format!(
                "it covers appends up to {covered}, this process wrote {flushed}: something else writes to it"
            )));
        }
        table.settle(listing, covered);
        Ok(())
    }

    /// Writes frozen rows, commits them, and lets go of them.
    async fn move_to_disk(
        &mut self,
        state: &RwLock<State>,
        which: Which,
        pieces: Vec<Arc<Piece>>,
        sequence: u64,
    ) -> Result<Vec<ColdFile>, StoreError> {
        let (log, shape) = (self.log(which), Arc::clone(&which.of(&write(state)).shape));
        let files = if pieces.is_empty() {
            Vec::new()
        } else {
            let (place, shape) = (log.place().clone(), Arc::clone(&shape));
            let to_files = move || {
                let mut batches: Vec<&RecordBatch> = pieces.iter().map(|piece| &piece.rows).collect();
                let merged = shape.merge.map(|merge| merge(&batches)).transpose()?;
                if let Some(merged) = &merged {
                    batches = vec![merged];
                }
                cold::write_days(&place, sequence, &shape.schema, shape.time_column, &batches)
            };
            let written = tokio::task::spawn_blocking(to_files);
            written.await.map_err(StoreError::Interrupted)??
        };
        crash::at(shape.name, "files");
        log.commit(&files, sequence).await?;
        crash::at(shape.name, "synced");
        let listing = log.list()?;
        which.of_mut(&mut write(state)).settle(listing, sequence);
        Ok(files)
    }
}

/// The tables as committed, for reading.
pub(crate) async fn read(location: &Location) -> Result<State, StoreError> {
    let writer = location.known_writer()?.unwrap_or_default();
    let (mut tables, mut as_of) = (Vec::with_capacity(3), None);
    // The last one first: a writer commits the others before it, so what is read of them is never older than what is read of the access logs.
    for which in Which::ALL.into_iter().rev() {
        let shape = which.shape();
        let log = DeltaLog::open(&Place::of(location, shape.name)?, &writer, &shape).await?;
        as_of = as_of.max(log.as_ref().and_then(DeltaLog::committed_at));
        tables.push(match log {
            Some(log) => Table::new(shape, log.list()?, log.covered()),
            None => Table::new(shape, Listing::default(), 0),
        });
    }
    let [access_logs, edges_1m, rejects]: [Table; 3] =
        tables.try_into().map_err(|_| StoreError::NoData { folder: location.shown() })?;
    let coverage = match location.local() {
        Ok(folder) if access_logs.flushed > 0 => coverage::load(folder, access_logs.flushed)?,
        _ => Default::default(),
    };
    Ok(State { as_of, ..State::new(access_logs, rejects, edges_1m, coverage) })
}

/// Opens or creates a table for writing; what is in it, and when the last commit was made that was found.
async fn open_table(
    location: &Location,
    writer: &str,
    which: Which,
) -> Result<(DeltaLog, Table, Option<DateTime<Utc>>), StoreError> {
    let shape = which.shape();
    let mut log = DeltaLog::open_or_create(&Place::of(location, shape.name)?, writer, &shape).await?;
    let as_of = log.committed_at();
    if !log.is_by_day()? {
        older::partition(&mut log, &shape).await?;
    }
    log.add_columns(&shape.schema).await?;
    if location.bucket().is_some() {
        log.fence().await?;
    }
    let table = Table::new(shape, log.list()?, log.covered());
    Ok((log, table, as_of))
}

fn count(files: &[ColdFile], rows: &mut u64, bytes: &mut u64) {
    for file in files {
        *rows += file.rows.unwrap_or(0);
        *bytes += file.bytes;
    }
}

pub(super) fn write(state: &RwLock<State>) -> RwLockWriteGuard<'_, State> {
    state.write().unwrap_or_else(PoisonError::into_inner)
}
