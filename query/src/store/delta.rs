//! The Delta log of one table: the only place that names the Delta crate.
//!
//! ```text
//!  DIR/access_logs/day=2026-11-24/part-….zstd.parquet      written by `cold`
//!  DIR/access_logs/_delta_log/00…07.json                   commitInfo · add {path, day, size, stats} · txn {appId: meshwarden, version: 4711}
//!                             00…08.json                   commitInfo · remove · add: files that were rewritten, or whose time is over
//! ```
//! `txn.version` is the last sequence number (of `Store::append`) that the table's files cover; each writer of a bucket has an `appId` of its own, and its
//! own numbers. The log is the truth: what it names is in the table, and a sequence number that it covers must never be written again.
//!
//! A commit is for the version that comes after the one that is loaded, or it is not made: the crate's own way of trying again after another writer's
//! commit lets two compactions of the same files both pass, and every row would be there twice. What is to be done is looked at anew here after each
//! attempt, which also tells an attempt that failed from one whose answer was lost.
//!
//! Absent: scanning through this crate (files are scanned as plain Parquet), checkpoint tuning.

mod stats;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema};
use chrono::{DateTime, Utc};
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{Action, Add, MetadataExt as _, Remove, StructType, Transaction, new_metadata};
use deltalake_core::logstore::{ObjectStoreRef, StorageConfig, default_logstore, logstore_with};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::table::state::DeltaTableState;
use deltalake_core::{DeltaTable, DeltaTableError, TableProperty};
use ingest::crash;
use object_store::ObjectStoreExt as _;
use object_store::prefix::PrefixStore;
use serde_json::Value;

use super::cold::{self, ColdFile, day};
use super::error::StoreError;
use super::folder;
use super::place::Place;
use super::table::Shape;
use crate::with_causes;

/// How often something is tried that other writers come in the way of.
const ATTEMPTS: usize = 50;
/// How often a fence is tried where nobody comes in the way: who starts is waited for.
const FENCE_ATTEMPTS: usize = 3;
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// An open Delta log, loaded up to some version.
#[derive(Debug)]
pub(crate) struct DeltaLog {
    place: Place,
    /// Whose sequence numbers the `txn` actions that count here carry.
    writer: String,
    time_name: String,
    table: DeltaTable,
    /// The sequence number that the loaded version covers (0: none).
    covered: u64,
}

/// The files of a table as of one version of its log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    pub(crate) files: Vec<ColdFile>,
    /// `None`: there is no log.
    pub(crate) version: Option<u64>,
}

/// What becomes of rows whose files give way to others.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// All of them are in the new files.
    Compacted,
    /// Those that this predicate selects are gone.
    Deleted(String),
}

impl DeltaLog {
    /// Opens the log in `place`, creating table and folder if there is none.
    pub(crate) async fn open_or_create(place: &Place, writer: &str, shape: &Shape) -> Result<Self, StoreError> {
        if let Some(folder) = place.as_folder() {
            std::fs::create_dir_all(folder).map_err(StoreError::io("create folder", folder))?;
        }
        let mut log = Self::unloaded(place, writer, shape)?;
        if !log.exists().await? {
            let created = CreateBuilder::new()
                .with_log_store(log.table.log_store())
                .with_columns(columns(&shape.schema).map_err(|source| log.failed("describe", source))?)
                .with_partition_columns([day::COLUMN])
                // a table is made once: who is second takes it as it is
                .with_commit_properties(CommitProperties::default().with_max_retries(0))
                .with_configuration_property(TableProperty::DataSkippingStatsColumns, Some(log.time_name.clone()))
                .await;
            log.table = match created {
                Ok(table) => table,
                // another writer was first
                Err(_) if place.as_bucket().is_some() && log.exists().await? => {
                    Self::unloaded(place, writer, shape)?.table
                }
                Err(source) => return Err(log.failed("create", source)),
            };
            if let Some(folder) = place.as_folder() {
                folder::sync_folder(folder)?;
                folder.parent().map_or(Ok(()), folder::sync_folder)?;
            }
        }
        log.refresh().await?;
        Ok(log)
    }

    /// Opens the log in `place` for reading, if there is one.
    pub(crate) async fn open(place: &Place, writer: &str, shape: &Shape) -> Result<Option<Self>, StoreError> {
        if place.as_folder().is_some_and(|folder| !folder.join("_delta_log").is_dir()) {
            return Ok(None);
        }
        let mut log = Self::unloaded(place, writer, shape)?;
        if !log.exists().await? {
            return Ok(None);
        }
        log.refresh().await?;
        Ok(Some(log))
    }

    fn unloaded(place: &Place, writer: &str, shape: &Shape) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Delta { action: "open", folder: place.shown(""), source: Box::new(source) };
        let (url, store) = place.log_store()?;
        let options = StorageConfig::default();
        let log_store = match place.as_bucket() {
            None => logstore_with(store, &url, options).map_err(failed)?,
            // its commits are conditional puts, whatever the scheme is called
            Some(bucket) => {
                let prefixed: ObjectStoreRef = Arc::new(PrefixStore::new(Arc::clone(&store), bucket.prefix.clone()));
                default_logstore(prefixed, store, &url, &options)
            }
        };
        let time_name = shape.time().map(|time| time.name().clone()).unwrap_or_default();
        Ok(Self {
            place: place.clone(),
            writer: writer.to_owned(),
            time_name,
            table: DeltaTable::new(log_store),
            covered: 0,
        })
    }

    async fn exists(&self) -> Result<bool, StoreError> {
        self.table.verify_deltatable_existence().await.map_err(|source| self.failed("look for", source))
    }

    /// Loads what was committed since, and answers the sequence number that the log covers (0: none).
    pub(crate) async fn refresh(&mut self) -> Result<u64, StoreError> {
        self.table.update_state().await.map_err(|source| self.failed("load", source))?;
        let version = self
            .state()?
            .transaction_version(self.table.log_store().as_ref(), &self.writer)
            .await
            .map_err(|source| self.failed("read the transaction of", source))?;
        self.covered = u64::try_from(version.unwrap_or(0)).map_err(|_| {
            let (writer, version) = (&self.writer, version.unwrap_or(0));
            self.foreign(format!("its transaction of {writer} has the negative version {version}"))
        })?;
        Ok(self.covered)
    }

    /// The sequence number of its writer that the loaded version covers (0: none).
    pub(crate) fn covered(&self) -> u64 {
        self.covered
    }

    /// Makes sure that what a process before this one had still under way comes too late: its commit wants a version that is taken then. For buckets: in a
    /// folder nothing of a process is under way once it is gone.
    pub(crate) async fn fence(&mut self) -> Result<(), StoreError> {
        for attempt in 1.. {
            let (before, said) = (self.version(), self.say(self.covered)?);
            let Err(error) = self.act(Vec::new(), appended(), Some(said), "fence").await else { break };
            self.refresh().await?;
            // whoever took the version, it is taken
            if self.version() > before {
                break;
            }
            if attempt == FENCE_ATTEMPTS {
                return Err(error);
            }
            tracing::warn!(error = %with_causes(&error), table = %self.place.shown("").display(), "the table could not be fenced: once more");
            pause(attempt).await;
        }
        Ok(())
    }

    /// Version of the log that is loaded.
    pub(crate) fn version(&self) -> Option<u64> {
        self.table.version()
    }

    /// When the loaded version was committed.
    pub(crate) fn committed_at(&self) -> Option<DateTime<Utc>> {
        let millis = self.table.snapshot().ok()?.version_timestamp(self.table.version()?)?;
        DateTime::from_timestamp_millis(millis)
    }

    /// The files of the table as of the loaded version.
    pub(crate) fn list(&self) -> Result<Listing, StoreError> {
        let log_data = self.state()?.snapshot().try_log_data().map_err(|source| self.failed("list", source))?;
        let mut files = Vec::with_capacity(log_data.num_files());
        for file in log_data.iter() {
            if file.deletion_vector_descriptor().is_some() {
                return Err(self.foreign(format!(
                    "{} has a deletion vector, which would bring deleted rows back; rewrite the table without (OPTIMIZE/PURGE)",
                    file.path()
                )));
            }
            let stats: Option<Value> = file.stats().and_then(|stats| serde_json::from_str(&stats).ok());
            let name = file.path().as_ref().to_owned();
            files.push(ColdFile {
                day: day::of_path(&name),
                place: self.place.clone(),
                bytes: u64::try_from(file.size()).unwrap_or(0),
                rows: stats.as_ref().and_then(|stats| stats.get("numRecords")?.as_u64()),
                span: stats.as_ref().and_then(|stats| stats::span(stats, &self.time_name, cold::is_ours(&name))),
                name,
            });
        }
        Ok(Listing { files, version: self.version() })
    }

    fn names(&self) -> Result<HashSet<String>, StoreError> {
        Ok(self.list()?.files.into_iter().map(|file| file.name).collect())
    }

    /// Commits `files` together with the sequence number that the table now covers; the log is on stable storage then.
    ///
    /// After an error the commit may have happened all the same: `refresh` and compare before trying again.
    pub(crate) async fn commit(&mut self, files: &[ColdFile], sequence: u64) -> Result<(), StoreError> {
        let (said, covered) = (self.say(sequence)?, self.covered);
        let mut adds = Vec::with_capacity(files.len());
        for file in files {
            adds.push(Action::Add(self.add(file, true).await?));
        }
        let table = self.place.shown("").file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        for attempt in 1..=ATTEMPTS {
            let before = self.version();
            let Err(error) = self.act(adds.clone(), appended(), Some(said.clone()), &table).await else {
                self.covered = sequence;
                return Ok(());
            };
            let now = self.refresh().await?;
            if now == sequence && now != covered {
                self.landed_all_the_same(&error);
                return Ok(());
            }
            // other writers do not change what this one covers: if it changed, some commit of this one came late
            if now != covered || self.version() == before {
                return Err(error);
            }
            pause(attempt).await;
        }
        Err(self.contended())
    }

    /// Commits that `new` files take the place of `old` ones. `false`, and nothing done: some of the old ones are not in the table any more, or the table
    /// has columns that this program does not know and that the new ones would be without.
    ///
    /// After an error the commit may have happened all the same, so the new files stay: if nobody names them, they are litter.
    pub(crate) async fn exchange(
        &mut self,
        shape: &Shape,
        old: &[ColdFile],
        new: &[ColdFile],
        change: &Change,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let (data_change, operation, what) = match change {
            Change::Compacted => (false, DeltaOperation::Optimize { predicate: None, target_size: 0 }, "compact"),
            Change::Deleted(predicate) => {
                (true, DeltaOperation::Delete { predicate: Some(predicate.clone()) }, "retain")
            }
        };
        let mut actions = self.removals(old, data_change, now)?;
        for file in new {
            actions.push(Action::Add(self.add(file, data_change).await?));
        }
        let mut failed = None;
        for attempt in 1..=ATTEMPTS {
            let there = self.names()?;
            let is_there = |file: &ColdFile| there.contains(&file.name);
            if !old.iter().all(is_there) {
                // unless it was this very commit, and its answer was lost
                let done = !old.iter().any(is_there) && new.iter().all(is_there);
                if let (true, Some(error)) = (done, &failed) {
                    self.landed_all_the_same(error);
                }
                return Ok(done);
            }
            if !new.is_empty() && !self.is_known_by(shape)? {
                return Ok(false);
            }
            let before = self.version();
            let Err(error) = self.act(actions.clone(), operation.clone(), None, what).await else { return Ok(true) };
            self.refresh().await?;
            if self.version() == before {
                return Err(error);
            }
            failed = Some(error);
            pause(attempt).await;
        }
        Err(self.contended())
    }

    /// Whether the table has no column that the shape does not have: one that a newer version of this program brought.
    pub(crate) fn is_known_by(&self, shape: &Shape) -> Result<bool, StoreError> {
        let schema = self.state()?.schema();
        Ok(schema.fields().all(|field| field.name() == day::COLUMN || shape.schema.index_of(field.name()).is_ok()))
    }

    /// Commits the table as partitioned by day, if it is not: `new` has all of its rows.
    pub(crate) async fn partition(&mut self, schema: &Schema, new: &[ColdFile]) -> Result<(), StoreError> {
        let failed = |log: &Self, source| log.failed("describe", source);
        let old = self.state()?.metadata().clone();
        let columns = StructType::try_new(columns(schema).map_err(|source| failed(self, source))?);
        let columns = columns.map_err(|error| failed(self, DeltaTableError::from(error)))?;
        let metadata = new_metadata(&columns, [day::COLUMN], old.configuration().clone());
        let metadata = metadata.and_then(|new| new.with_table_id(old.id().to_owned()));
        let mut actions = vec![Action::Metadata(metadata.map_err(|error| failed(self, error.into()))?)];
        actions.extend(self.removals(&self.list()?.files, false, DateTime::UNIX_EPOCH)?);
        for file in new {
            actions.push(Action::Add(self.add(file, false).await?));
        }
        let partition_by = Some(vec![day::COLUMN.to_owned()]);
        let operation = DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by, predicate: None };
        self.act(actions, operation, None, "partition").await
    }

    /// Commits the columns that the table does not have yet: those that a newer version of this program brings. Those that it has stay.
    pub(crate) async fn add_columns(&mut self, schema: &Schema) -> Result<(), StoreError> {
        let failed = |log: &Self, source| log.failed("describe", source);
        for attempt in 1..=ATTEMPTS {
            let (known, old) = (self.state()?.schema(), self.state()?.metadata().clone());
            let columns = columns(schema).map_err(|source| failed(self, source))?;
            let fields: Vec<_> = columns.into_iter().filter(|column| known.field(column.name()).is_none()).collect();
            if fields.is_empty() {
                return Ok(());
            }
            let all = StructType::try_new(known.fields().cloned().chain(fields.iter().cloned()));
            let all = all.map_err(|error| failed(self, DeltaTableError::from(error)))?;
            let metadata = new_metadata(&all, [day::COLUMN], old.configuration().clone());
            let metadata = metadata.and_then(|new| new.with_table_id(old.id().to_owned()));
            let actions = vec![Action::Metadata(metadata.map_err(|error| failed(self, error.into()))?)];
            tracing::info!(columns = fields.len(), table = %self.place.shown("").display(), "the table gets new columns");
            let before = self.version();
            let done = self.act(actions, DeltaOperation::AddColumn { fields }, None, "columns").await;
            let Err(error) = done else { return Ok(()) };
            self.refresh().await?;
            if self.version() == before {
                return Err(error);
            }
            pause(attempt).await;
        }
        Err(self.contended())
    }

    /// Whether the table is partitioned by day.
    pub(crate) fn is_by_day(&self) -> Result<bool, StoreError> {
        Ok(self.state()?.metadata().partition_columns() == [day::COLUMN])
    }

    async fn act(
        &mut self,
        actions: Vec<Action>,
        operation: DeltaOperation,
        transaction: Option<Transaction>,
        what: &str,
    ) -> Result<(), StoreError> {
        let properties = CommitProperties::default().with_max_retries(0);
        let properties = match transaction {
            Some(transaction) => properties.with_application_transaction(transaction),
            None => properties,
        };
        let finalized = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(self.state()?), self.table.log_store(), operation)
            .await
            .map_err(|source| self.failed("commit to", source))?;
        crash::at(what, "committed");
        self.table.state = Some(finalized.snapshot());
        Ok(())
    }

    fn removals(&self, files: &[ColdFile], data_change: bool, now: DateTime<Utc>) -> Result<Vec<Action>, StoreError> {
        let remove = |file: &ColdFile| {
            Ok(Action::Remove(Remove {
                path: self.name_of(file)?,
                data_change,
                deletion_timestamp: Some(now.timestamp_millis()),
                extended_file_metadata: Some(true),
                partition_values: Some(partition_values(file)),
                size: i64::try_from(file.bytes).ok(),
                ..Remove::default()
            }))
        };
        files.iter().map(remove).collect()
    }

    /// Its path inside the table.
    fn name_of(&self, file: &ColdFile) -> Result<String, StoreError> {
        match file.place == self.place {
            true => Ok(file.name.clone()),
            false => Err(self.foreign(format!("{} is not inside of it", file.shown().display()))),
        }
    }

    async fn add(&self, file: &ColdFile, data_change: bool) -> Result<Add, StoreError> {
        let path = self.name_of(file)?;
        let store = self.table.log_store().object_store(None);
        let found = store.head(&object_store::path::Path::from(path.as_str())).await;
        let found = found.map_err(|error| self.failed("add a file to", DeltaTableError::from(error)))?;
        Ok(Add {
            path,
            partition_values: partition_values(file),
            size: i64::try_from(file.bytes).unwrap_or(i64::MAX),
            modification_time: found.last_modified.timestamp_millis(),
            data_change,
            stats: Some(stats::of(file, &self.time_name).to_string()),
            ..Add::default()
        })
    }

    /// That this log covers that sequence number of its writer.
    fn say(&self, sequence: u64) -> Result<Transaction, StoreError> {
        let version = i64::try_from(sequence);
        let version = version.map_err(|_| self.foreign(format!("sequence {sequence} is out of range")))?;
        Ok(Transaction::new(&self.writer, version))
    }

    /// A commit is in the log whose answer was an error: it was lost on the way, or what the library does after a commit (a checkpoint) failed.
    fn landed_all_the_same(&self, error: &StoreError) {
        let table = self.place.shown("");
        tracing::warn!(error = %with_causes(error), table = %table.display(), "a commit was made, but its answer was an error");
    }

    fn contended(&self) -> StoreError {
        StoreError::Contended { folder: self.place.shown(""), attempts: ATTEMPTS }
    }

    fn state(&self) -> Result<&DeltaTableState, StoreError> {
        self.table.snapshot().map_err(|source| self.failed("use", source))
    }

    fn failed(&self, action: &'static str, source: DeltaTableError) -> StoreError {
        StoreError::Delta { action, folder: self.place.shown(""), source: Box::new(source) }
    }

    /// Where the table is.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The log says something that cannot be right.
    pub(crate) fn foreign(&self, reason: String) -> StoreError {
        StoreError::Foreign { folder: self.place.shown(""), reason }
    }
}

/// Before the next attempt: two that came at the same time should not come so again.
async fn pause(attempt: usize) {
    let longest = LONGEST_PAUSE.min(Duration::from_millis(10) * u32::try_from(attempt).unwrap_or(u32::MAX));
    let any = uuid::Uuid::new_v4().as_bytes()[0];
    tokio::time::sleep(longest.mul_f64(f64::from(any) / 256.0)).await;
}

fn appended() -> DeltaOperation {
    let partition_by = Some(vec![day::COLUMN.to_owned()]);
    DeltaOperation::Write { mode: SaveMode::Append, partition_by, predicate: None }
}

fn partition_values(file: &ColdFile) -> HashMap<String, Option<String>> {
    HashMap::from([(day::COLUMN.to_owned(), day::value(file.day))])
}

/// The Delta form of the schema, and the day: every column may be null, so that columns can come and go.
fn columns(schema: &Schema) -> Result<Vec<deltalake_core::StructField>, DeltaTableError> {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let fields: Vec<_> = fields.chain([Field::new(day::COLUMN, DataType::Date32, true)]).collect();
    let columns: StructType = (&Schema::new(fields)).try_into_kernel()?;
    Ok(columns.fields().cloned().collect())
}

/// What the first format wrote, for the test that brings it up.
#[cfg(test)]
impl DeltaLog {
    pub(crate) fn has(&self, column: &str) -> bool {
        self.state().is_ok_and(|state| state.schema().field(column).is_some())
    }

    pub(crate) async fn create_unpartitioned(place: &Place, shape: &Shape) -> Self {
        #![allow(clippy::unwrap_used)]
        std::fs::create_dir_all(place.as_folder().unwrap()).unwrap();
        let mut log = Self::unloaded(place, "meshwarden", shape).unwrap();
        let columns = columns(&shape.schema).unwrap().into_iter().filter(|column| column.name() != day::COLUMN);
        log.table = CreateBuilder::new().with_log_store(log.table.log_store()).with_columns(columns).await.unwrap();
        log.refresh().await.unwrap();
        log
    }

    pub(crate) async fn commit_unpartitioned(&mut self, file: &ColdFile, sequence: i64) {
        #![allow(clippy::unwrap_used)]
        let add = Add { partition_values: HashMap::new(), ..self.add(file, true).await.unwrap() };
        let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
        self.act(vec![Action::Add(add)], operation, Some(Transaction::new(&self.writer, sequence)), "").await.unwrap();
    }
}
