//! Batches made up for tests, in whatever columns the tables have, and SQL over snapshots.

use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray as _, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::array_value_to_string;
use datafusion::catalog::TableProvider;
use datafusion::prelude::SessionContext;
use ingest::{AccessLogBatch, Coverage, schema};

use crate::store::Snapshot;

pub(super) const MINUTE: i64 = 60_000_000;

/// Rows at `times` (µs) and some rejects, each with an id that starts with `source`.
pub(super) fn batch(source: &str, times: &[i64], rejects: usize) -> AccessLogBatch {
    let rows = times.len();
    let coverage = format!(r#"{{"rows":{rows},"columns":{{"time":{rows},"method":{rows}}}}}"#);
    let coverage: Coverage = serde_json::from_str(&coverage).unwrap();
    let rejected: Vec<i64> = (0..rejects as i64).collect();
    AccessLogBatch {
        rows: fill(schema::access_logs(), source, times),
        rejects: fill(schema::rejects(), source, &rejected),
        coverage,
        formats: ingest::LineFormats::default(),
        lines: (rows + rejects) as u64,
        bytes: 0,
    }
}

/// Times where times belong, text in all text, null where it may be.
fn fill(schema: SchemaRef, source: &str, times: &[i64]) -> RecordBatch {
    let zone = |times: &[i64]| TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC");
    let columns = schema.fields().iter().map(|field| {
        let text = |row: usize| match field.name().as_str() {
            "source" => source.to_owned(),
            name => format!("{source}, {name}, row {row}"),
        };
        let column: ArrayRef = match field.data_type() {
            // of requests
            _ if field.name() == "access_log_type" => new_null_array(field.data_type(), times.len()),
            // each row names an edge of its own
            _ if field.name() == "edge" => {
                Arc::new((0..times.len()).map(|row| Some(edge_of(source, row))).collect::<Int64Array>())
            }
            DataType::Timestamp(..) => Arc::new(zone(times)),
            DataType::Utf8View | DataType::BinaryView => {
                Arc::new(StringArray::from_iter_values((0..times.len()).map(text)))
            }
            other if field.is_nullable() => new_null_array(other, times.len()),
            _ => Arc::new(Int64Array::from(vec![0; times.len()])),
        };
        cast(&column, field.data_type()).unwrap()
    });
    RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
}

fn edge_of(source: &str, row: usize) -> i64 {
    let mut hasher = std::hash::DefaultHasher::new();
    (source, row).hash(&mut hasher);
    hasher.finish() as i64
}

/// The column that tells rows apart.
pub(super) fn ids(rows: &RecordBatch) -> Vec<String> {
    let column = rows.column_by_name("log_id").or(rows.column_by_name("detail")).unwrap();
    column.as_string_view().iter().flatten().map(str::to_owned).collect()
}

/// All of them, sorted; twice if they are there twice.
pub(super) async fn table_ids(table: Arc<dyn TableProvider>) -> Vec<String> {
    let rows = SessionContext::new().read_table(table).unwrap().collect().await.unwrap();
    let mut all: Vec<String> = rows.iter().flat_map(ids).collect();
    all.sort();
    all
}

/// Rows of text.
pub(super) async fn sql(snapshot: &Snapshot, query: &str) -> Vec<Vec<String>> {
    let context = SessionContext::new();
    context.register_table("access_logs", snapshot.access_logs()).unwrap();
    context.register_table("rejects", snapshot.rejects()).unwrap();
    context.register_table("edges_1m", snapshot.edges_1m()).unwrap();
    run(&context, query).await
}

/// Rows of text; the table is called `t`.
pub(super) async fn sql_over(table: Arc<dyn TableProvider>, query: &str) -> Vec<Vec<String>> {
    let context = SessionContext::new();
    context.register_table("t", table).unwrap();
    run(&context, query).await
}

async fn run(context: &SessionContext, query: &str) -> Vec<Vec<String>> {
    let batches = context.sql(query).await.unwrap().collect().await.unwrap();
    let row = |batch: &RecordBatch, row: usize| {
        batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap()).collect()
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|index| row(batch, index)).collect::<Vec<_>>()).collect()
}
