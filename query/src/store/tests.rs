//! The store's promises, against a model that is a plain list of rows.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;
mod older;
mod rows;
mod writers;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, TimeUnit};
use chrono::DateTime;

use super::state::Which;
use super::{Eagerness, Flushed, Snapshot, Store, StoreError, StoreOptions};
use crate::window::Window;
use rows::{MINUTE, batch, sql, sql_over, table_ids};

async fn open(dir: &Path) -> Store {
    Store::open(dir, StoreOptions::default()).await.unwrap()
}

fn parquet_files(folder: &Path) -> u64 {
    let (mut files, mut left) = (0, vec![folder.to_owned()]);
    while let Some(path) = left.pop() {
        if path.is_dir() && !path.ends_with("_delta_log") {
            left.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|ending| ending == "parquet") {
            files += 1;
        }
    }
    files
}

async fn check(snapshot: &Snapshot, logs: &[String], rejects: &[String]) {
    check_lines(snapshot, logs, rejects).await;
    rolled_up(snapshot).await;
}

async fn check_lines(snapshot: &Snapshot, logs: &[String], rejects: &[String]) {
    let count = sql(snapshot, "select count(*), count(distinct log_id) from access_logs").await;
    assert_eq!(count, [[logs.len().to_string(), logs.len().to_string()]]);
    let sorted = |ids: &[String]| ids.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    assert_eq!(table_ids(snapshot.access_logs()).await, sorted(logs));
    assert_eq!(table_ids(snapshot.rejects()).await, sorted(rejects));
}

/// Each minute and edge has as many requests rolled up as there are rows.
async fn rolled_up(snapshot: &Snapshot) {
    let rolled_up = "(select edge, time, sum(requests) as n from edges_1m group by edge, time)";
    let counted = "(select edge, date_trunc('minute', time) as time, count(*) as n from access_logs group by 1, 2)";
    let other = format!(
        "select count(*) from {rolled_up} r full join {counted} c on r.edge = c.edge and r.time = c.time where r.n is distinct from c.n"
    );
    assert_eq!(sql(snapshot, &other).await, [["0"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_snapshot_is_a_prefix_of_what_was_appended_also_during_flushes() {
    const ROWS: usize = 50;
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let flushing = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for _ in 0..8 {
                store.flush().await.unwrap();
            }
        }
    });
    let first = store.snapshot();
    let mut number: usize = 0;
    while !flushing.is_finished() {
        let times: Vec<i64> = (0..ROWS as i64).map(|row| row * MINUTE).collect();
        store.append(&batch(&format!("s{number}"), &times, 0)).await.unwrap();
        number += 1;
        let snapshot = store.snapshot();
        let count = sql(&snapshot, "select count(log_id), count(distinct log_id) from access_logs").await;
        let expected = (snapshot.sequence() as usize * ROWS).to_string();
        assert_eq!(count, [[expected.clone(), expected]]);
    }
    flushing.await.unwrap();
    assert_eq!(sql(&first, "select count(*) from access_logs").await, [["0"]]);
    assert!(store.stats().cold_files > 0, "no flush happened while appending");
}

#[tokio::test]
async fn reopening_finds_rows_sequence_and_coverage() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    assert_eq!(store.append(&batch("gw", &[0, MINUTE], 1)).await.unwrap(), 1);
    assert_eq!(store.append(&batch("gw", &[2 * MINUTE], 0)).await.unwrap(), 2);
    assert_eq!(store.append(&batch("web", &[], 2)).await.unwrap(), 3);
    let (coverage, stats) = (store.coverage(), store.stats());
    assert_eq!((coverage["gw"].get("time"), stats.earliest, stats.latest), (3, Some(0), Some(2 * MINUTE)));
    store.close().await.unwrap();
    assert!(matches!(store.append(&batch("gw", &[0], 0)).await, Err(StoreError::Closed)));

    let store = open(dir.path()).await;
    assert_eq!(store.coverage(), coverage);
    let stats = store.stats();
    assert_eq!((stats.cold_rows, stats.rejects, stats.earliest, stats.latest), (3, 3, Some(0), Some(2 * MINUTE)));
    assert_eq!((stats.sequence, stats.flushed_sequence, stats.hot_rows, stats.hot_bytes), (3, 3, 0, 0));
    assert_eq!(store.append(&batch("gw", &[0], 0)).await.unwrap(), 4);
}

#[tokio::test]
async fn rows_of_a_minute_and_edge_become_one_when_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let all = "select count(*), sum(requests), count(distinct source_principal) from edges_1m";
    for seconds in [0, 1, 59] {
        store.append(&batch("gw", &[seconds * 1_000_000, MINUTE], 0)).await.unwrap();
    }
    assert_eq!(sql(&store.snapshot(), all).await, [["6", "6", "2"]]);
    assert_eq!(store.flush().await.unwrap().edges, 2);
    assert_eq!(sql(&store.snapshot(), all).await, [["2", "6", "2"]]);
    // what comes late is a row of its own
    store.append(&batch("gw", &[2_000_000], 0)).await.unwrap();
    store.close().await.unwrap();
    let store = open(dir.path()).await;
    assert_eq!(sql(&store.snapshot(), all).await, [["3", "7", "2"]]);
    let late = "select time, sum(requests) from edges_1m group by time order by time";
    let expected = [["1970-01-01T00:00:00Z", "4"], ["1970-01-01T00:01:00Z", "3"]];
    assert_eq!(sql(&store.snapshot(), late).await, expected);
}

#[tokio::test]
async fn tables_have_their_time_and_refuse_rows_of_other_columns() {
    for shape in Which::ALL.map(Which::shape) {
        let time = shape.time().unwrap().data_type();
        assert_eq!(*time, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), "{}", shape.name);
    }
    let store = Store::in_memory();
    let mut other = batch("gw", &[0], 1);
    other.rows = other.rejects.clone();
    let error = store.append(&other).await.unwrap_err();
    assert_eq!(error.to_string(), "these rows do not fit the table access_logs: column received_at where time belongs");
    assert_eq!((store.stats().sequence, store.stats().rejects), (0, 0));
}

#[tokio::test]
async fn one_writer_any_number_of_readers() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Store::open_read_only(&dir.path().join("nothing")).await, Err(StoreError::NoData { .. })));
    assert!(matches!(Store::open_read_only(dir.path()).await, Err(StoreError::NoData { .. })));
    let store = open(dir.path()).await;
    store.append(&batch("gw", &[0], 0)).await.unwrap();
    store.flush().await.unwrap();
    store.append(&batch("gw", &[0], 0)).await.unwrap();

    let refused = Store::open(dir.path(), StoreOptions::default()).await.unwrap_err().to_string();
    let folder = dir.path().canonicalize().unwrap().display().to_string();
    assert!(refused.contains(&folder) && refused.contains(&std::process::id().to_string()), "{refused}");

    let reader = Store::open_read_only(dir.path()).await.unwrap();
    assert_eq!(sql(&reader.snapshot(), "select count(*) from access_logs").await, [["1"]]);
    assert!(matches!(reader.append(&batch("gw", &[0], 0)).await, Err(StoreError::ReadOnly)));
    assert!(matches!(reader.flush().await, Err(StoreError::ReadOnly)));
    drop(store);
    drop(open(dir.path()).await);
}

#[tokio::test]
async fn a_newer_or_broken_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("meshwarden.json");
    for (text, reason) in
        [("{\"format\":4}", "newer version"), ("{\"format\":0}", "never existed"), ("x", "which data format")]
    {
        std::fs::write(&file, text).unwrap();
        for error in [
            Store::open(dir.path(), StoreOptions::default()).await.unwrap_err(),
            Store::open_read_only(dir.path()).await.unwrap_err(),
        ] {
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "something was written");
    }
}

#[tokio::test]
async fn a_window_reads_its_rows_and_skips_other_pieces_and_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for hour in 0..4 {
        let times: Vec<i64> = (0..60).map(|minute| (hour * 60 + minute) * MINUTE).collect();
        store.append(&batch(&format!("h{hour}"), &times, 0)).await.unwrap();
        if hour < 3 {
            store.flush().await.unwrap();
        }
    }
    let snapshot = store.snapshot();
    for (start, end) in [(0, 1), (55, 65), (61, 62), (179, 181), (200, 210), (-10, 500), (239, 240), (240, 300)] {
        let window = Window::new(start * MINUTE, end * MINUTE).unwrap();
        let inside = format!(
            "select count(log_id) from t where time >= arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))') \
             and time < arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')",
            window.start(),
            window.end()
        );
        let expected = (end.min(240) - start.max(0)).max(0).to_string();
        assert_eq!(
            sql_over(snapshot.access_logs_between(window), &inside).await,
            [[expected.clone()]],
            "{start}..{end}"
        );
        assert_eq!(sql_over(snapshot.access_logs(), &inside).await, [[expected]], "{start}..{end}");
    }
    // An hour on disk, or five minutes in memory, and nothing else.
    let rows_read = async |start, end| {
        let window = Window::new(start * MINUTE, end * MINUTE).unwrap();
        sql_over(snapshot.access_logs_between(window), "select count(*) from t").await
    };
    assert_eq!(rows_read(61, 62).await, [["60"]]);
    assert_eq!(rows_read(201, 202).await, [["5"]]);
    let plan = async |filter: &str| {
        let query = format!("explain select log_id from t where {filter}");
        sql_over(snapshot.access_logs(), &query).await.concat().join("\n")
    };
    let first_half = plan("time < '1970-01-01T00:30:00Z'").await;
    assert_eq!(first_half.matches(".parquet").count(), 1, "{first_half}");
    assert!(first_half.contains("predicate=time"), "{first_half}");
    // an hour that is all of a file: nobody looks at the time of a row
    let hour = "time >= '1970-01-01T01:00:00Z' and time <= '1970-01-01T01:59:59Z'";
    let whole = plan(hour).await;
    assert!(whole.matches(".parquet").count() == 1 && !whole.contains("predicate=time"), "{whole}");
    let count = format!("select count(*), min(time), max(time) from t where {hour}");
    let expected = [["60", "1970-01-01T01:00:00Z", "1970-01-01T01:59:00Z"]];
    assert_eq!(sql_over(snapshot.access_logs(), &count).await, expected);
    // what no file has, by their bloom filters
    let one = plan("request_id = 'h1, request_id, row 7'").await;
    let none = plan("request_id = 'h9, request_id, row 7' and time < '1970-01-01T03:00:00Z'").await;
    assert_eq!((one.matches(".parquet").count(), none.matches(".parquet").count()), (1, 0), "{one}\n{none}");
    for (id, rows) in [("h1, request_id, row 7", "1"), ("h3, request_id, row 7", "1"), ("h9, request_id, row 7", "0")] {
        let count = format!("select count(*) from t where request_id = '{id}'");
        assert_eq!(sql_over(snapshot.access_logs(), &count).await, [[rows]]);
    }
}

#[tokio::test]
async fn each_flush_is_one_version_of_the_log_and_says_what_it_covers() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for (appends, version) in [(2, 1), (3, 2)] {
        for _ in 0..appends {
            store.append(&batch("gw", &[1_234_567, 5 * MINUTE], 0)).await.unwrap();
        }
        let flushed = store.flush().await.unwrap();
        assert_eq!((flushed.version, flushed.rows), (Some(version), 2 * appends));
        assert_eq!(store.flush().await.unwrap(), Flushed { rows: 0, rejects: 0, edges: 0, bytes: 0, ..flushed });
        let waiting = Which::ALL.map(|which| which.of(&store.read()).frozen.len());
        assert_eq!(waiting, [0; 3], "nothing is set aside for ever, also of tables that nothing came into");
    }
    let log = dir.path().join("access_logs/_delta_log");
    assert_eq!(std::fs::read_dir(&log).unwrap().count(), 3);
    let last = std::fs::read_to_string(log.join("00000000000000000002.json")).unwrap();
    let actions: Vec<serde_json::Value> = last.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let txn = actions.iter().find_map(|action| action.get("txn")).unwrap();
    assert_eq!((txn["appId"].as_str(), txn["version"].as_u64()), (Some("meshwarden"), Some(5)));
    let add = actions.iter().find_map(|action| action.get("add")).unwrap();
    let stats: serde_json::Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
    assert_eq!(stats["numRecords"], 6);
    assert_eq!(stats["minValues"]["time"], "1970-01-01T00:00:01.234567Z");
    assert_eq!(stats["maxValues"]["time"], "1970-01-01T00:05:00.000000Z");
    assert_eq!(std::fs::read_dir(dir.path().join("rejects/_delta_log")).unwrap().count(), 1, "no rejects, no commit");
}

#[tokio::test]
async fn a_flush_that_fails_loses_nothing_and_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store.append(&batch("a", &[0, MINUTE], 2)).await.unwrap();
    // In the way of the coverage files: rejects are committed by then, access logs are not.
    let obstacle = dir.path().join("coverage");
    std::fs::write(&obstacle, "").unwrap();
    for round in 0..2 {
        assert!(matches!(store.flush().await, Err(StoreError::Io { .. })));
        store.append(&batch(&format!("b{round}"), &[0], 1)).await.unwrap();
        let count = "select (select count(distinct log_id) from access_logs), count(*) from rejects";
        assert_eq!(sql(&store.snapshot(), count).await, [[(3 + round).to_string(), (3 + round).to_string()]]);
    }
    assert!(store.close().await.is_err());
    store.append(&batch("c", &[0], 0)).await.unwrap();
    std::fs::remove_file(&obstacle).unwrap();
    store.close().await.unwrap();
    let stats = open(dir.path()).await.stats();
    assert_eq!((stats.cold_rows, stats.rejects, stats.sequence), (5, 4, 4));
}

#[cfg(unix)]
#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_taken_over_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store.append(&batch("a", &[0, MINUTE], 0)).await.unwrap();
    let lost = dir.path().join("access_logs/_delta_log").join(super::durable::LOST_ANSWER);
    std::fs::write(&lost, "").unwrap();
    assert_eq!(store.flush().await.unwrap().rows, 2);
    assert_eq!((store.stats().hot_rows, store.stats().cold_rows), (0, 2));
    std::fs::remove_file(&lost).unwrap();
    store.append(&batch("b", &[0], 0)).await.unwrap();
    assert_eq!(store.flush().await.unwrap().rows, 1);
    assert_eq!((store.stats().hot_rows, store.stats().cold_rows), (0, 3));
    drop(store);
    assert_eq!(sql(&open(dir.path()).await.snapshot(), "select count(*) from access_logs").await, [["3"]]);
}

/// A file that is being written again when the store closes is given up: nothing of it is left, and the rows are where they were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_does_not_wait_for_a_compaction_and_leaves_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    for source in ["a", "b"] {
        let times: Vec<i64> = (0..20_000).collect();
        store.append(&batch(source, &times, 0)).await.unwrap();
        store.flush().await.unwrap();
    }
    let files = || parquet_files(&dir.path().join("access_logs"));
    let unfinished = || {
        let days = std::fs::read_dir(dir.path().join("access_logs/day=1970-01-01")).unwrap();
        days.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|ending| ending == "unfinished"))
            .count()
    };
    assert_eq!(files(), 2);
    let compacting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.compact(Eagerness::Full, DateTime::UNIX_EPOCH).await }
    });
    while unfinished() == 0 {
        assert!(!compacting.is_finished(), "it was over before it could be given up");
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    store.close().await.unwrap();
    assert!(matches!(compacting.await.unwrap(), Err(StoreError::Closed)));
    assert_eq!((files(), unfinished()), (2, 0));
    let again = open(dir.path()).await;
    assert_eq!(sql(&again.snapshot(), "select count(*) from access_logs").await, [["40000"]]);
    assert_eq!(again.compact(Eagerness::Full, DateTime::UNIX_EPOCH).await.unwrap().unwrap().rows, 40_000);
}

#[cfg(unix)]
#[tokio::test]
async fn a_compaction_whose_answer_was_lost_keeps_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for source in ["a", "b"] {
        store.append(&batch(source, &[0, MINUTE], 0)).await.unwrap();
        store.flush().await.unwrap();
    }
    let lost = dir.path().join("access_logs/_delta_log").join(super::durable::LOST_ANSWER);
    std::fs::write(&lost, "").unwrap();
    let now = DateTime::UNIX_EPOCH;
    assert_eq!(store.compact(Eagerness::Full, now).await.unwrap().unwrap().rows, 4);
    std::fs::remove_file(&lost).unwrap();
    // nor does one that cannot be committed at all take anything away
    let log = dir.path().join("access_logs/_delta_log");
    store.append(&batch("c", &[0], 0)).await.unwrap();
    store.flush().await.unwrap();
    let hidden = dir.path().join("hidden");
    std::fs::rename(&log, &hidden).unwrap();
    assert!(store.compact(Eagerness::Full, now).await.is_err());
    let _ = std::fs::remove_dir_all(&log);
    std::fs::rename(&hidden, &log).unwrap();
    store.vacuum(Duration::ZERO).await.unwrap();
    assert_eq!(sql(&store.snapshot(), "select count(*), count(distinct log_id) from access_logs").await, [["5", "5"]]);
    drop(store);
    assert_eq!(sql(&open(dir.path()).await.snapshot(), "select count(*) from access_logs").await, [["5"]]);
}

#[tokio::test]
async fn hostile_times_are_kept_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let year = 365 * 24 * 60 * MINUTE;
    let times = [i64::MIN, -2_500 * year, -1_969 * year, 0, 8_000 * year, 290_000 * year, i64::MAX];
    for (number, time) in times.iter().enumerate() {
        store.append(&batch(&format!("one{number}"), &[*time], 0)).await.unwrap();
        store.flush().await.unwrap();
    }
    store.append(&batch("all", &times, 0)).await.unwrap();
    store.close().await.unwrap();
    let store = open(dir.path()).await;
    assert_eq!(
        sql(&store.snapshot(), "select count(*), count(distinct log_id) from access_logs").await,
        [["14", "14"]]
    );
    let now = Window::new(-MINUTE, MINUTE).unwrap();
    let near = "select count(log_id) from t where time = '1970-01-01T00:00:00Z'";
    assert_eq!(sql_over(store.snapshot().access_logs_between(now), near).await, [["2"]]);
}

#[tokio::test]
async fn size_asks_for_a_flush_and_memory_is_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { flush_rows: 10, ..StoreOptions::default() };
    let (store, memory) = (Store::open(dir.path(), options).await.unwrap(), Store::in_memory());
    for number in 0..10 {
        assert!(!store.wants_flush());
        let batch = batch(&format!("line by line {number}"), &[number * MINUTE], 0);
        store.append(&batch).await.unwrap();
        memory.append(&batch).await.unwrap();
    }
    assert!(store.wants_flush() && !memory.wants_flush());
    assert_eq!(memory.flush().await.unwrap().rows, 0);
    assert_eq!(memory.stats().hot_rows, 10);
    // Ten rows of a hundred columns, buffers rounded up; not ten times all columns' blocks.
    assert!(store.stats().hot_bytes < 512 << 10, "{}", store.stats().hot_bytes);
    store.flush().await.unwrap();
    assert!(!store.wants_flush());
}

#[cfg(unix)]
#[tokio::test]
async fn files_and_folders_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let store = Store::open(&folder, StoreOptions::default()).await.unwrap();
    store.append(&batch("a", &[1], 2)).await.unwrap();
    store.flush().await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let mut files = 0;
    for table in ["access_logs", "rejects"] {
        let mut left = vec![folder.join(table)];
        while let Some(path) = left.pop() {
            if path.is_dir() {
                left.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.extension().is_some_and(|ending| ending == "parquet") {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
                files += 1;
            }
        }
    }
    assert_eq!(files, 2);
}

/// What a program of the first format wrote: a table without partitions.
#[tokio::test]
async fn an_older_format_is_read_as_it_is_and_brought_up_when_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let day = 24 * 60 * MINUTE;
    let mut ids_before = Vec::new();
    older::write(dir.path(), &[batch("a", &[0, day, 2 * day - 1], 2), batch("b", &[day + 5], 0)], &mut ids_before)
        .await;
    let read = Store::open_read_only(dir.path()).await.unwrap();
    assert_eq!(table_ids(read.snapshot().access_logs()).await, ids_before);
    for _ in 0..2 {
        let store = open(dir.path()).await;
        assert_eq!(table_ids(store.snapshot().access_logs()).await, ids_before);
        let stats = store.stats();
        assert_eq!((stats.sequence, stats.flushed_sequence, stats.cold_rows, stats.rejects), (2, 2, 4, 2));
        // two days of the first file, one of the second
        assert_eq!(stats.cold_files, 3);
        store.vacuum(Duration::ZERO).await.unwrap();
        assert_eq!(parquet_files(&dir.path().join("access_logs")), 3);
        store.close().await.unwrap();
        let format = std::fs::read_to_string(dir.path().join("meshwarden.json")).unwrap();
        assert_eq!(format.trim(), r#"{"format":3}"#);
        // of two days and another; the version before did not roll up
        assert_eq!(store.snapshot().edges_1m.files.len(), 3);
        rolled_up(&store.snapshot()).await;
    }
}

/// A table that a version wrote which did not have all of the columns.
#[tokio::test]
async fn a_table_gets_the_columns_that_are_new() {
    let dir = tempfile::tempdir().unwrap();
    let shape = Which::AccessLogs.shape();
    let mut fields = shape.schema.fields().to_vec();
    fields.retain(|field| field.name() != "connection_id");
    let older = super::table::Shape { schema: Arc::new(arrow::datatypes::Schema::new(fields)), ..(*shape).clone() };
    let place = super::place::Place::folder(dir.path().canonicalize().unwrap().join("access_logs"));
    let log = super::delta::DeltaLog::open_or_create(&place, "meshwarden", &older).await.unwrap();
    assert!(!log.has("connection_id") && log.has("stream_id"));
    drop(log);
    for version in [1, 2] {
        let store = open(dir.path()).await;
        store.append(&batch("a", &[0, MINUTE], 0)).await.unwrap();
        assert_eq!(store.flush().await.unwrap().version, Some(version + 1));
        store.close().await.unwrap();
    }
    let log = super::delta::DeltaLog::open(&place, "meshwarden", &shape).await.unwrap().unwrap();
    assert!(log.has("connection_id") && log.has("day"));
    assert_eq!(log.list().unwrap().files.len(), 2);
}
