#![allow(clippy::unwrap_used)]

use arrow::array::AsArray;
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampMicrosecondType;
use chrono::{DateTime, Utc};
use datafusion::datasource::MemTable;

use super::*;
use crate::detect::{Engine, Pack};

/// The sample logs, by time.
fn rows() -> RecordBatch {
    let options = Arc::new(ingest::DecodeOptions::default());
    let mut decoder = ingest::Decoder::new(options, "sample", DateTime::<Utc>::UNIX_EPOCH);
    decoder.push(include_bytes!("../../../../sample-logs/mesh.jsonl"));
    let rows = decoder.finish().unwrap().rows;
    let times = rows.column_by_name("time").unwrap();
    let order = arrow::compute::sort_to_indices(times, None, None).unwrap();
    arrow::compute::take_record_batch(&rows, &order).unwrap()
}

fn facts(hits: Vec<Hit>) -> Vec<crate::finding::Finding> {
    hits.into_iter().map(Hit::into_finding).collect()
}

#[tokio::test]
async fn a_prepared_plan_says_what_a_fresh_one_says() {
    let sql = Sql::new(256 << 20).unwrap();
    let engine = Engine::new(sql.clone());
    let rows = rows();
    let times = rows.column_by_name("time").unwrap().as_primitive::<TimestampMicrosecondType>().values().to_vec();
    let mut found = 0;
    for detection in Pack::built_in(&sql).await.detections() {
        let prepared = detection.prepared().unwrap();
        let narrow: Vec<usize> = prepared.columns().iter().map(|name| ingest::schema::index(name).unwrap()).collect();
        let length = detection.header.window_micros();
        let mut window = Window::holding(times[0] - length, length);
        // what one window leaves behind must not show in the next
        for _ in 0..8 {
            let from = times.partition_point(|time| *time < window.start() - detection.header.lookback_micros());
            let to = times.partition_point(|time| *time < window.end());
            let slice = rows.slice(from, to - from);
            let owned = concat_batches(&slice.schema(), [&slice]).unwrap();
            let table = Arc::new(MemTable::try_new(owned.schema(), vec![vec![owned]]).unwrap());
            let fresh = facts(engine.evaluate(detection, window, table).await.unwrap());
            let fast = facts(prepared.evaluate(window, vec![slice.project(&narrow).unwrap()]).await.unwrap());
            assert_eq!(fresh, fast, "{} {window:?}", detection.header.id);
            found += fast.len();
            window = Window::holding(window.end(), length);
        }
    }
    assert!(found >= 10, "only {found} hits were compared");
}
