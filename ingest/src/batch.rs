//! Rows and rejects to Arrow arrays, column by column. The only place that knows Arrow's builders.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewBuilder, BooleanBuilder, Int32Builder, Int64Builder, RecordBatch, StringViewBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};

use crate::coverage::Coverage;
use crate::key::KeySet;
use crate::reject::Reject;
use crate::row::{Row, Value};
use crate::schema::{self, ACCESS_LOGS, ColumnType, REJECTS};

/// Collects the rows and the rejects of one batch.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    source: String,
    received_at: DateTime<Utc>,
    rows: Vec<ColumnBuilder>,
    rejects: Vec<ColumnBuilder>,
    coverage: Coverage,
}

impl BatchBuilder {
    pub(crate) fn new(source: String, received_at: DateTime<Utc>) -> Self {
        let columns = |columns: &[schema::Column]| columns.iter().map(|c| ColumnBuilder::new(c.data_type)).collect();
        BatchBuilder {
            source,
            received_at,
            rows: columns(ACCESS_LOGS),
            rejects: columns(REJECTS),
            coverage: Coverage::default(),
        }
    }

    /// Appends one row, whose line carried `keys`.
    pub(crate) fn row(&mut self, row: &Row<'_>, keys: KeySet) {
        for (builder, value) in self.rows.iter_mut().zip(row.values()) {
            builder.append(value);
        }
        self.coverage.count(keys);
    }

    /// Appends one reject.
    pub(crate) fn reject(&mut self, reject: Reject) {
        let signed = |number: u64| Value::Int64(i64::try_from(number).unwrap_or(i64::MAX));
        let values = [
            Value::Timestamp(self.received_at.timestamp_micros()),
            Value::text(self.source.as_str()),
            signed(reject.line),
            signed(reject.offset),
            Value::text(reject.reason.as_str()),
            Value::text(reject.detail),
            signed(reject.length),
            Value::text(reject.sha256),
            Value::Binary(&reject.sample),
        ];
        for (builder, value) in self.rejects.iter_mut().zip(&values) {
            builder.append(value);
        }
    }

    /// The rows, the rejects and what the rows' lines carried; the builder starts anew.
    pub(crate) fn finish(&mut self) -> (RecordBatch, RecordBatch, Coverage) {
        (
            record_batch(schema::access_logs(), &mut self.rows),
            record_batch(schema::rejects(), &mut self.rejects),
            std::mem::take(&mut self.coverage),
        )
    }
}

/// The rows of two batches of one schema, in order.
pub(crate) fn concat(first: &RecordBatch, second: &RecordBatch) -> RecordBatch {
    debug_assert_eq!(first.schema(), second.schema());
    arrow::compute::concat_batches(&first.schema(), [first, second])
        .unwrap_or_else(|_| RecordBatch::new_empty(first.schema()))
}

/// Builders make arrays of the schema's types, all of one length (every append goes to every column), and a column that
/// is not nullable is always set: the tests hold this, so there is no error to pass on.
fn record_batch(schema: SchemaRef, builders: &mut [ColumnBuilder]) -> RecordBatch {
    let arrays = builders.iter_mut().map(ColumnBuilder::finish).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays);
    debug_assert!(batch.is_ok(), "{batch:?}");
    batch.unwrap_or_else(|_| RecordBatch::new_empty(schema))
}

#[derive(Debug)]
enum ColumnBuilder {
    Text(StringViewBuilder),
    Binary(BinaryViewBuilder),
    Int64(Int64Builder),
    Int32(Int32Builder),
    Boolean(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl ColumnBuilder {
    fn new(data_type: ColumnType) -> Self {
        match data_type {
            ColumnType::Text => ColumnBuilder::Text(StringViewBuilder::new()),
            ColumnType::Binary => ColumnBuilder::Binary(BinaryViewBuilder::new()),
            ColumnType::Int64 => ColumnBuilder::Int64(Int64Builder::new()),
            ColumnType::Int32 => ColumnBuilder::Int32(Int32Builder::new()),
            ColumnType::Boolean => ColumnBuilder::Boolean(BooleanBuilder::new()),
            ColumnType::Timestamp => {
                ColumnBuilder::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(data_type.arrow()))
            }
        }
    }

    fn append(&mut self, value: &Value<'_>) {
        match (self, value) {
            (ColumnBuilder::Text(builder), Value::Text(text)) => builder.append_value(text),
            (ColumnBuilder::Text(builder), _) => builder.append_null(),
            (ColumnBuilder::Binary(builder), Value::Binary(bytes)) => builder.append_value(bytes),
            (ColumnBuilder::Binary(builder), _) => builder.append_null(),
            (ColumnBuilder::Int64(builder), Value::Int64(number)) => builder.append_value(*number),
            (ColumnBuilder::Int64(builder), _) => builder.append_null(),
            (ColumnBuilder::Int32(builder), Value::Int32(number)) => builder.append_value(*number),
            (ColumnBuilder::Int32(builder), _) => builder.append_null(),
            (ColumnBuilder::Boolean(builder), Value::Boolean(truth)) => builder.append_value(*truth),
            (ColumnBuilder::Boolean(builder), _) => builder.append_null(),
            (ColumnBuilder::Timestamp(builder), Value::Timestamp(micros)) => builder.append_value(*micros),
            (ColumnBuilder::Timestamp(builder), _) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            ColumnBuilder::Text(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Binary(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int64(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int32(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Boolean(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Timestamp(builder) => Arc::new(builder.finish()),
        }
    }
}
