//! Rows and rejects to Arrow arrays, column by column. Together with its submodules the only place that knows Arrow's builders.
//!
//! ```text
//!  block ─▶ lines, decoded where they stand ─▶ cells: per line ─▶ one vector a column ─┐
//!                                              per edge, once a batch ─ gathered ──────┴─▶ RecordBatch
//! ```
//! What names a line's edge (see [`crate::edge`]) is written once for each edge of the batch; a row only notes the edge's number.

mod arena;
mod column;
pub(crate) mod compact;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};

use crate::coverage::Coverage;
use crate::edge::{self, Edge};
use crate::key::KeySet;
use crate::line_format::{Envelope, LineFormat, LineFormats};
use crate::reject::Reject;
use crate::reporter::Reporter;
use crate::row::{Row, Value};
use crate::schema::{self, ACCESS_LOGS, Col, REJECTS};
use crate::wanted::{Level, Wanted};
use arena::Arena;
use column::{Column, Nulls, bits};

/// Collects the rows and the rejects of one batch.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    source: String,
    received_at: DateTime<Utc>,
    wanted: Wanted,
    /// What is wanted of the row that is being written.
    level: Level,
    /// Counts the batches: an edge's number is good for one.
    generation: u64,
    arena: Arena,
    block: Option<Buffer>,
    columns: Vec<Column>,
    edges: Edges,
    rejects: Vec<Column>,
    rejected: usize,
    coverage: Coverage,
    formats: LineFormats,
    /// The keys of the last line, and on how many lines in turn they were: lines of one format are counted together.
    alike: (KeySet, u64),
    /// The format of the last line, and how many lines in turn had it.
    same: Option<((LineFormat, Envelope), u64)>,
    nulls: Nulls,
    digits: String,
}

/// The edges of a batch's rows.
#[derive(Debug, Default)]
struct Edges {
    /// Per edge its cells, in the order of [`edge::COLUMNS`]: views and numbers.
    cells: Vec<[u128; edge::COLUMNS.len()]>,
    /// Per edge a bit for each cell that is not null.
    valid: Vec<u64>,
    /// The edge of each row.
    rows: Vec<u32>,
}

const _: () = assert!(edge::COLUMNS.len() <= 64);

impl BatchBuilder {
    pub(crate) fn new(source: String, received_at: DateTime<Utc>, wanted: Wanted) -> Self {
        let columns =
            |columns: &[schema::Column]| columns.iter().map(|c| Column::new(c.data_type, c.nullable)).collect();
        BatchBuilder {
            source,
            received_at,
            level: *wanted.of(0),
            wanted,
            generation: 0,
            arena: Arena::default(),
            block: None,
            columns: columns(ACCESS_LOGS),
            edges: Edges::default(),
            rejects: columns(REJECTS),
            rejected: 0,
            coverage: Coverage::default(),
            formats: LineFormats::default(),
            alike: (KeySet::EMPTY, 0),
            same: None,
            nulls: Nulls::default(),
            digits: String::new(),
        }
    }

    /// From now on, lines are of this block.
    pub(crate) fn enter(&mut self, block: &Buffer) {
        self.arena.enter(block);
        self.block = Some(block.clone());
    }

    /// Which batch this is.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The number, in this batch, of an edge that it did not have yet.
    pub(crate) fn add_edge(&mut self, edge: &Edge) -> u32 {
        let mut cells = [0; edge::COLUMNS.len()];
        let mut valid = 0;
        let level = self.wanted.of(edge.signals);
        for (place, ((cell, value), column)) in cells.iter_mut().zip(edge.values()).zip(edge::COLUMNS).enumerate() {
            if !level.has(*column) {
                continue;
            }
            *cell = match value {
                Value::Null => continue,
                Value::Text(text) => self.arena.view(text),
                Value::Int64(number) | Value::Timestamp(number) => bits(*number),
                Value::Int32(number) => bits(i64::from(*number)),
                Value::Boolean(truth) => u128::from(*truth),
                Value::Binary(_) => continue,
            };
            valid |= 1 << place;
        }
        self.edges.cells.push(cells);
        self.edges.valid.push(valid);
        // a batch has fewer rows than that
        u32::try_from(self.edges.cells.len() - 1).unwrap_or(u32::MAX)
    }

    /// Begins a row with these signals, and tells what is wanted of it.
    #[inline]
    pub(crate) fn begin_row(&mut self, signals: i64) -> Level {
        self.level = *self.wanted.of(signals);
        self.level
    }

    /// Number of the row that is being written.
    #[inline]
    fn row(&self) -> usize {
        self.edges.rows.len()
    }

    /// Sets a text of the row that is being written, if it is wanted.
    #[inline]
    pub(crate) fn text(&mut self, column: Col, text: &str) {
        if !self.level.has(column) {
            return;
        }
        let (row, view) = (self.row(), self.arena.view(text));
        if let Some(column) = self.columns.get_mut(column as usize) {
            column.set_view(row, view);
        }
    }

    /// Sets a 64-bit number or a time.
    #[inline]
    pub(crate) fn int64(&mut self, column: Col, value: i64) {
        if !self.level.has(column) {
            return;
        }
        let row = self.row();
        if let Some(column) = self.columns.get_mut(column as usize) {
            column.set_int64(row, value);
        }
    }

    /// Sets a 32-bit number.
    #[inline]
    pub(crate) fn int32(&mut self, column: Col, value: i32) {
        if !self.level.has(column) {
            return;
        }
        let row = self.row();
        if let Some(column) = self.columns.get_mut(column as usize) {
            column.set_int32(row, value);
        }
    }

    /// Ends the row that is being written: its edge, the number of its line, who logged the line, and the keys that it carried.
    #[inline]
    pub(crate) fn end_row(&mut self, edge: u32, line: u64, (reporter, keys): (Option<Reporter>, KeySet)) {
        if self.level.has(Col::LogId) {
            let row = self.row();
            self.digits.clear();
            push_number(&mut self.digits, line);
            let id = self.arena.made(&[&self.source, ":", &self.digits]);
            if let Some(column) = self.columns.get_mut(Col::LogId as usize) {
                column.set_view(row, id);
            }
        }
        self.edges.rows.push(edge);
        self.coverage.logged(reporter);
        if self.alike.0 != keys {
            self.count_alike();
            self.alike = (keys, 0);
        }
        self.alike.1 += 1;
    }

    /// Counts the format of the row that was written last.
    #[inline]
    pub(crate) fn count_format(&mut self, format: LineFormat, envelope: Envelope) {
        match &mut self.same {
            Some((same, lines)) if *same == (format, envelope) => *lines += 1,
            _ => {
                self.count_same();
                self.same = Some(((format, envelope), 1));
            }
        }
    }

    /// Appends a row as it is.
    pub(crate) fn append(
        &mut self,
        row: &Row<'_>,
        (edge, signals): (u32, i64),
        line: u64,
        by: (Option<Reporter>, KeySet),
    ) {
        let level = self.begin_row(signals);
        for (column, value) in row.set_values() {
            if edge::is_column(column) || !level.has_number(column) {
                continue;
            }
            let number = self.row();
            let view = match value {
                Value::Text(text) => self.arena.view(text),
                _ => 0,
            };
            if let Some(column) = self.columns.get_mut(column) {
                set(column, number, value, view);
            }
        }
        self.end_row(edge, line, by);
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
        for (column, value) in self.rejects.iter_mut().zip(&values) {
            let view = match value {
                Value::Text(text) => self.arena.view(text),
                _ => 0,
            };
            set(column, self.rejected, value, view);
        }
        self.rejected += 1;
    }

    /// The rows, the rejects, what the rows' lines carried and their formats; the builder starts anew, in the same block.
    pub(crate) fn finish(&mut self) -> (RecordBatch, RecordBatch, Coverage, LineFormats) {
        self.count_alike();
        self.count_same();
        let rows = self.row();
        if let Some(column) = self.columns.get_mut(Col::Source as usize).filter(|_| self.wanted.anywhere(Col::Source)) {
            column.fill_view(rows, self.arena.view(&self.source));
        }
        if let Some(column) =
            self.columns.get_mut(Col::ReceivedAt as usize).filter(|_| self.wanted.anywhere(Col::ReceivedAt))
        {
            column.fill_int64(rows, self.received_at.timestamp_micros());
        }
        std::mem::take(&mut self.edges).gather(&mut self.columns);
        let buffers: Arc<[Buffer]> = self.arena.take().into();
        let batches = (
            record_batch(schema::access_logs(), &mut self.columns, rows, &buffers, &mut self.nulls),
            record_batch(
                schema::rejects(),
                &mut self.rejects,
                std::mem::take(&mut self.rejected),
                &buffers,
                &mut self.nulls,
            ),
            std::mem::take(&mut self.coverage),
            std::mem::take(&mut self.formats),
        );
        self.generation += 1;
        self.columns.iter_mut().for_each(|column| column.expect(rows));
        if let Some(block) = &self.block {
            self.arena.enter(block);
        }
        batches
    }

    fn count_alike(&mut self) {
        let (keys, lines) = std::mem::take(&mut self.alike);
        self.coverage.count(keys, lines);
    }

    fn count_same(&mut self) {
        if let Some(((format, envelope), lines)) = self.same.take() {
            self.formats.count(format, envelope, lines);
        }
    }
}

impl Edges {
    /// Writes each row's cells of its edge, column by column.
    fn gather(self, columns: &mut [Column]) {
        for (place, column) in edge::COLUMNS.iter().enumerate() {
            let any = self.valid.iter().any(|valid| valid >> place & 1 == 1);
            let Some(target) = columns.get_mut(*column as usize).filter(|_| any) else { continue };
            let cell = |(cells, valid): (&[u128; edge::COLUMNS.len()], &u64)| {
                cells.get(place).copied().filter(|_| valid >> place & 1 == 1)
            };
            let cells: Vec<Option<u128>> = self.cells.iter().zip(&self.valid).map(cell).collect();
            target.gather(&self.rows, &cells);
        }
    }
}

fn set(column: &mut Column, row: usize, value: &Value<'_>, view: u128) {
    match value {
        Value::Null => {}
        Value::Boolean(_) => debug_assert!(false, "an edge decides every truth value"),
        Value::Text(_) => column.set_view(row, view),
        Value::Int64(number) | Value::Timestamp(number) => column.set_int64(row, *number),
        Value::Int32(number) => column.set_int32(row, *number),
        Value::Binary(bytes) => column.set_binary(row, bytes),
    }
}

/// Appends a number in decimal.
fn push_number(text: &mut String, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        if let Some(digit) = digits.get_mut(first) {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        }
        number /= 10;
        if number == 0 || first == 0 {
            break;
        }
    }
    text.push_str(digits.get(first..).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default());
}

/// The rows of two batches of one schema, in order.
pub(crate) fn concat(first: &RecordBatch, second: &RecordBatch) -> RecordBatch {
    debug_assert_eq!(first.schema(), second.schema());
    arrow::compute::concat_batches(&first.schema(), [first, second])
        .unwrap_or_else(|_| RecordBatch::new_empty(first.schema()))
}

/// Columns make arrays of the schema's types, all of one length, and a column that is not nullable is always set: the tests hold this, so there
/// is no error to pass on.
fn record_batch(
    schema: SchemaRef,
    columns: &mut [Column],
    rows: usize,
    buffers: &Arc<[Buffer]>,
    nulls: &mut Nulls,
) -> RecordBatch {
    let arrays = columns.iter_mut().map(|column| column.finish(rows, buffers, nulls)).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays);
    debug_assert!(batch.is_ok(), "{batch:?}");
    batch.unwrap_or_else(|_| RecordBatch::new_empty(schema))
}
