//! The same events by every way in: a mesh of real Envoys writes each of its requests and connections into files, and sends it as OTLP over gRPC, as OTLP over
//! HTTP, as OTLP the way Istio does without labels, and to the access log service. The rows agree, as far as the protocols carry them.

use std::collections::{BTreeMap, BTreeSet};
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

/// What the access log service does not carry of any line, or carries otherwise: the table in the README.
const NOT_IN_ALS: [&str; 12] = [
    // no field for it
    "connection_id",
    "filter_chain_name",
    "peer_serial",
    "peer_fingerprint",
    "peer_cert_end",
    // by the cluster's metadata in a file, by its name or the authority here
    "destination_service",
    "claims",
    "edge",
    // with its query here
    "path",
    // of a request that was answered before it had one, there is none here
    "upstream_cluster",
    // the recommended format leaves it out
    "upstream_service_time_ms",
    // addresses and services of the file's keys, another's of ALS
    "extra",
];

/// What it does not carry of a client's line besides: the TLS of the proxy's own connection, and who is at its other end.
const OF_THE_CLIENTS_TLS: [&str; 12] = [
    "source_principal",
    "source_namespace",
    "source_service_account",
    "source_trust_domain",
    "destination_principal",
    "destination_namespace",
    "destination_service_account",
    "destination_trust_domain",
    "identity_verified",
    "transport_security",
    "tls_version",
    "tls_cipher",
];

/// What it does not tell of a request that the proxy answered before it had a cluster: which side it was, and what it would have reached.
const OF_THE_CLUSTER: [&str; 5] = ["reporter", "direction", "egress", "egress_host", "signals"];

/// Rows of one event have one pod, start and stream.
fn event(row: &Row) -> [Option<String>; 4] {
    ["node_pod", "time", "stream_id", "connection_termination_details"].map(|key| row.get(key).map(Value::to_string))
}

/// Flags in one order, headers as long as the recommended format has them.
fn alike(rows: &[Row]) -> Vec<Row> {
    let mut rows = rows.to_vec();
    for row in &mut rows {
        if let Some(Value::String(flags)) = row.get_mut("response_flags") {
            let mut sorted: Vec<&str> = flags.split(',').collect();
            sorted.sort_unstable();
            *flags = sorted.join(",");
        }
        for header in ["user_agent", "forwarded_for", "referer"] {
            if let Some(Value::String(text)) = row.get_mut(header) {
                // bytes that are no text are each way's own: `\u00ff` in a file, `!` here
                *text = if text.ends_with(" latin") { "latin".to_owned() } else { text.chars().take(256).collect() };
            }
        }
    }
    rows
}

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
    let (files, door) = (counted(of_files, without), counted(of_door, without));
    let only = |one: &BTreeMap<String, usize>, other: &BTreeMap<String, usize>| -> Vec<String> {
        one.iter().filter(|(row, count)| other.get(*row) != Some(count)).map(|(row, _)| row.clone()).collect()
    };
    let (in_files, in_door) = (only(&files, &door), only(&door, &files));
    // which columns differ, with an example each
    let mut differences: BTreeMap<String, String> = BTreeMap::new();
    let parsed = |row: &String| serde_json::from_str::<Row>(row).unwrap();
    let others: Vec<Row> = in_door.iter().map(parsed).collect();
    for row in in_files.iter().map(parsed) {
        match others.iter().find(|other| event(other) == event(&row)) {
            None => drop(differences.insert("no such event".to_owned(), Value::from(row).to_string())),
            Some(other) => {
                for (column, value) in &row {
                    if other.get(column) != Some(value) {
                        let example =
                            format!("file {value}, door {:?}, of {}", other.get(column), Value::from(row.clone()));
                        differences.insert(column.clone(), example);
                    }
                }
            }
        }
    }
    assert!(
        in_files.is_empty() && in_door.is_empty() && of_files.len() == of_door.len(),
        "{way}: {} rows differ: {differences:#?}",
        in_files.len()
    );
}

/// Holds what came in by the doors against the files.
pub(super) async fn every_way_in_agrees(run: &Run, by_source: &BTreeMap<String, Vec<Row>>) {
    let files = rows(&run.logs.recommended).await;
    assert!(files.len() > 1000, "{}", files.len());
    let of = |source: &str| by_source.get(source).map(Vec::as_slice).unwrap_or_default();
    agree("OTLP over gRPC", &files, of("otlp_grpc"), &[]);
    agree("OTLP over HTTP", &files, of("otlp_http"), &[]);
    // the text says less, and the label more: that a pod is a gateway
    let text = rows(&run.logs.istio_text).await;
    let of_the_pod = ["node_pod", "reporter", "direction", "egress", "egress_host", "edge", "signals"];
    agree("OTLP, text and a label", &text, of(TEXT_SOURCE), &of_the_pod);
    let (files, als) = (alike(&files), alike(of("als")));
    let of_event: BTreeMap<_, &Row> = files.iter().map(|row| (event(row), row)).collect();
    assert_eq!(of_event.len(), files.len(), "one event, one row");
    let answered: BTreeSet<_> = als.iter().filter(|row| row["upstream_cluster"].is_null()).map(event).collect();
    // which of three groups an event is in: the proxy answered before it had a cluster, a server's, a client's or gateway's
    let group = |row: &&Row| match (answered.contains(&event(row)), of_event.get(&event(row))) {
        (true, _) => 0,
        (false, Some(row)) if row["reporter"] == "destination" => 1,
        (false, _) => 2,
    };
    let of_group = |rows: &[Row], number| rows.iter().filter(|row| group(row) == number).cloned().collect::<Vec<Row>>();
    let clients = [&NOT_IN_ALS[..], &OF_THE_CLIENTS_TLS].concat();
    let without_cluster = [&clients[..], &OF_THE_CLUSTER].concat();
    for (number, way, without) in [
        (0, "ALS, answered without a cluster", &without_cluster[..]),
        (1, "ALS, servers", &NOT_IN_ALS),
        (2, "ALS, clients and gateways", &clients),
    ] {
        let (files, als) = (of_group(&files, number), of_group(&als, number));
        assert!(files.len() > 50, "{way}: {}", files.len());
        agree(way, &files, &als, without);
    }
}
