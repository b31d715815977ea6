//! Lines of the recommended format as the senders of other doors would send them: OTLP with a label for each key, as strings, and entries of Envoy's access log
//! service.

use serde_json::{Map, Value};

use crate::grpc::protobuf::{bytes, number};

/// By which door lines are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// `POST /api/v1/ingest`.
    Http,
    /// OTLP over gRPC.
    OtlpGrpc,
    /// Envoy's access log service.
    Als,
}

impl By {
    /// The payload of lines.
    pub(super) fn payload(self, lines: &[u8]) -> Vec<u8> {
        match self {
            Self::Http => lines.to_vec(),
            Self::OtlpGrpc => bytes(1, &bytes(2, &each(lines, record))),
            Self::Als => {
                let node = bytes(1, b"sidecar~10.0.0.2~web-1.shop~shop.svc.cluster.local");
                let identifier = [bytes(1, &node), bytes(2, b"http_envoy_accesslog")].concat();
                [bytes(1, &identifier), bytes(2, &each(lines, entry))].concat()
            }
        }
    }
}

fn each(lines: &[u8], encode: fn(&Map<String, Value>) -> Vec<u8>) -> Vec<u8> {
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.filter_map(|line| serde_json::from_slice(line).ok()).flat_map(|line| encode(&line)).collect()
}

/// A `LogRecord`, in its field: what Envoy's exporter makes of the format.
fn record(line: &Map<String, Value>) -> Vec<u8> {
    let mut record = Vec::new();
    for (key, value) in line {
        let value = match value {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let pair = [bytes(1, key.as_bytes()), bytes(2, &bytes(1, value.as_bytes()))].concat();
        record.extend(bytes(6, &pair));
    }
    bytes(2, &record)
}

/// An `HTTPAccessLogEntry`, in its field.
fn entry(line: &Map<String, Value>) -> Vec<u8> {
    let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
    let int = |key: &str| line.get(key).and_then(Value::as_u64).unwrap_or(0);
    let address = |field: u8, key: &str| match text(key).rsplit_once(':') {
        Some((ip, port)) => {
            bytes(field, &bytes(1, &[bytes(2, ip.as_bytes()), number(3, port.parse().unwrap_or(0))].concat()))
        }
        None => Vec::new(),
    };
    let san = |field: u8, key: &str| match text(key) {
        "" => Vec::new(),
        uri => bytes(field, &[bytes(1, &bytes(1, uri.as_bytes())), bytes(3, b"O=cluster.local")].concat()),
    };
    let start = chrono::DateTime::parse_from_rfc3339(text("start_time")).unwrap_or_default();
    let time = [number(1, start.timestamp().cast_unsigned()), number(2, u64::from(start.timestamp_subsec_nanos()))];
    let tls = [
        number(1, if text("downstream_tls_version").is_empty() { 0 } else { 4 }),
        bytes(2, &number(1, if text("downstream_tls_version").is_empty() { 0 } else { 0x1301 })),
        bytes(3, text("requested_server_name").as_bytes()),
        san(4, "downstream_local_uri_san"),
        san(5, "downstream_peer_uri_san"),
    ];
    let rbac: Vec<u8> = line
        .get("rbac")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .flat_map(|(key, value)| {
            let value = bytes(2, &bytes(3, value.as_str().unwrap_or_default().as_bytes()));
            bytes(1, &[bytes(1, key.as_bytes()), value].concat())
        })
        .collect();
    let metadata = bytes(1, &[bytes(1, b"envoy.filters.http.rbac"), bytes(2, &rbac)].concat());
    let duration = int("duration");
    let common = [
        address(2, "downstream_remote_address"),
        address(3, "downstream_local_address"),
        bytes(4, &tls.concat()),
        bytes(5, &time.concat()),
        address(13, "upstream_host"),
        address(14, "upstream_local_address"),
        bytes(15, text("upstream_cluster").as_bytes()),
        if rbac.is_empty() { Vec::new() } else { bytes(17, &metadata) },
        bytes(19, text("route_name").as_bytes()),
        address(20, "downstream_direct_remote_address"),
        bytes(23, &[number(1, duration / 1000), number(2, duration % 1000 * 1_000_000)].concat()),
        number(24, int("upstream_request_attempt_count")),
        bytes(26, text("stream_id").as_bytes()),
        number(33, 6),
    ];
    let method = ["", "GET", "HEAD", "POST", "PUT", "DELETE"].iter().position(|name| *name == text("method"));
    let request = [
        number(1, method.unwrap_or(0) as u64),
        bytes(3, text("authority").as_bytes()),
        bytes(5, text("path").as_bytes()),
        bytes(6, text("user_agent").as_bytes()),
        bytes(8, text("x_forwarded_for").as_bytes()),
        bytes(9, text("request_id").as_bytes()),
        number(12, int("bytes_received")),
    ];
    let response = [
        bytes(1, &number(1, int("response_code"))),
        number(3, int("bytes_sent")),
        bytes(6, text("response_code_details").as_bytes()),
    ];
    let entry = [bytes(1, &common.concat()), number(2, 2), bytes(3, &request.concat()), bytes(4, &response.concat())];
    bytes(1, &entry.concat())
}
