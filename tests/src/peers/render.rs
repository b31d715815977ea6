//! A line in one of the three formats, as Envoy would write it.

use serde_json::{Map, Value};

use super::traffic::Line;
use crate::mesh::{Format, ISTIO_JSON, TEXT_FIELDS, text_line};

/// Appends `line` and a line end to `out`.
pub(super) fn render(line: &Line, format: Format, out: &mut Vec<u8>) {
    match format {
        Format::Recommended => json(line, out),
        Format::IstioJson => {
            let of = |key: &str| value(line, key);
            json(&ISTIO_JSON.iter().map(|(key, _)| ((*key).to_owned(), of(key))).collect(), out);
        }
        Format::IstioText => text(line, out),
    }
    out.push(b'\n');
}

fn json(line: &Map<String, Value>, out: &mut Vec<u8>) {
    // writing into memory does not fail
    let _ = serde_json::to_writer(out, line);
}

/// The value of one of Istio's keys. The upstream's own time is a header and thus a text; the recommended format does not log it.
fn value(line: &Line, key: &str) -> Value {
    let plain = |key: &str| line.get(key).cloned().unwrap_or_default();
    match key {
        "start_time" => plain(key).as_str().and_then(millis).map_or_else(|| plain(key), Value::from),
        "upstream_service_time" if plain("response_code_details") == "via_upstream" => {
            plain("duration").to_string().into()
        }
        _ => plain(key),
    }
}

/// `%START_TIME%` without a format has milliseconds.
fn millis(time: &str) -> Option<String> {
    let (seconds, fraction) = time.strip_suffix('Z')?.split_once('.')?;
    Some(format!("{seconds}.{}Z", fraction.get(..3)?))
}

fn text(line: &Line, out: &mut Vec<u8>) {
    let of = |key: &str| match value(line, key) {
        Value::Null => "-".to_owned(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    let head = format!("[{}] \"{} {} {}\" ", of("start_time"), of("method"), of("path"), of("protocol"));
    let values: Vec<(&str, String)> = TEXT_FIELDS.iter().map(|(key, _)| (*key, of(key))).collect();
    let mut fields = vec![("head", head.as_bytes())];
    fields.extend(values.iter().map(|(key, value)| (*key, value.as_bytes())));
    out.extend(text_line(&fields));
}
