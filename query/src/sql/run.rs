//! Runs one read-only query within limits: rows, bytes and time.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{DataFrame, SessionContext};
use futures::StreamExt;

use super::Sql;
use super::fence::{FenceError, parse_read_only, verify};

/// What one query may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rows returned; more are cut off and the result says so.
    pub rows: usize,
    /// Arrow bytes returned; more are cut off and the result says so.
    pub bytes: usize,
    /// Wall time of planning and running.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: 10_000, bytes: 64 * 1024 * 1024, time: Duration::from_secs(30) }
    }
}

/// What a query returned.
#[derive(Clone, Debug)]
pub struct Rowset {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
    /// Whether a limit cut rows off.
    pub truncated: bool,
}

/// A query that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// Refused before planning.
    #[error(transparent)]
    Fence(#[from] FenceError),
    /// It does not plan: unknown names, types that do not fit.
    #[error("the SQL is not right: {0}")]
    Plan(Box<DataFusionError>),
    /// It failed while running.
    #[error("the query failed: {0}")]
    Run(Box<DataFusionError>),
    /// It took too long.
    #[error("the query took longer than {0:?}: narrow it with a time range, or aggregate")]
    Time(Duration),
}

impl Rowset {
    /// Runs `query` in `context`, on the threads of `sql`.
    ///
    /// # Errors
    /// If it is refused, wrong, failing or too slow.
    pub async fn of(sql: &Sql, context: SessionContext, query: &str, limits: Limits) -> Result<Self, QueryError> {
        let statement = parse_read_only(query)?;
        let work = sql.spawn(async move {
            let plan = context.state().statement_to_plan(statement).await.map_err(plan_error)?;
            verify(&plan).map_err(plan_error)?;
            let frame = context.execute_logical_plan(plan).await.map_err(plan_error)?;
            let mut stream = polite(frame).await.map_err(run_error)?;
            let mut rowset = Self { schema: stream.schema(), batches: Vec::new(), truncated: false };
            let (mut rows, mut bytes) = (0, 0);
            while let Some(batch) = stream.next().await {
                let mut batch = batch.map_err(run_error)?;
                let left = limits.rows.saturating_sub(rows);
                if batch.num_rows() > left {
                    batch = batch.slice(0, left);
                    rowset.truncated = true;
                }
                rows += batch.num_rows();
                bytes += batch.get_array_memory_size();
                if bytes > limits.bytes {
                    // the batch that goes over the limit is left out whole: one value in it may be larger than all that came before
                    rowset.truncated = true;
                } else if batch.num_rows() > 0 {
                    rowset.batches.push(batch);
                }
                if rowset.truncated {
                    break;
                }
            }
            Ok(rowset)
        });
        // a caller that goes away, or whose time is up, takes its query along
        let _abort = AbortOnDrop(work.abort_handle());
        match tokio::time::timeout(limits.time, work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(join)) => Err(run_error(DataFusionError::External(Box::new(join)))),
            Err(_) => Err(QueryError::Time(limits.time)),
        }
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a query so that it can be stopped: every operator gives way now and then. DataFusion's own rule leaves out operators
/// that it takes for quick, and a cross join of two of them computes for hours without ever listening.
async fn polite(frame: DataFrame) -> Result<SendableRecordBatchStream, DataFusionError> {
    let task = Arc::new(frame.task_ctx());
    let plan = frame.create_physical_plan().await?;
    let polite = |node| Ok(Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>));
    execute_stream(plan.transform_up(polite)?.data, task)
}

fn plan_error(error: DataFusionError) -> QueryError {
    QueryError::Plan(Box::new(error))
}

fn run_error(error: DataFusionError) -> QueryError {
    QueryError::Run(Box::new(error))
}
