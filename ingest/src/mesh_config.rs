//! Access-log formats out of a mesh's own configuration: whatever YAML an operator has at hand.
//!
//! ```text
//! YAML ─▶ documents ─┬▶ MeshConfig: bare, `meshConfig:`, IstioOperator, ConfigMap `istio`  (istio.rs) ─┐
//!  (yaml.rs: bounds) ├▶ Telemetry                                                       (telemetry.rs) ├▶ MeshFormats
//!                    ├▶ List: each item                                                                │
//!                    └▶ anything else: access loggers anywhere inside                       (envoy.rs) ─┘
//! ```
//!
//! Nothing is fetched and nothing is validated beyond what decides about formats. What is not understood is a problem
//! with its place, never a guess; what is written beside access logs is passed over.

mod envoy;
mod istio;
mod telemetry;
mod yaml;

use serde_json::Value;
use thiserror::Error;

use crate::format_string::known;
use crate::reject::shown;

pub use telemetry::{AccessLogging, Mode, Telemetry};

/// What a mesh's configuration says about access logs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MeshFormats {
    /// Who logs, and in which format; in the order of the text.
    pub providers: Vec<Provider>,
    /// Names of the providers that log where no Telemetry says otherwise (`defaultProviders.accessLogging`).
    pub default_providers: Vec<String>,
    /// Who logs where.
    pub telemetries: Vec<Telemetry>,
    /// A MeshConfig was read, whatever it says about access logs. Istio's own says nothing, and logs nowhere.
    pub has_mesh_config: bool,
    /// What was not understood, or does not do what it seems to say.
    pub problems: Vec<MeshProblem>,
}

/// One definition of an access log.
#[derive(Debug, Clone, PartialEq)]
pub struct Provider {
    /// Istio's name of the extension provider; `envoy` for the one that is built in. Plain Envoy's loggers have none.
    pub name: Option<String>,
    /// Where it is defined, for a person.
    pub place: String,
    /// Where its lines go.
    pub kind: ProviderKind,
    /// The format of its lines.
    pub format: LogFormat,
    /// OpenTelemetry: the attributes of each record, as labels and operators; the format is that of the body.
    pub attributes: Option<Value>,
    /// Nulls are left out of JSON, and are nothing instead of `-` in text.
    pub omit_empty_values: bool,
    /// File: its path.
    pub path: Option<String>,
    /// Plain Envoy: the formatter extensions beside its format, by name. (Istio adds those that it knows by itself.)
    pub formatters: Vec<String>,
    /// Plain Envoy: what stands before it. (Istio's filters are in its Telemetry.)
    pub filter: Option<LoggerFilter>,
    /// Plain Envoy: the number of the list of access loggers that it is in. All loggers of one list log the same requests.
    pub list: Option<usize>,
}

/// A filter of one of Envoy's access loggers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoggerFilter {
    /// A CEL expression, or one that does the same.
    Cel(String),
    /// Another filter, by the name of its kind.
    Other(String),
}

impl Provider {
    /// A file's format that stands nowhere but here.
    #[must_use]
    pub fn of_format(place: impl Into<String>, format: LogFormat) -> Provider {
        Provider {
            name: None,
            place: place.into(),
            kind: ProviderKind::File,
            format,
            attributes: None,
            omit_empty_values: false,
            path: None,
            formatters: Vec::new(),
            filter: None,
            list: None,
        }
    }

    /// What a person calls it: its name, or where it stands.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.place)
    }
}

/// Where a provider's lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    /// A file, mostly the container's output.
    File,
    /// OTLP.
    OpenTelemetry,
    /// Envoy's gRPC access-log service, requests only.
    HttpAls,
    /// Envoy's gRPC access-log service, TCP connections only.
    TcpAls,
}

/// The format of a provider's lines.
#[derive(Debug, Clone, PartialEq)]
pub enum LogFormat {
    /// A format string, for [`TextFormat`](crate::TextFormat).
    Text(String),
    /// An object of labels and operators, for [`JsonFormat`](crate::JsonFormat).
    Json(Value),
    /// None is given, so that a default applies.
    Default(DefaultFormat),
    /// The access-log service's messages, which have every field and no format.
    Protobuf,
}

/// What is logged where no format is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultFormat {
    /// Istio's text.
    IstioText,
    /// Istio's 24 JSON keys.
    IstioJson,
    /// Envoy's text.
    EnvoyText,
}

/// Something in the configuration that was not understood, or does not do what it seems to say.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MeshProblem {
    /// Not YAML, or beyond the bounds.
    #[error("{place}: {reason}")]
    Yaml {
        /// Which document, and where in it.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The text is too long.
    #[error("the configuration has {found} bytes; the most is {most}: keep only what concerns access logs")]
    TooLarge {
        /// Its length.
        found: usize,
        /// The longest that is read.
        most: usize,
    },
    /// Istio falls back to its default keys.
    #[error(
        "{place}: accessLogEncoding is JSON, but accessLogFormat `{format}` is no JSON object ({reason}); istiod logs an \
         error and uses its default keys"
    )]
    FormatIsNotJson {
        /// Where.
        place: String,
        /// The format.
        format: String,
        /// Why not.
        reason: String,
    },
    /// A value of another kind than Istio or Envoy expects.
    #[error("{place}: {field} is not {expected}; it is passed over")]
    Unexpected {
        /// Where.
        place: String,
        /// The field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A format that is not in the text at hand.
    #[error("{place}: the format comes from a file or a variable of the proxy; put the format itself into log_format")]
    FormatElsewhere {
        /// Where.
        place: String,
    },
    /// There was nothing to find.
    #[error(
        "nothing here defines an access log: no meshConfig, extensionProviders, Telemetry or access_log; the ConfigMap \
         `istio` of istio-system has them (kubectl get configmap istio -n istio-system -o yaml)"
    )]
    Nothing,
}

impl MeshFormats {
    /// Reads one or more YAML documents (JSON is YAML, too).
    #[must_use]
    pub fn parse(text: &str) -> MeshFormats {
        let mut found = MeshFormats::default();
        for document in yaml::documents(text, &mut found.problems) {
            found.resource(&document.place, &document.value, Nesting::Outside);
        }
        if found.is_silent() && !found.has_mesh_config && found.problems.is_empty() {
            found.problems.push(MeshProblem::Nothing);
        }
        found
    }

    /// Adds what another text of the same mesh says, but for its problems.
    pub fn merge(&mut self, other: &MeshFormats) {
        self.providers.extend(other.providers.iter().cloned());
        self.default_providers.extend(other.default_providers.iter().cloned());
        self.telemetries.extend(other.telemetries.iter().cloned());
        self.has_mesh_config |= other.has_mesh_config;
    }

    /// Whether nothing here logs, or could be told to.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.providers.is_empty() && self.telemetries.is_empty() && self.default_providers.is_empty()
    }

    /// The provider that every mesh has, where it is switched on by its name and a MeshConfig is at hand that says no more of it: Istio's default text.
    #[must_use]
    pub fn built_in(&self) -> Option<Provider> {
        let is = |name: &str| name.eq_ignore_ascii_case(istio::BUILT_IN);
        let defined = self.providers.iter().any(|provider| provider.name.as_deref().is_some_and(is));
        (self.has_mesh_config && !defined && self.names_built_in()).then(istio::built_in)
    }

    /// Whether something switches on the provider that every mesh has.
    #[must_use]
    pub fn names_built_in(&self) -> bool {
        let rules = self.telemetries.iter().flat_map(|telemetry| &telemetry.access_logging);
        let named = rules.filter(|rule| !rule.disabled).flat_map(|rule| &rule.providers).chain(&self.default_providers);
        named.into_iter().any(|name| name.eq_ignore_ascii_case(istio::BUILT_IN))
    }

    /// One document, or one item of a list.
    fn resource(&mut self, place: &str, value: &Value, nesting: Nesting) {
        let place = &named(place, value);
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        match (text("kind"), text("apiVersion")) {
            (Some(kind), _) if nesting == Nesting::Outside && kind.ends_with("List") => {
                let items = value.get("items").and_then(Value::as_array);
                for (number, item) in (1..).zip(items.into_iter().flatten()) {
                    self.resource(&format!("{place}, item {number}"), item, Nesting::Inside);
                }
            }
            // without a version it is what somebody wrote by hand
            (Some("Telemetry"), version)
                if version.is_none_or(|version| version.starts_with("telemetry.istio.io/")) =>
            {
                self.telemetries.extend(telemetry::read(place, value, &mut self.problems));
            }
            (Some("ConfigMap"), _) => self.config_map(place, value),
            _ => self.other(place, value),
        }
    }

    /// The ConfigMap `istio` has the MeshConfig in `mesh`; others may hold the bootstrap of an Envoy.
    fn config_map(&mut self, place: &str, value: &Value) {
        for (key, text) in value.get("data").and_then(Value::as_object).into_iter().flatten() {
            let Some(text) = text.as_str() else { continue };
            let place = format!("{place}, data.{key}");
            if key == "mesh" {
                for document in yaml::documents_at(&place, text, &mut self.problems) {
                    istio::mesh_config(&place, &document.value, self);
                }
            } else if text.contains("access_log") || text.contains("accessLog") {
                for document in yaml::documents_at(&place, text, &mut self.problems) {
                    self.other(&place, &document.value);
                }
            }
        }
    }

    fn other(&mut self, place: &str, value: &Value) {
        if istio::is_mesh_config(value) {
            istio::mesh_config(place, value, self);
        }
        // Helm values, IstioOperator, and the Istio resource of the Sail operator
        for path in ["/meshConfig", "/spec/meshConfig", "/values/meshConfig", "/spec/values/meshConfig"] {
            if let Some(config) = value.pointer(path) {
                istio::mesh_config(
                    &format!("{place}, {}", path.trim_start_matches('/').replace('/', ".")),
                    config,
                    self,
                );
            }
        }
        envoy::loggers(place, value, self);
        // a MeshConfig may have a format of its own as one of its fields
        if !istio::is_mesh_config(value) && is_bare_format(value) {
            self.providers.push(Provider::of_format(place, LogFormat::Json(value.clone())));
        }
    }
}

/// Whether an object is a JSON format by itself: one of its own labels logs the start time. (What is deeper may be a format in a configuration.)
fn is_bare_format(value: &Value) -> bool {
    let mut texts = value.as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str());
    texts.any(|text| text.contains("%START_TIME"))
}

/// Whether a resource stands in a list; lists in lists are none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nesting {
    Outside,
    Inside,
}

impl LogFormat {
    /// The format string of a text format, also of a default one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            LogFormat::Text(format) => Some(format),
            LogFormat::Default(DefaultFormat::IstioText) => Some(known::ISTIO),
            LogFormat::Default(DefaultFormat::EnvoyText) => Some(known::ENVOY),
            LogFormat::Default(DefaultFormat::IstioJson) | LogFormat::Json(_) | LogFormat::Protobuf => None,
        }
    }
}

/// The place, with the resource's kind and name.
fn named(place: &str, value: &Value) -> String {
    let text = |path: &str| value.pointer(path).and_then(Value::as_str);
    match (text("/kind"), text("/metadata/name"), text("/metadata/namespace")) {
        (Some(kind), Some(name), Some(namespace)) => shown(&format!("{place} ({kind} {namespace}/{name})")),
        (Some(kind), Some(name), None) => shown(&format!("{place} ({kind} {name})")),
        _ => place.to_owned(),
    }
}

/// A string field; another kind of value is a problem.
fn string<'a>(place: &str, value: &'a Value, field: &'static str, problems: &mut Vec<MeshProblem>) -> Option<&'a str> {
    match value.get(field) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => {
            problems.push(MeshProblem::Unexpected { place: place.to_owned(), field, expected: "a string" });
            None
        }
    }
}

/// The items of a list; another kind of value is a problem.
fn list<'a>(place: &str, value: &'a Value, field: &'static str, problems: &mut Vec<MeshProblem>) -> &'a [Value] {
    match value.get(field) {
        None | Some(Value::Null) => &[],
        Some(Value::Array(items)) => items,
        Some(_) => {
            problems.push(MeshProblem::Unexpected { place: place.to_owned(), field, expected: "a list" });
            &[]
        }
    }
}

#[cfg(test)]
mod tests;
