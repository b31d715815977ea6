//! JSON access-log formats: which key of a line says what, told by its operator instead of its name.
//!
//! ```text
//! {"status":"%RESPONSE_CODE%", "req":"%REQ(:METHOD)% %REQ(X-A)%", "tls":{"v":"%DOWNSTREAM_TLS_VERSION%"}}
//!     └─▶ response_code          ├─▶ method                          └─▶ tls.v ─▶ downstream_tls_version
//!                                └─▶ req.req(x-a): extra
//! ```
//!
//! Envoy's `json_format` and Istio's `labels` are the same: an object whose strings hold operators, at any depth. A label that is exactly
//! one operator maps to the canonical key that the operator feeds; at the top level the pairs are fit for a [`FieldMap`](crate::FieldMap).
//! Whatever says several things (an object, a list, text with several operators) is read by its parts.

mod label;

use std::collections::HashSet;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::key::{Key, KeySet};
use crate::line_format::PathSource;
use crate::operator::Operator;
use crate::parts::{Part, What};
use crate::time_format::TimeFormat;
pub use label::{Label, LabelUse};

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
    /// The object: names of the top level, and which label or labels stand there.
    object: Vec<(String, Node)>,
}

/// Where labels stand.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// One, by its index.
    Label(usize),
    Object(Vec<(String, Node)>),
    List(Vec<Node>),
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
        Ok(JsonFormat::of(object))
    }

    /// Istio's default JSON format: its 24 keys.
    #[must_use]
    pub fn istio() -> JsonFormat {
        JsonFormat::of(&ISTIO.iter().map(|(name, operator)| ((*name).to_owned(), Value::from(*operator))).collect())
    }

    fn of(object: &Map<String, Value>) -> JsonFormat {
        let mut labels = Vec::new();
        let object =
            object.iter().map(|(name, value)| (name.clone(), Node::of(name, value, (DEEPEST, false), &mut labels)));
        let mut format = JsonFormat { object: object.collect(), labels };
        format.one_label_per_key();
        format
    }

    /// Every label, in the order of the format.
    #[must_use]
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The keys that its lines have.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.object.iter().map(|(name, _)| name.as_str())
    }

    /// Pairs of (label, canonical key) for [`FieldMap::from_pairs`](crate::FieldMap::from_pairs). Labels that have the
    /// key's name need no pair, those in objects and lists and those of several operators have none.
    #[must_use]
    pub fn pairs(&self) -> Vec<(String, String)> {
        let pairs = self.labels.iter().filter(|label| !label.nested).filter_map(|label| match label.used {
            LabelUse::Key(key) if key != label.name => Some((label.name.clone(), key.to_owned())),
            _ => None,
        });
        pairs.collect()
    }

    /// Keys of its lines that have the name of a canonical key, but say something else: they must not be taken for it.
    #[must_use]
    pub fn misleading(&self) -> Vec<&str> {
        let is_key = |node: &Node| match node {
            Node::Label(label) => self
                .labels
                .get(*label)
                .is_some_and(|label| matches!(label.used, LabelUse::Key(_) | LabelUse::Invalid(_))),
            Node::Object(_) | Node::List(_) => false,
        };
        let misleading = self.object.iter().filter(|(name, node)| Key::from_name(name).is_some() && !is_key(node));
        misleading.map(|(name, _)| name.as_str()).collect()
    }

    /// What stays in `extra`: names of labels, and of operators of labels with several.
    #[must_use]
    pub fn extra(&self) -> Vec<String> {
        let names = self.labels.iter().flat_map(|label| match &label.used {
            LabelUse::Key(_) | LabelUse::Invalid(_) => Vec::new(),
            LabelUse::Mixed(keys) if keys.iter().any(Option::is_some) => {
                label.words().into_iter().filter(|(_, key)| key.is_none()).map(|(name, _)| name).collect()
            }
            _ => vec![label.name.clone()],
        });
        names.collect()
    }

    /// Keys of its lines whose value feeds several canonical keys, or one by a part of it: objects, lists, and texts.
    #[must_use]
    pub fn say_several(&self) -> Vec<String> {
        self.parts(false).into_iter().map(|part| part.name).collect()
    }

    /// The names of the canonical keys that the format fills, sorted.
    #[must_use]
    pub fn fills(&self) -> Vec<&'static str> {
        let mut keys: Vec<_> = self.labels.iter().flat_map(Label::fills).collect();
        keys.sort_unstable();
        keys
    }

    /// Keys of its lines that say several things: what reads them. `omits_empty`: see [`TextFormat::with_omit_empty_values`].
    pub(crate) fn parts(&self, omits_empty: bool) -> Vec<Part> {
        let parts = self.object.iter().map(|(name, node)| self.part(name.clone(), node, omits_empty));
        parts.filter(|part| !matches!(part.what, What::Key(_) | What::Extra) && !part.keys().is_empty()).collect()
    }

    fn part(&self, name: String, node: &Node, omits_empty: bool) -> Part {
        let of = |place: &str, node: &Node| self.part(format!("{name}.{place}"), node, omits_empty);
        let what = match node {
            Node::Label(label) => self.labels.get(*label).map_or(What::Extra, |label| label.what(omits_empty)),
            Node::Object(members) => {
                What::Object(members.iter().map(|(key, node)| (key.clone(), of(key, node))).collect())
            }
            Node::List(nodes) => {
                What::List((0..).zip(nodes).map(|(n, node): (usize, _)| of(&n.to_string(), node)).collect())
            }
        };
        Part { name, what }
    }

    /// What it says about the paths of its lines.
    pub(crate) fn path_source(&self) -> PathSource {
        let path = self.operator_of(Key::Path);
        PathSource {
            original_first: Some(path.is_some_and(Operator::prefers_original_path)),
            without_query: !self.labels.iter().flat_map(|label| &label.operators).any(Operator::logs_query),
        }
    }

    /// Keys of its lines whose value is never null: `omit_empty_values` leaves them in every line.
    pub(crate) fn never_null(&self) -> HashSet<&str> {
        let always = ["START_TIME", "RESPONSE_CODE", "RESPONSE_FLAGS", "BYTES_RECEIVED", "BYTES_SENT", "DURATION"];
        let is_there = |label: &Label| match &label.used {
            LabelUse::Literal => true,
            LabelUse::Mixed(_) | LabelUse::Invalid(_) => false,
            _ => label.operators.iter().any(|operator| always.contains(&operator.name())),
        };
        let is_there = |label: &usize| self.labels.get(*label).is_some_and(is_there);
        let names = self.object.iter().filter(|(_, node)| matches!(node, Node::Label(label) if is_there(label)));
        names.map(|(name, _)| name.as_str()).collect()
    }

    /// The canonical keys that every line of the format carries.
    pub(crate) fn carries(&self) -> KeySet {
        KeySet::of_names(self.labels.iter().flat_map(Label::fills))
    }

    /// The same where its lines leave out what is empty: of a list nobody knows then which value is whose.
    pub(crate) fn carries_omitting(&self) -> KeySet {
        KeySet::of_names(self.labels.iter().filter(|label| !label.in_list).flat_map(Label::fills))
    }

    /// The form of the start time, if the format logs one.
    pub(crate) fn start_time(&self) -> Option<&TimeFormat> {
        self.operator_of(Key::StartTime)?.start_time()
    }

    /// Secrets may stand under these names, where a line keeps what is below them: each with the operators of the value.
    pub(crate) fn kept_under(&self) -> Vec<(String, Vec<&Operator>)> {
        let mut kept = Vec::new();
        for (name, node) in &self.object {
            self.kept_at(name, node, &mut kept);
        }
        kept
    }

    /// Appends what is kept at a node and below; the operators there.
    fn kept_at<'f>(
        &'f self,
        name: &str,
        node: &Node,
        kept: &mut Vec<(String, Vec<&'f Operator>)>,
    ) -> Vec<&'f Operator> {
        let mut at = |place: &str, node| self.kept_at(&format!("{name}.{place}"), node, kept);
        let operators: Vec<&Operator> = match node {
            Node::Object(members) => members.iter().flat_map(|(key, node)| at(key, node)).collect(),
            Node::List(nodes) => (0..).zip(nodes).flat_map(|(n, node): (usize, _)| at(&n.to_string(), node)).collect(),
            Node::Label(label) => {
                let Some(label) = self.labels.get(*label) else { return Vec::new() };
                let words = label.words().into_iter().zip(&label.operators);
                kept.extend(words.map(|((name, _), operator)| (name, vec![operator])));
                label.operators.iter().collect()
            }
        };
        kept.push((name.to_owned(), operators.clone()));
        operators
    }

    /// The operator that feeds the key.
    fn operator_of(&self, key: Key) -> Option<&Operator> {
        let operators = self.labels.iter().flat_map(|label| {
            label.operators.iter().enumerate().filter(|(place, _)| label.feeds(*place) == Some(key.name()))
        });
        operators.map(|(_, operator)| operator).next()
    }

    /// Of several values that feed a key the label with its name does, or else the first that says nothing else, those of the top level before
    /// others; but there the path itself before what a caller may put in its place.
    fn one_label_per_key(&mut self) {
        for key in Key::ALL {
            let name = key.name();
            let mut feeding = Vec::new();
            for (at, label) in self.labels.iter().enumerate() {
                let places = (0..label.operators.len()).filter(|place| label.feeds(*place) == Some(name));
                feeding.extend(places.map(|place| (at, place)));
            }
            let winner = feeding.iter().copied().min_by_key(|(at, place)| {
                let label = self.labels.get(*at)?;
                let callers = label.operators.get(*place).is_some_and(Operator::prefers_original_path);
                Some((label.used != LabelUse::Key(name), label.nested, callers, label.name != name))
            });
            for (at, place) in feeding.into_iter().filter(|at| Some(*at) != winner) {
                match self.labels.get_mut(at).map(|label| &mut label.used) {
                    Some(LabelUse::Mixed(keys)) => keys.get_mut(place).into_iter().for_each(|key| *key = None),
                    Some(used) => *used = LabelUse::Repeats(name),
                    None => {}
                }
            }
        }
    }
}

impl Node {
    /// Takes in the labels of a value.
    fn of(name: &str, value: &Value, (depth, in_list): (usize, bool), labels: &mut Vec<Label>) -> Node {
        let nested = depth < DEEPEST;
        let in_list_below = in_list || value.is_array();
        let deeper = match (value, depth.checked_sub(1)) {
            (Value::Object(_) | Value::Array(_), Some(deeper)) => deeper,
            (value, _) => {
                labels.push(Label::new(name, value, nested, in_list));
                return Node::Label(labels.len() - 1);
            }
        };
        let mut of = |place: &str, value| Node::of(&format!("{name}.{place}"), value, (deeper, in_list_below), labels);
        match value {
            Value::Array(list) => {
                Node::List((0..).zip(list).map(|(n, value): (usize, _)| of(&n.to_string(), value)).collect())
            }
            value => {
                let members = value.as_object().into_iter().flatten();
                Node::Object(members.map(|(key, value)| (key.clone(), of(key, value))).collect())
            }
        }
    }
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
mod tests;
