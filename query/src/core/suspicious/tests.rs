#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{Int64Array, StringViewArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use proptest::prelude::*;

use super::*;

/// One batch: a text of 40 bytes of its own for every row, and its number.
fn batch(times: &[i64], from: i64) -> RecordBatch {
    let numbers: Vec<i64> = (from..).take(times.len()).collect();
    let texts: StringViewArray = numbers.iter().map(|n| Some(format!("{n:040}"))).collect();
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let fields = vec![
        Field::new("time", utc, false),
        Field::new("signals", DataType::Int64, false),
        Field::new("text", DataType::Utf8View, false),
    ];
    let times = TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![Arc::new(times), Arc::new(Int64Array::from(numbers)), Arc::new(texts)];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn rows(batches: &[RecordBatch]) -> Vec<(i64, i64, String)> {
    let rows = batches.iter().flat_map(|batch| {
        let numbers = batch.column(1).as_primitive::<Int64Type>();
        let texts = batch.column(2).as_string_view();
        times(batch).iter().enumerate().map(|(row, time)| (*time, numbers.value(row), texts.value(row).to_owned()))
    });
    rows.collect()
}

proptest! {
    #[test]
    fn slices_hold_the_rows_of_their_interval_in_order(
        all in prop::collection::vec(prop::collection::vec(0..4000_i64, 0..1500), 0..4),
        from in -10..4010_i64,
        length in 1..4000_i64,
    ) {
        let mut count = 0;
        let mut batches = Vec::new();
        for times in &all {
            batches.push(batch(times, count));
            count += i64::try_from(times.len()).unwrap();
        }
        let suspicious = Suspicious { batches: by_time(&batches).unwrap() };
        let interval = Window::new(from, from + length).unwrap();
        let mut expected = rows(&batches);
        expected.retain(|(time, ..)| (from..from + length).contains(time));
        expected.sort_unstable();
        let slices = suspicious.slice(interval);
        prop_assert!(slices.iter().all(|slice| (1..=NARROW_BATCH).contains(&slice.num_rows())));
        prop_assert_eq!(rows(&slices), expected);
    }
}

#[test]
fn memory_is_counted_once() {
    let times: Vec<i64> = (0..100_000).rev().collect();
    let one = batch(&times, 0);
    let sorted = by_time(std::slice::from_ref(&one)).unwrap();
    let counted: usize = sorted.iter().map(RecordBatch::get_array_memory_size).sum();
    assert!(counted < one.get_array_memory_size() * 3 / 2, "{counted} bytes of {}", one.get_array_memory_size());
}
