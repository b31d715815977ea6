//! Durations of many requests in little room: the buckets of an hdrhistogram that something is in.
//!
//! ```text
//!  ms:  0 1 2 … 255 | 256 258 260 … 510 | 512 516 … 1020 | …      a bucket is named by its lowest value; at most 0.8 % wide
//! ```
//! These are the buckets of `hdrhistogram` with two significant digits (a test compares), so that its histogram can be made of them, and any two can be
//! added. A dense one would take kilobytes for each minute and edge.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, Int64Array, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use arrow::error::ArrowError;

/// Values below are their own bucket: two significant digits need 200 of them, hdrhistogram takes the next power of two.
const EXACT_BITS: u32 = 8;

/// Lowest values of buckets, rising, and how often something fell into each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Latency(Vec<(i64, i64)>);

impl Latency {
    /// Counts a duration in ms; one below 0 as 0.
    pub(super) fn record(&mut self, duration: i64, times: i64) {
        let bucket = bucket(duration);
        match self.0.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(times),
            Err(at) => self.0.insert(at, (bucket, times)),
        }
    }

    /// Adds a value of the column: a struct of buckets and counts.
    pub(super) fn add(&mut self, value: &ArrayRef) {
        let Some(parts) = value.as_struct_opt() else { return };
        let numbers = |name| parts.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let (Some(buckets), Some(counts)) = (numbers("bucket"), numbers("count")) else { return };
        for (bucket, count) in buckets.iter().zip(counts) {
            self.record(bucket.unwrap_or(0), count.unwrap_or(0));
        }
    }
}

/// The column of these; nothing recorded is null.
pub(super) fn column<'a>(
    field: &FieldRef,
    all: impl Iterator<Item = &'a Latency> + Clone,
) -> Result<ArrayRef, ArrowError> {
    let DataType::List(item) = field.data_type() else {
        return Err(ArrowError::SchemaError(format!("{} is no list", field.name())));
    };
    let DataType::Struct(parts) = item.data_type() else {
        return Err(ArrowError::SchemaError(format!("{} is no list of buckets", field.name())));
    };
    let pairs = || all.clone().flat_map(|latency| &latency.0);
    let buckets = Int64Array::from_iter_values(pairs().map(|(bucket, _)| *bucket));
    let counts = Int64Array::from_iter_values(pairs().map(|(_, count)| *count));
    // the last offset counts all of them: if it is an i32, so are those before
    i32::try_from(buckets.len()).map_err(|_| ArrowError::OffsetOverflowError(buckets.len()))?;
    let offsets = OffsetBuffer::from_lengths(all.clone().map(|latency| latency.0.len()));
    let nulls: NullBuffer = all.map(|latency| !latency.0.is_empty()).collect();
    let values = StructArray::try_new(parts.clone(), vec![Arc::new(buckets), Arc::new(counts)], None)?;
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, Arc::new(values), Some(nulls))?))
}

/// The lowest value of a duration's bucket.
fn bucket(duration: i64) -> i64 {
    let duration = duration.max(0);
    let wide = (i64::BITS - duration.leading_zeros()).saturating_sub(EXACT_BITS);
    duration >> wide << wide
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn buckets_are_those_of_hdrhistogram(duration in prop_oneof![0..100_000_i64, any::<i64>()]) {
            let histogram = hdrhistogram::Histogram::<u64>::new(2).unwrap();
            let known = duration.max(0);
            prop_assert_eq!(bucket(duration), histogram.lowest_equivalent(known as u64) as i64);
        }
    }
}
