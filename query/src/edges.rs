//! Roll-ups: rows of `access_logs` summed up by minute and edge, as rows of `edges_1m` ([`ingest::schema::edges_1m`]).
//!
//! ```text
//!  rows of a batch ─roll_up─▶ a row for each (minute, edge) ┐
//!  rows of another ─roll_up─▶ …                              ├─merge─▶ a row for each (minute, edge) of all of them
//!  …                                                        ┘
//! ```
//! Sums of sums are sums, so it does not matter in which pieces rows come: merging the roll-ups of parts is the roll-up of the whole (a test says so).
//! Lines that only repeat a request (start, periodic, per try) are not counted. Answers are sorted by minute and edge, and hold no memory of what they
//! were made of.

mod latency;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, ArrowPrimitiveType, AsArray as _, Int64Array, PrimitiveArray, RecordBatch,
    TimestampMicrosecondArray,
};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use ingest::schema;

use latency::Latency;

/// A minute, µs.
const MINUTE: i64 = 60_000_000;

/// The places of the columns of `access_logs` that a roll-up reads, rising.
pub(crate) fn columns() -> Vec<usize> {
    let read = ["time", "edge", "access_log_type", "bytes_received", "bytes_sent", "duration_ms"];
    let names = read.iter().chain(schema::EDGE_NAMES.iter());
    let mut places: Vec<usize> = names.filter_map(|name| schema::index(name)).collect();
    places.sort_unstable();
    places
}

/// Rows of `access_logs`, summed up. Columns that are not read may be absent.
pub(crate) fn roll_up(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let times = column::<TimestampMicrosecondType>(rows, "time")?;
    let edges = column::<Int64Type>(rows, "edge")?;
    let types = rows.column_by_name("access_log_type").and_then(|column| column.as_string_view_opt());
    let number = |name| column::<Int64Type>(rows, name);
    let (received, sent, durations) = (number("bytes_received")?, number("bytes_sent")?, number("duration_ms")?);
    let mut groups = Groups::default();
    for row in 0..rows.num_rows() {
        let log_type = types.and_then(|types| types.is_valid(row).then(|| types.value(row)));
        if !ingest::is_request(log_type) {
            continue;
        }
        let time = times.value(row);
        let minute = time.saturating_sub(time.rem_euclid(MINUTE));
        let sums = groups.of((minute, edges.value(row)), (0, row));
        sums.requests += 1;
        add(&mut sums.bytes_received, value(received, row));
        add(&mut sums.bytes_sent, value(sent, row));
        if let Some(duration) = value(durations, row) {
            add(&mut sums.duration_ms, Some(duration));
            sums.duration_ms_max = sums.duration_ms_max.max(Some(duration));
            sums.latency.record(duration, 1);
        }
    }
    groups.into_rows(&[rows])
}

/// Rows of `edges_1m`, those of one minute and edge made one.
pub(crate) fn merge(batches: &[&RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let mut groups = Groups::default();
    for (batch, rows) in batches.iter().enumerate() {
        let times = column::<TimestampMicrosecondType>(rows, "time")?;
        let number = |name| column::<Int64Type>(rows, name);
        let (edges, requests) = (number("edge")?, number("requests")?);
        let (received, sent) = (number("bytes_received")?, number("bytes_sent")?);
        let (durations, largest) = (number("duration_ms")?, number("duration_ms_max")?);
        let latencies = rows.column_by_name("latency").and_then(|column| column.as_list_opt::<i32>());
        let latencies = latencies.ok_or_else(|| no_column("latency"))?;
        for row in 0..rows.num_rows() {
            let sums = groups.of((times.value(row), edges.value(row)), (batch, row));
            sums.requests = sums.requests.saturating_add(requests.value(row));
            add(&mut sums.bytes_received, value(received, row));
            add(&mut sums.bytes_sent, value(sent, row));
            add(&mut sums.duration_ms, value(durations, row));
            sums.duration_ms_max = sums.duration_ms_max.max(value(largest, row));
            if latencies.is_valid(row) {
                sums.latency.add(&latencies.value(row));
            }
        }
    }
    groups.into_rows(batches)
}

/// What is known of a minute and edge.
#[derive(Debug, Default)]
struct Sums {
    requests: i64,
    bytes_received: Option<i64>,
    bytes_sent: Option<i64>,
    duration_ms: Option<i64>,
    duration_ms_max: Option<i64>,
    latency: Latency,
}

/// µs, and the edge.
type Key = (i64, i64);
/// A batch, and a row of it.
type Place = (usize, usize);

#[derive(Debug, Default)]
struct Groups {
    by_key: HashMap<Key, usize>,
    /// Where names of the edge can be read, and its sums.
    all: Vec<(Key, Place, Sums)>,
    /// The one that was asked for last: calls of one edge come in runs.
    last: Option<(Key, usize)>,
}

impl Groups {
    fn of(&mut self, key: Key, place: Place) -> &mut Sums {
        let at = match self.last {
            Some((last, at)) if last == key => at,
            _ => *self.by_key.entry(key).or_insert_with(|| {
                self.all.push((key, place, Sums::default()));
                self.all.len() - 1
            }),
        };
        self.last = Some((key, at));
        &mut self.all[at].2
    }

    fn into_rows(mut self, batches: &[&RecordBatch]) -> Result<RecordBatch, ArrowError> {
        let schema = schema::edges_1m();
        self.all.sort_unstable_by_key(|(key, ..)| *key);
        let all = &self.all;
        let places: Vec<Place> = all.iter().map(|(_, place, _)| *place).collect();
        let sums = |of: fn(&Sums) -> Option<i64>| -> ArrayRef {
            Arc::new(all.iter().map(|(.., sums)| of(sums)).collect::<Int64Array>())
        };
        let columns = schema.fields().iter().map(|field| {
            Ok(match field.name().as_str() {
                "time" => {
                    let minutes = all.iter().map(|((minute, _), ..)| *minute);
                    Arc::new(TimestampMicrosecondArray::from_iter_values(minutes).with_timezone("UTC")) as ArrayRef
                }
                "edge" => Arc::new(Int64Array::from_iter_values(all.iter().map(|((_, edge), ..)| *edge))),
                "requests" => sums(|sums| Some(sums.requests)),
                "bytes_received" => sums(|sums| sums.bytes_received),
                "bytes_sent" => sums(|sums| sums.bytes_sent),
                "duration_ms" => sums(|sums| sums.duration_ms),
                "duration_ms_max" => sums(|sums| sums.duration_ms_max),
                "latency" => latency::column(field, all.iter().map(|(.., sums)| &sums.latency))?,
                name => gather(batches, name, &places, field.data_type())?,
            })
        });
        RecordBatch::try_new(Arc::clone(&schema), columns.collect::<Result<_, ArrowError>>()?)
    }
}

/// A column's values at these places, in memory of their own.
fn gather(batches: &[&RecordBatch], name: &str, places: &[Place], kind: &DataType) -> Result<ArrayRef, ArrowError> {
    let columns = batches.iter().map(|rows| rows.column_by_name(name).ok_or_else(|| no_column(name)));
    let columns: Vec<_> = columns.map(|column| column.map(AsRef::as_ref)).collect::<Result<_, _>>()?;
    if columns.is_empty() || places.is_empty() {
        return Ok(arrow::array::new_empty_array(kind));
    }
    let values = interleave(&columns, places)?;
    Ok(match values.as_string_view_opt() {
        Some(texts) => Arc::new(texts.gc()),
        None => values,
    })
}

fn column<'a, T: ArrowPrimitiveType>(rows: &'a RecordBatch, name: &str) -> Result<&'a PrimitiveArray<T>, ArrowError> {
    let column = rows.column_by_name(name).and_then(|column| column.as_primitive_opt::<T>());
    column.ok_or_else(|| no_column(name))
}

fn no_column(name: &str) -> ArrowError {
    ArrowError::SchemaError(format!("there is no column {name} of its type"))
}

fn value(numbers: &Int64Array, row: usize) -> Option<i64> {
    numbers.is_valid(row).then(|| numbers.value(row))
}

fn add(sum: &mut Option<i64>, more: Option<i64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0).saturating_add(more));
    }
}
