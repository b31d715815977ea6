//! Loki's push: `POST /loki/api/v1/push`.
//!
//! ```text
//! streams ─ labels {pod="p", namespace="n"} ─ values: (time, line) ─▶ {"log":line,"kubernetes":{..},"time":..}
//! ```
//! Source: Loki's HTTP API, and `pkg/push/push.proto`. Of the labels, those count that name the pod, or the file of it; structured metadata does the same. The
//! others, by which Loki finds a stream, no line gets.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::lines::{Lines, time};
use super::wire::{Message, WireError, seconds};
use super::wrap::Around;

/// Why a body is no push: nothing of it is taken.
#[derive(Debug, thiserror::Error)]
pub enum LokiError {
    /// Not JSON, or a member of the wrong type.
    #[error("the body is no push in JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// No message.
    #[error("the body is no push in Protocol Buffers: {0}")]
    Wire(#[from] WireError),
}

/// Appends the values of a push in Protocol Buffers (after inflating) as lines.
///
/// # Errors
/// If it is none: then nothing is appended.
pub fn from_protobuf(request: &[u8], lines: &mut Lines) -> Result<(), LokiError> {
    let mark = lines.mark();
    let outcome = streams(request, lines);
    if outcome.is_err() {
        lines.cut(mark);
    }
    Ok(outcome?)
}

fn streams(request: &[u8], lines: &mut Lines) -> Result<(), WireError> {
    let mut fields = Message::new(request);
    while let Some((field, value)) = fields.next()? {
        if field != 1 {
            continue;
        }
        let stream = value.bytes();
        let mut of_stream = Around::default();
        let mut fields = Message::new(stream);
        while let Some((field, value)) = fields.next()? {
            if field == 1 {
                for (name, value) in labels(&String::from_utf8_lossy(value.bytes())) {
                    said(&mut of_stream, &name, value.as_bytes());
                }
            }
        }
        let mut fields = Message::new(stream);
        while let Some((field, value)) = fields.next()? {
            if field == 2 {
                let (mut around, mut line) = (of_stream.clone(), &[][..]);
                let mut fields = Message::new(value.bytes());
                while let Some((field, value)) = fields.next()? {
                    match field {
                        1 => {
                            let (seconds, nanos) = seconds(value.bytes())?;
                            time(&mut around.time, seconds, nanos);
                        }
                        2 => line = value.bytes(),
                        3 => {
                            let (name, value) = super::wire::entry(value.bytes())?;
                            said(&mut around, &String::from_utf8_lossy(name), value);
                        }
                        _ => {}
                    }
                }
                around.text(line, None, lines);
            }
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Push<'a> {
    #[serde(borrow)]
    streams: Vec<Stream<'a>>,
}

#[derive(Deserialize)]
struct Stream<'a> {
    #[serde(borrow, default)]
    stream: Labels<'a>,
    #[serde(borrow, default)]
    values: Vec<Entry<'a>>,
}

/// Names and texts.
type Labels<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry<'a> {
    Bare(#[serde(borrow)] (Cow<'a, str>, Cow<'a, str>)),
    WithMetadata(#[serde(borrow)] (Cow<'a, str>, Cow<'a, str>, Labels<'a>)),
}

/// Appends the values of a push in JSON as lines.
///
/// # Errors
/// If it is none: then nothing is appended.
pub fn from_json(request: &[u8], lines: &mut Lines) -> Result<(), LokiError> {
    let push: Push<'_> = serde_json::from_slice(request)?;
    for Stream { stream, values } in &push.streams {
        let mut of_stream = Around::default();
        for (name, value) in stream {
            said(&mut of_stream, name, value.as_bytes());
        }
        for entry in values {
            let (nanos, line, metadata) = match entry {
                Entry::Bare((nanos, line)) => (nanos, line, None),
                Entry::WithMetadata((nanos, line, metadata)) => (nanos, line, Some(metadata)),
            };
            let mut around = of_stream.clone();
            for (name, value) in metadata.into_iter().flatten() {
                said(&mut around, name, value.as_bytes());
            }
            if let Ok(nanos) = nanos.parse::<i64>() {
                time(&mut around.time, nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
            }
            around.text(line.as_bytes(), None, lines);
        }
    }
    Ok(())
}

/// Takes in what a label says; what the stream says already, no metadata of a line changes.
fn said(around: &mut Around, name: &str, value: &[u8]) {
    let named = |slot: &mut Option<Vec<u8>>| {
        slot.get_or_insert_with(|| value.to_vec());
    };
    match name {
        "pod" | "pod_name" | "k8s_pod_name" => named(&mut around.pod),
        "namespace" | "k8s_namespace_name" => named(&mut around.namespace),
        "node_name" | "k8s_node_name" => named(&mut around.host),
        "filename" => around.of_path(value),
        _ => {}
    }
}

/// The labels of a stream, `{a="b", c="d"}`; what does not look like that ends them.
fn labels(text: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut rest = text.trim().strip_prefix('{').unwrap_or_default();
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_start_matches([',', ' ']).trim().to_owned();
        let Some(quoted) = after.trim_start().strip_prefix('"') else { break };
        let (mut value, mut characters) = (String::new(), quoted.char_indices());
        let end = loop {
            match characters.next() {
                None => break quoted.len(),
                Some((at, '"')) => break at + 1,
                Some((_, '\\')) => match characters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 't')) => value.push('\t'),
                    Some((_, other)) => value.push(other),
                    None => {}
                },
                Some((_, other)) => value.push(other),
            }
        };
        all.push((name, value));
        rest = quoted.get(end..).unwrap_or_default();
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(lines: Lines) -> String {
        String::from_utf8(lines.into_bytes()).unwrap()
    }

    #[test]
    fn pushes_in_json() {
        for (body, expected) in [
            (r#"{"streams":[]}"#, ""),
            (
                r#"{"streams":[{"stream":{"job":"x"},"values":[["1","a"],["2","b"]]}]}"#,
                "{\"log\":\"a\",\"kubernetes\":{},\"time\":\"1970-01-01T00:00:00.000000Z\"}\n{\"log\":\"b\",\"kubernetes\":{},\"time\":\"1970-01-01T00:00:00.000000Z\"}\n",
            ),
            (
                r#"{"streams":[{"stream":{"pod":"p","namespace":"n"},"values":[["1795358364727123999","a\nb",{"node_name":"h"}]]}]}"#,
                "{\"log\":\"a\\nb\",\"kubernetes\":{\"pod_name\":\"p\",\"namespace_name\":\"n\",\"host\":\"h\"},\"time\":\"2026-11-22T14:39:24.727123Z\"}\n",
            ),
            (r#"{"streams":[{"values":[["","a"]]}]}"#, "a\n"),
        ] {
            let mut lines = Lines::new();
            from_json(body.as_bytes(), &mut lines).unwrap();
            assert_eq!(text(lines), expected, "{body}");
        }
        let mut lines = Lines::new();
        assert!(from_json(br#"{"streams":[{"values":[["1","a"],["1"]]}]}"#, &mut lines).is_err());
        assert!(lines.is_empty());
    }

    #[test]
    fn pushes_in_protocol_buffers() {
        let field =
            |number: u8, bytes: &[u8]| [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()][..], bytes].concat();
        let entry = [field(1, &[0x08, 0x05]), field(2, b"[x] y")].concat();
        let metadata = field(3, &[field(1, b"pod"), field(2, b"other")].concat());
        let second = [field(2, b"z"), metadata].concat();
        let labels = r#"{pod="p\"q", namespace="n",app="x"}"#;
        let stream = [field(2, &entry), field(1, labels.as_bytes()), field(2, &second)].concat();
        let mut lines = Lines::new();
        from_protobuf(&field(1, &stream), &mut lines).unwrap();
        let expected = "{\"log\":\"[x] y\",\"kubernetes\":{\"pod_name\":\"p\\\"q\",\"namespace_name\":\"n\"},\"time\":\"1970-01-01T00:00:05.000000Z\"}\n{\"log\":\"z\",\"kubernetes\":{\"pod_name\":\"p\\\"q\",\"namespace_name\":\"n\"}}\n";
        assert_eq!(text(lines), expected);
        let mut lines = Lines::new();
        assert!(from_protobuf(&[&field(1, &stream)[..], &[0x0a]].concat(), &mut lines).is_err());
        assert!(lines.is_empty() && lines.bytes().is_empty());
    }

    #[test]
    fn labels_as_loki_writes_them() {
        for (text, expected) in [
            ("{}", vec![]),
            (r#"{a="b"}"#, vec![("a", "b")]),
            (r#"{a="b", c = "d,e}", f="\\\"\n"}"#, vec![("a", "b"), ("c", "d,e}"), ("f", "\\\"\n")]),
            (r#"{a="b"#, vec![("a", "b")]),
            ("a=b", vec![]),
            ("{a=b}", vec![]),
            ("", vec![]),
        ] {
            let found = labels(text);
            let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
