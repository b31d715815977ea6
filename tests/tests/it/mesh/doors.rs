//! The same events by every way in: a mesh of real Envoys writes each of its requests and connections into files, and sends it as OTLP over gRPC, as OTLP over
//! HTTP, as OTLP the way Istio does without labels, and to the access log service. The rows agree, as far as the protocols carry them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use api::detect_loop::Detector;
use api::http::{AppState, HttpConfig, Metrics, Phase, serve_proxies};
use api::intake::Intake;
use chrono::{DateTime, Utc};
use ingest::{DecodeOptions, Decoder};
use query::sql::Limits;
use query::{Core, CoreOptions, Keep};
use serde_json::{Map, Value};
use tests::mesh::{Doors, Run, TEXT_SOURCE};
use tokio::net::TcpListener;

type Row = Map<String, Value>;

/// Doors for proxies, and what is behind them.
pub(super) struct Behind {
    pub(super) core: Arc<Core>,
    pub(super) doors: Doors,
    state: AppState,
}

impl Behind {
    pub(super) async fn open() -> Self {
        let core = Arc::new(Core::in_memory(Keep::All, CoreOptions::default()).await.unwrap());
        let clock = || "2026-11-23T17:00:00Z".parse::<DateTime<Utc>>().unwrap();
        let intake = Intake::in_memory(core.clone(), Arc::default()).await.unwrap();
        let detector = Detector::new(intake, Arc::new(clock), Arc::new(Metrics::new()));
        let state = AppState::new(detector, HttpConfig::new(SocketAddr::from(([127, 0, 0, 1], 0))));
        let mut addresses = Vec::new();
        for _ in 0..2 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.push(listener.local_addr().unwrap());
            tokio::spawn(serve_proxies(listener, state.clone(), true));
        }
        let doors = Doors { grpc: addresses[0], http: addresses[1] };
        Self { core, doors, state }
    }

    /// Shuts the doors, and reads what came in by them: by source.
    pub(super) async fn close(self) -> BTreeMap<String, Vec<Row>> {
        self.state.enter(Phase::Draining);
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let limits = Limits { rows: 1_000_000, bytes: 1 << 30, ..Limits::default() };
        let rejects = self.core.query("SELECT source, reason, detail, raw FROM rejects", limits).await.unwrap();
        let rejects = query::json::rows_as_json(&rejects.batches).unwrap();
        assert!(rejects.is_empty(), "{rejects:#?}");
        let rows = self.core.query("SELECT * FROM access_logs", limits).await.unwrap();
        let mut by_source: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for row in query::json::rows_as_json(&rows.batches).unwrap() {
            by_source.entry(row["source"].as_str().unwrap().to_owned()).or_default().push(row);
        }
        by_source
    }
}

/// The rows of lines.
async fn rows(log: &[u8]) -> Vec<Row> {
    let core = Core::in_memory(Keep::All, CoreOptions::default()).await.unwrap();
    let mut decoder = Decoder::new(Arc::new(DecodeOptions::default()), "file", DateTime::<Utc>::UNIX_EPOCH);
    decoder.push(log);
    while let Some(batch) = decoder.next_batch() {
        core.append(&batch).await.unwrap();
    }
    if let Some(batch) = decoder.finish() {
        core.append(&batch).await.unwrap();
    }
    let limits = Limits { rows: 1_000_000, bytes: 1 << 30, ..Limits::default() };
    query::json::rows_as_json(&core.query("SELECT * FROM access_logs", limits).await.unwrap().batches).unwrap()
}

/// Where a row is from and when it came is each way's own.
const OWN: [&str; 3] = ["received_at", "log_id", "source"];

/// What the protocol of the access log service does not carry, or carries otherwise: the table in the README.
const NOT_IN_ALS: [&str; 18] = [
    // not there at all
    "connection_id",
    "filter_chain_name",
    "peer_serial",
    "peer_fingerprint",
    "peer_cert_end",
    "trace_id",
    "grpc_status",
    // the TLS of the client's side: of a client's line, and what follows from it
    "source_principal",
    "source_namespace",
    "source_service_account",
    "source_trust_domain",
    "destination_principal",
    "destination_namespace",
    "destination_service_account",
    "destination_trust_domain",
    "identity_verified",
    // with its query here
    "path",
    "extra",
];

/// Rows by what they say, with how many say it.
fn counted(rows: &[Row], without: &[&str]) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for row in rows {
        let mut row = row.clone();
        for column in OWN.iter().chain(without) {
            row.remove(*column);
        }
        *counted.entry(Value::from(row).to_string()).or_default() += 1;
    }
    counted
}

#[track_caller]
fn agree(way: &str, of_files: &[Row], of_door: &[Row], without: &[&str]) {
    assert_eq!(of_door.len(), of_files.len(), "{way}");
    let (files, door) = (counted(of_files, without), counted(of_door, without));
    let only = |one: &BTreeMap<String, usize>, other: &BTreeMap<String, usize>| -> Vec<String> {
        one.iter().filter(|(row, count)| other.get(*row) != Some(count)).map(|(row, _)| row.clone()).collect()
    };
    let (in_files, in_door) = (only(&files, &door), only(&door, &files));
    assert!(
        in_files.is_empty() && in_door.is_empty(),
        "{way}: {} rows differ, such as\nfile {}\ndoor {}",
        in_files.len(),
        in_files.first().map_or("", String::as_str),
        in_door.first().map_or("", String::as_str)
    );
}

/// Holds what came in by the doors against the files.
pub(super) async fn every_way_in_agrees(run: &Run, by_source: &BTreeMap<String, Vec<Row>>) {
    let files = rows(&run.logs.recommended).await;
    assert!(files.len() > 1000, "{}", files.len());
    let of = |source: &str| by_source.get(source).map(Vec::as_slice).unwrap_or_default();
    agree("OTLP over gRPC", &files, of("otlp_grpc"), &[]);
    agree("OTLP over HTTP", &files, of("otlp_http"), &[]);
    // the text says less, and the label more
    let text = rows(&run.logs.istio_text).await;
    agree("OTLP, text and a label", &text, of(TEXT_SOURCE), &["node_pod", "reporter", "direction", "edge", "signals"]);
    agree("ALS", &files, of("als"), &NOT_IN_ALS);
}
