//! A detection planned once and run over window after window.
//!
//! ```text
//!  SQL ── $window_start → window_start() ──▶ physical plan over a slot          (once)
//!  rows of a window → slot, bounds → cells ──▶ the same plan, states reset ─▶ hits    (per window)
//! ```
//! Planning costs milliseconds, running over a few rows microseconds. [`super::Engine`] plans every window afresh with literals: it is the
//! judge of this one in tests, and runs the detections that read every row.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{ExecutionPlan, collect};

use super::engine::{EvaluateError, read_hits};
use super::{Detection, Hit};
use crate::sql::{Sql, bind_calls};
use crate::window::Window;

/// A detection planned once. One window at a time: it has one slot.
pub(crate) struct Prepared {
    detection: Arc<Detection>,
    sql: Sql,
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    slot: Arc<Slot>,
    bounds: [Arc<AtomicI64>; 3],
}

impl Prepared {
    /// Plans `detection`.
    pub(crate) async fn new(sql: &Sql, detection: Arc<Detection>) -> Result<Self> {
        let schema = ingest::schema::access_logs();
        let slot = Arc::new(Slot { rows: Mutex::new(RecordBatch::new_empty(schema.clone())), schema: schema.clone() });
        let table = StreamingTable::try_new(schema, vec![slot.clone() as Arc<dyn PartitionStream>])?;
        let context = sql.over_narrow(Arc::new(table)).await?;
        let bounds = [Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0))];
        let names = ["window_start", "window_end", "lookback_start"];
        for (name, cell) in names.into_iter().zip(&bounds) {
            context.register_udf(ScalarUDF::from(Bound::new(name, cell.clone())));
        }
        let statement = bind_calls(detection.statement.clone(), &names, &detection.header.params)?;
        let state = context.state();
        let plan = state.create_physical_plan(&state.statement_to_plan(statement).await?).await?;
        Ok(Self { detection, sql: sql.clone(), plan, task: context.task_ctx(), slot, bounds })
    }

    /// The hits of `window`; `rows` are the access logs of `[window.start − lookback, window.end)` that the detection's signals select.
    pub(crate) async fn evaluate(&mut self, window: Window, rows: RecordBatch) -> Result<Vec<Hit>, EvaluateError> {
        let header = &self.detection.header;
        let failed = |source: DataFusionError| EvaluateError::Sql {
            detection: header.id.clone(),
            window,
            source: Box::new(source),
        };
        *self.slot.rows.lock().unwrap_or_else(PoisonError::into_inner) = rows;
        let [start, end, lookback] = &self.bounds;
        start.store(window.start(), Ordering::Release);
        end.store(window.end(), Ordering::Release);
        lookback.store(window.start().saturating_sub(header.lookback_micros()), Ordering::Release);
        let plan = reset_plan_states(self.plan.clone()).map_err(failed)?;
        let work = self.sql.spawn(collect(plan, self.task.clone()));
        let batches =
            work.await.map_err(|error| failed(DataFusionError::External(Box::new(error))))?.map_err(failed)?;
        read_hits(&self.detection, window, &batches)
    }
}

/// The rows that the plan reads when it runs.
#[derive(Debug)]
struct Slot {
    schema: SchemaRef,
    rows: Mutex<RecordBatch>,
}

impl PartitionStream for Slot {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match MemoryStream::try_new(vec![rows], self.schema.clone(), None) {
            Ok(stream) => Box::pin(stream),
            // without a projection there is nothing that could be wrong; said all the same
            Err(error) => Box::pin(datafusion::physical_plan::stream::RecordBatchStreamAdapter::new(
                self.schema.clone(),
                futures::stream::iter([Err(error)]),
            )),
        }
    }
}

/// A function without arguments that gives a bound of the current window. Volatile, so that the planner does not fold it.
#[derive(Debug)]
struct Bound {
    name: &'static str,
    signature: Signature,
    micros: Arc<AtomicI64>,
}

impl Bound {
    fn new(name: &'static str, micros: Arc<AtomicI64>) -> Self {
        Self { name, signature: Signature::nullary(Volatility::Volatile), micros }
    }
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.micros, &other.micros)
    }
}

impl Eq for Bound {}

impl std::hash::Hash for Bound {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Bound {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let micros = self.micros.load(Ordering::Acquire);
        Ok(ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()))))
    }
}

#[cfg(test)]
mod tests;
