//! One log record, and the line that it becomes.

use crate::json::object::checked_members;
use crate::key::Key;
use crate::protocol::lines::{Lines, Object, number, text, time};
use crate::protocol::structs::double;
use crate::protocol::wrap::Around;

/// An `AnyValue`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Any<'a> {
    #[default]
    Null,
    Text(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    List(Vec<Any<'a>>),
    Map(Vec<(&'a [u8], Any<'a>)>),
    Bytes(&'a [u8]),
}

/// A `LogRecord`: what is read of it.
#[derive(Debug, Default)]
pub(super) struct Record<'a> {
    /// Nanoseconds since 1970; 0: unknown.
    pub(super) time: u64,
    pub(super) body: Any<'a>,
    pub(super) attributes: Vec<(&'a [u8], Any<'a>)>,
    pub(super) trace_id: &'a [u8],
    pub(super) span_id: &'a [u8],
}

/// Who sends records.
#[derive(Debug, Default)]
pub(super) struct Resource<'a> {
    pod: Option<&'a [u8]>,
    namespace: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
    /// What else is said of it.
    attributes: Vec<(&'a [u8], Any<'a>)>,
}

/// What the semantic conventions call a pod, its namespace and its machine.
const POD: &[u8] = b"k8s.pod.name";
const NAMESPACE: &[u8] = b"k8s.namespace.name";
const HOST: &[u8] = b"k8s.node.name";

impl<'a> Resource<'a> {
    pub(super) fn of(attributes: Vec<(&'a [u8], Any<'a>)>) -> Self {
        let mut resource = Resource::default();
        for (key, value) in attributes {
            match (key, value) {
                (POD, Any::Text(name)) => resource.pod = Some(name),
                (NAMESPACE, Any::Text(name)) => resource.namespace = Some(name),
                (HOST, Any::Text(name)) => resource.host = Some(name),
                (key, value) => resource.attributes.push((key, value)),
            }
        }
        resource
    }
}

impl<'a> Record<'a> {
    pub(super) fn clear(&mut self) {
        let mut attributes = std::mem::take(&mut self.attributes);
        attributes.clear();
        *self = Record { attributes, ..Record::default() };
    }

    /// Appends the record as a line.
    pub(super) fn write(&self, resource: &Resource<'_>, lines: &mut Lines) {
        match &self.body {
            Any::Map(members) if is_access_log(members) => {
                lines.object(|line| self.access_log(line, members, Some(&self.attributes), resource));
            }
            _ if is_access_log(&self.attributes) => {
                lines.object(|line| self.access_log(line, &self.attributes, None, resource));
            }
            // labels under names of a mesh's own, with nothing as the text
            Any::Text(body) if matches!(*body, b"" | b"-") && !self.attributes.is_empty() => {
                lines.object(|line| self.access_log(line, &self.attributes, None, resource));
            }
            Any::Text(body) => self.text(body, resource, lines),
            // no access log: it becomes a reject that shows what it is
            _ => lines.object(|line| self.access_log(line, &self.attributes, None, resource)),
        }
    }

    /// A record that has the keys of an access log.
    fn access_log(
        &self,
        line: &mut Object<'_>,
        members: &[(&[u8], Any<'_>)],
        beside: Option<&[(&[u8], Any<'_>)]>,
        resource: &Resource<'_>,
    ) {
        let has = |key: Key| members.iter().any(|(name, _)| *name == key.name().as_bytes());
        // what a collector says of the pod goes before what the sender does
        let stamped = |name: &[u8]| {
            (resource.pod.is_some() && name == Key::PodName.name().as_bytes())
                || (resource.namespace.is_some() && name == Key::PodNamespace.name().as_bytes())
        };
        for (name, value) in members.iter().filter(|(name, _)| !stamped(name)) {
            line.their_key(name);
            line.with(|out| logged(out, name, value));
        }
        if self.time != 0 && !has(Key::StartTime) {
            line.key(Key::StartTime.name());
            line.with(|out| nanos(out, self.time));
        }
        if !self.trace_id.is_empty() && !has(Key::Traceparent) {
            line.key(Key::Traceparent.name());
            line.with(|out| traceparent(out, self.trace_id, self.span_id));
        }
        let Around { pod, namespace, .. } = self.around(resource);
        for (key, name) in [(Key::PodName, pod), (Key::PodNamespace, namespace)] {
            if let Some(name) = name.filter(|_| !has(key) || stamped(key.name().as_bytes())) {
                line.text(key.name(), &name);
            }
        }
        match &self.body {
            // what Istio sends beside labels, unless it is told not to
            Any::Null | Any::Map(_) => {}
            Any::Text(body)
                if body.is_empty() || *body == b"-" || (body.starts_with(b"[") && is_access_log(members)) => {}
            body => {
                line.key("body");
                line.with(|out| any(out, body));
            }
        }
        if let Some(beside) = beside.filter(|beside| !beside.is_empty()) {
            line.key("attributes");
            line.object(|object| all(object, beside));
        }
        if !resource.attributes.is_empty() {
            line.key("resource");
            line.object(|object| all(object, &resource.attributes));
        }
    }

    /// A record whose text is the line.
    fn text(&self, body: &[u8], resource: &Resource<'_>, lines: &mut Lines) {
        let known = |name: &[u8]| matches!(name, POD | NAMESPACE | HOST | PATH | b"log.file.name" | b"log.iostream");
        let beside = || self.attributes.iter().filter(|(name, _)| !known(name));
        let attributes = |object: &mut Object<'_>| {
            for (name, value) in beside() {
                object.their_key(name);
                object.with(|out| logged(out, name, value));
            }
        };
        let attributes: Option<&dyn Fn(&mut Object<'_>)> = beside().next().is_some().then_some(&attributes);
        self.around(resource).text(body, attributes, lines);
    }

    /// The pod and its namespace: as the resource says, or the record itself, or the path of the file that it was read from.
    fn around(&self, resource: &Resource<'_>) -> Around {
        let said = |wanted: &[u8]| {
            self.attributes.iter().find_map(|(name, value)| match value {
                Any::Text(text) if *name == wanted => Some(*text),
                _ => None,
            })
        };
        let name = |of_resource: Option<&[u8]>, wanted: &[u8]| of_resource.or_else(|| said(wanted)).map(<[u8]>::to_vec);
        let mut around = Around {
            pod: name(resource.pod, POD),
            namespace: name(resource.namespace, NAMESPACE),
            host: name(resource.host, HOST),
            time: Vec::new(),
        };
        if let Some(path) = said(PATH) {
            around.of_path(path);
        }
        around
    }
}

/// The file that a collector read a record from.
const PATH: &[u8] = b"log.file.path";

/// Whether keys are those of an access log: labels that only name the pod are not.
fn is_access_log(members: &[(&[u8], Any<'_>)]) -> bool {
    members.iter().any(|(name, _)| matches!(*name, b"response_flags" | b"response_code" | b"bytes_sent"))
}

fn all(object: &mut Object<'_>, members: &[(&[u8], Any<'_>)]) {
    for (name, value) in members {
        object.their_key(name);
        object.with(|out| any(out, value));
    }
}

/// Writes an attribute as the JSON that Envoy would have written: its exporter makes a string of everything.
fn logged(out: &mut Vec<u8>, name: &[u8], value: &Any<'_>) {
    let Any::Text(said) = value else { return any(out, value) };
    match *said {
        b"-" | b"" => out.extend_from_slice(b"null"),
        [b'0'..=b'9', ..] if is_number(name) && is_integer(said) => out.extend_from_slice(said),
        [b'{' | b'[', ..] if is_object(name) && is_json(said) => out.extend_from_slice(said),
        b"true" | b"false" if name == Key::Audit.name().as_bytes() => out.extend_from_slice(said),
        _ => text(out, said),
    }
}

/// Keys whose value is a number in JSON.
fn is_number(name: &[u8]) -> bool {
    matches!(
        name,
        b"response_code"
            | b"grpc_status"
            | b"bytes_received"
            | b"bytes_sent"
            | b"duration"
            | b"connection_id"
            | b"upstream_request_attempt_count"
    )
}

/// Digits that JSON takes for a number.
fn is_integer(text: &[u8]) -> bool {
    text.len() < 19 && text.iter().all(u8::is_ascii_digit) && (text.len() == 1 || text.first() != Some(&b'0'))
}

/// Keys whose value is an object, or a list.
fn is_object(name: &[u8]) -> bool {
    matches!(
        name,
        b"rbac"
            | b"rbac_tcp"
            | b"downstream_peer"
            | b"upstream_peer"
            | b"upstream_service"
            | b"jwt_aud"
            | b"jwt_realm_access"
            | b"audit"
    )
}

/// One JSON text, without a line end, that the decoder will take as well: else a caller who chooses what is in it would make a reject of the line.
fn is_json(text: &[u8]) -> bool {
    let is_line = memchr::memchr2(b'\n', b'\r', text).is_none();
    let text = std::str::from_utf8(text).ok().filter(|_| is_line);
    text.is_some_and(|text| checked_members(&format!("{{\"v\":{text}}}"), NESTED).is_ok())
}

/// Objects and lists within a value, deeper than any of Envoy's.
const NESTED: usize = 32;

/// Writes a value as JSON; bytes in hex.
fn any(out: &mut Vec<u8>, value: &Any<'_>) {
    match value {
        Any::Null => out.extend_from_slice(b"null"),
        Any::Text(said) => text(out, said),
        Any::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Any::Int(value) => {
            if *value < 0 {
                out.push(b'-');
            }
            number(out, value.unsigned_abs());
        }
        Any::Double(value) => double(out, *value),
        Any::List(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                any(out, item);
            }
            out.push(b']');
        }
        Any::Map(members) => {
            out.push(b'{');
            for (at, (name, value)) in members.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                text(out, name);
                out.push(b':');
                any(out, value);
            }
            out.push(b'}');
        }
        Any::Bytes(bytes) => {
            out.push(b'"');
            hex(out, bytes);
            out.push(b'"');
        }
    }
}

fn nanos(out: &mut Vec<u8>, nanos: u64) {
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    time(out, seconds.cast_signed(), rest.cast_signed());
}

/// Writes the ids of a trace as the W3C header has them, in quotes.
fn traceparent(out: &mut Vec<u8>, trace: &[u8], span: &[u8]) {
    out.extend_from_slice(b"\"00-");
    hex(out, trace);
    out.push(b'-');
    hex(out, span);
    out.extend_from_slice(b"-00\"");
}

fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    for byte in bytes {
        out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
}
