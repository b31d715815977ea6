//! Rows and rejects to Arrow arrays, column by column. Together with its submodules the only place that knows Arrow's builders.
//!
//! ```text
//!  line ─▶ Arena (copied once) ─▶ decoded where it stands ─▶ row ─▶ one builder a column ─▶ RecordBatch
//! ```

mod arena;
mod column;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};

use crate::coverage::Coverage;
use crate::key::KeySet;
use crate::reject::Reject;
use crate::row::{Row, Value};
use crate::schema::{self, ACCESS_LOGS, REJECTS};
use arena::{Arena, Holds, Origin};
use column::{ColumnBuilder, Texts};

/// Rows for which a builder makes room at first.
const ROWS: usize = 1024;

/// Collects the rows and the rejects of one batch.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    lines: Arena,
    rows: RowBuilder,
    rejects: Vec<ColumnBuilder>,
}

/// Where the rows of a batch go.
#[derive(Debug)]
struct RowBuilder {
    source: String,
    received_at: DateTime<Utc>,
    made: Arena,
    columns: Vec<ColumnBuilder>,
    /// Rows so far. A column has as many cells at most: nulls are appended when a value follows, or at the end.
    count: usize,
    coverage: Coverage,
    /// The keys of the last line, and on how many lines they were: lines of one format are counted together.
    alike: (KeySet, u64),
}

/// A line that stands in the batch, to be decoded.
#[derive(Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) line: &'a [u8],
    origin: Origin,
    rows: &'a mut RowBuilder,
}

impl BatchBuilder {
    pub(crate) fn new(source: String, received_at: DateTime<Utc>) -> Self {
        let columns =
            |columns: &[schema::Column], rows| columns.iter().map(|c| ColumnBuilder::new(c.data_type, rows)).collect();
        BatchBuilder {
            lines: Arena::new(Holds::Lines),
            rows: RowBuilder {
                source,
                received_at,
                made: Arena::new(Holds::Made),
                columns: columns(ACCESS_LOGS, ROWS),
                count: 0,
                coverage: Coverage::default(),
                alike: (KeySet::EMPTY, 0),
            },
            rejects: columns(REJECTS, 0),
        }
    }

    /// Takes in the bytes of a line that may become a row.
    pub(crate) fn place(&mut self, line: &[u8]) -> Placed<'_> {
        let origin = self.lines.put(line);
        Placed { line: self.lines.last(line.len()), origin, rows: &mut self.rows }
    }

    /// Appends one reject. If its line was placed, `placed` is its length, and its place is given back.
    pub(crate) fn reject(&mut self, reject: Reject, placed: usize) {
        self.lines.take_back(placed);
        let signed = |number: u64| Value::Int64(i64::try_from(number).unwrap_or(i64::MAX));
        let RowBuilder { source, received_at, made, .. } = &mut self.rows;
        let values = [
            Value::Timestamp(received_at.timestamp_micros()),
            Value::text(source.as_str()),
            signed(reject.line),
            signed(reject.offset),
            Value::text(reject.reason.as_str()),
            Value::text(reject.detail),
            signed(reject.length),
            Value::text(reject.sha256),
            Value::Binary(&reject.sample),
        ];
        let mut texts = Texts { line: &[], origin: Origin { buffer: 0, offset: 0 }, made };
        for (builder, value) in self.rejects.iter_mut().zip(&values) {
            let row = builder.len();
            builder.append(row, value, &mut texts);
        }
    }

    /// The rows, the rejects and what the rows' lines carried; the builder starts anew.
    pub(crate) fn finish(&mut self) -> (RecordBatch, RecordBatch, Coverage) {
        let buffers: Arc<[Buffer]> = arena::buffers(&mut self.lines, &mut self.rows.made).into();
        self.rows.count_alike();
        let count = std::mem::take(&mut self.rows.count);
        for column in &mut self.rows.columns {
            column.pad(count);
        }
        (
            record_batch(schema::access_logs(), &mut self.rows.columns, &buffers),
            record_batch(schema::rejects(), &mut self.rejects, &buffers),
            std::mem::take(&mut self.rows.coverage),
        )
    }
}

impl Placed<'_> {
    /// Appends the line's row; the line carried `keys`.
    pub(crate) fn row(&mut self, row: &Row<'_>, keys: KeySet) {
        let RowBuilder { made, columns, alike, count, .. } = self.rows;
        let mut texts = Texts { line: self.line, origin: self.origin, made };
        for (column, value) in row.set_values() {
            if let Some(builder) = columns.get_mut(column) {
                builder.append(*count, value, &mut texts);
            }
        }
        *count += 1;
        if alike.0 != keys {
            self.rows.count_alike();
            self.rows.alike = (keys, 0);
        }
        self.rows.alike.1 += 1;
    }
}

impl RowBuilder {
    fn count_alike(&mut self) {
        let (keys, lines) = std::mem::take(&mut self.alike);
        self.coverage.count(keys, lines);
    }
}

/// The rows of two batches of one schema, in order.
pub(crate) fn concat(first: &RecordBatch, second: &RecordBatch) -> RecordBatch {
    debug_assert_eq!(first.schema(), second.schema());
    arrow::compute::concat_batches(&first.schema(), [first, second])
        .unwrap_or_else(|_| RecordBatch::new_empty(first.schema()))
}

/// The same batch, each text column with a buffer of its own that holds nothing else.
pub(crate) fn compact(batch: &RecordBatch) -> RecordBatch {
    let column = |column: &ArrayRef| -> ArrayRef {
        match column.as_string_view_opt() {
            Some(texts) => Arc::new(texts.gc()),
            None => Arc::clone(column),
        }
    };
    // columns of the same types and lengths make a batch again
    RecordBatch::try_new(batch.schema(), batch.columns().iter().map(column).collect()).unwrap_or_else(|_| batch.clone())
}

/// Builders make arrays of the schema's types, all of one length (every append goes to every column), and a column that
/// is not nullable is always set: the tests hold this, so there is no error to pass on.
fn record_batch(schema: SchemaRef, builders: &mut [ColumnBuilder], buffers: &Arc<[Buffer]>) -> RecordBatch {
    let arrays = builders.iter_mut().map(|builder| builder.finish(buffers)).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays);
    debug_assert!(batch.is_ok(), "{batch:?}");
    batch.unwrap_or_else(|_| RecordBatch::new_empty(schema))
}
