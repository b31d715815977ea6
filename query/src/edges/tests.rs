//! Roll-ups against a plain list of requests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use arrow::array::{StringViewArray, new_null_array};
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
struct Call {
    time: i64,
    edge: i64,
    log_type: Option<&'static str>,
    sent: Option<i64>,
    duration: Option<i64>,
}

fn call() -> impl Strategy<Value = Call> {
    let log_type = prop_oneof![4 => Just(None), 1 => Just(Some("DownstreamEnd")), 1 => Just(Some("DownstreamStart"))];
    let duration = prop_oneof![0..300_i64, 0..100_000_i64, Just(i64::MAX), Just(-5_i64)];
    let numbers = (prop::option::of(0..1000_i64), prop::option::of(duration));
    (-3 * MINUTE..3 * MINUTE, 0..3_i64, log_type, numbers).prop_map(|(time, edge, log_type, (sent, duration))| Call {
        time,
        edge,
        log_type,
        sent,
        duration,
    })
}

/// The rows of these calls: an edge's egress host is named after it.
fn rows(calls: &[Call]) -> RecordBatch {
    let schema = schema::access_logs();
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        let numbers = |of: fn(&Call) -> Option<i64>| Arc::new(calls.iter().map(of).collect::<Int64Array>());
        match field.name().as_str() {
            "time" | "ended_at" | "received_at" => {
                let times = TimestampMicrosecondArray::from_iter_values(calls.iter().map(|call| call.time));
                Arc::new(times.with_timezone("UTC"))
            }
            "edge" => numbers(|call| Some(call.edge)),
            "bytes_sent" => numbers(|call| call.sent),
            "duration_ms" => numbers(|call| call.duration),
            "access_log_type" => Arc::new(StringViewArray::from_iter(calls.iter().map(|call| call.log_type))),
            "egress_host" => Arc::new(StringViewArray::from_iter_values(
                calls.iter().map(|call| format!("a host whose name is long, {}", call.edge)),
            )),
            _ if field.is_nullable() => new_null_array(field.data_type(), calls.len()),
            _ if *field.data_type() == DataType::Int64 => numbers(|_| Some(0)),
            _ => Arc::new(StringViewArray::from_iter_values(calls.iter().map(|_| "always there"))),
        }
    });
    let columns: Vec<ArrayRef> = columns.collect();
    RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
}

/// What a roll-up says, as plain values; its text must be the edge's.
type Plain = BTreeMap<(i64, i64), (i64, Option<i64>, Option<i64>, Option<i64>, Vec<(i64, i64)>)>;

fn plain(rolled: &RecordBatch) -> Plain {
    let number = |name| column::<Int64Type>(rolled, name).unwrap();
    let times = column::<TimestampMicrosecondType>(rolled, "time").unwrap();
    let latency = rolled.column_by_name("latency").unwrap().as_list::<i32>();
    let hosts = rolled.column_by_name("egress_host").unwrap().as_string_view();
    let all = (0..rolled.num_rows()).map(|row| {
        let edge = number("edge").value(row);
        assert_eq!(hosts.value(row), format!("a host whose name is long, {edge}"));
        let mut buckets = Vec::new();
        if latency.is_valid(row) {
            let value = latency.value(row);
            let part = |at| value.as_struct().column(at).as_primitive::<Int64Type>();
            buckets.extend(part(0).values().iter().copied().zip(part(1).values().iter().copied()));
        }
        let numbers = ["bytes_sent", "duration_ms", "duration_ms_max"].map(|name| value(number(name), row));
        let [sent, duration, largest] = numbers;
        ((times.value(row), edge), (number("requests").value(row), sent, duration, largest, buckets))
    });
    let map: Plain = all.collect();
    assert_eq!(map.len(), rolled.num_rows(), "a minute and edge twice");
    map
}

/// What it should say.
fn expected(calls: &[Call]) -> Plain {
    let mut map: BTreeMap<(i64, i64), Vec<&Call>> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.log_type != Some("DownstreamStart")) {
        map.entry((call.time.div_euclid(MINUTE) * MINUTE, call.edge)).or_default().push(call);
    }
    let sum = |values: Vec<i64>| values.into_iter().reduce(i64::saturating_add);
    let of = |calls: Vec<&Call>| {
        let durations: Vec<i64> = calls.iter().filter_map(|call| call.duration).collect();
        let mut buckets = BTreeMap::new();
        let histogram = hdrhistogram::Histogram::<u64>::new(2).unwrap();
        for duration in &durations {
            let lowest = histogram.lowest_equivalent((*duration).max(0) as u64);
            *buckets.entry(lowest as i64).or_insert(0) += 1;
        }
        let sent = sum(calls.iter().filter_map(|call| call.sent).collect());
        let largest = durations.iter().copied().max();
        (calls.len() as i64, sent, sum(durations), largest, buckets.into_iter().collect())
    };
    map.into_iter().map(|(key, calls)| (key, of(calls))).collect()
}

proptest! {
    #[test]
    fn pieces_do_not_matter(calls in prop::collection::vec(call(), 0..60), cuts in prop::collection::vec(1..20_usize, 0..6)) {
        // i64::MAX and -5 in either order saturate to other sums
        let calls: Vec<Call> = calls.into_iter().map(|call| Call { duration: call.duration.filter(|d| *d >= 0), ..call }).collect();
        let (mut left, mut parts) = (calls.as_slice(), Vec::new());
        for cut in cuts {
            let (part, rest) = left.split_at(cut.min(left.len()));
            parts.push(roll_up(&rows(part)).unwrap());
            left = rest;
        }
        parts.push(roll_up(&rows(left)).unwrap());
        let merged = merge(&parts.iter().collect::<Vec<_>>()).unwrap();
        prop_assert_eq!(plain(&merged), expected(&calls));
        prop_assert_eq!(&merge(&[&merged]).unwrap(), &merged);
        prop_assert_eq!(&roll_up(&rows(&calls)).unwrap(), &merged);
    }
}

#[test]
fn nothing_is_nothing() {
    assert_eq!(merge(&[]).unwrap().num_rows(), 0);
    let other = RecordBatch::new_empty(schema::rejects());
    assert!(roll_up(&other).unwrap_err().to_string().contains("there is no column time"));
}
