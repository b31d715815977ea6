//! The Telemetry resource: which providers log where.

use serde_json::Value;

use super::{MeshProblem, list, string};

/// One Telemetry resource that concerns access logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// Its namespace, where given; the root namespace's apply to the whole mesh.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its rules.
    pub access_logging: Vec<AccessLogging>,
}

/// One rule of a Telemetry resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLogging {
    /// Names of the providers; empty: those of the level above.
    pub providers: Vec<String>,
    /// On which side.
    pub mode: Mode,
    /// It switches logging off.
    pub disabled: bool,
    /// The CEL expression that lines must fulfil to be logged.
    pub filter: Option<String>,
}

/// Which listeners a rule is for. Gateways are clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Both.
    ClientAndServer,
    /// Outbound listeners and gateways.
    Client,
    /// Inbound listeners.
    Server,
}

/// Reads a Telemetry resource; `None` if it says nothing about access logs.
pub(super) fn read(place: &str, value: &Value, problems: &mut Vec<MeshProblem>) -> Option<Telemetry> {
    let rules = list(place, value.get("spec")?, "accessLogging", problems);
    let access_logging: Vec<_> = rules.iter().map(|rule| access_logging(place, rule, problems)).collect();
    let text = |path: &str| value.pointer(path).and_then(Value::as_str).map(str::to_owned);
    (!access_logging.is_empty()).then(|| Telemetry {
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name").unwrap_or_default(),
        access_logging,
    })
}

fn access_logging(place: &str, rule: &Value, problems: &mut Vec<MeshProblem>) -> AccessLogging {
    let names = list(place, rule, "providers", problems).iter().filter_map(|provider| provider.get("name")?.as_str());
    let mode = match rule.pointer("/match/mode") {
        None | Some(Value::Null) => Mode::ClientAndServer,
        Some(mode) => match mode.as_str() {
            Some("CLIENT") => Mode::Client,
            Some("SERVER") => Mode::Server,
            Some("CLIENT_AND_SERVER") => Mode::ClientAndServer,
            _ => {
                let expected = "CLIENT, SERVER or CLIENT_AND_SERVER";
                problems.push(MeshProblem::Unexpected { place: place.to_owned(), field: "match.mode", expected });
                Mode::ClientAndServer
            }
        },
    };
    let filter = rule.get("filter").and_then(|filter| string(place, filter, "expression", problems));
    AccessLogging {
        providers: names.map(str::to_owned).collect(),
        mode,
        disabled: rule.get("disabled").and_then(Value::as_bool).unwrap_or(false),
        filter: filter.map(str::to_owned),
    }
}
