//! The service under load: ingest by several senders, over HTTP or by another door, how long each answer takes, and how much memory it all needs; beside it the disk's own
//! sync, and ClickHouse (chDB) inserting the same lines into a MergeTree.
//!
//! ```text
//! cargo run --release -p tests --bin load
//! cargo run --release -p tests --bin load -- --bytes 1G --senders 4 --body 1M --ack queryable
//! cargo run --release -p tests --bin load -- --door als --one-core
//! ```
//! Service, senders and whatever detection finds to do share the machine's cores. A body is whole lines. What was acknowledged is counted by SQL in the
//! end: a number of rows that is not that of the lines fails the run.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::columns;
use super::error::PeersError;
use super::files::{self, LogFile};
use super::options::size;
use super::python::Python;
use super::senders::By;
use super::service::{Service, meshwarden, sql};
use super::times::Times;
use crate::grpc::{Broken, EXPORT, Grpc, STREAM};
use crate::mesh::Format;
use crate::receivers::cache;

/// How it is used.
pub const USAGE: &str =
    "load [--bytes N] [--senders N] [--body N] [--rate N] [--ack durable|queryable] [--door http|otlp_grpc|als] [--one-core] [--queries] [--only-meshwarden]

  --bytes N          bytes of all lines, such as 512M (the usual) or 1G
  --senders N        senders at a time (4)
  --body N           bytes of a body, more or less (1M)
  --rate N           bytes a second that the senders have to send, such as 100M; as fast as they can without it
  --ack HOW          durable (the usual): on stable storage, or queryable: in the next query, too
  --door NAME        http (the usual), or otlp_grpc or als: bytes and rates stay those of the lines
  --one-core         the service has one core, the senders have the other one
  --queries          ask the service meanwhile, and as often when it is idle
  --only-meshwarden  leave chDB out";

/// What to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of all lines, at least.
    pub bytes: u64,
    /// Senders at a time.
    pub senders: usize,
    /// Bytes of a body, at least.
    pub body: u64,
    /// Bytes a second that there are to send; `None`: as many as can be sent.
    pub rate: Option<u64>,
    /// When the service answers.
    pub ack: String,
    /// By which door.
    pub door: By,
    /// Whether the service has one core to itself.
    pub one_core: bool,
    /// Whether chDB is measured, too.
    pub chdb: bool,
    /// Whether the service is asked meanwhile.
    pub queries: bool,
}

impl Options {
    /// Reads the command line, without the program's name.
    ///
    /// # Errors
    /// If a flag is unknown, or a value is not what it takes.
    pub fn parse(arguments: &[String]) -> Result<Self, PeersError> {
        let mut options = Self {
            bytes: 512 << 20,
            senders: 4,
            body: 1 << 20,
            rate: None,
            ack: "durable".to_owned(),
            door: By::Http,
            one_core: false,
            chdb: true,
            queries: false,
        };
        let mut arguments = arguments.iter();
        while let Some(flag) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| PeersError::NoValue { flag: flag.clone() });
            match flag.as_str() {
                "--bytes" => options.bytes = size(flag, value()?)?,
                "--body" => options.body = size(flag, value()?)?,
                "--rate" => options.rate = Some(size(flag, value()?)?),
                "--senders" => {
                    let senders = value()?;
                    let parsed = senders.parse().ok().filter(|senders| *senders > 0);
                    options.senders = parsed.ok_or_else(|| PeersError::wrong(flag, senders, "a number from 1 on"))?;
                }
                "--ack" => match value()?.as_str() {
                    how @ ("durable" | "queryable") => options.ack = how.to_owned(),
                    other => return Err(PeersError::wrong(flag, other, "durable or queryable")),
                },
                "--door" => match value()?.as_str() {
                    "http" => options.door = By::Http,
                    "otlp_grpc" => options.door = By::OtlpGrpc,
                    "als" => options.door = By::Als,
                    other => return Err(PeersError::wrong(flag, other, "http, otlp_grpc or als")),
                },
                "--one-core" => options.one_core = true,
                "--queries" => options.queries = true,
                "--only-meshwarden" => options.chdb = false,
                _ => return Err(PeersError::UnknownFlag { flag: flag.clone() }),
            }
        }
        Ok(options)
    }
}

/// Syncs of the disk that are timed.
const SYNCS: usize = 200;
const CHDB: &str = include_str!("insert_chdb.py");

/// Bodies of one file: where each starts, and where the last one ends.
struct Bodies {
    path: PathBuf,
    ends: Vec<u64>,
}

/// Runs the load and returns the report, Markdown.
///
/// # Errors
/// If the service does not start, refuses a body, or has other rows in the end.
pub fn run(options: &Options) -> Result<String, PeersError> {
    let file = LogFile::plain(&files::folder()?, Format::Recommended, options.bytes)?;
    let bodies = Bodies::of(&file.path, options.body)?;
    let folder = tempfile::tempdir_in(files::folder()?).map_err(PeersError::file(&file.path))?;
    let disk = syncs(folder.path())?;
    let mut report = format!(
        "{} senders, bodies of {} KiB, {}, {}; the disk syncs 4 KiB in {:.1} ms (p50), {:.1} ms (p99)\n\n| program | MB/s | p50 ms | p99 ms | max ms | resident MB |\n|---|--:|--:|--:|--:|--:|\n",
        options.senders,
        options.body >> 10,
        options.rate.map_or("as fast as they can".to_owned(), |rate| format!("{} MB/s of them", rate / 1_000_000)),
        match options.door {
            By::Http => format!("ack={}", options.ack),
            By::OtlpGrpc => "by OTLP over gRPC".to_owned(),
            By::Als => "by Envoy's access log service".to_owned(),
        },
        disk.at(0.5),
        disk.at(0.99)
    );
    let payloads = bodies.payloads(options)?;
    let mut service = Service::start(&meshwarden()?, &folder.path().join("data"), options.one_core.then_some(0))?;
    if options.one_core {
        cache::run(Command::new("taskset").args(["-a", "-p", "-c", "1", &std::process::id().to_string()]), b"")?;
    }
    let stop = AtomicBool::new(false);
    let (sent, asked) = std::thread::scope(|scope| {
        let asking = options.queries.then(|| scope.spawn(|| ask(&service.address, || stop.load(Ordering::Relaxed))));
        let sent = bodies.send(&service.address, &payloads, options);
        stop.store(true, Ordering::Relaxed);
        (sent, asking.map(|asking| asking.join()))
    });
    let (seconds, times) = sent?;
    let queryable = service.rows(file.lines)?;
    let mut queries = String::new();
    if let Some(Ok(asked)) = asked {
        let (busy, count) = asked?;
        let mut left = count;
        let (idle, _) = ask(&service.address, || {
            left = left.saturating_sub(1);
            left == 0
        })?;
        queries = format!(
            "\n\nDenials by policy of the last five minutes and one request id, {count} queries: {:.1} ms (p50) and {:.1} ms (p99) while it takes in, {:.1} ms and {:.1} ms idle, all rows there.",
            busy.at(0.5),
            busy.at(0.99),
            idle.at(0.5),
            idle.at(0.99)
        );
    }
    let resident = service.peak()?;
    service.stop()?;
    report.push_str(&format!(
        "| meshwarden | {:.0} | {:.1} | {:.1} | {:.1} | {} |\n",
        file.bytes as f64 / seconds / 1e6,
        times.at(0.5),
        times.at(0.99),
        times.at(1.0),
        resident / 1_000_000
    ));
    if options.chdb {
        let asked = json!({"file": file.path, "body": options.body, "columns": columns::of(Format::Recommended)});
        let words = ["-c", CHDB, &asked.to_string()];
        let python = Python::install()?;
        let said = cache::run(Command::new("python3").args(words).envs(python.env(2)), b"")?;
        let said: serde_json::Value = serde_json::from_str(said.trim()).unwrap_or_default();
        let (seconds, rows) = (said["seconds"].as_f64().unwrap_or(f64::NAN), said["rows"].as_u64().unwrap_or(0));
        if rows != file.lines {
            return Err(PeersError::Rows { work: "load", program: "chdb".to_owned(), rows, lines: file.lines });
        }
        report.push_str(&format!(
            "| chDB, INSERT into a MergeTree | {:.0} | | | | |\n",
            file.bytes as f64 / seconds / 1e6
        ));
    }
    report.push_str(&format!(
        "\nAll {} lines were queryable {:.1} s after the last answer.",
        file.lines,
        queryable.as_secs_f64()
    ));
    report.push_str(&queries);
    Ok(report)
}

impl Bodies {
    fn of(path: &Path, size: u64) -> Result<Bodies, PeersError> {
        let mut lines = BufReader::with_capacity(1 << 20, File::open(path).map_err(PeersError::file(path))?);
        let (mut ends, mut at, mut line) = (vec![0], 0, Vec::new());
        loop {
            line.clear();
            let read = lines.read_until(b'\n', &mut line).map_err(PeersError::file(path))?;
            at += read as u64;
            if read == 0 || at - ends.last().copied().unwrap_or(0) >= size {
                ends.push(at);
            }
            if read == 0 {
                ends.dedup();
                return Ok(Bodies { path: path.to_owned(), ends });
            }
        }
    }

    /// What is sent of them, made before anything is measured. Over HTTP it is read from the file.
    fn payloads(&self, options: &Options) -> Result<Vec<Vec<u8>>, PeersError> {
        if options.door == By::Http {
            return Ok(Vec::new());
        }
        let mut file = File::open(&self.path).map_err(PeersError::file(&self.path))?;
        let ranges = self.ends.iter().zip(self.ends.iter().skip(1));
        ranges.map(|(from, to)| Ok(options.door.payload(&self.read(&mut file, *from, *to)?))).collect()
    }

    fn read(&self, file: &mut File, from: u64, to: u64) -> Result<Vec<u8>, PeersError> {
        let mut body = vec![0; usize::try_from(to - from).unwrap_or(0)];
        file.seek(SeekFrom::Start(from))
            .and_then(|_| file.read_exact(&mut body))
            .map_err(PeersError::file(&self.path))?;
        Ok(body)
    }

    /// Sends all of them, and waits for each answer; how long that took, and each answer.
    fn send(&self, address: &str, payloads: &[Vec<u8>], options: &Options) -> Result<(f64, Times), PeersError> {
        let (next, times, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(None));
        let started = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..options.senders {
                scope.spawn(|| {
                    let all = (&next, started, payloads);
                    if let Err(error) = self.sender(address, options, all, &times) {
                        failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).replace(error);
                        next.store(usize::MAX / 2, Ordering::Relaxed);
                    }
                });
            }
        });
        let seconds = started.elapsed().as_secs_f64();
        match failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok((seconds, Times::of(times.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)))),
        }
    }

    fn sender(
        &self,
        address: &str,
        options: &Options,
        (next, started, payloads): (&AtomicUsize, Instant, &[Vec<u8>]),
        times: &Mutex<Vec<f64>>,
    ) -> Result<(), PeersError> {
        let mut file = File::open(&self.path).map_err(PeersError::file(&self.path))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(PeersError::file("a runtime"))?;
        let failed = |said: String| PeersError::Failed { program: "meshwarden serve".to_owned(), said };
        let mut line = runtime.block_on(Line::open(address, options)).map_err(|error| failed(error.to_string()))?;
        let mut mine = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let (Some(from), Some(to)) = (self.ends.get(place), self.ends.get(place + 1)) else { break };
            let body = match payloads.get(place) {
                Some(payload) => payload.clone(),
                None => self.read(&mut file, *from, *to)?,
            };
            // an answer that is late because earlier ones were is late all the same
            let due = options.rate.map(|rate| started + Duration::from_secs_f64(*from as f64 / rate as f64));
            due.into_iter().for_each(|due| std::thread::sleep(due.saturating_duration_since(Instant::now())));
            let sent = due.unwrap_or_else(Instant::now);
            runtime.block_on(line.send(body)).map_err(|error| failed(error.to_string()))?;
            mine.push(sent.elapsed().as_secs_f64() * 1e3);
        }
        times.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(mine);
        Ok(())
    }
}

/// A sender's way to the service.
enum Line {
    Http(reqwest::Client, String),
    Grpc(Grpc, &'static str),
}

impl Line {
    async fn open(address: &str, options: &Options) -> Result<Self, Broken> {
        Ok(match options.door {
            // the guard against loops into one's own network is for the product
            #[allow(clippy::disallowed_methods)]
            By::Http => {
                Self::Http(reqwest::Client::new(), format!("http://{address}/api/v1/ingest?ack={}", options.ack))
            }
            By::OtlpGrpc => Self::Grpc(Grpc::connect(address.parse()?, &[]).await?, EXPORT),
            By::Als => Self::Grpc(Grpc::connect(address.parse()?, &[]).await?, STREAM),
        })
    }

    /// Sends a payload, and waits until it is acknowledged.
    async fn send(&mut self, body: Vec<u8>) -> Result<(), Broken> {
        match self {
            Self::Http(client, url) => {
                let answer = client.post(url.as_str()).body(body).send().await?;
                let (status, text) = (answer.status(), answer.text().await?);
                if status.is_success() { Ok(()) } else { Err(format!("{status}: {text}").into()) }
            }
            Self::Grpc(grpc, method) => {
                let ended = grpc.call(method, &[body]).await?;
                if ended.status == 0 { Ok(()) } else { Err(format!("{ended:?}").into()) }
            }
        }
    }
}

/// Asks in turns what somebody who investigates asks, until `done`; how long each answer took, and how many there were.
fn ask(address: &str, mut done: impl FnMut() -> bool) -> Result<(Times, usize), PeersError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(PeersError::file("a runtime"))?;
    #[allow(clippy::disallowed_methods)]
    let client = reqwest::Client::new();
    let queries = [
        "SELECT rbac_policy, count(*) AS n FROM access_logs WHERE rbac_decision = 'deny' AND time > (SELECT max(time) FROM access_logs) - INTERVAL '5 minutes' GROUP BY 1 ORDER BY 2 DESC",
        "SELECT time, path FROM access_logs WHERE request_id = 'c6f73857-3660-4278-bf3a-7543fa2f5d53'",
    ];
    let mut times = Vec::new();
    for query in queries.iter().cycle() {
        if done() {
            break;
        }
        let started = Instant::now();
        let answer = runtime.block_on(sql(&client, address, query));
        let answer =
            answer.map_err(|error| PeersError::Failed { program: "sql".to_owned(), said: error.to_string() })?;
        if !answer["rows"].is_array() {
            return Err(PeersError::Failed { program: "sql".to_owned(), said: answer.to_string() });
        }
        times.push(started.elapsed().as_secs_f64() * 1e3);
        std::thread::sleep(Duration::from_millis(20));
    }
    let count = times.len();
    Ok((Times::of(times), count))
}

/// How long the disk takes to sync a small write.
fn syncs(folder: &Path) -> Result<Times, PeersError> {
    let path = folder.join("syncs");
    let mut file = File::create(&path).map_err(PeersError::file(&path))?;
    let mut times = Vec::new();
    for _ in 0..SYNCS {
        let started = Instant::now();
        file.write_all(&[7; 4096]).and_then(|()| file.sync_data()).map_err(PeersError::file(&path))?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Times::of(times))
}
