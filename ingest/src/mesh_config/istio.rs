//! Istio's MeshConfig: `accessLogFile` and its kin, and the extension providers.

use serde_json::Value;

use super::{DefaultFormat, LogFormat, MeshFormats, MeshProblem, Provider, ProviderKind, list, string};
use crate::reject::shown;

/// The provider that every mesh has.
pub(super) const BUILT_IN: &str = "envoy";

const STDOUT: &str = "/dev/stdout";

/// Whether the value is a MeshConfig without anything around it.
pub(super) fn is_mesh_config(value: &Value) -> bool {
    // the last three say nothing about logs, but Istio's own MeshConfig has nothing else
    const FIELDS: [&str; 8] = [
        "accessLogFile",
        "accessLogEncoding",
        "accessLogFormat",
        "extensionProviders",
        "defaultProviders",
        "defaultConfig",
        "enablePrometheusMerge",
        "rootNamespace",
    ];
    FIELDS.iter().any(|field| value.get(field).is_some())
}

/// Reads a MeshConfig.
pub(super) fn mesh_config(place: &str, value: &Value, found: &mut MeshFormats) {
    found.has_mesh_config = true;
    let problems = &mut found.problems;
    let format = mesh_format(place, value, problems);
    let file = string(place, value, "accessLogFile", problems).filter(|path| !path.is_empty());
    let mut providers: Vec<Provider> = Vec::new();
    for provider in list(place, value, "extensionProviders", problems) {
        providers.extend(extension_provider(place, provider, &format, problems));
    }
    let configured = ["accessLogEncoding", "accessLogFormat"].iter().any(|field| value.get(field).is_some());
    let overridden = providers.iter().any(|provider| provider.name.as_deref() == Some(BUILT_IN));
    if file.is_some() || (configured && !overridden) {
        let path = Some(file.unwrap_or(STDOUT).to_owned());
        found.providers.push(Provider { place: place.to_owned(), format, path, ..built_in() });
    }
    found.providers.append(&mut providers);
    if let Some(defaults) = value.get("defaultProviders") {
        let names = list(place, defaults, "accessLogging", &mut found.problems).iter().filter_map(Value::as_str);
        found.default_providers.extend(names.map(str::to_owned));
    }
}

/// The provider that every mesh has, as it is where its MeshConfig says nothing.
pub(super) fn built_in() -> Provider {
    Provider {
        name: Some(BUILT_IN.to_owned()),
        path: Some(STDOUT.to_owned()),
        ..Provider::of_format("built into Istio", LogFormat::Default(DefaultFormat::IstioText))
    }
}

/// `accessLogEncoding` and `accessLogFormat`.
fn mesh_format(place: &str, value: &Value, problems: &mut Vec<MeshProblem>) -> LogFormat {
    let format = string(place, value, "accessLogFormat", problems).filter(|format| !format.is_empty());
    let json = match value.get("accessLogEncoding") {
        None | Some(Value::Null) => false,
        Some(Value::String(encoding)) if encoding == "TEXT" => false,
        Some(Value::String(encoding)) if encoding == "JSON" => true,
        // protobuf's enum by number
        Some(Value::Number(number)) if number.as_u64() == Some(0) => false,
        Some(Value::Number(number)) if number.as_u64() == Some(1) => true,
        Some(_) => {
            let field = "accessLogEncoding";
            problems.push(MeshProblem::Unexpected { place: place.to_owned(), field, expected: "TEXT or JSON" });
            false
        }
    };
    match format {
        None if json => LogFormat::Default(DefaultFormat::IstioJson),
        None => LogFormat::Default(DefaultFormat::IstioText),
        Some(format) if !json => LogFormat::Text(format.to_owned()),
        Some(format) => match serde_json::from_str::<Value>(format) {
            Ok(object) if object.is_object() => LogFormat::Json(object),
            other => {
                let reason = other.map_or_else(|error| error.to_string(), |_| "valid JSON, but no object".to_owned());
                problems.push(MeshProblem::FormatIsNotJson { place: place.to_owned(), format: shown(format), reason });
                LogFormat::Default(DefaultFormat::IstioJson)
            }
        },
    }
}

/// One of `extensionProviders`; `None` if it is for something else than access logs.
fn extension_provider(
    place: &str,
    value: &Value,
    mesh: &LogFormat,
    problems: &mut Vec<MeshProblem>,
) -> Option<Provider> {
    let kinds = [
        ("envoyFileAccessLog", ProviderKind::File),
        ("envoyOtelAls", ProviderKind::OpenTelemetry),
        ("envoyHttpAls", ProviderKind::HttpAls),
        ("envoyTcpAls", ProviderKind::TcpAls),
    ];
    let (settings, kind) = kinds.into_iter().find_map(|(field, kind)| Some((value.get(field)?, kind)))?;
    let name = string(place, value, "name", problems).map(str::to_owned);
    let place = match &name {
        Some(name) => format!("{place}, extensionProviders {}", shown(name)),
        None => format!("{place}, extensionProviders"),
    };
    let log_format = settings.get("logFormat").filter(|format| !format.is_null());
    let text = log_format.and_then(|format| string(&place, format, "text", problems)).filter(|text| !text.is_empty());
    let labels = log_format.and_then(|format| labels(&place, format, problems));
    let built_in = name.as_deref() == Some(BUILT_IN) && log_format.is_none();
    let text = || text.map_or(LogFormat::Default(DefaultFormat::IstioText), |text| LogFormat::Text(text.to_owned()));
    let (format, attributes) = match (kind, labels) {
        (ProviderKind::HttpAls | ProviderKind::TcpAls, _) => (LogFormat::Protobuf, None),
        (ProviderKind::OpenTelemetry, labels) => (text(), labels.cloned()),
        (ProviderKind::File, _) if built_in => (mesh.clone(), None),
        (ProviderKind::File, Some(labels)) if is_empty(labels) => (LogFormat::Default(DefaultFormat::IstioJson), None),
        (ProviderKind::File, Some(labels)) => (LogFormat::Json(labels.clone()), None),
        (ProviderKind::File, None) => (text(), None),
    };
    let path = (kind == ProviderKind::File).then(|| {
        string(&place, settings, "path", problems).filter(|path| !path.is_empty()).unwrap_or(STDOUT).to_owned()
    });
    let omit_empty_values = settings.get("omitEmptyValues").and_then(Value::as_bool).unwrap_or(false);
    let formatters = Vec::new();
    let (filter, list) = (None, None);
    Some(Provider { name, place, kind, format, attributes, omit_empty_values, path, formatters, filter, list })
}

fn labels<'a>(place: &str, format: &'a Value, problems: &mut Vec<MeshProblem>) -> Option<&'a Value> {
    match format.get("labels") {
        None | Some(Value::Null) => None,
        Some(labels @ Value::Object(_)) => Some(labels),
        Some(_) => {
            problems.push(MeshProblem::Unexpected { place: place.to_owned(), field: "labels", expected: "an object" });
            None
        }
    }
}

fn is_empty(labels: &Value) -> bool {
    labels.as_object().is_none_or(serde_json::Map::is_empty)
}
