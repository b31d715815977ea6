//! Plain Envoy: access loggers wherever they stand in a bootstrap, a listener or an EnvoyFilter.
//!
//! A logger is recognised by the type of its configuration. Envoy reads `log_format` and `logFormat` alike.

use serde_json::Value;

use super::{DefaultFormat, LogFormat, LoggerFilter, MeshFormats, MeshProblem, Provider, ProviderKind};

/// Deepest value that is looked into; documents are no deeper.
const DEEPEST: usize = 64;

/// Finds every access logger in `value`.
pub(super) fn loggers(place: &str, value: &Value, found: &mut MeshFormats) {
    walk(place, value, DEEPEST, found);
}

fn walk(place: &str, value: &Value, depth: usize, found: &mut MeshFormats) {
    let Some(deeper) = depth.checked_sub(1) else { return };
    match value {
        Value::Object(object) => {
            if let Some(kind) = logger(value) {
                found.providers.push(provider(place, value, kind, &mut found.problems));
                return;
            }
            object.values().for_each(|value| walk(place, value, deeper, found));
        }
        Value::Array(items) => {
            let list = found.providers.iter().filter_map(|provider| provider.list).max().map_or(0, |list| list + 1);
            for (number, item) in (1..).zip(items) {
                let before = found.providers.len();
                walk(place, item, deeper, found);
                // `AccessLog {name, filter, typed_config}`
                let is_logger =
                    field(item, "typed_config", "typedConfig").is_some_and(|config| logger(config).is_some());
                if let Some(provider) = found.providers.get_mut(before).filter(|_| is_logger) {
                    provider.filter =
                        item.get("filter").filter(|filter| !filter.is_null()).map(|value| filter(value, DEEPEST));
                    provider.list = Some(list);
                    provider.place = format!("{} {}", provider.place, nth(number));
                }
            }
        }
        _ => {}
    }
}

fn logger(config: &Value) -> Option<ProviderKind> {
    config.get("@type").and_then(Value::as_str).and_then(kind)
}

fn nth(number: usize) -> String {
    format!("#{number}")
}

/// What a filter does, if it can be said as an expression.
fn filter(filter: &Value, depth: usize) -> LoggerFilter {
    let name = || filter.as_object().and_then(|object| object.keys().next()).cloned().unwrap_or_default();
    expression(filter, depth).map_or_else(|| LoggerFilter::Other(name()), LoggerFilter::Cel)
}

/// The CEL expression that lets the same lines through.
fn expression(filter: &Value, depth: usize) -> Option<String> {
    let deeper = depth.checked_sub(1)?;
    let cel = || {
        let extension = field(filter, "extension_filter", "extensionFilter")?;
        let config = field(extension, "typed_config", "typedConfig")?;
        Some(config.get("expression")?.as_str()?.to_owned())
    };
    let status = || {
        let comparison = field(filter, "status_code_filter", "statusCodeFilter")?.get("comparison")?;
        let value = field(comparison.get("value")?, "default_value", "defaultValue")?.as_u64()?;
        let operator = match comparison.get("op").and_then(Value::as_str).unwrap_or("EQ") {
            "GE" => ">=",
            "LE" => "<=",
            "EQ" => "==",
            _ => return None,
        };
        // to Envoy a line without a code has the code 0
        let missing = match operator {
            "<=" => "!has(response.code) || ",
            "==" if value == 0 => "!has(response.code) || ",
            _ if value == 0 => "!has(response.code) || ",
            _ => "",
        };
        Some(format!("{missing}response.code {operator} {value}"))
    };
    // a probe of Envoy's health checker is nothing that a detection wants
    let not_a_probe = || field(filter, "not_health_check_filter", "notHealthCheckFilter").map(|_| "true".to_owned());
    let joined = |snake, camel, operator: &str| {
        let filters = field(filter, snake, camel)?.get("filters")?.as_array()?;
        // one that cannot be said may decide nothing: its name is a value that nobody knows
        let unknown = |filter: &Value| filter.as_object().and_then(|object| object.keys().next()).cloned();
        let one = |filter: &Value| Some(format!("({})", expression(filter, deeper).or_else(|| unknown(filter))?));
        let each: Option<Vec<String>> = filters.iter().map(one).collect();
        each.filter(|each| !each.is_empty()).map(|each| each.join(operator))
    };
    let all = || joined("and_filter", "andFilter", " && ");
    let any = || joined("or_filter", "orFilter", " || ");
    cel().or_else(status).or_else(not_a_probe).or_else(all).or_else(any)
}

fn kind(of_type: &str) -> Option<ProviderKind> {
    let name = of_type.rsplit(['.', '/']).next()?;
    let loggers = of_type.contains(".access_loggers.") || of_type.contains(".accesslog.");
    match name {
        "FileAccessLog" | "StdoutAccessLog" | "StderrAccessLog" if loggers => Some(ProviderKind::File),
        "OpenTelemetryAccessLogConfig" => Some(ProviderKind::OpenTelemetry),
        "HttpGrpcAccessLogConfig" => Some(ProviderKind::HttpAls),
        "TcpGrpcAccessLogConfig" => Some(ProviderKind::TcpAls),
        _ => None,
    }
}

fn provider(place: &str, config: &Value, kind: ProviderKind, problems: &mut Vec<MeshProblem>) -> Provider {
    let place = format!("{place}, access_log");
    let log_format = field(config, "log_format", "logFormat");
    let (format, attributes) = match kind {
        ProviderKind::HttpAls | ProviderKind::TcpAls => (LogFormat::Protobuf, None),
        // a KeyValueList and an AnyValue, as OTLP spells them
        ProviderKind::OpenTelemetry => (body(config), config.get("attributes").and_then(key_values)),
        ProviderKind::File => (file_format(&place, config, log_format, problems), None),
    };
    let flag = |value: Option<&Value>| value.and_then(Value::as_bool).unwrap_or(false);
    let omit = log_format.and_then(|format| field(format, "omit_empty_values", "omitEmptyValues"));
    let of_type = config.get("@type").and_then(Value::as_str).unwrap_or_default();
    let path = match of_type.rsplit('.').next() {
        Some("StdoutAccessLog") => Some("/dev/stdout"),
        Some("StderrAccessLog") => Some("/dev/stderr"),
        _ => config.get("path").and_then(Value::as_str),
    };
    let path = path.map(str::to_owned);
    let formatters = log_format.and_then(|format| format.get("formatters")).and_then(Value::as_array);
    let names = formatters.into_iter().flatten().filter_map(|formatter| formatter.get("name")?.as_str());
    let formatters = names.map(str::to_owned).collect();
    let omit_empty_values = flag(omit);
    let (filter, list) = (None, None);
    Provider { name: None, place, kind, format, attributes, omit_empty_values, path, formatters, filter, list }
}

/// `log_format`, or the older fields beside it.
fn file_format(place: &str, config: &Value, log_format: Option<&Value>, problems: &mut Vec<MeshProblem>) -> LogFormat {
    let text = |value: &Value| value.as_str().map(|text| LogFormat::Text(text.to_owned()));
    let json = |value: &Value| value.is_object().then(|| LogFormat::Json(value.clone()));
    let source = |value: &Value| match field(value, "inline_string", "inlineString") {
        Some(inline) => text(inline),
        None => {
            problems.push(MeshProblem::FormatElsewhere { place: place.to_owned() });
            None
        }
    };
    let in_log_format = log_format.and_then(|format| {
        let json = || field(format, "json_format", "jsonFormat").and_then(json);
        let text = || field(format, "text_format", "textFormat").and_then(text);
        json().or_else(text).or_else(|| field(format, "text_format_source", "textFormatSource").and_then(source))
    });
    let older = || {
        let json = |snake, camel| field(config, snake, camel).and_then(json);
        let typed = || json("typed_json_format", "typedJsonFormat");
        json("json_format", "jsonFormat").or_else(typed).or_else(|| config.get("format").and_then(text))
    };
    // an empty text is none
    let found = in_log_format.or_else(older).filter(|format| *format != LogFormat::Text(String::new()));
    found.unwrap_or(LogFormat::Default(DefaultFormat::EnvoyText))
}

fn body(config: &Value) -> LogFormat {
    let text = config.get("body").and_then(|body| field(body, "string_value", "stringValue")).and_then(Value::as_str);
    text.map_or(LogFormat::Default(DefaultFormat::EnvoyText), |text| LogFormat::Text(text.to_owned()))
}

/// `{values: [{key, value: {string_value}}]}` as an object; other kinds of values are left out.
fn key_values(list: &Value) -> Option<Value> {
    let pairs = list.get("values")?.as_array()?.iter().filter_map(|pair| {
        let value = field(pair.get("value")?, "string_value", "stringValue")?;
        Some((pair.get("key")?.as_str()?.to_owned(), value.clone()))
    });
    Some(Value::Object(pairs.collect()))
}

/// A field by its name in either spelling.
fn field<'a>(value: &'a Value, snake: &str, camel: &str) -> Option<&'a Value> {
    value.get(snake).or_else(|| value.get(camel)).filter(|value| !value.is_null())
}
