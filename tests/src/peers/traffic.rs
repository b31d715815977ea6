//! Access logs without end: the sample logs again and again, no line like another.
//!
//! ```text
//! mesh.jsonl (2,644 lines) ── pass 0, 1, 2, … ──▶ lines, 240 s of event time a pass
//!     names, addresses        by cell = pass mod 24: its own namespaces and its own 10.x, so a few hundred edges
//!     certificates            by cell and 12 hours
//!     ids, ports, durations,  by request: both sides' lines of a request agree, nothing else does
//!     bytes, paths, subjects
//! ```
//! The attacks come along: each cell is attacked again after 24 passes, which is longer than a detection looks back. Everything is a
//! function of pass and sample; no clock, no state. Times are µs since the epoch.

use chrono::DateTime;
use serde_json::{Map, Value};

use super::draw::Draw;
use crate::lines::time_text;

/// A line of the recommended format.
pub(super) type Line = Map<String, Value>;

/// Bumped when other lines come out, so that files made before are made anew.
pub(super) const VERSION: u32 = 1;

const SAMPLES: &str = include_str!("../../../sample-logs/mesh.jsonl");
/// 2026-11-01T00:00:00Z
const BEGIN: i64 = 1_793_491_200_000_000;
/// Event time of a pass, µs; the samples span three times as much.
const PASS: i64 = 240_000_000;
/// Parts of the mesh that look alike.
const CELLS: u64 = 24;
/// Life of a certificate, µs.
const ROTATION: i64 = 43_200_000_000;
/// The samples' namespaces, but that of the gateway, and what all their addresses of pods start with.
const NAMESPACES: [&str; 3] = ["analytics", "bank", "shop"];
const PODS: &str = "127.55.";

/// Makes lines.
#[derive(Debug)]
pub(super) struct Traffic {
    samples: Vec<Line>,
    begin: i64,
    pass: u64,
    place: usize,
}

impl Traffic {
    /// From the first line on.
    pub(super) fn new() -> Self {
        let samples: Vec<Line> = SAMPLES.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let begin = samples.iter().filter_map(started).min().unwrap_or_default();
        Self { samples, begin, pass: 0, place: 0 }
    }
}

impl Iterator for Traffic {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let sample = self.samples.get(self.place)?;
        let line = varied(sample, self.pass, self.begin);
        self.place += 1;
        if self.place == self.samples.len() {
            (self.pass, self.place) = (self.pass + 1, 0);
        }
        Some(line)
    }
}

fn started(line: &Line) -> Option<i64> {
    let time = line.get("start_time")?.as_str()?;
    Some(DateTime::parse_from_rfc3339(time).ok()?.timestamp_micros())
}

fn varied(sample: &Line, pass: u64, begin: i64) -> Line {
    let cell = pass % CELLS;
    let since = PASS.saturating_mul(i64::try_from(pass).unwrap_or_default());
    let rotation = since / ROTATION;
    // a request has an id on both sides; a connection has the client's address
    let shared = ["request_id", "downstream_direct_remote_address"].iter().find_map(|key| sample.get(*key)?.as_str());
    let for_request = |key: &str| Draw::of(&[pass], &[shared.unwrap_or_default(), key]);
    let mut line = sample.clone();
    for (key, value) in &mut line {
        let fresh = match (key.as_str(), &*value) {
            ("start_time", _) => {
                let offset = (started(sample).unwrap_or(begin) - begin) / 3;
                let jitter = i64::try_from(for_request("start").below(900)).unwrap_or_default();
                time_text(BEGIN + since + offset + jitter).into()
            }
            ("downstream_peer_cert_v_end", Value::String(_)) => {
                time_text(BEGIN + (rotation + 2) * ROTATION).replace("000Z", "Z").into()
            }
            ("downstream_peer_serial" | "downstream_peer_fingerprint_256", Value::String(text)) => {
                Draw::of(&[cell, rotation.unsigned_abs()], &[text]).hex(text.len()).into()
            }
            ("request_id" | "stream_id" | "fapi_interaction_id", Value::String(text)) if text.len() == 36 => {
                Draw::of(&[pass], &[text]).uuid().into()
            }
            ("traceparent", Value::String(text)) => {
                let mut draw = Draw::of(&[pass], &[text]);
                format!("00-{}-{}-01", draw.hex(32), draw.hex(16)).into()
            }
            (
                "downstream_remote_address" | "downstream_direct_remote_address" | "upstream_local_address",
                Value::String(text),
            ) => with_port(&moved(text, cell), Draw::of(&[pass], &[text])).into(),
            ("connection_id", Value::Number(_)) => (1 + for_request(key).below(9_999_999)).into(),
            ("duration", Value::Number(_)) => {
                let mut draw = for_request(key);
                let scale = draw.below(9);
                draw.below(1 << scale).into()
            }
            ("bytes_sent" | "bytes_received", Value::Number(number)) => {
                let most = number.as_u64().unwrap_or_default();
                if most == 0 { 0.into() } else { most.saturating_mul(1 + for_request(key).below(200)).into() }
            }
            ("path", Value::String(text)) => with_id(text, for_request(key)).into(),
            ("jwt_sub", Value::String(_)) => format!("c{}", 1000 + for_request(key).below(9000)).into(),
            ("pod_namespace", Value::String(text)) => namespace(text, cell).into(),
            ("pod_name", Value::String(text)) => {
                let stem = text.rsplit_once('-').map_or(text.as_str(), |(stem, _)| stem);
                format!("{stem}-{}", Draw::of(&[cell], &[text]).hex(5)).into()
            }
            (_, Value::String(text)) => moved(text, cell).into(),
            (_, nested @ (Value::Object(_) | Value::Array(_))) => moved_value(nested, cell),
            _ => continue,
        };
        *value = fresh;
    }
    line
}

fn moved_value(value: &Value, cell: u64) -> Value {
    match value {
        Value::String(text) if NAMESPACES.contains(&text.as_str()) => namespace(text, cell).into(),
        Value::String(text) => moved(text, cell).into(),
        Value::Array(values) => values.iter().map(|value| moved_value(value, cell)).collect(),
        // the metadata of RBAC and of services is flat or one level deep
        Value::Object(values) => {
            values.iter().map(|(key, value)| (key.clone(), moved_value(value, cell))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// `text` with the names and addresses of a cell.
fn moved(text: &str, cell: u64) -> String {
    let mut text = text.replace(PODS, &format!("10.{}.", cell + 1));
    for name in NAMESPACES.into_iter().filter(|_| cell > 0) {
        if !text.contains(name) {
            continue;
        }
        let fresh = namespace(name, cell);
        for (before, after) in [("/ns/", "/"), (".", ".svc"), ("ns[", "]")] {
            text = text.replace(&format!("{before}{name}{after}"), &format!("{before}{fresh}{after}"));
        }
    }
    text
}

fn namespace(name: &str, cell: u64) -> String {
    if cell == 0 || !NAMESPACES.contains(&name) { name.to_owned() } else { format!("{name}-{cell:02}") }
}

/// An address with another ephemeral port; port 0 says that there is none.
fn with_port(address: &str, mut draw: Draw) -> String {
    match address.rsplit_once(':') {
        Some((ip, port)) if port != "0" => format!("{ip}:{}", 32_768 + draw.below(28_232)),
        _ => address.to_owned(),
    }
}

/// A path with other ids; one of the application's API gets one at its end if it has none.
fn with_id(path: &str, mut draw: Draw) -> String {
    let id = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    if path.starts_with("/v1/") && !parts.iter().any(|part| id(part)) {
        parts.push("0".to_owned());
    }
    for part in parts.iter_mut().filter(|part| id(part)) {
        *part = draw.below(1_000_000).to_string();
    }
    parts.join("/")
}

#[cfg(test)]
mod tests;
