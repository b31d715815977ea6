//! The keys of the JSON formats and what a peer should make of them: as many columns as meshwarden reads keys.

use serde_json::{Map, Value};

use crate::mesh::{Format, ISTIO_JSON, RECOMMENDED};

const INTEGERS: [&str; 7] = [
    "bytes_received",
    "bytes_sent",
    "connection_id",
    "duration",
    "grpc_status",
    "response_code",
    "upstream_request_attempt_count",
];
const BOOLEANS: [&str; 1] = ["audit"];
const TIMES: [&str; 2] = ["downstream_peer_cert_v_end", "start_time"];
/// Objects and lists: JSON text, where an engine can keep it so.
const NESTED: [&str; 5] = ["jwt_aud", "jwt_realm_access", "rbac", "rbac_tcp", "upstream_service"];

/// Every key of a JSON format with `int`, `bool`, `time`, `json` or `text`.
pub(super) fn of(format: Format) -> Map<String, Value> {
    let keys: Vec<String> = match format {
        Format::Recommended => serde_json::from_str::<Map<_, _>>(RECOMMENDED).unwrap_or_default().into_iter(),
        Format::IstioJson | Format::IstioText => {
            ISTIO_JSON.iter().map(|(key, _)| ((*key).to_owned(), Value::Null)).collect::<Map<_, _>>().into_iter()
        }
    }
    .map(|(key, _)| key)
    .collect();
    keys.into_iter().map(|key| (key.clone(), kind(&key).into())).collect()
}

fn kind(key: &str) -> &'static str {
    match key {
        _ if INTEGERS.contains(&key) => "int",
        _ if BOOLEANS.contains(&key) => "bool",
        _ if TIMES.contains(&key) => "time",
        _ if NESTED.contains(&key) => "json",
        _ => "text",
    }
}
