//! A table with a history: what investigations cost in it, beside DuckDB on the same files, and how soon a service on it is ready.
//!
//! ```text
//! cargo run --release -p tests --bin history                         # 50 million rows: made once, in about five minutes, and kept
//! cargo run --release -p tests --bin history -- --rows 1M --runs 3
//! ```
//! Both engines have two threads, one process, and know the files' ends from the run before; the first run of each query does not count. Another number
//! of rows in an answer fails the run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch, StringViewBuilder, TimestampMicrosecondArray};
use arrow::datatypes::TimestampMicrosecondType;
use bytes::Bytes;
use chrono::DateTime;
use ingest::journal::{Journal, Label, Payload};
use ingest::{AccessLogBatch, DecodeOptions, Decoder};
use query::sql::{Limits, Rowset, Sql};
use query::store::{Store, StoreOptions};
use serde_json::{Value, json};

use super::error::PeersError;
use super::files::{self, LogFile};
use super::options::size;
use super::python::Python;
use super::service::{Service, meshwarden};
use super::times::Times;
use crate::mesh::Format;
use crate::receivers::cache;

/// How it is used.
pub const USAGE: &str = "history [--rows N] [--runs N] [--journal N]

  --rows N      rows of the table, such as 50M (the usual)
  --runs N      runs of each query; the median counts (5)
  --journal N   bytes of a journal that the tables do not cover, for the start of a service, such as 1G (the usual)";

/// What to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Rows of the table, at least.
    pub rows: u64,
    /// Runs of each query.
    pub runs: usize,
    /// Bytes of the journal.
    pub journal: u64,
}

impl Options {
    /// Reads the command line, without the program's name.
    ///
    /// # Errors
    /// If a flag is unknown, or a value is not what it takes.
    pub fn parse(arguments: &[String]) -> Result<Self, PeersError> {
        let mut options = Self { rows: 50_000_000, runs: 5, journal: 1 << 30 };
        let mut arguments = arguments.iter();
        while let Some(flag) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| PeersError::NoValue { flag: flag.clone() });
            match flag.as_str() {
                // a million is 1000 thousands here
                "--rows" => options.rows = size(flag, value()?)? / (1 << 20) * 1_000_000,
                "--runs" => options.runs = usize::try_from(size(flag, value()?)?).unwrap_or(usize::MAX).max(1),
                "--journal" => options.journal = size(flag, value()?)?,
                _ => return Err(PeersError::UnknownFlag { flag: flag.clone() }),
            }
        }
        Ok(options)
    }
}

/// Days that the rows are spread over.
const DAYS: i64 = 5;
const DAY: i64 = 86_400_000_000;
/// Bytes of the log that is repeated.
const LOG: u64 = 64 << 20;
const THREADS: usize = 2;
const DUCKDB: &str = include_str!("ask_duckdb.py");

/// Makes the table if need be, asks, starts; the report, Markdown.
///
/// # Errors
/// If something cannot be made or run, or the two engines find different numbers of rows.
pub fn run(options: &Options) -> Result<String, PeersError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    let runtime = runtime.map_err(PeersError::file("a runtime"))?;
    let folder = runtime.block_on(table(options.rows))?;
    let mut report = runtime.block_on(investigate(&folder, options))?;
    report.push_str(&starts(&folder, options.journal)?);
    Ok(report)
}

/// A folder with so many rows, made at the first time.
async fn table(rows: u64) -> Result<PathBuf, PeersError> {
    let log = LogFile::plain(&files::folder()?, Format::Recommended, LOG)?;
    let folder = files::folder()?.join(format!("history-1-{rows}"));
    if folder.is_dir() {
        return Ok(folder);
    }
    let unfinished = folder.with_extension("unfinished");
    let _ = std::fs::remove_dir_all(&unfinished);
    let batches = decoded(&log)?;
    let of_log: u64 = batches.iter().map(|batch| batch.rows.num_rows() as u64).sum();
    let passes = rows.div_ceil(of_log);
    // as large as compaction makes them in the end
    let store = Store::open(&unfinished, StoreOptions { flush_bytes: 512 << 20, flush_rows: usize::MAX }).await?;
    let (earliest, latest) = span(&batches);
    for pass in 0..passes {
        let (begin, length) = (earliest + DAYS * DAY / passes as i64 * pass as i64, DAYS * DAY / passes as i64);
        for batch in &batches {
            let place = |time: i64| {
                begin + (i128::from(time - earliest) * i128::from(length) / i128::from(latest - earliest + 1)) as i64
            };
            store.append(&again(batch, pass, &place)?.compact()).await?;
        }
        if store.wants_flush() {
            store.flush().await?;
        }
    }
    store.close().await?;
    std::fs::rename(&unfinished, &folder).map_err(PeersError::file(&folder))?;
    Ok(folder)
}

fn decoded(log: &LogFile) -> Result<Vec<AccessLogBatch>, PeersError> {
    let bytes = std::fs::read(&log.path).map_err(PeersError::file(&log.path))?;
    let mut decoder = Decoder::new(Arc::new(DecodeOptions::default()), "history", DateTime::UNIX_EPOCH);
    decoder.push(&bytes);
    let mut batches: Vec<_> = std::iter::from_fn(|| decoder.next_batch()).map(|batch| batch.compact()).collect();
    batches.extend(decoder.finish().map(|batch| batch.compact()));
    Ok(batches)
}

fn times(rows: &RecordBatch, name: &str) -> Option<TimestampMicrosecondArray> {
    rows.column_by_name(name).and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>()).cloned()
}

fn span(batches: &[AccessLogBatch]) -> (i64, i64) {
    let times = batches.iter().filter_map(|batch| times(&batch.rows, "time"));
    times.fold((i64::MAX, i64::MIN), |(earliest, latest), times| {
        times
            .values()
            .iter()
            .fold((earliest, latest), |(earliest, latest), time| (earliest.min(*time), latest.max(*time)))
    })
}

/// The same lines at another time, under other ids.
fn again(batch: &AccessLogBatch, pass: u64, place: &dyn Fn(i64) -> i64) -> Result<AccessLogBatch, PeersError> {
    let (rows, mut columns) = (&batch.rows, batch.rows.columns().to_vec());
    let schema = rows.schema();
    let Some(time) = times(rows, "time") else { return Ok(batch.clone()) };
    for (field, column) in schema.fields().iter().zip(&mut columns) {
        match field.name().as_str() {
            // as long as before
            name @ ("time" | "ended_at") => {
                let Some(of) = times(rows, name) else { continue };
                let moved = of.values().iter().zip(time.values()).map(|(of, time)| place(*time) + (of - time));
                *column = Arc::new(TimestampMicrosecondArray::from_iter_values(moved).with_timezone("UTC")) as ArrayRef;
            }
            "log_id" | "request_id" | "stream_id" => *column = renamed(column, pass),
            _ => {}
        }
    }
    Ok(AccessLogBatch { rows: RecordBatch::try_new(schema, columns)?, ..batch.clone() })
}

/// Ids whose last eight digits are others.
fn renamed(column: &ArrayRef, pass: u64) -> ArrayRef {
    let (ids, mut new) = (column.as_string_view(), StringViewBuilder::with_capacity(column.len()));
    for row in 0..ids.len() {
        match ids.is_null(row) {
            true => new.append_null(),
            false => {
                let id = ids.value(row);
                let end = id.floor_char_boundary(id.len().saturating_sub(8));
                let mixed = (pass ^ row as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                new.append_value(format!("{}{mixed:08x}", id.get(..end).unwrap_or_default()));
            }
        }
    }
    Arc::new(new.finish())
}

/// One engine's answers to the queries: seconds of each run, and rows.
type Answers = Vec<(Times, u64)>;

async fn investigate(folder: &Path, options: &Options) -> Result<String, PeersError> {
    let store = Store::open_read_only(folder).await?;
    let sql = Sql::of_a_table(1 << 30).map_err(|error| failed("the SQL engine", &error))?;
    let bytes: u64 = store.tables().iter().map(|table| table.bytes).sum();
    let first = |rows: Rowset, name: &'static str| {
        let column = rows.batches.first().and_then(|batch| batch.column_by_name(name).cloned());
        column.and_then(|column| arrow::util::display::array_value_to_string(&column, 0).ok()).unwrap_or_default()
    };
    let some = |query: String, name: &'static str| {
        let (sql, store) = (&sql, &store);
        async move { ask(sql, store, &query).await.map(|rows| first(rows, name)) }
    };
    let day = some(
        "SELECT CAST(CAST(min(time) AS DATE) + INTERVAL '2 days' AS DATE) AS day FROM access_logs".to_owned(),
        "day",
    )
    .await?;
    let day = day.get(..10).unwrap_or_default().to_owned();
    let of_day = format!("time >= '{day}T00:00:00Z' AND time <= '{day}T23:59:59.999999Z'");
    let of_hour = format!("time >= '{day}T10:00:00Z' AND time <= '{day}T10:59:59.999999Z'");
    // neither the most frequent one nor a rare one
    let principal = some(format!("SELECT source_principal, count(*) AS n FROM access_logs WHERE source_principal IS NOT NULL AND {of_hour} GROUP BY 1 ORDER BY n, 1 LIMIT 1 OFFSET 10"), "source_principal").await?;
    let id = some(
        format!("SELECT request_id FROM access_logs WHERE request_id IS NOT NULL AND {of_hour} ORDER BY time LIMIT 1"),
        "request_id",
    )
    .await?;
    let queries = [
        ("one principal's day", format!("SELECT destination_service, method, response_code, count(*) AS n, sum(bytes_sent) AS sent FROM access_logs WHERE source_principal = '{principal}' AND {of_day} GROUP BY 1, 2, 3 ORDER BY n DESC, 1, 2, 3")),
        ("one request id", format!("SELECT time, source_principal, destination_service, path, response_code FROM access_logs WHERE request_id = '{id}' ORDER BY time")),
        ("top talkers of an hour", format!("SELECT source_principal, source_ip, count(*) AS n, sum(bytes_received) AS received FROM access_logs WHERE {of_hour} GROUP BY 1, 2 ORDER BY n DESC, 1, 2 LIMIT 20")),
        ("all denials by policy", "SELECT rbac_policy_namespace, rbac_policy, rbac_rule, count(*) AS n, min(time) AS first, max(time) AS last FROM access_logs WHERE rbac_decision = 'deny' GROUP BY 1, 2, 3 ORDER BY n DESC, 1, 2, 3".to_owned()),
    ];
    let mut ours: Answers = Vec::new();
    for (_, query) in &queries {
        let (mut seconds, mut found) = (Vec::new(), 0);
        for run in 0..=options.runs {
            let started = Instant::now();
            let rows = ask(&sql, &store, query).await?;
            if run > 0 {
                seconds.push(started.elapsed().as_secs_f64() * 1e3);
            }
            found = rows.batches.iter().map(|batch| batch.num_rows() as u64).sum();
        }
        ours.push((Times::of(seconds), found));
    }
    let theirs = duckdb(folder, options.runs, queries.iter().map(|(_, query)| query.as_str()))?;
    let rows = store.stats().cold_rows;
    let mut report = format!(
        "{rows} rows, {:.1} GB of Parquet in {} files, {THREADS} threads each\n\n| investigation | rows of the answer | meshwarden ms | DuckDB ms | meshwarden takes |\n|---|--:|--:|--:|--:|\n",
        bytes as f64 / 1e9,
        store.stats().cold_files
    );
    for (((name, _), (ours, found)), (theirs, expected)) in queries.iter().zip(&ours).zip(&theirs) {
        if found != expected {
            return Err(PeersError::Rows {
                work: "history",
                program: (*name).to_owned(),
                rows: *found,
                lines: *expected,
            });
        }
        let (ours, theirs) = (ours.at(0.5), theirs.at(0.5));
        report.push_str(&format!("| {name} | {found} | {ours:.1} | {theirs:.1} | {:.2} × |\n", ours / theirs));
    }
    Ok(report)
}

async fn ask(sql: &Sql, store: &Store, query: &str) -> Result<Rowset, PeersError> {
    let snapshot = store.snapshot();
    let limits = Limits { rows: usize::MAX, bytes: usize::MAX, time: Duration::from_secs(600) };
    let session = sql.over(&snapshot).await;
    let session = session.map_err(|error| failed(query, &error))?;
    Rowset::of(sql, session, query, limits).await.map_err(|error| failed(query, &error))
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> PeersError {
    PeersError::Failed { program: "meshwarden".to_owned(), said: format!("{what}: {error}") }
}

fn duckdb<'q>(folder: &Path, runs: usize, queries: impl Iterator<Item = &'q str>) -> Result<Answers, PeersError> {
    let asked = json!({"folder": folder, "runs": runs, "threads": THREADS, "queries": queries.collect::<Vec<_>>()});
    let python = Python::install()?;
    let words = ["-c", DUCKDB, &asked.to_string()];
    let said = cache::run(Command::new("python3").args(words).envs(python.env(THREADS)), b"")?;
    let said: Vec<Value> = serde_json::from_str(said.trim()).unwrap_or_default();
    let answers = said.iter().map(|answer| {
        let seconds = answer["seconds"].as_array().into_iter().flatten().filter_map(Value::as_f64);
        (Times::of(seconds.map(|seconds| seconds * 1e3).collect()), answer["rows"].as_u64().unwrap_or(0))
    });
    Ok(answers.collect())
}

/// How soon a service on the table is ready: with nothing in its journal, and with what a crash left there.
fn starts(folder: &Path, journal: u64) -> Result<String, PeersError> {
    // the same files, in a folder of which everything but they may change
    let copy = tempfile::tempdir_in(files::folder()?).map_err(PeersError::file(folder))?;
    let copied = cache::run(Command::new("cp").args(["-al", &format!("{}/.", folder.display())]).arg(copy.path()), b"");
    copied?;
    let program = meshwarden()?;
    let ready = || {
        let started = Instant::now();
        let mut service = Service::start(&program, copy.path(), None)?;
        let took = started.elapsed();
        service.stop()?;
        Ok::<_, PeersError>(took.as_secs_f64())
    };
    let (first, empty) = (ready()?, ready()?);
    let bytes = fill(copy.path(), journal)?;
    let full = ready()?;
    Ok(format!(
        "\nReady {empty:.2} s after the start ({first:.2} s at the first), with {:.2} GB in the journal after {full:.2} s.\n",
        bytes as f64 / 1e9
    ))
}

/// Writes so many bytes of lines into the journal, as a service that was killed leaves them.
fn fill(data: &Path, bytes: u64) -> Result<u64, PeersError> {
    let log = LogFile::plain(&files::folder()?, Format::Recommended, LOG)?;
    let lines = std::fs::read(&log.path).map_err(PeersError::file(&log.path))?;
    let folder = data.join("journal");
    let failed =
        |error: &dyn std::fmt::Display| PeersError::Failed { program: "journal".to_owned(), said: error.to_string() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(PeersError::file(data))?;
    let used = runtime.block_on(Store::open_read_only(data))?.flushed();
    let (journal, _) = Journal::open(&folder, used, used, &mut |_, _, _| Ok(())).map_err(|error| failed(&error))?;
    let (mut at, mut written) = (0, 0);
    while written < bytes {
        let rest = lines.get(at..).unwrap_or_default();
        let end = memchr::memrchr(b'\n', rest.get(..1 << 20).unwrap_or(rest)).map_or(rest.len(), |end| end + 1);
        let body = rest.get(..end).unwrap_or_default().to_vec();
        at = if end == rest.len() { 0 } else { at + end };
        written += body.len() as u64;
        let label = Label {
            received_at: DateTime::UNIX_EPOCH,
            source: "http".to_owned(),
            id: format!("http/{written}"),
            idempotency: None,
            position: None,
        };
        let (told, heard) = std::sync::mpsc::channel();
        journal.append(Payload { label, body: Arc::new([Bytes::from(body)]) }, move |kept| {
            drop(told.send(kept.map(|_| ())))
        });
        match heard.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failed(&error)),
            Err(error) => return Err(failed(&error)),
        }
    }
    Ok(written)
}
