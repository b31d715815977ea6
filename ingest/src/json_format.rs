//! JSON access-log formats: which key of a line says what, told by its operator instead of its name.
//!
//! ```text
//! {"status":"%RESPONSE_CODE%", "who":"%REQ(X-A)% %PROTOCOL%", "tls":{"v":"%DOWNSTREAM_TLS_VERSION%"}}
//!     └─▶ response_code             └─▶ mixed: extra             └─▶ nested: extra
//! ```
//!
//! Envoy's `json_format` and Istio's `labels` are the same: an object whose strings hold operators. A label that is exactly
//! one operator maps to the canonical key that the operator feeds; the pairs are fit for a [`FieldMap`](crate::FieldMap).

use std::collections::HashSet;

use serde_json::Value;
use thiserror::Error;

use crate::format::recommended_as;
use crate::key::{Key, KeySet};
use crate::operator::{Operator, Piece, pieces};
use crate::time_format::TimeFormat;

/// What Istio logs as JSON where no labels are given.
const ISTIO: [(&str, &str); 24] = [
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

/// Deepest value of a label that is looked into.
const DEEPEST: usize = 64;

/// A compiled JSON format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonFormat {
    labels: Vec<Label>,
}

/// One key of the format's object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The key as it is in every line.
    pub name: String,
    /// The operators of its value, at any depth.
    pub operators: Vec<Operator>,
    /// What becomes of the value.
    pub used: LabelUse,
}

/// What becomes of a label's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelUse {
    /// Columns are derived from it, as from that canonical key.
    Key(&'static str),
    /// Another label feeds that key; this one stays in `extra`.
    Repeats(&'static str),
    /// One operator, but no column has room for its value; it stays in `extra`.
    NoColumn,
    /// The label has the name of that canonical key, but its value is something else, and would be taken for the key's:
    /// the label needs another name.
    Misleading(&'static str),
    /// Operators and text, or several operators, in one value; it stays in `extra`.
    Mixed,
    /// An object or a list; it stays in `extra`.
    Nested,
    /// Text, a number or the like, the same in every line; it stays in `extra`.
    Literal,
    /// A value that Envoy refuses, or a start time that is not understood.
    Invalid(String),
}

/// Why something is no JSON format.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JsonFormatError {
    /// Envoy wants an object.
    #[error(
        "a JSON format is an object of labels and operators, such as {{\"status\":\"%RESPONSE_CODE%\"}}; this is {found}"
    )]
    NoObject {
        /// What it is.
        found: &'static str,
    },
    /// Envoy accepts it, and logs `{}`.
    #[error("the format has no labels; list those to be logged, such as {{\"status\":\"%RESPONSE_CODE%\"}}")]
    NoLabels,
}

impl JsonFormat {
    /// Compiles the object of `json_format` or `labels`.
    pub fn compile(format: &Value) -> Result<JsonFormat, JsonFormatError> {
        let object = format.as_object().ok_or(JsonFormatError::NoObject { found: kind(format) })?;
        if object.is_empty() {
            return Err(JsonFormatError::NoLabels);
        }
        let labels = object.iter().map(|(name, value)| Label::new(name, value));
        let mut format = JsonFormat { labels: labels.collect() };
        format.one_label_per_key();
        Ok(format)
    }

    /// Istio's default JSON format: its 24 keys.
    #[must_use]
    pub fn istio() -> JsonFormat {
        let label = |(name, operator): &(&str, &str)| Label::new(name, &Value::from(*operator));
        JsonFormat { labels: ISTIO.iter().map(label).collect() }
    }

    /// Every label, in the order in which Envoy writes them.
    #[must_use]
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// Pairs of (label, canonical key) for [`FieldMap::from_pairs`](crate::FieldMap::from_pairs). Labels that have the
    /// key's name need no pair.
    #[must_use]
    pub fn pairs(&self) -> Vec<(String, String)> {
        let pairs = self.labels.iter().filter_map(|label| match label.used {
            LabelUse::Key(key) if key != label.name => Some((label.name.clone(), key.to_owned())),
            _ => None,
        });
        pairs.collect()
    }

    /// Labels that have the name of a canonical key, but say something else: they must not be taken for it.
    #[must_use]
    pub fn misleading(&self) -> Vec<String> {
        let labels = self.labels.iter().filter(|label| !matches!(label.used, LabelUse::Key(_)));
        labels.filter(|label| Key::from_name(&label.name).is_some()).map(|label| label.name.clone()).collect()
    }

    /// The names of the canonical keys that the format fills, sorted.
    #[must_use]
    pub fn fills(&self) -> Vec<&'static str> {
        let keys = self.labels.iter().filter_map(|label| match label.used {
            LabelUse::Key(key) => Some(key),
            _ => None,
        });
        let mut keys: Vec<_> = keys.collect();
        keys.sort_unstable();
        keys
    }

    /// Whether its path is one in whose place a caller may put another.
    pub(crate) fn prefers_original_path(&self) -> bool {
        let path = self.labels.iter().find(|label| label.used == LabelUse::Key(Key::Path.name()));
        path.is_some_and(|label| label.operators.iter().any(Operator::prefers_original_path))
    }

    /// Labels whose value is never null: `omit_empty_values` leaves them in every line.
    pub(crate) fn never_null(&self) -> HashSet<&str> {
        let always = ["START_TIME", "RESPONSE_CODE", "RESPONSE_FLAGS", "BYTES_RECEIVED", "BYTES_SENT", "DURATION"];
        let is_there = |label: &&Label| match (&label.used, label.operators.as_slice()) {
            (LabelUse::Literal, _) => true,
            (LabelUse::Mixed | LabelUse::Nested | LabelUse::Invalid(_), _) => false,
            (_, operators) => operators.iter().any(|operator| always.contains(&operator.name())),
        };
        self.labels.iter().filter(is_there).map(|label| label.name.as_str()).collect()
    }

    /// The canonical keys that every line of the format carries.
    pub(crate) fn carries(&self) -> KeySet {
        self.fills().into_iter().filter_map(Key::from_name).fold(KeySet::EMPTY, KeySet::with)
    }

    /// The form of the start time, if the format logs one.
    pub(crate) fn start_time(&self) -> Option<&TimeFormat> {
        let label = self.labels.iter().find(|label| label.used == LabelUse::Key(Key::StartTime.name()))?;
        label.operators.first()?.start_time()
    }

    /// Of several labels that feed a key the one with its name does, or else the first.
    fn one_label_per_key(&mut self) {
        for key in Key::ALL {
            let name = key.name();
            let feeding: Vec<usize> =
                (0..).zip(&self.labels).filter(|(_, l)| l.used == LabelUse::Key(name)).map(|(at, _)| at).collect();
            let own = feeding.iter().copied().find(|at| self.labels.get(*at).is_some_and(|label| label.name == name));
            let winner = own.or(feeding.first().copied());
            for at in feeding.into_iter().filter(|at| Some(*at) != winner) {
                if let Some(label) = self.labels.get_mut(at) {
                    label.used = LabelUse::Repeats(name);
                }
            }
        }
    }
}

impl Label {
    fn new(name: &str, value: &Value) -> Label {
        let mut operators = Vec::new();
        let mut used = match collect(value, DEEPEST, &mut operators) {
            Ok(used) => used,
            Err(reason) => LabelUse::Invalid(reason),
        };
        if let (LabelUse::NoColumn, [operator]) = (&used, operators.as_slice())
            && let Some(key) = operator.feeds()
        {
            used = LabelUse::Key(key);
        }
        if let Some(key) = Key::from_name(name) {
            used = match used {
                LabelUse::Literal if key == Key::LogSchema && recommended_as(value.as_str()).is_some() => {
                    LabelUse::Key(key.name())
                }
                LabelUse::Key(key) => LabelUse::Key(key),
                LabelUse::Invalid(reason) => LabelUse::Invalid(reason),
                _ => LabelUse::Misleading(key.name()),
            };
        }
        Label { name: name.to_owned(), operators, used }
    }
}

/// The operators of a value; a single one is [`LabelUse::NoColumn`] until its key is known.
fn collect(value: &Value, depth: usize, operators: &mut Vec<Operator>) -> Result<LabelUse, String> {
    match value {
        Value::Object(object) => nested(object.values(), depth, operators),
        Value::Array(list) => nested(list.iter(), depth, operators),
        Value::String(text) => {
            let pieces = pieces(text).map_err(|error| error.to_string())?;
            let used = match pieces.as_slice() {
                [Piece::Operator(_)] => LabelUse::NoColumn,
                [] | [Piece::Literal(_)] => LabelUse::Literal,
                _ => LabelUse::Mixed,
            };
            operators.extend(pieces.into_iter().filter_map(|piece| match piece {
                Piece::Operator(operator) => Some(operator),
                Piece::Literal(_) => None,
            }));
            Ok(used)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(LabelUse::Literal),
    }
}

fn nested<'a>(
    mut values: impl Iterator<Item = &'a Value>,
    depth: usize,
    operators: &mut Vec<Operator>,
) -> Result<LabelUse, String> {
    let deeper = depth.checked_sub(1).ok_or("nested too deeply")?;
    values.try_for_each(|value| collect(value, deeper, operators).map(drop))?;
    Ok(LabelUse::Nested)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::FieldMap;
    use crate::format::Paths;

    fn compile(json: &str) -> JsonFormat {
        JsonFormat::compile(&serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn the_recommended_format_needs_no_pairs() {
        for paths in [Paths::WithoutQuery, Paths::WithQuery] {
            let format = compile(&crate::format::json(paths));
            assert_eq!(format.pairs(), []);
            assert_eq!(format.fills().len(), 70);
            let time = "2026-11-22T14:39:24.727123Z";
            assert_eq!(format.start_time().unwrap().parse(time), crate::time::parse(time));
        }
    }

    #[test]
    fn labels_map_by_their_operators() {
        let format = compile(
            r#"{
                "ts": "%START_TIME(%s)%", "status": "%RESPONSE_CODE%", "who": "%DOWNSTREAM_PEER_URI_SAN%",
                "path": "%REQ(:PATH)%", "uri": "%PATH%", "method": "%GRPC_STATUS_NUMBER%",
                "m1": "%REQ(:METHOD)%", "m2": "%REQ(:METHOD)%",
                "tenant": "%REQ(X-TENANT)%", "request_id": "%REQ(X-MY-ID)%", "protocol": "p=%PROTOCOL%",
                "both": "%PROTOCOL% %DURATION%", "tls": {"v": ["%DOWNSTREAM_TLS_VERSION%"]},
                "env": "prod", "n": 1, "log_schema": "mine", "bad": "100%", "time": "%START_TIME(%y)%"
            }"#,
        );
        let used = |name: &str| &format.labels().iter().find(|label| label.name == name).unwrap().used;
        for (name, expected) in [
            ("ts", LabelUse::Key("start_time")),
            ("status", LabelUse::Key("response_code")),
            ("who", LabelUse::Key("downstream_peer_uri_san")),
            ("path", LabelUse::Key("path")),
            ("uri", LabelUse::Repeats("path")),
            // named like a key, but another one
            ("method", LabelUse::Key("grpc_status")),
            ("m1", LabelUse::Key("method")),
            ("m2", LabelUse::Repeats("method")),
            ("tenant", LabelUse::NoColumn),
            ("request_id", LabelUse::Misleading("request_id")),
            ("protocol", LabelUse::Misleading("protocol")),
            ("both", LabelUse::Mixed),
            ("tls", LabelUse::Nested),
            ("env", LabelUse::Literal),
            ("n", LabelUse::Literal),
            ("log_schema", LabelUse::Misleading("log_schema")),
        ] {
            assert_eq!(*used(name), expected, "{name}");
        }
        for (name, said) in [("bad", "`%` at byte 3"), ("time", "`%y` is not understood")] {
            assert!(
                matches!(used(name), LabelUse::Invalid(reason) if reason.contains(said)),
                "{name}: {:?}",
                used(name)
            );
        }
        let pairs = format.pairs();
        let shown: Vec<String> = pairs.iter().map(|(label, key)| format!("{label}={key}")).collect();
        assert_eq!(
            shown,
            ["m1=method", "method=grpc_status", "status=response_code", "ts=start_time", "who=downstream_peer_uri_san"]
        );
        assert_eq!(FieldMap::from_pairs(pairs).unwrap().pairs().len(), 5);
        assert_eq!(format.misleading(), ["log_schema", "protocol", "request_id"]);
        assert_eq!(format.start_time().unwrap().parse("1795563113"), Some(1_795_563_113_000_000));
        let nested = format.labels().iter().find(|label| label.name == "tls").unwrap();
        assert_eq!(nested.operators.first().unwrap().to_string(), "%DOWNSTREAM_TLS_VERSION%");
    }

    #[test]
    fn what_is_no_format() {
        for (json, said) in [("[]", "this is a list"), ("\"%PROTOCOL%\"", "this is a string"), ("{}", "no labels")] {
            let error = JsonFormat::compile(&serde_json::from_str(json).unwrap()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let deep = (0..100).fold(Value::from("%PROTOCOL%"), |value, _| Value::from(vec![value]));
        let format = JsonFormat::compile(&serde_json::json!({ "a": deep })).unwrap();
        assert_eq!(format.labels().first().unwrap().used, LabelUse::Invalid("nested too deeply".to_owned()));
    }
}
