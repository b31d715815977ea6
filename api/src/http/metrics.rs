//! What the program counts, for Prometheus: one function per thing that happens, and `GET /metrics`.
//!
//! ```text
//!  happens ─▶ Metrics::ingested, answered, detected, … ─▶ registry ─┐
//!  core, deliveries ── read when asked ─────────────────────────────┴─▶ OpenMetrics text
//! ```
//! Labels are bounded: routes as declared, reasons and outcomes of fixed lists, detections and sinks as configured. Times in seconds, sizes in
//! bytes.

mod labels;

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use ingest::tail::TailStats;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use query::Round;

use super::problem::Problem;
use super::state::AppState;
use crate::intake::JournalStats;
use crate::receive::{Receiver, Tally};
use labels::{ByKind, ByOutcome, ByReason, ByReceiver, ByRequest, ByRoute, ByStatus, ByTier};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the program counts.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    accepted: Counter,
    with_extra: Counter,
    rejected: Family<ByReason, Counter>,
    bytes: Counter,
    repeats: Counter,
    receiver_lines: Family<ByReceiver, Counter>,
    receiver_bytes: Family<ByReceiver, Counter>,
    receiver_failures: Family<ByReceiver, Counter>,
    tail_files: Gauge,
    tail_behind: Gauge,
    requests: Family<ByRequest, Counter>,
    request_seconds: Family<ByRoute, Histogram, fn() -> Histogram>,
    rounds: Counter,
    windows: Counter,
    failures: Counter,
    given_up: Counter,
    round_seconds: Histogram,
    changes: Family<ByKind, Counter>,
    flush_failures: Counter,
    findings: Family<ByStatus, Gauge>,
    rows: Family<ByTier, Gauge>,
    hot_bytes: Gauge,
    journal_bytes: Gauge,
    journal_syncs: Counter<u64, AtomicU64>,
    journal_damaged: Gauge,
    journal_missing: Gauge,
    room: Gauge,
    deliveries: Family<ByOutcome, Counter<u64, AtomicU64>>,
    /// One reader at a time fills the values that are read when asked.
    reading: Mutex<()>,
}

/// How many deliveries of a sink had this outcome, since the program started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryCount {
    /// Name of the sink.
    pub sink: String,
    /// `delivered`, `retried`, `rejected`, …
    pub outcome: String,
    /// How many.
    pub count: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("meshwarden");
        let request_seconds: Family<_, _, fn() -> Histogram> = Family::new_with_constructor(seconds);
        let metrics = Self {
            accepted: Counter::default(),
            with_extra: Counter::default(),
            rejected: Family::default(),
            bytes: Counter::default(),
            repeats: Counter::default(),
            receiver_lines: Family::default(),
            receiver_bytes: Family::default(),
            receiver_failures: Family::default(),
            tail_files: Gauge::default(),
            tail_behind: Gauge::default(),
            requests: Family::default(),
            request_seconds,
            rounds: Counter::default(),
            windows: Counter::default(),
            failures: Counter::default(),
            given_up: Counter::default(),
            round_seconds: seconds(),
            changes: Family::default(),
            flush_failures: Counter::default(),
            findings: Family::default(),
            rows: Family::default(),
            hot_bytes: Gauge::default(),
            journal_bytes: Gauge::default(),
            journal_syncs: Counter::default(),
            journal_damaged: Gauge::default(),
            journal_missing: Gauge::default(),
            room: Gauge::default(),
            deliveries: Family::default(),
            registry: Registry::default(),
            reading: Mutex::new(()),
        };
        let m = &metrics;
        registry.register("lines_accepted", "Lines that became rows", m.accepted.clone());
        registry.register(
            "lines_with_extra",
            "Lines that became rows and hold what no column takes: keys that are new, values of another type",
            m.with_extra.clone(),
        );
        registry.register("lines_rejected", "Lines that could not be decoded, by reason", m.rejected.clone());
        registry.register_with_unit("ingest", "Bytes taken in, after inflating", Unit::Bytes, m.bytes.clone());
        registry.register(
            "ingest_repeats",
            "Payloads that were sent again under their key, and not taken again",
            m.repeats.clone(),
        );
        registry.register("receiver_lines", "Lines taken in, rows and rejects, by receiver", m.receiver_lines.clone());
        registry.register_with_unit(
            "receiver",
            "Bytes taken in, after inflating, by receiver",
            Unit::Bytes,
            m.receiver_bytes.clone(),
        );
        registry.register(
            "receiver_failures",
            "What a receiver could not take for now: it is tried again",
            m.receiver_failures.clone(),
        );
        registry.register("tail_files", "Files that are open because something came", m.tail_files.clone());
        registry.register_with_unit(
            "tail_behind",
            "What open files have that is not taken yet",
            Unit::Bytes,
            m.tail_behind.clone(),
        );
        registry.register("http_requests", "HTTP requests answered", m.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time to the answer's head",
            Unit::Seconds,
            m.request_seconds.clone(),
        );
        registry.register("detect_rounds", "Rounds of detection that looked at something", m.rounds.clone());
        registry.register("detect_windows", "Windows that detections looked at", m.windows.clone());
        registry.register(
            "detect_failures",
            "Detections that failed on a window, and rounds that failed",
            m.failures.clone(),
        );
        registry.register(
            "detect_windows_given_up",
            "Windows on which a detection failed too often to be tried again",
            m.given_up.clone(),
        );
        registry.register_with_unit(
            "detect_round_duration",
            "Time of a round of detection",
            Unit::Seconds,
            m.round_seconds.clone(),
        );
        registry.register("finding_changes", "Changes of findings, by kind", m.changes.clone());
        registry.register("store_flush_failures", "Flushes to disk that failed", m.flush_failures.clone());
        registry.register("findings", "Findings, by detection and status", m.findings.clone());
        registry.register("store_rows", "Access logs in memory (hot) and on disk (cold)", m.rows.clone());
        registry.register_with_unit("store_hot", "Memory that rows hold", Unit::Bytes, m.hot_bytes.clone());
        registry.register_with_unit("journal", "Files of the journal", Unit::Bytes, m.journal_bytes.clone());
        registry.register("journal_syncs", "Writes of the journal to stable storage", m.journal_syncs.clone());
        registry.register_with_unit(
            "journal_damaged",
            "What was no frame when the journal was opened, and is kept aside",
            Unit::Bytes,
            m.journal_damaged.clone(),
        );
        registry.register(
            "journal_missing",
            "Payloads that were acknowledged and not there when the journal was opened",
            m.journal_missing.clone(),
        );
        registry.register_with_unit(
            "disk_room",
            "What may still be taken in before the disk is too full",
            Unit::Bytes,
            m.room.clone(),
        );
        registry.register("deliveries", "Deliveries, by sink and outcome", m.deliveries.clone());
        registry.register("build", "The program", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
        for receiver in Receiver::ALL {
            // one that nothing comes from is seen to be silent
            let by = ByReceiver { receiver: receiver.name() };
            metrics.receiver_lines.get_or_create(&by).inc_by(0);
            metrics.receiver_failures.get_or_create(&by).inc_by(0);
        }
        Self { registry, ..metrics }
    }

    /// A receiver's lines were taken in, of so many bytes, after inflating.
    pub(crate) fn received(&self, receiver: Receiver, tally: &Tally, bytes: u64) {
        self.accepted.inc_by(tally.accepted);
        self.with_extra.inc_by(tally.with_extra);
        self.bytes.inc_by(bytes);
        for (reason, lines) in &tally.by_reason {
            self.rejected.get_or_create(&ByReason { reason: reason.clone() }).inc_by(*lines);
        }
        let by = ByReceiver { receiver: receiver.name() };
        self.receiver_lines.get_or_create(&by).inc_by(tally.accepted + tally.rejected);
        self.receiver_bytes.get_or_create(&by).inc_by(bytes);
    }

    /// A receiver could not take something, for now.
    pub(crate) fn receive_failed(&self, receiver: Receiver) {
        self.receiver_failures.get_or_create(&ByReceiver { receiver: receiver.name() }).inc();
    }

    /// What is followed of files.
    pub(crate) fn following(&self, stats: &TailStats) {
        self.tail_files.set(signed(stats.open));
        self.tail_behind.set(signed(stats.behind));
    }

    /// A body was sent again under its key.
    pub(crate) fn repeated(&self) {
        self.repeats.inc();
    }

    /// A request was answered; `route` as declared.
    pub(crate) fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let labels = ByRequest { method: method.to_owned(), route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        self.request_seconds.get_or_create(&ByRoute { route: route.to_owned() }).observe(took.as_secs_f64());
    }

    /// A round of detection ended.
    pub(crate) fn detected(&self, round: &Round, took: Duration) {
        self.rounds.inc();
        self.windows.inc_by(round.windows as u64);
        self.failures.inc_by(round.failures.len() as u64);
        self.given_up.inc_by(round.failures.iter().filter(|failure| !failure.again).count() as u64);
        self.round_seconds.observe(took.as_secs_f64());
        for (_, kind) in &round.changes {
            self.changes.get_or_create(&ByKind { kind: kind.as_str().to_owned() }).inc();
        }
    }

    /// A round of detection could not be done.
    pub(crate) fn detect_failed(&self) {
        self.failures.inc();
    }

    /// A flush did not work.
    pub(crate) fn flush_failed(&self) {
        self.flush_failures.inc();
    }

    fn text(
        &self,
        findings: &[(String, String, i64)],
        store: &query::store::StoreStats,
        journal: JournalStats,
        deliveries: &[DeliveryCount],
    ) -> Result<String, std::fmt::Error> {
        let _one_reader = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        self.findings.clear();
        for (detection, status, count) in findings {
            self.findings.get_or_create(&ByStatus { detection: detection.clone(), status: status.clone() }).set(*count);
        }
        for (tier, rows) in [("hot", store.hot_rows), ("cold", store.cold_rows)] {
            self.rows.get_or_create(&ByTier { tier }).set(signed(rows));
        }
        self.hot_bytes.set(signed(store.hot_bytes));
        self.journal_bytes.set(signed(journal.bytes));
        self.journal_damaged.set(signed(journal.damaged));
        self.journal_missing.set(signed(journal.missing));
        self.room.set(signed(journal.room));
        self.journal_syncs.inner().store(journal.syncs, std::sync::atomic::Ordering::Relaxed);
        for DeliveryCount { sink, outcome, count } in deliveries {
            let labels = ByOutcome { sink: sink.clone(), outcome: outcome.clone() };
            self.deliveries.get_or_create(&labels).inner().store(*count, std::sync::atomic::Ordering::Relaxed);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn seconds() -> Histogram {
    Histogram::new([0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])
}

/// Everything counted, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "operation",
    responses(
        (status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text"),
        (status = "default", description = "A problem", body = super::problem::ProblemJson, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn metrics(State(state): State<AppState>) -> Result<Response, Problem> {
    let findings =
        state.core().findings().counts().await.map_err(|error| Problem::internal("counting findings", &error))?;
    let (store, journal) = (state.core().store().stats(), state.intake().journal());
    let text = state.metrics().text(&findings, &store, journal, &state.deliveries());
    let text = text.map_err(|error| Problem::internal("writing metrics", &error))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}
