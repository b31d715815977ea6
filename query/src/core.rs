//! The core in one piece: store, SQL, detections and findings, as every command uses them.
//!
//! ```text
//!  append ─▶ store, touched windows, coverage      detect(now) ─▶ touched windows × pack ─▶ findings + feed      sql ─▶ rows
//! ```
//! `append` makes rows queryable; `detect` brings the findings up to what was appended. Both may run at the same time.

mod round;
mod suspicious;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use ingest::{AccessLogBatch, Coverage, LineFormats, Wanted};

use crate::detect::overdue::Overdue;
use crate::detect::{Detection, Engine, EvaluateError, Pack, PackError, Sight, Touched};
use crate::finding::{ChangeKind, Finding};
use crate::findings::{FindingsError, FindingsState, Passing};
use crate::sql::{Limits, QueryError, Rowset, Sql};
use crate::store::{Flushed, Location, Store, StoreError, StoreOptions};
use crate::summary::Summary;

/// Which rows an in-memory core keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All: the rows can be asked for with SQL.
    All,
    /// Only rows that some detection could want: memory grows with what is suspicious, not with the input.
    Suspicious,
}

/// Whether what is found outlives a round of detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// Findings are kept, with their change feed.
    Kept,
    /// They go to whoever asked for the round: see [`Core::find`].
    Passing,
}

/// Settings of a core.
#[derive(Clone, Debug)]
pub struct CoreOptions {
    /// Folder with a user's detections beside the product's own.
    pub detections: Option<std::path::PathBuf>,
    /// Working memory of SQL, bytes.
    pub sql_memory: usize,
    /// Suspicious rows that a round of detection holds in memory at most, bytes; where there are more, detections run over the store itself.
    pub suspicious_memory: usize,
    /// Settings of the store.
    pub store: StoreOptions,
}

impl Default for CoreOptions {
    fn default() -> Self {
        let store = StoreOptions::default();
        Self { detections: None, sql_memory: 1 << 30, suspicious_memory: suspicious::MOST, store }
    }
}

/// Store, SQL, detections and findings.
#[derive(Debug)]
pub struct Core {
    store: Store,
    findings: FindingsState,
    pack: Pack,
    engine: Engine,
    sql: Sql,
    /// The same for detections.
    beside: Sql,
    keep: Keep,
    stay: Stay,
    most_suspicious: usize,
    state: Mutex<State>,
    /// Held by appends while rows are in the store and not yet among what was touched.
    appending: tokio::sync::RwLock<()>,
    /// One at a time writes what was not looked at yet, so that an older list never takes the place of a newer one.
    remembering: tokio::sync::Mutex<()>,
    /// Whether rounds of detection are to end.
    stopping: tokio::sync::watch::Sender<bool>,
    /// One round of detection at a time, so that an older one never overwrites a newer one's outcome.
    round: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    touched: Touched,
    /// What the round that is running looks at.
    looking: Touched,
    overdue: Overdue,
    latest: i64,
    coverage: Coverage,
    /// Of the lines since the core was opened.
    formats: LineFormats,
}

/// A core that could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The findings' state.
    #[error(transparent)]
    Findings(#[from] FindingsError),
    /// The user's detections.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The SQL engine.
    #[error("the SQL engine cannot be used: {0}")]
    Sql(#[from] DataFusionError),
    /// Arrow, while rows were picked.
    #[error("rows could not be picked: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

/// What a round of detection did.
#[derive(Debug, Default)]
pub struct Round {
    /// Windows looked at, summed over detections.
    pub windows: usize,
    /// Findings that changed, and how.
    pub changes: Vec<(Finding, ChangeKind)>,
    /// Detections that failed on a window.
    pub failures: Vec<Failure>,
    /// Whether it was told to stop before it was through.
    pub cut_short: bool,
}

/// A detection that failed on a window.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Failure {
    /// Which, on which window, and why.
    #[source]
    pub error: EvaluateError,
    /// Whether a later round tries the window again; if not, only new rows make it looked at again.
    pub again: bool,
}

impl Core {
    /// A core on a folder, made if need be; one process at a time.
    ///
    /// # Errors
    /// If folder, state or detections cannot be used.
    pub async fn open(at: impl Into<Location>, options: CoreOptions) -> Result<Self, CoreError> {
        let location = at.into();
        let store = Store::open(location.clone(), options.store).await?;
        let findings = FindingsState::open(location.local()?).await?;
        Self::with(store, findings, Keep::All, Stay::Kept, options).await
    }

    /// A core that lives as long as this value, but may put rows on disk, into an empty folder, when it holds many: see
    /// [`Store::wants_flush`].
    ///
    /// # Errors
    /// If the folder or the detections cannot be used.
    pub async fn in_passing(folder: &Path, keep: Keep, options: CoreOptions) -> Result<Self, CoreError> {
        let store = Store::in_passing(folder, options.store)?;
        Self::with(store, FindingsState::in_memory().await?, keep, Stay::Passing, options).await
    }

    /// A core that lives as long as this value.
    ///
    /// # Errors
    /// If the detections cannot be used.
    pub async fn in_memory(keep: Keep, options: CoreOptions) -> Result<Self, CoreError> {
        Self::with(Store::in_memory(), FindingsState::in_memory().await?, keep, Stay::Kept, options).await
    }

    async fn with(
        store: Store,
        findings: FindingsState,
        keep: Keep,
        stay: Stay,
        options: CoreOptions,
    ) -> Result<Self, CoreError> {
        let (sql, beside) = match stay {
            Stay::Kept => {
                let sql = Sql::of_a_table(options.sql_memory)?;
                (sql.clone(), sql.giving_way()?)
            }
            // there they are what is waited for
            Stay::Passing => {
                let sql = Sql::new(options.sql_memory)?;
                (sql.clone(), sql)
            }
        };
        let pack = match &options.detections {
            None => Pack::built_in(&beside).await,
            Some(folder) => Pack::with_folder(&beside, folder).await?,
        };
        // a detection that reads every row needs every row
        let keep = if pack.signals().is_none() { Keep::All } else { keep };
        let mut coverage = Coverage::default();
        for known in store.coverage().values() {
            coverage.merge(known);
        }
        let (touched, mut overdue) = findings.remembered().await?;
        overdue.keep(|id| pack.detections().iter().any(|detection| detection.header.id == id));
        let formats = LineFormats::default();
        let state = State {
            coverage,
            formats,
            latest: store.stats().latest.unwrap_or(i64::MIN),
            touched,
            overdue,
            looking: Touched::default(),
        };
        let engine = Engine::new(beside.clone());
        Ok(Self {
            store,
            findings,
            pack,
            engine,
            sql,
            beside,
            keep,
            stay,
            most_suspicious: options.suspicious_memory,
            state: Mutex::new(state),
            appending: tokio::sync::RwLock::new(()),
            remembering: tokio::sync::Mutex::new(()),
            stopping: tokio::sync::watch::Sender::new(false),
            round: tokio::sync::Mutex::new(()),
        })
    }

    /// The columns that a decoder needs to make for [`Core::append`] and a [`Summary`] of the same batches.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let (Keep::Suspicious, Some(signals), Some(columns)) = (self.keep, self.pack.signals(), self.pack.columns())
        else {
            return Wanted::everything();
        };
        let wanted = Wanted::columns(Summary::COLUMNS).and_then(|wanted| wanted.and_with_signals(signals, columns));
        wanted.unwrap_or_default()
    }

    /// Takes a batch in: queryable when this returns.
    ///
    /// # Errors
    /// If the store does not take it; then none of it is in.
    pub async fn append(&self, batch: &AccessLogBatch) -> Result<(), CoreError> {
        let _appending = self.appending.read().await;
        match self.keep {
            Keep::All => self.store.append(&batch.compact()).await?,
            Keep::Suspicious => {
                let kept = suspicious(batch, self.pack.signals().unwrap_or(-1))?;
                self.store.append(&kept.compact()).await?
            }
        };
        self.state().note(batch);
        Ok(())
    }

    /// Takes in all batches of the journal's frame `sequence`, together: see [`Store::append_at`].
    ///
    /// # Errors
    /// If the store does not take them; then none of them is in.
    pub async fn append_at(&self, sequence: u64, batches: &[AccessLogBatch]) -> Result<(), CoreError> {
        let compact: Vec<AccessLogBatch> = batches.iter().map(AccessLogBatch::compact).collect();
        let _appending = self.appending.read().await;
        if self.store.append_at(sequence, &compact).await? {
            let mut state = self.state();
            batches.iter().for_each(|batch| state.note(batch));
        }
        Ok(())
    }

    /// Moves everything appended so far to disk, and remembers what of it was not looked at yet: whatever happens from here on, nothing up to the
    /// sequence that it answers has to be appended again.
    ///
    /// # Errors
    /// As [`Store::flush`], or if the findings' state cannot be written.
    pub async fn flush(&self) -> Result<Flushed, CoreError> {
        let flushed = self.store.flush().await?;
        // an append whose rows went to disk just now has noted by then what it touched
        drop(self.appending.write().await);
        self.remember().await?;
        Ok(flushed)
    }

    async fn remember(&self) -> Result<(), CoreError> {
        let _one_at_a_time = self.remembering.lock().await;
        let (touched, overdue) = {
            let state = self.state();
            let mut touched = state.touched.clone();
            touched.merge(&state.looking);
            (touched, state.overdue.clone())
        };
        Ok(self.findings.remember(&touched, &overdue).await?)
    }

    /// Brings the findings up to everything appended before this call; `now` is the wall time, for the change feed and for the windows on which
    /// a detection failed: they are tried again in rounds from 10 s later on, six times in all.
    ///
    /// # Errors
    /// If the findings' state cannot be written; everything touched is looked at again in the next round. A detection that fails on a window is
    /// no error here, but named in the round: the others keep running.
    pub async fn detect(&self, now: DateTime<Utc>) -> Result<Round, CoreError> {
        self.look(now, &mut round::Into::State(&self.findings)).await
    }

    /// As [`Self::detect`], for a core in passing: the findings go to the caller and nowhere else. They are those of the windows that were touched
    /// since the last round.
    ///
    /// # Errors
    /// If rows cannot be read.
    pub async fn find(&self, now: DateTime<Utc>) -> Result<(Round, Vec<Finding>), CoreError> {
        let mut passing = Passing::default();
        let round = self.look(now, &mut round::Into::Passing(&mut passing)).await?;
        Ok((round, passing.into_findings()))
    }

    async fn look(&self, now: DateTime<Utc>, into: &mut round::Into<'_>) -> Result<Round, CoreError> {
        let _one_round = self.round.lock().await;
        let (touched, again, latest) = {
            let mut state = self.state();
            let touched = std::mem::take(&mut state.touched);
            state.looking = touched.clone();
            (touched, state.overdue.due(now), state.latest)
        };
        let mut round = Round::default();
        if touched.is_empty() && again.is_empty() {
            return Ok(round);
        }
        // whatever goes wrong, a caller that drops this future included: what was not looked at stays touched
        let mut unseen = Unseen { core: self, touched: Some(touched) };
        if let Some(touched) = &unseen.touched {
            round::look(self, &round::Agenda { touched, again: &again, latest }, now, &mut round, into).await?;
        }
        if !round.cut_short {
            unseen.touched = None;
        }
        Ok(round)
    }

    /// Ends the round that is running, and every later one before it begins: what was not looked at stays touched.
    pub fn stop_detecting(&self) {
        self.stopping.send_replace(true);
    }

    /// A session over everything that is queryable now.
    ///
    /// # Errors
    /// If the tables cannot be registered.
    pub async fn session(&self) -> Result<SessionContext, DataFusionError> {
        self.sql.over(&self.store.snapshot()).await
    }

    /// Answers one read-only statement.
    ///
    /// # Errors
    /// If it is refused, wrong, failing or too slow.
    pub async fn query(&self, sql: &str, limits: Limits) -> Result<Rowset, QueryError> {
        let context = self.session().await.map_err(|error| QueryError::Run(Box::new(error)))?;
        Rowset::of(&self.sql, context, sql, limits).await
    }

    /// What each detection can see, over all sources together.
    #[must_use]
    pub fn sights(&self) -> Vec<(Arc<Detection>, Sight)> {
        let (coverage, without_queries) = {
            let state = self.state();
            (state.coverage.clone(), state.formats.leave_queries_out())
        };
        let sights = self.pack.sights(&coverage).into_iter();
        let sight = |(detection, sight): (Arc<Detection>, Sight)| {
            let sight = if without_queries { sight.without_queries(&detection.header, coverage.rows()) } else { sight };
            (detection, sight)
        };
        sights.map(sight).collect()
    }

    /// Where sessions come from.
    #[must_use]
    pub fn sql(&self) -> &Sql {
        &self.sql
    }

    /// Whether findings are kept.
    #[must_use]
    pub fn stay(&self) -> Stay {
        self.stay
    }

    /// The findings' state.
    #[must_use]
    pub fn findings(&self) -> &FindingsState {
        &self.findings
    }

    /// The loaded detections.
    #[must_use]
    pub fn pack(&self) -> &Pack {
        &self.pack
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Whether every row appended so far has been looked at by every detection: nothing is waiting, and nothing to be tried again.
    #[must_use]
    pub fn is_up_to_date(&self) -> bool {
        let state = self.state();
        state.touched.is_empty() && state.overdue.is_empty()
    }

    /// Writes everything out, what was not looked at yet included, and releases the folder.
    ///
    /// # Errors
    /// If the last rows cannot be written.
    pub async fn close(&self) -> Result<(), CoreError> {
        self.store.close().await?;
        self.remember().await?;
        self.findings.close().await;
        Ok(())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // a panic elsewhere leaves counters and sets behind that are still right
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Windows taken out of the core for a round, and put back unless the round was done.
struct Unseen<'a> {
    core: &'a Core,
    touched: Option<Touched>,
}

impl Drop for Unseen<'_> {
    fn drop(&mut self) {
        let mut state = self.core.state();
        state.looking = Touched::default();
        if let Some(touched) = &self.touched {
            state.touched.merge(touched);
        }
    }
}

impl State {
    /// What a batch that was taken in says.
    fn note(&mut self, batch: &AccessLogBatch) {
        self.touched.add(&batch.rows);
        if let Some(latest) = latest(&batch.rows) {
            self.latest = self.latest.max(latest);
        }
        self.coverage.merge(&batch.coverage);
        self.formats.merge(&batch.formats);
    }
}

fn latest(rows: &arrow::array::RecordBatch) -> Option<i64> {
    use arrow::array::AsArray;
    let times = rows.column_by_name("time")?.as_primitive_opt::<arrow::datatypes::TimestampMicrosecondType>()?;
    times.values().iter().copied().max()
}

/// The rows of a batch that carry one of these signals; rejects are kept.
fn suspicious(batch: &AccessLogBatch, mask: i64) -> Result<AccessLogBatch, arrow::error::ArrowError> {
    use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
    use arrow::compute::FilterBuilder;
    let Some(signals) = batch
        .rows
        .column_by_name("signals")
        .and_then(|column| column.as_primitive_opt::<arrow::datatypes::Int64Type>())
    else {
        return Ok(batch.clone());
    };
    let wanted = BooleanArray::from_unary(signals, |signals| signals & mask != 0);
    let predicate = FilterBuilder::new(&wanted).optimize().build();
    let columns = batch.rows.columns().iter().map(|column| match column.null_count() == column.len() {
        // most columns of a scan: nothing was decoded into them
        true => Ok(column.slice(0, predicate.count())),
        false => predicate.filter(column),
    });
    let rows = RecordBatch::try_new(batch.rows.schema(), columns.collect::<Result<_, _>>()?)?;
    Ok(AccessLogBatch { rows, ..batch.clone() })
}
