//! The rows of a stretch of time that carry a signal, sorted by time, in memory.
//!
//! ```text
//!  store ─▶ filter by signals ─▶ compact batches ─▶ sorted, in batches of a session over few rows ─▶ those of a detection ─▶ those of a window
//! ```
//! Every batch has memory of its own. The engine's operators count the memory of each batch that they hold: of slices of one large batch each would
//! count as the whole, and a burst of denials would end the detection that is there to find it.

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{BatchCoalescer, interleave_record_batch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::prelude::{col, lit};
use futures::TryStreamExt;

use super::{Core, CoreError};
use crate::detect::Detection;
use crate::sql::NARROW_BATCH;
use crate::store::Snapshot;
use crate::window::Window;

/// Bytes of rows that are read into memory at most; where there are more, detections run over the store itself.
pub(super) const MOST: usize = 64 << 20;

/// Rows of a batch while they are read.
const READ_BATCH: usize = 8192;

/// Rows that carry a signal, by time: of the columns that are read.
#[derive(Clone, Debug)]
pub(super) struct Suspicious {
    /// In order, and in order within. None is empty.
    batches: Vec<RecordBatch>,
}

impl Suspicious {
    /// The rows of a stretch that carry a signal of `mask`; none if they take more than `most` bytes.
    pub(super) async fn read(
        core: &Core,
        snapshot: &Snapshot,
        stretch: Window,
        mask: i64,
        columns: &[&str],
        most: usize,
    ) -> Result<Option<Self>, CoreError> {
        let time = |micros: i64| lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
        let frame = with_signals(core, snapshot, stretch, mask)?
            .filter(col("time").gt_eq(time(stretch.start())).and(col("time").lt(time(stretch.end()))))?
            .select_columns(columns)?;
        let work = core.beside.spawn(async move {
            let Some(batches) = collect_at_most(frame, most).await? else { return Ok(None) };
            Ok::<_, CoreError>(Some(Self { batches: by_time(&batches)? }))
        });
        work.await.map_err(|error| DataFusionError::External(Box::new(error)))?
    }

    /// The rows in an interval.
    pub(super) fn slice(&self, interval: Window) -> Vec<RecordBatch> {
        let slice = |batch: &RecordBatch| {
            let times = times(batch);
            let from = times.partition_point(|time| *time < interval.start());
            let to = times.partition_point(|time| *time < interval.end());
            (from < to).then(|| batch.slice(from, to - from))
        };
        let first =
            self.batches.partition_point(|batch| times(batch).last().is_some_and(|last| *last < interval.start()));
        self.batches.iter().skip(first).map_while(slice).collect()
    }

    /// The rows that a detection's signals select, of the columns that it reads.
    pub(super) fn of(&self, detection: &Detection) -> Result<Self, ArrowError> {
        let Some(first) = self.batches.first() else { return Ok(self.clone()) };
        let fields = first.schema_ref().fields().iter().enumerate();
        let places: Vec<usize> = match detection.prepared() {
            Ok(prepared) => {
                let is_read = |name: &str| name == "time" || prepared.columns().contains(name);
                fields.filter(|(_, field)| is_read(field.name())).map(|(place, _)| place).collect()
            }
            Err(_) => fields.map(|(place, _)| place).collect(),
        };
        let mut wanted = Vec::with_capacity(self.batches.len());
        for batch in &self.batches {
            let signals = batch.column_by_name("signals").and_then(|column| column.as_primitive_opt::<Int64Type>());
            let is_wanted = |signals| BooleanArray::from_unary(signals, |set| set & detection.header.signals != 0);
            wanted.push((batch.project(&places)?, signals.map(is_wanted)));
        }
        let schema = wanted.first().map_or_else(|| first.schema(), |(batch, _)| batch.schema());
        let mut coalescer = BatchCoalescer::new(schema, NARROW_BATCH);
        for (batch, wanted) in wanted {
            match wanted {
                Some(wanted) => coalescer.push_batch_with_filter(batch, &wanted)?,
                None => coalescer.push_batch(batch)?,
            }
        }
        coalescer.finish_buffered_batch()?;
        let mut batches = Vec::new();
        while let Some(batch) = coalescer.next_completed_batch() {
            // its texts stand in blocks that were made for more
            batches.push(compact(&batch)?);
        }
        Ok(Self { batches })
    }
}

/// The rows of a stretch, and of some time around it, that carry a signal of `mask`.
pub(super) fn with_signals(
    core: &Core,
    snapshot: &Snapshot,
    stretch: Window,
    mask: i64,
) -> Result<DataFrame, DataFusionError> {
    let wanted = datafusion::logical_expr::bitwise_and(col("signals"), lit(mask)).not_eq(lit(0_i64));
    core.beside.read(snapshot.access_logs_between(stretch))?.filter(wanted)
}

/// The rows of a frame in compact batches; none if they take more than `most` bytes.
async fn collect_at_most(frame: DataFrame, most: usize) -> Result<Option<Vec<RecordBatch>>, CoreError> {
    let mut stream = frame.execute_stream().await?;
    let mut coalescer = BatchCoalescer::new(stream.schema(), READ_BATCH);
    let (mut batches, mut bytes) = (Vec::new(), 0);
    loop {
        let next = stream.try_next().await?;
        match &next {
            Some(batch) => coalescer.push_batch(batch.clone())?,
            None => coalescer.finish_buffered_batch()?,
        }
        while let Some(batch) = coalescer.next_completed_batch() {
            let batch = compact(&batch)?;
            bytes += batch.get_array_memory_size();
            batches.push(batch);
        }
        if bytes > most {
            return Ok(None);
        }
        if next.is_none() {
            return Ok(Some(batches));
        }
    }
}

/// The rows of all batches, sorted by time, in batches of a session over few rows.
fn by_time(batches: &[RecordBatch]) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut places: Vec<(i64, usize, usize)> = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        places.extend(times(batch).iter().enumerate().map(|(row, time)| (*time, number, row)));
    }
    places.sort_unstable();
    let places: Vec<(usize, usize)> = places.into_iter().map(|(_, batch, row)| (batch, row)).collect();
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    let sorted = places.chunks(NARROW_BATCH).map(|places| compact(&interleave_record_batch(&batches, places)?));
    sorted.collect()
}

fn times(batch: &RecordBatch) -> &[i64] {
    let time = batch.column_by_name("time").and_then(|time| time.as_primitive_opt::<TimestampMicrosecondType>());
    time.map(|time| time.values().as_ref()).unwrap_or_default()
}

/// A batch that keeps no bytes alive but its own.
fn compact(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(|column| match column.as_string_view_opt() {
        Some(texts) => std::sync::Arc::new(texts.gc()) as ArrayRef,
        None => column.clone(),
    });
    RecordBatch::try_new(batch.schema(), columns.collect())
}

#[cfg(test)]
mod tests;
