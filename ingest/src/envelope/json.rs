//! Envelopes that are JSON: the record is a string, or an object, under one of a few names.
//!
//! ```text
//! docker          {"log":"<line>\n","stream":"stdout","time":"..."}
//! Fluent Bit      {"log":"<line>","stream":"stdout","kubernetes":{"pod_name":..,"namespace_name":..,"host":..}}
//! OTLP, HEC, Loki {"log":"<line>","kubernetes":{..},"attributes":{"downstream_tls_version":..}}    as protocol/wrap.rs writes them
//!   Merge_Log     {"start_time":..,"kubernetes":{..}}    the record's keys beside the envelope's: the line is the record
//! Vector          {"message":"<line>","kubernetes":{"pod_name":..,"pod_namespace":..,"pod_node_name":..}}
//! Filebeat        {"message":"<line>","log":{"offset":..},"kubernetes":{"pod":{"name":..},"namespace":..,"node":{"name":..}}}
//! journalctl      {"MESSAGE":"<line>" or [bytes],"_HOSTNAME":..,"CONTAINER_NAME":"k8s_.."}
//! ```
//!
//! A record may have a key called `log` or `message` of its own, whose value a caller chose: taking that for a record would let
//! it write lines. So a line with a key of an access log is a record, whatever else is in it, and so is ztunnel's (a `level`
//! and a `scope`). A line with a key that is not known, but with none that only shippers write, is left alone, too. Keys that shippers are told to add
//! (the file's name and offset, where it runs) are no access log's: with nothing else, they leave a string that begins like a record to be opened.
//! A text template that imitates JSON lets a caller write keys in its midst, a `kubernetes` among them: of a record of strings only names before or
//! behind all of its keys are believed.

use std::borrow::Cow;

use super::journal::seconds;
use super::node::name;
use super::pieces::Stream;
use super::prefix;
use super::{Envelope, Layer, Node, Opened, Piece};
use crate::field_map::{FieldMap, Resolved};
use crate::json::object::{members, string};
use crate::key::{Key, KeySet};
use crate::line_format::is_of_strings;
use crate::reject::{Refusal, RejectReason, shown};
use crate::time;

/// Lengths of what docker cuts a line into: 16 KiB, and where that cuts a character in two, up to four bytes that became `U+FFFD` each
/// replace up to six. A piece has no newline at its end; a shorter or longer text without one lost it on the way.
pub(super) const DOCKER_PIECE: std::ops::RangeInclusive<usize> = 16_384..=16_396;

/// What the members of an object say.
#[derive(Debug, Default)]
struct Found<'t> {
    /// JSON texts by how much they are preferred.
    candidates: [Option<&'t str>; NAMES.len()],
    /// The name of a candidate that stands twice.
    repeated: Option<&'static str>,
    node: Node<'t>,
    /// When the record was written: RFC 3339, or seconds since 1970.
    written: Option<Cow<'t, str>>,
    stream: Option<Stream>,
    /// A flag of the shipper's says whether the record goes on.
    goes_on: Option<bool>,
    /// It has keys of an access log.
    record: bool,
    /// It has a key that only shippers write.
    shipper: bool,
    /// It has a key beside those three that docker writes.
    more_than_docker: bool,
    /// It has a key that is not only a shipper's.
    foreign: bool,
    /// One of these is none that shippers are told to add.
    unknown: bool,
    level: bool,
    scope: bool,
    kubernetes: usize,
    /// It has names of its node between other keys.
    amidst: Amidst,
    /// Keys of a record whose value is a string, and those whose value is `"-"`.
    strings: KeySet,
    dashes: KeySet,
}

/// How far an object is that may have the names of its node in its midst.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Amidst {
    #[default]
    Nothing,
    /// A key of a record's came.
    Key,
    /// And behind it a name.
    Name,
    /// And behind that another key.
    Yes,
}

/// Where records are. Under the last ones only objects.
pub(super) const NAMES: [&str; 5] = ["log", "message", "MESSAGE", "log_processed", "json"];

/// Opens a line that starts with `{`.
pub(super) fn open<'t>(line: &'t [u8], names: &FieldMap) -> Layer<'t> {
    // neither is an envelope: the decoder says what is wrong with it
    let Some(members) = std::str::from_utf8(line).ok().and_then(|text| members(text).ok()) else {
        return Layer::bare();
    };
    let mut found = Found::default();
    for (key, json) in members {
        found.member(key, json, names);
    }
    // two of them: one may be a caller's, where a text template imitates JSON
    let of_a_caller = found.amidst == Amidst::Yes && is_of_strings(found.strings, found.dashes);
    let node = match found.kubernetes > 1 || of_a_caller {
        true => Node::default(),
        false => std::mem::take(&mut found.node),
    };
    let of_ztunnel = found.level && found.scope;
    let shipped = found.shipper || (!found.unknown && found.begins_record(names));
    if found.record || of_ztunnel || (found.foreign && !shipped) {
        return Layer::Bare(node);
    }
    if let Some(name) = found.repeated {
        let detail = format!("the key `{name}` of a log shipper's envelope stands twice: which is the record?");
        return Layer::Wrong(Refusal::new(RejectReason::NotAnAccessLog, detail));
    }
    match found.content(names) {
        Ok(Some(Content { bytes, newline })) => {
            let piece = found.piece(bytes.len(), newline);
            let (envelope, written) = (found.envelope(), found.written);
            Layer::Opened(Opened { content: bytes, envelope, node, written, piece })
        }
        Ok(None) => Layer::Bare(node),
        Err(refusal) => Layer::Wrong(refusal),
    }
}

/// Whether the first key of a line is one of a record.
pub(super) fn starts_record(line: &[u8], names: &FieldMap) -> bool {
    let key = line.strip_prefix(b"{\"").and_then(|rest| rest.get(..memchr::memchr(b'"', rest)?));
    key.and_then(|key| std::str::from_utf8(key).ok()).is_some_and(|key| is_of_a_record(key, names))
}

impl<'t> Found<'t> {
    fn member(&mut self, key: Cow<'t, str>, json: &'t str, names: &FieldMap) {
        let before = self.node.clone();
        self.note(&key, json, names);
        self.one(key, json, names);
        if self.amidst == Amidst::Key && self.node != before {
            self.amidst = Amidst::Name;
        }
    }

    /// Notes where names of a node may stand amidst a record of strings.
    fn note(&mut self, key: &str, json: &str, names: &FieldMap) {
        if self.amidst == Amidst::Name {
            self.amidst = Amidst::Yes;
        }
        let key = match names.resolve(key) {
            Resolved::Canonical(key) | Resolved::Mapped(key) => key,
            Resolved::Several(_) | Resolved::Unknown => return,
        };
        self.amidst = self.amidst.max(Amidst::Key);
        match json {
            "\"-\"" => self.dashes = self.dashes.with(key),
            _ if json.starts_with('"') && json != "\"\"" => self.strings = self.strings.with(key),
            _ => {}
        }
    }

    fn one(&mut self, key: Cow<'t, str>, json: &'t str, names: &FieldMap) {
        // a mapped name is the record's, though shippers may use it, too
        if matches!(names.resolve(&key), Resolved::Mapped(_) | Resolved::Several(_)) {
            (self.foreign, self.unknown) = (true, true);
        }
        if let Some(place) = NAMES.iter().position(|name| *name == key) {
            if let Some(slot) = self.candidates.get_mut(place)
                && slot.replace(json).is_some()
            {
                self.repeated = NAMES.get(place).copied();
            }
            return;
        }
        self.more_than_docker |= !matches!(key.as_ref(), "stream" | "time" | "attrs");
        match key.as_ref() {
            "stream" => {
                self.stream = Some(match text(json).as_deref() {
                    Some("stdout") => Stream::Stdout,
                    Some("stderr") => Stream::Stderr,
                    _ => Stream::Unknown,
                });
                self.shipper = true;
            }
            // the CRI flag, as Fluent Bit and Fluentd call it
            "logtag" | "_p" => self.goes_on = text(json).map(|flag| flag.starts_with('P')),
            // docker's drivers: each piece is marked partial, the last one also so by some
            "partial_message" | "CONTAINER_PARTIAL_MESSAGE" => {
                let partial = text(json).as_deref() == Some("true");
                self.goes_on = Some(partial && self.goes_on != Some(false));
            }
            "partial_last" | "CONTAINER_PARTIAL_LAST" => {
                if json == "true" || text(json).as_deref() == Some("true") {
                    self.goes_on = Some(false);
                }
            }
            "kubernetes" => {
                self.kubernetes += 1;
                self.shipper = true;
                let node = members(json).map(|members| kubernetes(&members)).unwrap_or_default();
                self.add(node);
            }
            "attributes" => {
                // of its own it says nothing: an application's own log may have it, too
                (self.foreign, self.unknown) = (true, true);
                let node = members(json).map(|members| attributes(members, names)).unwrap_or_default();
                self.add(node);
            }
            "_HOSTNAME" | "host" | "hostname" => {
                self.shipper |= key == "_HOSTNAME";
                self.add(Node { host: named(json), ..Node::default() });
            }
            "CONTAINER_NAME" | "container_name" => {
                self.shipper = true;
                self.add(named(json).map(Node::of_container_name).unwrap_or_default());
            }
            "__REALTIME_TIMESTAMP" => {
                self.written = text(json).and_then(|micros| seconds(&micros)).map(Cow::Owned);
                (self.foreign, self.unknown) = (true, true);
            }
            "__CURSOR" | "source_type" | "container_id" | "docker" => self.shipper = true,
            "level" => (self.level, self.foreign, self.unknown) = (true, true, true),
            "scope" => (self.scope, self.foreign, self.unknown) = (true, true, true),
            // shippers' own, but not theirs alone
            "@timestamp" | "time" | "timestamp" | "date" => {
                self.shipper |= key == "@timestamp";
                let time = text(json).or(Some(Cow::Borrowed(json)));
                self.written = time.filter(|time| time::parse(time).is_some()).or(self.written.take());
            }
            "tag" | "file" | "source" | "attrs" | "partial_id" | "partial_ordinal" => {}
            dotted if dotted.starts_with("kubernetes.") => {
                self.shipper = true;
                let member = dotted.strip_prefix("kubernetes.").unwrap_or_default().to_owned();
                let node = kubernetes(&[(Cow::Owned(member), json)]);
                self.add(node);
            }
            other => match is_of_a_record(other, names) {
                true => self.record = true,
                false => (self.foreign, self.unknown) = (true, self.unknown || !is_added(other, json)),
            },
        }
    }

    /// Adds the names that a member gives.
    fn add(&mut self, node: Node<'t>) {
        self.node = std::mem::take(&mut self.node).or(node);
    }

    /// The record, if there is one.
    fn content(&self, names: &FieldMap) -> Result<Option<Content<'t>>, Refusal> {
        let [log, message, journal, processed, json] = self.candidates;
        let mut empty = None;
        for (name, candidate) in NAMES.into_iter().zip([log, message, journal]) {
            let Some(candidate) = candidate else { continue };
            let text = string(candidate).map_err(|error| {
                Refusal::new(RejectReason::NotJson, format!("`{name}` of a log shipper's envelope: {error}"))
            })?;
            match text {
                // the record may stand under another name
                Some(text) if text.is_empty() => empty = empty.or(Some(Content::of(text))),
                Some(text) => return Ok(Some(Content::of(text))),
                None => {}
            }
        }
        if empty.is_some() {
            return Ok(empty);
        }
        if let Some(journal) = journal {
            return of_journal(journal).map(|bytes| Some(Content { bytes, newline: false }));
        }
        let objects = [processed, log, message, json].into_iter().flatten();
        let record = objects.into_iter().find(|object| is_record(object, names));
        Ok(record.map(|object| Content { bytes: Cow::Borrowed(object.as_bytes()), newline: true }))
    }

    /// Whether a string stands under one of the names that begins as a record does.
    fn begins_record(&self, names: &FieldMap) -> bool {
        let [log, message, ..] = self.candidates;
        let text =
            [log, message].into_iter().flatten().find_map(|candidate| text(candidate).filter(|text| !text.is_empty()));
        text.is_some_and(|text| match text.starts_with('{') {
            true => is_record(text.trim_end(), names),
            false => prefix::begins_record(text.as_bytes()),
        })
    }

    /// Who wrote it, as far as the keys tell.
    fn envelope(&self) -> Envelope {
        let [log, _, journal, ..] = self.candidates;
        match (log, journal) {
            (Some(_), _) if self.stream.is_some() && !self.more_than_docker => Envelope::Docker,
            (None, Some(_)) => Envelope::Journald,
            _ => Envelope::Shipper,
        }
    }

    /// Whether this is one piece of a record. `None`: the envelope knows no pieces.
    fn piece(&self, length: usize, newline: bool) -> Option<Piece> {
        let [log, ..] = self.candidates;
        let of_docker = || self.stream.map(|_| log.is_some() && !newline && DOCKER_PIECE.contains(&length));
        let stream = self.stream.unwrap_or(Stream::Unknown);
        self.goes_on.or_else(of_docker).map(|goes_on| Piece { stream, goes_on })
    }
}

/// What stands under a name.
struct Content<'t> {
    /// Without one line end.
    bytes: Cow<'t, [u8]>,
    /// Whether there was one.
    newline: bool,
}

impl<'t> Content<'t> {
    fn of(text: Cow<'t, str>) -> Self {
        match text {
            // a newline is an escape
            Cow::Borrowed(text) => Content { bytes: Cow::Borrowed(text.as_bytes()), newline: false },
            Cow::Owned(text) => {
                let mut bytes = text.into_bytes();
                let newline = bytes.pop_if(|byte| *byte == b'\n').is_some();
                if newline {
                    bytes.pop_if(|byte| *byte == b'\r');
                }
                Content { bytes: Cow::Owned(bytes), newline }
            }
        }
    }
}

/// A MESSAGE that is no string: journalctl writes what is not UTF-8 as a list of bytes, and what is long as null.
fn of_journal<'t>(json: &str) -> Result<Cow<'t, [u8]>, Refusal> {
    if json == "null" {
        let detail = "journalctl leaves out a MESSAGE of more than 4096 bytes; export with --all";
        return Err(Refusal::new(RejectReason::LineTooLong, detail));
    }
    serde_json::from_str::<Vec<u8>>(json).map(Cow::Owned).map_err(|_| {
        let detail = format!("MESSAGE of a journal entry is neither a string nor a list of bytes: `{}`", shown(json));
        Refusal::new(RejectReason::NotAnAccessLog, detail)
    })
}

/// The names in a `kubernetes` object, or behind `kubernetes.` in the names of keys.
fn kubernetes<'t>(members: &[(Cow<'t, str>, &'t str)]) -> Node<'t> {
    let mut node = Node::default();
    for (key, json) in members {
        let json: &'t str = json;
        let inner = |member: &str| {
            let members = crate::json::object::members(json).unwrap_or_default();
            members.into_iter().find(|(key, _)| key == member).and_then(|(_, json)| named(json))
        };
        let name = || named(json);
        let found = match key.as_ref() {
            "pod_name" | "pod.name" => Node { pod: name(), ..Node::default() },
            "pod" => Node { pod: inner("name"), ..Node::default() },
            "namespace_name" | "pod_namespace" | "namespace.name" => Node { namespace: name(), ..Node::default() },
            "namespace" => Node { namespace: name().or_else(|| inner("name")), ..Node::default() },
            "container_name" | "container.name" => Node { container: name(), ..Node::default() },
            "container" => Node { container: inner("name"), ..Node::default() },
            "host" | "pod_node_name" | "node_name" | "node.name" => Node { host: name(), ..Node::default() },
            "node" => Node { host: inner("name"), ..Node::default() },
            _ => continue,
        };
        node = node.or(found);
    }
    node
}

/// Whether a key names the pod that logged, wherever it stands.
pub(super) fn names_a_pod(key: &str) -> bool {
    matches!(key, "kubernetes" | "container_name" | "CONTAINER_NAME") || key.starts_with("kubernetes.")
}

/// Whether an object is the record itself: it has keys of an access log, or is ztunnel's.
fn is_record(object: &str, names: &FieldMap) -> bool {
    let members = members(object).unwrap_or_default();
    let has = |name: &str| members.iter().any(|(key, _)| key == name);
    members.iter().any(|(key, _)| is_of_a_record(key, names)) || (has("level") && has("scope"))
}

/// Whether a key is one that shippers are told to add to each line, and that no access log has: in which file it stood, and where the shipper runs.
fn is_added(key: &str, json: &str) -> bool {
    const FILES: [&str; 6] = ["filepath", "file_path", "filename", "file_name", "log_path", "logfile"];
    const PLACES: [&str; 25] = [
        "app",
        "application",
        "availability_zone",
        "cluster",
        "cluster_id",
        "cluster_name",
        "component",
        "container",
        "datacenter",
        "env",
        "environment",
        "instance",
        "namespace",
        "node",
        "node_name",
        "platform",
        "pod",
        "pod_name",
        "project",
        "region",
        "service",
        "stage",
        "team",
        "tier",
        "zone",
    ];
    match text(json) {
        // a request has a path, too
        Some(text) if key == "path" => text.starts_with("/var/log/") && !text.contains(['?', ' ']),
        Some(text) if FILES.contains(&key) => text.starts_with('/'),
        Some(_) => PLACES.contains(&key),
        None => key == "offset" && json.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// Whether a key says that its object is an access log. Some names are used by shippers, too.
fn is_of_a_record(key: &str, names: &FieldMap) -> bool {
    match names.resolve(key) {
        Resolved::Mapped(_) | Resolved::Several(_) => true,
        Resolved::Canonical(key) => !matches!(
            key,
            Key::PodName
                | Key::PodNamespace
                | Key::PodServiceAccount
                | Key::ClusterId
                | Key::Method
                | Key::Path
                | Key::Protocol
                | Key::Duration
        ),
        Resolved::Unknown => false,
    }
}

fn text(json: &str) -> Option<Cow<'_, str>> {
    string(json).ok().flatten()
}

/// What a protocol says of a record beside its text.
fn attributes<'t>(members: Vec<(Cow<'t, str>, &'t str)>, names: &FieldMap) -> Node<'t> {
    let mut node = Node::default();
    for (name, json) in members {
        match names.resolve(&name) {
            Resolved::Canonical(key) | Resolved::Mapped(key) => {
                let value = text(json).unwrap_or(if json == "null" { Cow::Borrowed("") } else { Cow::Borrowed(json) });
                node.beside.push((key, value));
            }
            Resolved::Several(_) | Resolved::Unknown if json == "null" => {}
            Resolved::Several(_) | Resolved::Unknown => node.rest.push((name, Cow::Borrowed(json))),
        }
    }
    node
}

fn named(json: &str) -> Option<Cow<'_, str>> {
    text(json).and_then(name)
}
