//! A detection planned once and run over window after window.
//!
//! ```text
//!  SQL ── $window_start → window_start() ──▶ physical plan, each leaf over the slot ─▶ columns that are read    (once)
//!  rows of a window → slot, bounds → cells ──▶ the same plan, states reset ─▶ hits                              (per window)
//! ```
//! Planning costs milliseconds, running over a few rows microseconds. [`super::Engine`] plans every window afresh with literals: it is the
//! judge of this one in tests, and runs the detections that read every row.
//! A leaf takes its columns from the slot by name: the rows need no others than [`Prepared::columns`].

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TableType, Volatility,
};
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::sql::parser::Statement;

use super::engine::{EvaluateError, read_hits};
use super::{Header, Hit};
use crate::sql::{Sql, bind_calls};
use crate::window::Window;

/// A detection planned once. It has one slot: a window waits for the one before.
pub(crate) struct Prepared {
    header: Arc<Header>,
    sql: Sql,
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    columns: BTreeSet<&'static str>,
    slot: Slot,
    bounds: [Arc<AtomicI64>; 3],
    turn: tokio::sync::Mutex<()>,
}

/// The rows that the plan reads when it runs.
type Slot = Arc<Mutex<Vec<RecordBatch>>>;

impl Prepared {
    /// Plans a detection.
    pub(crate) async fn new(sql: &Sql, header: Arc<Header>, statement: Statement) -> Result<Self> {
        let slot = Slot::default();
        let table = Arc::new(SlotTable { slot: slot.clone(), read: Mutex::default() });
        let context = sql.over_narrow(table.clone()).await?;
        let bounds = [Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0))];
        let names = ["window_start", "window_end", "lookback_start"];
        for (name, cell) in names.into_iter().zip(&bounds) {
            context.register_udf(ScalarUDF::from(Bound::new(name, cell.clone())));
        }
        let statement = bind_calls(statement, &names, &header.params)?;
        let state = context.state();
        let plan = state.create_physical_plan(&state.statement_to_plan(statement).await?).await?;
        let columns = table.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (sql, task, turn) = (sql.clone(), context.task_ctx(), tokio::sync::Mutex::new(()));
        Ok(Self { header, sql, plan, task, columns, slot, bounds, turn })
    }

    /// The columns of `access_logs` that the plan reads.
    pub(crate) fn columns(&self) -> &BTreeSet<&'static str> {
        &self.columns
    }

    /// The hits of `window`; `rows` are the access logs of `[window.start − lookback, window.end)` that the detection's signals select, with
    /// [`Self::columns`] or more, in batches of few rows with memory of their own.
    pub(crate) async fn evaluate(&self, window: Window, rows: Vec<RecordBatch>) -> Result<Vec<Hit>, EvaluateError> {
        let header = &self.header;
        let failed = |source: DataFusionError| EvaluateError::Sql {
            detection: header.id.clone(),
            window,
            source: Box::new(source),
        };
        let _turn = self.turn.lock().await;
        let _filled = self.fill(rows);
        let [start, end, lookback] = &self.bounds;
        start.store(window.start(), Ordering::Release);
        end.store(window.end(), Ordering::Release);
        lookback.store(window.start().saturating_sub(header.lookback_micros()), Ordering::Release);
        let plan = reset_plan_states(self.plan.clone()).map_err(failed)?;
        let (task, own) = (self.task.clone(), header.clone());
        let work = self.sql.spawn(async move {
            let batches = collect(plan, task).await;
            batches.map(|batches| read_hits(&own, window, &batches))
        });
        work.await.map_err(|error| failed(DataFusionError::External(Box::new(error))))?.map_err(failed)?
    }

    fn fill(&self, rows: Vec<RecordBatch>) -> Filled<'_> {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = rows;
        Filled(&self.slot)
    }
}

/// A slot with rows, until the evaluation is over or given up: a plan outlives its round, and must not keep the rows alive.
struct Filled<'a>(&'a Slot);

impl Drop for Filled<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("detection", &self.header.id).field("columns", &self.columns).finish()
    }
}

/// The table `access_logs` while planning: every scan becomes a leaf over the slot, and its columns are noted.
#[derive(Debug)]
struct SlotTable {
    slot: Slot,
    read: Mutex<BTreeSet<&'static str>>,
}

impl SlotTable {
    fn leaf(&self, projection: Option<&Vec<usize>>, limit: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = datafusion::common::project_schema(&self.schema(), projection)?;
        let known = ingest::schema::ACCESS_LOGS.iter().map(|column| column.name);
        let read = known.filter(|name| schema.column_with_name(name).is_some());
        self.read.lock().unwrap_or_else(PoisonError::into_inner).extend(read);
        let leaf = Arc::new(Leaf { slot: self.slot.clone(), schema: schema.clone() });
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![leaf], None, [], false, limit)?))
    }
}

// Written out because `async_trait`, which the trait is declared with, is not a dependency of this crate.
impl TableProvider for SlotTable {
    fn schema(&self) -> SchemaRef {
        ingest::schema::access_logs()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn scan<'this, 'state, 'projection, 'filters, 'all>(
        &'this self,
        _: &'state dyn Session,
        projection: Option<&'projection Vec<usize>>,
        _: &'filters [Expr],
        limit: Option<usize>,
    ) -> Pin<Box<dyn Future<Output = Result<Arc<dyn ExecutionPlan>>> + Send + 'all>>
    where
        'this: 'all,
        'state: 'all,
        'projection: 'all,
        'filters: 'all,
        Self: 'all,
    {
        Box::pin(std::future::ready(self.leaf(projection, limit)))
    }
}

/// Some columns of the slot.
#[derive(Debug)]
struct Leaf {
    slot: Slot,
    schema: SchemaRef,
}

impl Leaf {
    fn rows(&self) -> Result<Vec<RecordBatch>> {
        let rows = self.slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(first) = rows.first() else { return Ok(rows) };
        let places = self.schema.fields().iter().map(|field| first.schema_ref().index_of(field.name()));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        rows.iter().map(|batch| Ok(batch.project(&places)?)).collect()
    }
}

impl PartitionStream for Leaf {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        match self.rows().and_then(|rows| MemoryStream::try_new(rows, self.schema.clone(), None)) {
            Ok(stream) => Box::pin(stream),
            Err(error) => {
                Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::iter([Err(error)])))
            }
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
