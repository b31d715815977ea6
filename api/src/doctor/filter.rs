//! What a Telemetry filter hides: its CEL expression, tried on the lines that detections live on.
//!
//! ```text
//!  expression ─▶ cel.rs ─▶ for each kind of evidence: true = logged, false or an error = dropped, unknown = cannot be told
//! ```
//! An attribute that a line does not have is an error in CEL, and drops the line. So `response.code >= 400` drops all that has no response code:
//! every TCP connection and every line of a listener.

mod cel;

use cel::{Attributes, Value};
use serde::Serialize;

use super::Note;

/// Keeps all that points to an attack, and drops only what mutual TLS and a policy let through.
pub(crate) const SAFE: &str = "!has(response.code) || response.code >= 400 || !connection.mtls || \
    (has(response.code_details) && response.code_details != 'via_upstream')";

/// A kind of line that a detection or a person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Evidence {
    /// Requests that were answered.
    Answered,
    /// HTTP denials, 403.
    HttpDenied,
    /// gRPC denials, 200.
    GrpcDenied,
    /// TCP denials, without a code.
    TcpDenied,
    /// The application's own 403.
    Forbidden,
    /// Tokens that were refused.
    TokenRefused,
    /// Plaintext to STRICT.
    PlaintextRejected,
    /// Plaintext to PERMISSIVE.
    PlaintextAccepted,
    /// HTTP to hosts that the mesh does not know.
    HttpToUnknown,
    /// TCP or TLS to such hosts.
    TcpToUnknown,
    /// The same, blocked.
    BlackHole,
    /// Handshakes that failed, seen by the client.
    HandshakeFailed,
}

/// What becomes of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Logged,
    Dropped,
    /// It depends on what is not known here.
    Depends,
}

impl Evidence {
    pub(crate) const ALL: [Evidence; 12] = [
        Evidence::HttpDenied,
        Evidence::GrpcDenied,
        Evidence::TcpDenied,
        Evidence::Forbidden,
        Evidence::TokenRefused,
        Evidence::PlaintextRejected,
        Evidence::PlaintextAccepted,
        Evidence::HttpToUnknown,
        Evidence::TcpToUnknown,
        Evidence::BlackHole,
        Evidence::HandshakeFailed,
        Evidence::Answered,
    ];

    /// What it is, for a person.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Evidence::Answered => "requests that were answered as usual",
            Evidence::HttpDenied => "HTTP requests denied by a policy (403)",
            Evidence::GrpcDenied => "gRPC calls denied by a policy (logged with code 200)",
            Evidence::TcpDenied => "TCP connections denied by a policy",
            Evidence::Forbidden => "403 answers of the application itself",
            Evidence::TokenRefused => "refused tokens (401)",
            Evidence::PlaintextRejected => "plaintext that STRICT turned away",
            Evidence::PlaintextAccepted => "plaintext that PERMISSIVE accepted",
            Evidence::HttpToUnknown => "HTTP to hosts that the mesh does not know",
            Evidence::TcpToUnknown => "TCP and TLS to hosts that the mesh does not know",
            Evidence::BlackHole => "black-hole egress (TCP and TLS that REGISTRY_ONLY blocked)",
            Evidence::HandshakeFailed => "TLS handshakes that failed, as the client saw them",
        }
    }

    /// What a filter can ask about such a line.
    fn attributes(self) -> Attributes {
        const RESULT: &str = "metadata.filter_metadata[envoy.filters.http.rbac][enforced_engine_result]";
        const POLICY: &str = "rbac_access_denied_matched_policy[ns[a]-policy[b]-rule[0]]";
        let http = |code: i64, details: &str, mtls: bool, flags: i64| {
            Attributes::http().with("response.code", code).with("response.code_details", details).ends(mtls, flags)
        };
        let tcp = |mtls: bool, flags: i64| Attributes::tcp().ends(mtls, flags);
        match self {
            Evidence::Answered => http(200, "via_upstream", true, 0),
            Evidence::HttpDenied => http(403, POLICY, true, 0).with(RESULT, "denied"),
            Evidence::GrpcDenied => http(200, POLICY, true, 0).with(RESULT, "denied"),
            Evidence::TcpDenied => tcp(true, 0).with("connection.termination_details", POLICY),
            Evidence::Forbidden => http(403, "via_upstream", true, 0),
            Evidence::TokenRefused => http(401, "jwt_authn_access_denied{Jwt_is_expired}", true, 0),
            Evidence::PlaintextRejected => tcp(false, 0x100),
            Evidence::PlaintextAccepted => http(200, "via_upstream", false, 0),
            Evidence::HttpToUnknown => {
                http(200, "via_upstream", false, 0).with("xds.cluster_name", "PassthroughCluster")
            }
            Evidence::TcpToUnknown => tcp(false, 0).with("xds.cluster_name", "PassthroughCluster"),
            Evidence::BlackHole => tcp(false, 2).with("xds.cluster_name", "BlackHoleCluster"),
            Evidence::HandshakeFailed => {
                http(503, "upstream_reset_before_response_started{remote_connection_failure}", false, 0x20)
            }
        }
    }
}

/// What becomes of each kind of evidence; an error if the expression is not understood.
pub(crate) fn fates(expression: &str) -> Result<Vec<(Evidence, Fate)>, String> {
    let expression = cel::parse(expression)?;
    let fate = |evidence: Evidence| {
        let fate = match cel::evaluate(&expression, &evidence.attributes()) {
            Value::Bool(true) => Fate::Logged,
            Value::Bool(false) | Value::Missing => Fate::Dropped,
            Value::Number(_) | Value::Text(_) | Value::Unknown => Fate::Depends,
        };
        (evidence, fate)
    };
    Ok(Evidence::ALL.into_iter().map(fate).collect())
}

/// What a person should know about a filter.
pub(crate) fn notes(expression: &str) -> Vec<Note> {
    let fates = match fates(expression) {
        Ok(fates) => fates,
        Err(reason) => {
            let text =
                format!("the doctor does not understand this filter ({reason}): what it drops is not known; {ADVICE}");
            return vec![Note::risk(text)];
        }
    };
    let of = |wanted: Fate| -> Vec<&str> {
        let found = fates.iter().filter(|(evidence, fate)| *fate == wanted && *evidence != Evidence::Answered);
        found.map(|(evidence, _)| evidence.as_str()).collect()
    };
    let (dropped, unsure) = (of(Fate::Dropped), of(Fate::Depends));
    let mut notes = Vec::new();
    if !dropped.is_empty() {
        let text =
            format!("the filter drops {}: an attribute that a line lacks drops the line, too", dropped.join(", "));
        notes.push(Note::risk(text));
        notes.push(Note::risk(format!("if lines must be dropped, this drops the least: {SAFE}")));
    }
    if !unsure.is_empty() {
        notes.push(Note::risk(format!("whether it drops these the doctor cannot tell: {}", unsure.join(", "))));
    }
    match fates.iter().find(|(evidence, _)| *evidence == Evidence::Answered).map(|(_, fate)| *fate) {
        Some(Fate::Logged) => {}
        _ => notes.push(Note::risk(format!("it drops requests that were answered as usual: {ADVICE}"))),
    }
    notes
}

const ADVICE: &str =
    "do not filter at the proxy if spikes are to be compared with a baseline, or edges with their usual traffic";

#[cfg(test)]
mod tests;
