//! Reads files and stdin into a core and sums up what came in.
//!
//! ```text
//!  paths ─▶ reader threads: bytes ─▶ inflate ─▶ decode ══ batches (bounded) ══▶ core.append, summary ─▶ detect ─▶ findings
//! ```
//! Reading and decoding have threads of their own, one a core; at most `QUEUE` batches wait between the two.

mod inputs;
mod progress;
mod reader;
mod side_by_side;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, RecordBatch};
use ingest::{AccessLogBatch, DecodeOptions, RejectReason};
use query::detect::{Detection, EvaluateError, Refused, Sight};
use query::finding::Finding;
use query::findings::{Filter, FindingsError};
use query::store::{Flushing, StoreError};
use query::{Core, CoreError, Stay, Summary};

use crate::clock::Clock;
use reader::Message;

/// Batches that wait for the core at most.
const QUEUE: usize = 2;

/// What a scan found, and in how much.
#[derive(Debug)]
pub struct Scanned {
    /// Findings, the worst first, then by time.
    pub findings: Vec<Finding>,
    /// Numbers per edge and minute.
    pub summary: Summary,
    /// What each detection could see.
    pub sights: Vec<(Arc<Detection>, Sight)>,
    /// Detections that were not loaded.
    pub refused: Vec<Refused>,
    /// Detections that failed on a window.
    pub failures: Vec<EvaluateError>,
    /// Inputs that were opened.
    pub read: usize,
    /// Inputs that could not be read, or not to their end, and why.
    pub unreadable: Vec<(String, String)>,
    /// Files of folders that were not read, and why.
    pub passed_over: Vec<(String, &'static str)>,
    /// Lines that are access logs.
    pub rows: u64,
    /// Lines that are not.
    pub rejected: u64,
    /// The same by reason.
    pub reasons: BTreeMap<String, Rejects>,
    /// Bytes of the lines, after inflating.
    pub bytes: u64,
    /// Wall time of reading, decoding and detecting.
    pub took: Duration,
}

/// Rejects of one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rejects {
    /// How many.
    pub count: u64,
    /// Where the first one is, `file:line`.
    pub first: String,
    /// What exactly was wrong with it.
    pub detail: String,
}

impl Scanned {
    /// What was not looked at although it was asked for: an all-clear would be a guess.
    #[must_use]
    pub fn incomplete(&self) -> Option<String> {
        let unread =
            self.unreadable.first().map(|(input, reason)| format!("{input} was not read to its end ({reason})"));
        let refused =
            || self.refused.first().map(|refused| format!("{} was not loaded: {}", refused.file, refused.reason));
        unread.or_else(refused).or_else(|| self.failures.first().map(ToString::to_string))
    }

    /// Why an absence of findings says less than it seems to.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        let nothing = || (self.lines() == 0).then(|| "there was no line in what was read".to_owned());
        self.incomplete().or_else(|| self.unread_lines()).or_else(nothing).or_else(|| self.blind())
    }

    /// Detections that these logs do not let see anything.
    fn blind(&self) -> Option<String> {
        let blind = self.sights.iter().filter(|(_, sight)| matches!(sight, Sight::Blind(_)));
        let names: Vec<&str> = blind.map(|(detection, _)| detection.header.id.as_str()).collect();
        let all = self.sights.len();
        (!names.is_empty())
            .then(|| format!("{} of {all} detections see nothing in these logs: {}", names.len(), names.join(", ")))
    }

    /// Lines that are rejects although they look like access logs: a caller may have seen to it. (What is no access log, as what a proxy says about
    /// itself, is none of them.)
    #[must_use]
    pub fn unread_lines(&self) -> Option<String> {
        let of_logs = |(reason, _): &(&String, &Rejects)| *reason != RejectReason::NotAnAccessLog.as_str();
        let (reason, first) = self.reasons.iter().find(of_logs)?;
        let count: u64 = self.reasons.iter().filter(of_logs).map(|(_, rejects)| rejects.count).sum();
        Some(format!(
            "{count} lines that look like access logs could not be read, the first at {} ({reason})",
            first.first
        ))
    }

    /// Lines, blank ones not counted.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.rows + self.rejected
    }
}

/// A scan that could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The core.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// The findings.
    #[error(transparent)]
    Findings(#[from] FindingsError),
    /// Rows that were to be put on disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads `paths` into `core`, runs the detections and sums up.
///
/// # Errors
/// If the core cannot take rows or findings in. An input that cannot be read is no error, but named in the result.
pub async fn scan(
    core: &Core,
    paths: &[PathBuf],
    options: Arc<DecodeOptions>,
    clock: &dyn Clock,
) -> Result<Scanned, ScanError> {
    let options = DecodeOptions { wanted: core.wanted(), ..options.as_ref().clone() };
    let mut scanned = load(core, paths, Arc::new(options), clock).await?;
    let started = Instant::now();
    let (round, findings) = match core.stay() {
        Stay::Passing => core.find(clock.now()).await?,
        Stay::Kept => (core.detect(clock.now()).await?, kept(core).await?),
    };
    scanned.failures = round.failures.into_iter().map(|failure| failure.error).collect();
    scanned.findings = worst_first(findings);
    scanned.sights = core.sights();
    scanned.took += started.elapsed();
    Ok(scanned)
}

/// Reads `paths` into `core`, without detections.
///
/// # Errors
/// As [`scan`].
pub async fn load(
    core: &Core,
    paths: &[PathBuf],
    options: Arc<DecodeOptions>,
    clock: &dyn Clock,
) -> Result<Scanned, ScanError> {
    let started = Instant::now();
    let mut scanned = Scanned::empty(core);
    let mut flushing: Option<Flushing> = None;
    let inputs = each_batch(paths, options, clock, async |batch| {
        core.append(&batch).await?;
        if core.store().wants_flush() {
            // the one before has to be through: what waits in memory is bounded
            if let Some(before) = flushing.replace(core.store().begin_flush()) {
                before.end().await?;
            }
        }
        scanned.take(&batch);
        Ok(())
    })
    .await?;
    if let Some(last) = flushing {
        last.end().await?;
    }
    (scanned.read, scanned.unreadable, scanned.passed_over) = (inputs.read, inputs.unreadable, inputs.passed_over);
    scanned.took = started.elapsed();
    Ok(scanned)
}

/// What became of the inputs.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// Those that were opened.
    pub(crate) read: usize,
    /// Those that could not be read, or not to their end, and why.
    pub(crate) unreadable: Vec<(String, String)>,
    /// Files of folders that were not read, and why.
    pub(crate) passed_over: Vec<(String, &'static str)>,
}

/// Reads `paths` and hands each batch on, in order.
///
/// # Errors
/// Those of `take`. An input that cannot be read is no error, but named in the result.
pub(crate) async fn each_batch(
    paths: &[PathBuf],
    options: Arc<DecodeOptions>,
    clock: &dyn Clock,
    mut take: impl AsyncFnMut(AccessLogBatch) -> Result<(), ScanError>,
) -> Result<Inputs, ScanError> {
    let inputs::Inputs { read: inputs, mut unreadable, passed_over, .. } = inputs::expand(paths);
    let progress = progress::start(inputs.iter().map(|input| input.bytes).sum());
    let (batches, mut queue) = tokio::sync::mpsc::channel(QUEUE);
    let received_at = clock.now();
    let reading = progress.clone();
    // a plain thread: stdin may block for ever, and the runtime would wait for a task of its own
    std::thread::spawn(move || reader::read(&inputs, &options, received_at, &batches, &reading));
    let mut read = 0;
    while let Some(message) = queue.recv().await {
        match message {
            Message::Opened => read += 1,
            Message::Batch(batch) => take(batch).await?,
            Message::Failed { input, reason } => unreadable.push((input, reason)),
        }
    }
    progress.finish_and_clear();
    Ok(Inputs { read, unreadable, passed_over })
}

/// Every finding that the core keeps.
async fn kept(core: &Core) -> Result<Vec<Finding>, FindingsError> {
    let mut filter = Filter { limit: 1000, ..Filter::default() };
    let mut findings = Vec::new();
    loop {
        let page = core.findings().list(&filter).await?;
        findings.extend(page.findings);
        filter.after = page.next;
        if filter.after.is_none() {
            return Ok(findings);
        }
    }
}

fn worst_first(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|one, other| {
        other.severity.cmp(&one.severity).then_with(|| (one.first_seen, &one.id).cmp(&(other.first_seen, &other.id)))
    });
    findings
}

impl Scanned {
    fn empty(core: &Core) -> Self {
        Self {
            findings: Vec::new(),
            summary: Summary::default(),
            sights: Vec::new(),
            refused: core.pack().refused().to_vec(),
            failures: Vec::new(),
            read: 0,
            unreadable: Vec::new(),
            passed_over: Vec::new(),
            rows: 0,
            rejected: 0,
            reasons: BTreeMap::new(),
            bytes: 0,
            took: Duration::ZERO,
        }
    }

    fn take(&mut self, batch: &AccessLogBatch) {
        self.summary.add(&batch.rows, batch.coverage.get("transport_security") > 0);
        self.rows += batch.rows.num_rows() as u64;
        self.bytes += batch.bytes;
        self.rejected += batch.rejects.num_rows() as u64;
        tally(&mut self.reasons, &batch.rejects);
    }
}

/// Counts rejects by reason, and keeps the first of each.
pub(crate) fn tally(known: &mut BTreeMap<String, Rejects>, rejects: &RecordBatch) {
    let text = |name: &str| rejects.column_by_name(name).and_then(|column| column.as_string_view_opt());
    let (Some(reasons), Some(sources), Some(details)) = (text("reason"), text("source"), text("detail")) else {
        return;
    };
    let Some(lines) =
        rejects.column_by_name("line").and_then(|column| column.as_primitive_opt::<arrow::datatypes::Int64Type>())
    else {
        return;
    };
    for row in 0..rejects.num_rows() {
        let known = known.entry(reasons.value(row).to_owned()).or_default();
        if known.count == 0 {
            known.first = format!("{}:{}", sources.value(row), lines.value(row));
            known.detail = if details.is_null(row) { String::new() } else { details.value(row).to_owned() };
        }
        known.count += 1;
    }
}
