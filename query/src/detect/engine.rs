//! Runs one detection over one window.
//!
//! ```text
//!  Detection.statement (parsed once) ── bind $window_start … ──▶ plan ──▶ rows ──▶ hits
//! ```
//! Parameters are put into the syntax tree as typed literals, so the planner sees constants: time bounds reach Parquet statistics.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;

use super::check::CheckError;
use super::hit::{Hit, HitError};
use super::{Detection, Header};
use crate::sql::{Sql, bind};
use crate::window::Window;

/// Runs detections.
#[derive(Clone, Debug)]
pub struct Engine {
    sql: Sql,
}

/// A detection could not be run over a window.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The SQL failed.
    #[error("detection {detection} failed on the window from {}: {source}", window.start_time())]
    Sql {
        /// Id of the detection.
        detection: String,
        /// The window.
        window: Window,
        /// What DataFusion said.
        source: Box<DataFusionError>,
    },
    /// Its output is no hit.
    #[error("detection {detection}: {source}")]
    Hit {
        /// Id of the detection.
        detection: String,
        /// Why.
        source: HitError,
    },
}

impl EvaluateError {
    /// Id of the detection.
    #[must_use]
    pub fn detection(&self) -> &str {
        match self {
            Self::Sql { detection, .. } | Self::Hit { detection, .. } => detection,
        }
    }
}

impl Engine {
    /// An engine whose sessions come from `sql`.
    #[must_use]
    pub fn new(sql: Sql) -> Self {
        Self { sql }
    }

    /// The hits of `detection` in `window`; `access_logs` must hold every row of `[window.start − lookback, window.end)` that the
    /// detection's signals select, and may hold more.
    ///
    /// # Errors
    /// If the SQL fails or its output is no hit.
    pub async fn evaluate(
        &self,
        detection: &Detection,
        window: Window,
        access_logs: Arc<dyn TableProvider>,
    ) -> Result<Vec<Hit>, EvaluateError> {
        let header = detection.header.clone();
        let id = header.id.clone();
        let failed =
            |source: DataFusionError| EvaluateError::Sql { detection: id.clone(), window, source: Box::new(source) };
        let context = self.sql.over_logs(access_logs).await.map_err(failed)?;
        let statement = detection.statement.clone();
        let work = self.sql.spawn(async move {
            let plan = plan(&context, &header, &statement, window).await?;
            context.execute_logical_plan(plan).await?.collect().await
        });
        let batches =
            work.await.map_err(|error| failed(DataFusionError::External(Box::new(error))))?.map_err(failed)?;
        read_hits(&detection.header, window, &batches)
    }
}

/// The hits in a detection's output.
pub(super) fn read_hits(
    header: &Arc<Header>,
    window: Window,
    batches: &[RecordBatch],
) -> Result<Vec<Hit>, EvaluateError> {
    let mut hits = Vec::new();
    for batch in batches {
        let read = Hit::read(header, window, batch);
        hits.extend(read.map_err(|source| EvaluateError::Hit { detection: header.id.clone(), source })?);
    }
    // one finding per entity: rows whose entities differ only in null and "unknown" would be the same finding
    hits.sort_by(|one, other| one.entity().cmp(other.entity()).then(other.count().cmp(&one.count())));
    hits.dedup_by(|later, first| later.entity() == first.entity());
    Ok(hits)
}

/// Plans a detection for one window.
pub(super) async fn plan(
    context: &SessionContext,
    header: &Header,
    statement: &Statement,
    window: Window,
) -> Result<LogicalPlan, DataFusionError> {
    let mut times = vec![("window_start", window.start()), ("window_end", window.end())];
    times.push(("lookback_start", window.start().saturating_sub(header.lookback_micros())));
    let bound = bind(statement.clone(), &times, &header.params)?;
    context.state().statement_to_plan(bound).await
}

/// Plans a detection for some window, to see whether it is right.
pub(super) async fn dry_run(sql: &Sql, header: &Header, text: &str) -> Result<Statement, CheckError> {
    let statement = crate::sql::parse_read_only(text)?;
    let context = sql.over_nothing().await?;
    let window = Window::holding(0, header.window_micros());
    let plan = plan(&context, header, &statement, window).await?;
    super::check::check(header, &plan)?;
    // planning further finds what analysis alone does not: types that do not fit, functions without an implementation
    context.state().create_physical_plan(&plan).await?;
    Ok(statement)
}
