//! Events of Splunk's HTTP Event Collector: `POST /services/collector/event`.
//!
//! ```text
//! {"event":"<line>" or {..},"time":1795358364.727,"host":..,"fields":{"k8s.pod.name":..}} {"event":..} ...
//! ```
//! Source: Splunk's documentation, "Format events for HTTP Event Collector". Index, source and sourcetype say where Splunk would keep an event: no line gets
//! them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::lines::Lines;
use super::wrap::Around;

/// Why a body is none of events: nothing of it is taken.
#[derive(Debug, thiserror::Error)]
pub enum HecError {
    /// Not JSON, or a member of the wrong type.
    #[error("event {number} is no JSON object of the Event Collector's: {source}")]
    Format {
        /// The event's number, from 0.
        number: u64,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// An object without `event`.
    #[error("event {number} has no member \"event\"")]
    NoEvent {
        /// The event's number, from 0.
        number: u64,
    },
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow, default)]
    time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    host: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    fields: Option<BTreeMap<Cow<'a, str>, &'a RawValue>>,
}

/// Appends the events of a body as lines.
///
/// # Errors
/// If one of them is none: then nothing is appended.
pub fn events(body: &[u8], lines: &mut Lines) -> Result<(), HecError> {
    let mark = lines.mark();
    let mut events = serde_json::Deserializer::from_slice(body).into_iter::<Event<'_>>();
    for number in 0.. {
        let outcome = match events.next() {
            None => break,
            Some(event) => event.map_err(|source| HecError::Format { number, source }),
        };
        let outcome = outcome.and_then(|event| append(&event, number, lines));
        if let Err(error) = outcome {
            lines.cut(mark);
            return Err(error);
        }
    }
    Ok(())
}

fn append(event: &Event<'_>, number: u64, lines: &mut Lines) -> Result<(), HecError> {
    let json = event.event.map(RawValue::get).filter(|json| *json != "null").ok_or(HecError::NoEvent { number })?;
    let mut around = Around { host: event.host.as_ref().map(|host| host.as_bytes().to_vec()), ..Around::default() };
    let fields = event.fields.iter().flatten();
    let text = |json: &str| serde_json::from_str::<Cow<'_, str>>(json).ok().map(|text| text.into_owned().into_bytes());
    for (name, value) in fields {
        match name.as_ref() {
            "k8s.pod.name" | "pod" => around.pod = text(value.get()),
            "k8s.namespace.name" | "namespace" => around.namespace = text(value.get()),
            "k8s.node.name" => around.host = text(value.get()),
            _ => {}
        }
    }
    if let Some(path) = &event.source {
        around.of_path(path.as_bytes());
    }
    // a number, or one in a string
    let time = event.time.map(|time| time.get().trim_matches('"'));
    if let Some(time) = time.filter(|time| crate::time::parse(time).is_some()) {
        around.time = format!("\"{time}\"").into_bytes();
    }
    match json.as_bytes() {
        [b'"', ..] => {
            let line: Cow<'_, str> =
                serde_json::from_str(json).map_err(|source| HecError::Format { number, source })?;
            // one blank line of a pod's must not make its neighbours' lines be refused: shippers do not send those again
            if line.trim().is_empty() {
                return Ok(());
            }
            // the host alone says nothing of a line: it is the collector's own, mostly
            let around = if around.pod.is_none() && around.namespace.is_none() && around.time.is_empty() {
                Around::default()
            } else {
                around
            };
            around.text(line.as_bytes(), None, lines);
        }
        json => around.json(json, lines),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(body: &str) -> Result<String, String> {
        let mut lines = Lines::new();
        events(body.as_bytes(), &mut lines).map_err(|error| error.to_string())?;
        let text = String::from_utf8(lines.bytes().to_vec()).unwrap();
        assert_eq!(text.lines().count() as u64, lines.count());
        Ok(text)
    }

    #[test]
    fn events_become_lines() {
        for (body, lines) in [
            ("", ""),
            (r#"{"event":"[a] b"}"#, "[a] b\n"),
            (r#"{"event":"a\n"}{"event":"b"}  {"event":"c","index":"main"}"#, "a\nb\nc\n"),
            // a line end within the text stays within the line
            (r#"{"event":"a\nb"}"#, "{\"log\":\"a\\nb\",\"kubernetes\":{}}\n"),
            ("{\"event\":{\"method\":\n\"GET\"}}", "{\"method\": \"GET\"}\n"),
            (
                r#"{"event":"x","time":1795358364.727,"host":"h","fields":{"k8s.pod.name":"p","k8s.namespace.name":"n","a":1}}"#,
                "{\"log\":\"x\",\"kubernetes\":{\"pod_name\":\"p\",\"namespace_name\":\"n\",\"host\":\"h\"},\"time\":\"1795358364.727\"}\n",
            ),
            (
                r#"{"event":{"a":1},"fields":{"k8s.pod.name":"p"},"time":"17"}"#,
                "{\"log\":{\"a\":1},\"kubernetes\":{\"pod_name\":\"p\"},\"time\":\"17\"}\n",
            ),
            (r#"{"event":" "}{"event":"x"}"#, "x\n"),
            (r#"{"event":"x","time":"yesterday\"","host":"h"}"#, "x\n"),
            (
                r#"{"event":"x","source":"/var/log/pods/n_p_11111111-2222-3333-4444-555555555555/istio-proxy/0.log"}"#,
                "{\"log\":\"x\",\"kubernetes\":{\"pod_name\":\"p\",\"namespace_name\":\"n\"}}\n",
            ),
        ] {
            assert_eq!(of(body).as_deref(), Ok(lines), "{body}");
        }
    }

    #[test]
    fn what_is_none_takes_nothing() {
        for (body, error) in [
            (r#"{"event":"a"}{"time":1}"#, "event 1 has no member \"event\""),
            (r#"{"event":"a"}{"event":"#, "event 1 is no JSON object of the Event Collector's: EOF"),
            (r#"{"event":"a"}x"#, "event 1 is no JSON object"),
            (r#"{"event":null}"#, "event 0 has no member"),
            (r#"[]"#, "event 0 is no JSON object"),
        ] {
            let said = of(body).unwrap_err();
            assert!(said.starts_with(error), "{body}: {said}");
        }
        let mut lines = Lines::new();
        lines.plain(b"before");
        assert!(events(br#"{"event":"a"}{"#, &mut lines).is_err());
        assert_eq!(lines.bytes(), b"before\n");
    }
}
