//! Cutting a batch at bucket boundaries: not at all if it lies in one bucket (the usual case), by slicing where the rows of a
//! bucket are neighbours, else by copying views (`take`).

use std::collections::BTreeMap;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;

use super::{BUCKET, Bucket, MAX_PIECES};
use crate::store::span::{self, Span};

/// The batch in pieces; every row in exactly one of them, order within a bucket kept.
pub(super) fn split(rows: &RecordBatch, time_column: usize) -> Result<Vec<(Bucket, RecordBatch)>, ArrowError> {
    if rows.num_rows() == 0 {
        return Ok(Vec::new());
    }
    let whole = |bucket| Ok(vec![(bucket, rows.clone())]);
    let Some(times) = span::times(rows, time_column) else { return whole(None) };
    let Some(Span { earliest, latest }) = Span::of(times) else { return whole(None) };
    let (first, last) = (bucket_of(earliest), bucket_of(latest));
    if first == last {
        return whole(Some(first));
    }
    let mut indices: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    for (index, time) in (0u32..).zip(times.values()) {
        indices.entry(bucket_of(*time)).or_default().push(index);
        if indices.len() > MAX_PIECES {
            return whole(None);
        }
    }
    indices.into_iter().map(|(bucket, indices)| Ok((Some(bucket), pick(rows, indices)?))).collect()
}

fn bucket_of(time: i64) -> i64 {
    time.saturating_sub(time.rem_euclid(BUCKET))
}

/// The rows at ascending `indices`.
fn pick(rows: &RecordBatch, indices: Vec<u32>) -> Result<RecordBatch, ArrowError> {
    match (indices.first(), indices.last()) {
        (Some(first), Some(last)) if (last - first) as usize + 1 == indices.len() => {
            Ok(rows.slice(*first as usize, indices.len()))
        }
        _ => take_record_batch(rows, &UInt32Array::from(indices)),
    }
}
