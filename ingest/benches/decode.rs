//! How fast lines become Arrow batches: `cargo bench -p ingest`. One thread; the lines are the sample logs, repeated to about 128 MB.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use ingest::{DecodeOptions, Decoder, Wanted};

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// Bytes decoded per iteration, at least.
const BYTES: usize = 128 << 20;
/// Bytes pushed at a time, as a reader of files does.
const CHUNK: usize = 1 << 20;

/// Istio's default JSON keys. Source: istio/istio `pilot/pkg/model/telemetry_logging.go`.
const ISTIO_KEYS: [&str; 24] = [
    "start_time",
    "route_name",
    "method",
    "path",
    "protocol",
    "response_code",
    "response_flags",
    "response_code_details",
    "connection_termination_details",
    "bytes_received",
    "bytes_sent",
    "duration",
    "upstream_service_time",
    "x_forwarded_for",
    "user_agent",
    "request_id",
    "authority",
    "upstream_host",
    "upstream_cluster",
    "upstream_local_address",
    "downstream_local_address",
    "downstream_remote_address",
    "requested_server_name",
    "upstream_transport_failure_reason",
];

fn samples() -> Vec<serde_json::Map<String, serde_json::Value>> {
    let text = include_str!("../../sample-logs/mesh.jsonl");
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn repeated(lines: &str) -> (Vec<u8>, usize) {
    let times = BYTES.div_ceil(lines.len());
    (lines.repeat(times).into_bytes(), lines.lines().count() * times)
}

fn decode(bencher: Bencher, lines: &str) {
    decode_wanted(bencher, lines, Wanted::everything());
}

fn decode_wanted(bencher: Bencher, lines: &str, wanted: Wanted) {
    let (bytes, count) = repeated(lines);
    let options = Arc::new(DecodeOptions { wanted, ..DecodeOptions::default() });
    bencher.counter(BytesCount::new(bytes.len())).counter(ItemsCount::new(count)).bench_local(|| {
        let mut decoder = Decoder::new(options.clone(), "bench", DateTime::<Utc>::UNIX_EPOCH);
        let mut rows = 0;
        for chunk in bytes.chunks(CHUNK) {
            decoder.push(chunk);
            while let Some(batch) = decoder.next_batch() {
                rows += batch.rows.num_rows();
            }
        }
        rows + decoder.finish().map_or(0, |batch| batch.rows.num_rows())
    });
}

#[divan::bench(sample_count = 5)]
fn recommended_json(bencher: Bencher) {
    decode(bencher, include_str!("../../sample-logs/mesh.jsonl"));
}

/// What a scan wants of most lines: what its summary reads.
#[divan::bench(sample_count = 5)]
fn recommended_json_in_a_scan(bencher: Bencher) {
    let columns = [
        "time",
        "signals",
        "edge",
        "duration_ms",
        "response_code",
        "access_log_type",
        "reporter",
        "direction",
        "transport_security",
        "source_principal",
        "claims",
        "source_ip",
        "destination_principal",
        "destination_service",
        "destination_ip",
        "egress_host",
    ];
    let Ok(wanted) = Wanted::columns(columns) else { return };
    decode_wanted(bencher, include_str!("../../sample-logs/mesh.jsonl"), wanted);
}

#[divan::bench(sample_count = 5)]
fn istio_default_json(bencher: Bencher) {
    let mut lines = String::new();
    for line in samples() {
        let line: serde_json::Map<_, _> =
            ISTIO_KEYS.iter().map(|key| ((*key).to_owned(), line.get(*key).cloned().unwrap_or_default())).collect();
        lines.push_str(&serde_json::Value::Object(line).to_string());
        lines.push('\n');
    }
    decode(bencher, &lines);
}

#[divan::bench(sample_count = 5)]
fn istio_default_text(bencher: Bencher) {
    let mut lines = String::new();
    for line in samples() {
        let value = |key: &str| match line.get(key) {
            None | Some(serde_json::Value::Null) => "-".to_owned(),
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let start: String = value("start_time").chars().take(23).collect();
        let request = format!("{} {} {}", value("method"), value("path"), value("protocol"));
        let bare = |keys: &[&str]| keys.iter().map(|key| value(key)).collect::<Vec<_>>().join(" ");
        let quoted = |keys: &[&str]| keys.iter().map(|key| format!("\"{}\"", value(key))).collect::<Vec<_>>().join(" ");
        lines.push_str(&format!(
            "[{start}Z] \"{request}\" {} {} {} {} {}\n",
            bare(&["response_code", "response_flags", "response_code_details", "connection_termination_details"]),
            quoted(&["upstream_transport_failure_reason"]),
            bare(&["bytes_received", "bytes_sent", "duration", "upstream_service_time"]),
            quoted(&["x_forwarded_for", "user_agent", "request_id", "authority", "upstream_host"]),
            bare(&[
                "upstream_cluster",
                "upstream_local_address",
                "downstream_local_address",
                "downstream_remote_address",
                "requested_server_name",
                "route_name"
            ]),
        ));
    }
    decode(bencher, &lines);
}
