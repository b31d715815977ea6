//! The three formats in which every access-log point of the mesh writes the same traffic, and how to blank a field in
//! each of them, so that a test can show that a detection stands on that field and goes quiet without it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::custom::CUSTOM;
use super::error::MeshError;

/// The product's recommended format: one JSON object of 70 keys and Envoy operators.
pub const RECOMMENDED: &str = include_str!("../../../ingest/formats/recommended.json");

/// Istio's default TEXT format, as istiod 1.23 and later write it.
pub const ISTIO_TEXT: &str = concat!(
    r#"[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% "#,
    r#"%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" "#,
    r#"%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "#,
    r#""%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% "#,
    "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% ",
    "%ROUTE_NAME%\n",
);

/// Istio's default JSON keys and their operators.
pub const ISTIO_JSON: [(&str, &str); 24] = [
    ("start_time", "%START_TIME%"),
    ("route_name", "%ROUTE_NAME%"),
    ("method", "%REQ(:METHOD)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("protocol", "%PROTOCOL%"),
    ("response_code", "%RESPONSE_CODE%"),
    ("response_flags", "%RESPONSE_FLAGS%"),
    ("response_code_details", "%RESPONSE_CODE_DETAILS%"),
    ("connection_termination_details", "%CONNECTION_TERMINATION_DETAILS%"),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("duration", "%DURATION%"),
    ("upstream_service_time", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"),
    ("x_forwarded_for", "%REQ(X-FORWARDED-FOR)%"),
    ("user_agent", "%REQ(USER-AGENT)%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("authority", "%REQ(:AUTHORITY)%"),
    ("upstream_host", "%UPSTREAM_HOST%"),
    ("upstream_cluster", "%UPSTREAM_CLUSTER_RAW%"),
    ("upstream_local_address", "%UPSTREAM_LOCAL_ADDRESS%"),
    ("downstream_local_address", "%DOWNSTREAM_LOCAL_ADDRESS%"),
    ("downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%"),
    ("requested_server_name", "%REQUESTED_SERVER_NAME%"),
    ("upstream_transport_failure_reason", "%UPSTREAM_TRANSPORT_FAILURE_REASON%"),
];

/// A format of access logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// [`RECOMMENDED`].
    Recommended,
    /// [`ISTIO_JSON`].
    IstioJson,
    /// [`ISTIO_TEXT`].
    IstioText,
}

impl Format {
    /// All formats, in the order of their declaration.
    pub const ALL: [Self; 3] = [Self::Recommended, Self::IstioJson, Self::IstioText];

    /// The usual name of a file in this format.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Recommended => "recommended.jsonl",
            Self::IstioJson => "istio-default.jsonl",
            Self::IstioText => "istio-default.log",
        }
    }

    /// The file of this format in a pod's folder.
    pub fn file_in(self, folder: &Path) -> PathBuf {
        folder.join(self.file_name())
    }

    fn log_format(self) -> Result<Value, MeshError> {
        Ok(match self {
            Self::Recommended => {
                let keys: Value = serde_json::from_str(RECOMMENDED).map_err(|why| MeshError::Log {
                    file: "ingest/formats/recommended.json".to_owned(),
                    line: why.line(),
                    why: why.to_string(),
                })?;
                json!({"json_format": keys, "formatters": [{
                    "name": "envoy.formatter.req_without_query",
                    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery"},
                }]})
            }
            Self::IstioJson => {
                let keys: Map<_, _> =
                    ISTIO_JSON.iter().map(|(key, operator)| ((*key).to_owned(), json!(operator))).collect();
                json!({"json_format": keys})
            }
            Self::IstioText => json!({"text_format_source": {"inline_string": ISTIO_TEXT}}),
        })
    }
}

/// One file access logger per format, those of [`CUSTOM`] included, writing into a pod's `folder`.
pub(crate) fn access_logs(folder: &Path) -> Result<Vec<Value>, MeshError> {
    let logger = |file_name: &str, log_format: Value| {
        json!({
            "name": "envoy.access_loggers.file",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": folder.join(file_name),
                "log_format": log_format,
            },
        })
    };
    let known = Format::ALL.into_iter().map(|format| Ok(logger(format.file_name(), format.log_format()?)));
    let custom = CUSTOM.into_iter().map(|format| Ok(logger(format.file_name, format.log_format())));
    known.chain(custom).collect()
}

/// Fields that decide a detection, in groups that are blanked together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fields {
    /// Response code details and connection termination details.
    Details,
    /// Response flags.
    Flags,
    /// Identities and TLS facts of the connections.
    Identity,
    /// Upstream cluster and route name.
    Cluster,
    /// Names and addresses of where a request wanted to go: authority, SNI, local address and upstream host.
    Destination,
}

impl Fields {
    /// The keys of the group, over all formats.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Details => &["response_code_details", "connection_termination_details"],
            Self::Flags => &["response_flags"],
            Self::Identity => &[
                "downstream_peer_uri_san",
                "downstream_local_uri_san",
                "downstream_tls_version",
                "downstream_tls_cipher",
                "downstream_peer_issuer",
                "downstream_peer_subject",
                "downstream_peer_serial",
                "downstream_peer_fingerprint_256",
                "downstream_peer_cert_v_end",
                "upstream_peer_uri_san",
                "upstream_local_uri_san",
                "upstream_tls_version",
                "upstream_tls_cipher",
            ],
            Self::Cluster => &["upstream_cluster", "route_name"],
            Self::Destination => &["authority", "requested_server_name", "downstream_local_address", "upstream_host"],
        }
    }
}

/// `log` with the fields blanked in every line: `null` in JSON (`"-"` for the flags, as Envoy writes it), `-` in TEXT.
///
/// # Errors
/// If a line is not in the format.
pub fn blank(format: Format, log: &[u8], fields: Fields) -> Result<Vec<u8>, MeshError> {
    let mut blanked = Vec::with_capacity(log.len());
    for (number, line) in log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
        let wrong = |why: String| MeshError::Log { file: format.file_name().to_owned(), line: number + 1, why };
        match format {
            Format::Recommended | Format::IstioJson => {
                let mut object: Map<String, Value> =
                    serde_json::from_slice(line).map_err(|why| wrong(why.to_string()))?;
                let mut changed = false;
                for key in fields.keys() {
                    if let Some(value) = object.get_mut(*key) {
                        *value = if *key == "response_flags" { json!("-") } else { Value::Null };
                        changed = true;
                    }
                }
                // What holds none of the fields stays as Envoy escaped it.
                if changed {
                    blanked.extend(Value::from(object).to_string().into_bytes());
                } else {
                    blanked.extend_from_slice(line);
                }
            }
            Format::IstioText => {
                let mut parts =
                    text_fields(line).ok_or_else(|| wrong("has fewer fields than Istio's default TEXT".to_owned()))?;
                for (key, value) in &mut parts {
                    if fields.keys().contains(key) {
                        *value = b"-";
                    }
                }
                blanked.extend(text_line(&parts));
            }
        }
        blanked.push(b'\n');
    }
    Ok(blanked)
}

/// The fields of TEXT in order: key, and whether it stands in quotes. The first is all of `[time] "request"`.
pub(crate) const TEXT_FIELDS: [(&str, bool); 20] = [
    ("response_code", false),
    ("response_flags", false),
    ("response_code_details", false),
    ("connection_termination_details", false),
    ("upstream_transport_failure_reason", true),
    ("bytes_received", false),
    ("bytes_sent", false),
    ("duration", false),
    ("upstream_service_time", false),
    ("x_forwarded_for", true),
    ("user_agent", true),
    ("request_id", true),
    ("authority", true),
    ("upstream_host", true),
    ("upstream_cluster", false),
    ("upstream_local_address", false),
    ("downstream_local_address", false),
    ("downstream_remote_address", false),
    ("requested_server_name", false),
    ("route_name", false),
];

pub(crate) type TextFields<'line> = Vec<(&'static str, &'line [u8])>;

/// Takes a TEXT line apart from both ends, because a caller may put quotes into the user agent in the middle.
pub(crate) fn text_fields(line: &[u8]) -> Option<TextFields<'_>> {
    let request = line.windows(2).position(|pair| pair == b"] ").map(|at| at + 2)?;
    // The request ends at the first `" ` that a number follows: a path holds no space.
    let code = (request..line.len())
        .find(|at| line.get(*at..*at + 2) == Some(b"\" ") && line.get(*at + 2).is_some_and(u8::is_ascii_digit))?
        + 2;
    let (head, mut rest) = line.split_at_checked(code)?;
    let mut fields = vec![("head", head)];
    let user_agent = 10;
    for (key, quoted) in TEXT_FIELDS.get(..user_agent)? {
        let (value, after) = if *quoted { split_on(rest.strip_prefix(b"\"")?, b"\" ")? } else { split_on(rest, b" ")? };
        fields.push((key, value));
        rest = after;
    }
    let mut behind = Vec::new();
    for (key, quoted) in TEXT_FIELDS.get(user_agent + 1..)?.iter().rev() {
        let (before, value) =
            if *quoted { rsplit_on(rest.strip_suffix(b"\"")?, b" \"")? } else { rsplit_on(rest, b" ")? };
        behind.push((*key, value));
        rest = before;
    }
    fields.push(("user_agent", rest.strip_prefix(b"\"")?.strip_suffix(b"\"")?));
    fields.extend(behind.into_iter().rev());
    Some(fields)
}

pub(crate) fn text_line(fields: &TextFields<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    for (at, (key, value)) in fields.iter().enumerate() {
        let quoted = TEXT_FIELDS.iter().any(|(name, quoted)| name == key && *quoted);
        // The head ends with the space before the response code.
        line.extend_from_slice(if at < 2 { b"" } else { b" " });
        line.extend_from_slice(if quoted { b"\"" } else { b"" });
        line.extend_from_slice(value);
        line.extend_from_slice(if quoted { b"\"" } else { b"" });
    }
    line
}

fn split_on<'line>(text: &'line [u8], by: &[u8]) -> Option<(&'line [u8], &'line [u8])> {
    let at = text.windows(by.len()).position(|part| part == by)?;
    Some((text.get(..at)?, text.get(at + by.len()..)?))
}

fn rsplit_on<'line>(text: &'line [u8], by: &[u8]) -> Option<(&'line [u8], &'line [u8])> {
    let at = text.windows(by.len()).rposition(|part| part == by)?;
    Some((text.get(..at)?, text.get(at + by.len()..)?))
}
