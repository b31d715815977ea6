//! OTLP in JSON: the same messages, names in camelCase, ids in hex, 64-bit numbers as strings or numbers. Source: the OTLP specification,
//! "JSON Protobuf Encoding". Fields that are not known are passed over.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de};

use super::DEEPEST;
use super::record::{Any, Record, Resource};
use crate::protocol::lines::Lines;

/// A body that is no request in JSON.
#[derive(Debug, thiserror::Error)]
#[error("the body is no OTLP request in JSON: {0}")]
pub struct JsonError(#[from] serde_json::Error);

pub(super) fn read(request: &[u8], lines: &mut Lines) -> Result<(), JsonError> {
    // a list would do for an object whose members have defaults
    if request.trim_ascii_start().first() != Some(&b'{') {
        return Err(JsonError(de::Error::custom("expected an object")));
    }
    let request: Request<'_> = serde_json::from_slice(request)?;
    for logs in &request.resource_logs {
        let resource = Resource::of(members(&logs.resource.attributes, 0));
        for record in logs.scope_logs.iter().flat_map(|scope| &scope.log_records) {
            let (trace_id, span_id) = (unhex(&record.trace_id), unhex(&record.span_id));
            let read = Record {
                time: record.time_unix_nano.0,
                body: record.body.as_ref().map(|body| any(body, 0)).unwrap_or_default(),
                attributes: members(&record.attributes, 0),
                trace_id: &trace_id,
                span_id: &span_id,
            };
            read.write(&resource, lines);
        }
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow, default)]
    resource_logs: Vec<ResourceLogs<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceLogs<'a> {
    #[serde(borrow, default)]
    resource: JsonResource<'a>,
    #[serde(borrow, default)]
    scope_logs: Vec<ScopeLogs<'a>>,
}

#[derive(Deserialize, Default)]
struct JsonResource<'a> {
    #[serde(borrow, default)]
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeLogs<'a> {
    #[serde(borrow, default)]
    log_records: Vec<LogRecord<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogRecord<'a> {
    #[serde(default)]
    time_unix_nano: Unsigned,
    #[serde(borrow, default)]
    body: Option<AnyValue<'a>>,
    #[serde(borrow, default)]
    attributes: Vec<KeyValue<'a>>,
    #[serde(borrow, default)]
    trace_id: Text<'a>,
    #[serde(borrow, default)]
    span_id: Text<'a>,
}

#[derive(Deserialize)]
struct KeyValue<'a> {
    #[serde(borrow, default)]
    key: Text<'a>,
    #[serde(borrow, default)]
    value: Option<AnyValue<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct AnyValue<'a> {
    #[serde(borrow)]
    string_value: Option<Text<'a>>,
    bool_value: Option<bool>,
    int_value: Option<Signed>,
    double_value: Option<Double>,
    #[serde(borrow)]
    array_value: Option<Array<'a>>,
    #[serde(borrow)]
    kvlist_value: Option<KeyValues<'a>>,
    /// Base64: kept as the text that it is.
    #[serde(borrow)]
    bytes_value: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Array<'a> {
    #[serde(borrow, default)]
    values: Vec<AnyValue<'a>>,
}

#[derive(Deserialize)]
struct KeyValues<'a> {
    #[serde(borrow, default)]
    values: Vec<KeyValue<'a>>,
}

/// A string, borrowed where it has no escapes.
#[derive(Deserialize, Default)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Default)]
struct Unsigned(u64);
struct Signed(i64);
struct Double(f64);

macro_rules! number {
    ($name:ident, $number:ty, $what:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                #[serde(untagged)]
                enum Either {
                    Number($number),
                    Text(String),
                }
                match Either::deserialize(deserializer) {
                    Ok(Either::Number(number)) => Ok($name(number)),
                    Ok(Either::Text(text)) => text.parse().map($name).map_err(|_| de::Error::custom($what)),
                    Err(_) => Err(de::Error::custom($what)),
                }
            }
        }
    };
}

number!(Unsigned, u64, "expected an unsigned number of 64 bits, or one in a string");
number!(Signed, i64, "expected a signed number of 64 bits, or one in a string");
number!(Double, f64, "expected a number, or one in a string");

fn members<'a>(members: &'a [KeyValue<'_>], depth: usize) -> Vec<(&'a [u8], Any<'a>)> {
    let value = |member: &'a KeyValue<'_>| member.value.as_ref().map(|value| any(value, depth)).unwrap_or_default();
    members.iter().map(|member| (member.key.0.as_bytes(), value(member))).collect()
}

fn any<'a>(value: &'a AnyValue<'_>, depth: usize) -> Any<'a> {
    match value {
        AnyValue { string_value: Some(Text(text)), .. } => Any::Text(text.as_bytes()),
        AnyValue { bool_value: Some(flag), .. } => Any::Bool(*flag),
        AnyValue { int_value: Some(number), .. } => Any::Int(number.0),
        AnyValue { double_value: Some(number), .. } => Any::Double(number.0),
        AnyValue { array_value: Some(list), .. } if depth < DEEPEST => {
            Any::List(list.values.iter().map(|item| any(item, depth + 1)).collect())
        }
        AnyValue { kvlist_value: Some(map), .. } if depth < DEEPEST => Any::Map(members(&map.values, depth + 1)),
        AnyValue { bytes_value: Some(Text(text)), .. } => Any::Text(text.as_bytes()),
        _ => Any::Null,
    }
}

/// Bytes of hex digits; none, where it is something else.
fn unhex(Text(text): &Text<'_>) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some((digit(*high)? * 16 + digit(*low)?) as u8),
        _ => None,
    });
    pairs.collect::<Option<_>>().unwrap_or_default()
}
