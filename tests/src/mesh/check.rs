//! Checks a run against its own truth: every planted attack is in the logs with its exact count, in each format that
//! can show it; no other edge reaches the floor of a detection; and blanked logs show nothing. Written with the
//! simplest means (a line is a list of keys and values), so that it can be believed.

use std::{collections::HashMap, ops::Range};

use serde_json::{Map, Value};

use super::{
    Run,
    error::MeshError,
    format::{Fields, Format, blank, text_fields},
    plan::{Planted, detection},
};

/// What other edges stay below in the whole run, so that it holds for every window.
const FLOOR: usize = 20;

/// One line, without its empty fields.
type Line = HashMap<String, String>;

/// Checks all of the above.
///
/// # Errors
/// Names the first thing that does not hold.
pub fn check(run: &Run) -> Result<(), MeshError> {
    for format in Format::ALL {
        let lines = parse(format, run.logs.stream(format))?;
        for attack in run.planted.iter().filter(|attack| attack.found_in(format)) {
            let got = lines.iter().filter(|line| is_of(line, attack)).count();
            expect(
                || format!("lines of {} in {}", attack.name, format.file_name()),
                got,
                attack.count..attack.count + 1,
            )?;
        }
        for (kind, edge, got) in edges(&lines) {
            let planted = run.planted.iter().any(|attack| {
                attack.detection == kind
                    && (&attack.edge.source_address, &attack.edge.destination_address) == (&edge.0, &edge.1)
            });
            if !planted {
                expect(
                    || format!("lines of {kind} from {} to {} in {}", edge.0, edge.1, format.file_name()),
                    got,
                    0..FLOOR,
                )?;
            }
        }
        let blanked = parse(format, &blank(format, run.logs.stream(format), Fields::Details)?)?;
        let left = blanked.iter().filter(|line| kind(line) == Some(detection::DENIED_SPIKE)).count();
        expect(|| format!("denials in blanked {}", format.file_name()), left, 0..1)?;
        expect(|| format!("lines of blanked {}", format.file_name()), blanked.len(), lines.len()..lines.len() + 1)?;
    }
    Ok(())
}

fn expect(what: impl FnOnce() -> String, got: usize, wanted: Range<usize>) -> Result<(), MeshError> {
    if wanted.contains(&got) {
        return Ok(());
    }
    let expected = if wanted.len() == 1 { wanted.start.to_string() } else { format!("less than {}", wanted.end) };
    Err(MeshError::Miscounted { what: what(), got, expected })
}

fn parse(format: Format, log: &[u8]) -> Result<Vec<Line>, MeshError> {
    let line = |(number, line): (usize, &[u8])| {
        let wrong = || MeshError::Log {
            file: format.file_name().to_owned(),
            line: number + 1,
            why: "is not in the format".to_owned(),
        };
        let fields: Vec<(String, String)> = if format == Format::IstioText {
            let fields = text_fields(line).ok_or_else(wrong)?;
            fields
                .into_iter()
                .map(|(key, value)| (key.to_owned(), String::from_utf8_lossy(value).into_owned()))
                .collect()
        } else {
            let object: Map<String, Value> = serde_json::from_slice(line).map_err(|_| wrong())?;
            let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            object.into_iter().map(|(key, value)| (key, text(value))).collect()
        };
        Ok(fields.into_iter().filter(|(_, value)| !matches!(value.as_str(), "null" | "-" | "")).collect())
    };
    log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate().map(line).collect()
}

fn field<'line>(line: &'line Line, key: &str) -> &'line str {
    line.get(key).map_or("", String::as_str)
}

fn address<'line>(line: &'line Line, key: &str) -> &'line str {
    field(line, key).rsplit_once(':').map_or("", |(ip, _)| ip)
}

/// The detection that a line may count for, if any.
fn kind(line: &Line) -> Option<&'static str> {
    let details = field(line, "response_code_details");
    let cluster = field(line, "upstream_cluster");
    let denied = |details: &str| details.starts_with("rbac_access_denied");
    if denied(details) || denied(field(line, "connection_termination_details")) {
        Some(detection::DENIED_SPIKE)
    } else if cluster.starts_with("inbound|") && field(line, "response_code") == "403" && details == "via_upstream" {
        Some(detection::HTTP_403_SPIKE)
    } else if matches!(cluster, "PassthroughCluster" | "BlackHoleCluster") || field(line, "route_name") == "block_all" {
        Some(detection::UNKNOWN_HOST)
    } else if is_refused_plaintext(line) || is_accepted_plaintext(line) {
        Some(detection::PLAINTEXT)
    } else {
        None
    }
}

/// No filter chain for what is not TLS: there is no server name.
fn is_refused_plaintext(line: &Line) -> bool {
    field(line, "response_code_details") == "filter_chain_not_found" && field(line, "requested_server_name").is_empty()
}

/// No TLS and not the kubelet; only the recommended format can say so.
fn is_accepted_plaintext(line: &Line) -> bool {
    line.contains_key("log_schema")
        && !line.contains_key("downstream_tls_version")
        && field(line, "upstream_cluster").starts_with("inbound|")
        && !field(line, "user_agent").starts_with("kube-probe/")
}

fn is_of(line: &Line, attack: &Planted) -> bool {
    let host = match &attack.edge.destination_host {
        Some(host) => [field(line, "authority"), field(line, "requested_server_name")].contains(&host.as_str()),
        None => true,
    };
    kind(line) == Some(attack.detection)
        && address(line, "downstream_remote_address") == attack.edge.source_address
        && address(line, "downstream_local_address") == attack.edge.destination_address
        && host
}

/// Lines per detection, source and destination.
fn edges(lines: &[Line]) -> impl Iterator<Item = (&'static str, (String, String), usize)> {
    let mut edges = HashMap::new();
    for line in lines {
        if let Some(kind) = kind(line) {
            let edge = (address(line, "downstream_remote_address"), address(line, "downstream_local_address"));
            *edges.entry((kind, edge.0.to_owned(), edge.1.to_owned())).or_default() += 1;
        }
    }
    edges.into_iter().map(|((kind, from, to), count)| (kind, (from, to), count))
}
