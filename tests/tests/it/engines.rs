//! The tables as other engines read them: after flushes, compaction and deletion each counts what our SQL counts.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use chrono::DateTime;
use ingest::{DecodeOptions, Decoder};
use query::sql::Limits;
use query::store::{Eagerness, Retention};
use query::{Core, CoreOptions};
use serde_json::{Value, json};
use tests::receivers::Engines;

const DAY: i64 = 86_400;
/// 2026-11-20T00:00:00Z
const FIRST: i64 = 1_795_132_800;

/// Lines of that day.
fn lines(day: i64, count: i64) -> String {
    let line = |n: i64| {
        let time = DateTime::from_timestamp(FIRST + day * DAY + n * 60, 0).unwrap().to_rfc3339();
        format!(r#"{{"start_time":"{time}","method":"GET","path":"/{n}","response_code":200,"bytes_sent":{n}}}"#) + "\n"
    };
    (0..count).map(line).collect()
}

/// A query's rows, as text.
async fn asked(core: &Core, query: &str) -> Vec<Vec<String>> {
    let rows = core.query(query, Limits::default()).await.unwrap().batches;
    let text = |batch: &RecordBatch, row: usize| {
        batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap()).collect()
    };
    rows.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| text(batch, row)).collect::<Vec<_>>()).collect()
}

/// The tables that are asked, a column of which values are told apart, and one that is summed up.
const TABLES: [[&str; 3]; 2] = [["access_logs", "log_id", "bytes_sent"], ["edges_1m", "edge", "requests"]];

async fn ours(core: &Core, [table, distinct, summed]: [&str; 3]) -> Value {
    let number = |text: &String| Value::from(text.parse::<i64>().unwrap());
    let total = format!("SELECT count(*), count(DISTINCT {distinct}), sum({summed}) FROM {table}");
    let mut all: Vec<Value> = asked(core, &total).await[0].iter().map(number).collect();
    let days = format!("SELECT substr(cast(time AS VARCHAR), 1, 10), count(*) FROM {table} GROUP BY 1");
    let days = asked(core, &days).await;
    all.push(days.iter().map(|day| (day[0].clone(), number(&day[1]))).collect::<serde_json::Map<_, _>>().into());
    all.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_engines_count_what_we_count() {
    let engines = Engines::install().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let core = Core::open(folder.path(), CoreOptions::default()).await.unwrap();
    let take = async |number: usize, lines: &str| {
        let mut decoder =
            Decoder::new(Arc::new(DecodeOptions::default()), format!("in/{number}"), DateTime::UNIX_EPOCH);
        decoder.push(lines.as_bytes());
        core.append(&decoder.finish().unwrap()).await.unwrap();
        core.flush().await.unwrap();
    };
    let now = DateTime::from_timestamp(FIRST + 6 * DAY, 0).unwrap();
    for step in 0..4 {
        match step {
            // two days a flush, one of them shared
            0 => {
                for day in 0..5 {
                    let both = lines(day, 1000) + &lines(day + 1, 300);
                    take(day as usize, &both).await;
                }
            }
            1 => while core.store().compact(Eagerness::Full, now).await.unwrap().is_some() {},
            2 => {
                let (days, default) = (Some(4), Retention::default());
                let retention = Retention { access_logs_days: days, edges_1m_days: days, ..default };
                let done = core.store().retain(&retention, now).await.unwrap();
                assert_eq!(done.last().unwrap().deleted_rows, 1000 + 1300);
                core.store().vacuum(std::time::Duration::ZERO).await.unwrap();
            }
            _ => take(9, &lines(5, 7)).await,
        }
        for table in TABLES {
            let [name, distinct, summed] = table;
            let theirs = engines.read(&folder.path().join(name), distinct, summed).unwrap();
            let ours = ours(&core, table).await;
            assert_eq!(theirs["partitions"], json!(["day"]));
            for engine in ["deltalake", "polars", "duckdb"] {
                assert_eq!(theirs[engine], ours, "{engine} in {name} after step {step}");
            }
        }
    }
}
