//! Takes a proxy's line out of what container runtimes and log shippers put around it.
//!
//! ```text
//!             ┌─ words before it (prefix.rs)   CRI, kubectl, stern, Ambassador ─┐
//! line ───────┼─ JSON around it (json.rs)      docker, Fluent Bit, Filebeat ... ├─▶ record and node, up to three layers deep
//!    │        └─ a block (journal.rs)          journalctl -o export ────────────┘         │
//!    └─▶ Bare: the line itself                                pieces (pieces.rs) ◀────────┴─▶ Record
//! ```
//!
//! A record is a piece of the line byte for byte where it can be. It is made anew where it was escaped or came in pieces, and then
//! belongs to the line where it began. Nothing is lost silently: what cannot be put together is [`Unwrapped::Wrong`], and
//! [`Envelopes::finish`] hands out what the input's end cut off.
//!
//! Memory is bounded: pieces by `max_line_bytes` for each of at most 16 records, an entry of the journal by its lines, which the
//! caller bounds. Time is linear in the bytes of a line.
//!
//! Who may choose what: a caller's words stand inside a record, never around it. So a line that is a record is never opened, and
//! what is inside of an envelope is a record or goes to the rejects.

mod journal;
mod json;
mod node;
mod pieces;
mod prefix;

use std::borrow::Cow;

use memchr::memmem::Finder;

use crate::field_map::FieldMap;
use crate::line_format::Envelope;
use crate::reject::Refusal;
use journal::{Ended, Journal, Step};
pub(crate) use node::Node;
use pieces::Pieces;
pub(crate) use pieces::Stream;
use prefix::Begin;

/// Deepest layers that are opened: Filebeat around Fluent Bit around docker.
const LAYERS: usize = 3;

/// Opens the envelopes of the lines of one input.
#[derive(Debug)]
pub(crate) struct Envelopes {
    pieces: Pieces,
    journal: Journal,
    json: JsonSigns,
}

/// Where a line or record begins in its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At {
    /// The line's number, from 1.
    pub(crate) line: u64,
    /// Bytes from the start of the input to the start of the line.
    pub(crate) offset: u64,
}

/// What a line was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unwrapped<'a> {
    /// The line itself is the record. A node is there where a shipper put its keys beside those of the record.
    Bare(Node<'a>),
    /// A record out of an envelope.
    Record(Record<'a>),
    /// No record: a piece of one that goes on, or a line of the envelope's own.
    Nothing,
    /// A broken envelope.
    Wrong(Wrong),
}

/// A record out of an envelope.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// A piece of the line, or made anew; may be blank.
    pub(crate) text: Cow<'a, [u8]>,
    pub(crate) node: Node<'a>,
    /// What it came in: the outermost layer.
    pub(crate) envelope: Envelope,
    /// The line where it began: the one given, unless the record came in pieces.
    pub(crate) begun_at: At,
    /// When it was written, in the envelope's words: RFC 3339, or seconds since 1970. Of several layers the innermost knows best, of pieces
    /// the last.
    pub(crate) written: Option<Cow<'a, str>>,
}

/// A broken envelope.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) refusal: Refusal,
    /// The record that came to nothing; `None`: it is the line itself that is refused.
    pub(crate) cut: Option<Cut>,
}

/// What is left of a record that came to nothing, all that a reject needs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) begun_at: At,
    /// Bytes of all that came of it.
    pub(crate) length: u64,
    /// SHA-256 of these, in hex.
    pub(crate) sha256: String,
    /// The first 64 KiB of these.
    pub(crate) sample: Vec<u8>,
}

/// What one layer was.
#[derive(Debug)]
enum Layer<'t> {
    /// None: this is the record.
    Bare(Node<'t>),
    Opened(Opened<'t>),
    Wrong(Refusal),
}

/// What a line would be if the words at its start were those of an envelope, and not its own: the whole of one, not a piece.
pub(crate) fn words_before(line: &[u8]) -> Option<Opened<'_>> {
    let layer = match line.first() {
        Some(b'[') => prefix::kubectl(line),
        Some(b'A') => prefix::ambassador(line, Begin::Anyhow),
        Some(b'0'..=b'9') => match prefix::timed(line) {
            Layer::Bare(_) => prefix::stern(line, Begin::Anyhow),
            layer => layer,
        },
        Some(b'a'..=b'z') => prefix::stern(line, Begin::Anyhow),
        _ => return None,
    };
    match layer {
        Layer::Opened(opened) if opened.piece.is_none_or(|piece| !piece.goes_on) => Some(opened),
        Layer::Opened(_) | Layer::Bare(_) | Layer::Wrong(_) => None,
    }
}

/// What was inside a layer.
#[derive(Debug)]
pub(crate) struct Opened<'t> {
    pub(crate) content: Cow<'t, [u8]>,
    pub(crate) envelope: Envelope,
    pub(crate) node: Node<'t>,
    pub(crate) written: Option<Cow<'t, str>>,
    /// Where the envelope knows pieces.
    piece: Option<Piece>,
}

/// What a container runtime says of a line of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    /// What the container wrote it to.
    pub(crate) stream: Stream,
    /// The next line of that stream belongs to the same record.
    pub(crate) goes_on: bool,
}

/// Whether a key of a JSON line names the pod that logged it: what it says is not only the key's value.
pub(crate) fn names_a_pod(key: &str) -> bool {
    json::names_a_pod(key)
}

/// The name of a member, if its text begins as a record does: a shipper's envelope that is not opened, for something else may be in it, too.
pub(crate) fn unopened<'m>(member: impl Fn(&str) -> Option<&'m str>) -> Option<&'static str> {
    let begins = |json: &str| {
        let text = crate::json::object::string(json).ok().flatten();
        text.is_some_and(|text| prefix::begins_record(text.as_bytes()))
    };
    json::NAMES.into_iter().take(2).find(|name| member(name).is_some_and(begins))
}

/// What a container runtime, or a shipper after it, says of a line; `None`: nothing. For most lines without reading their JSON.
pub(crate) fn piece_of(line: &[u8]) -> Option<Piece> {
    let layer = match line.first()? {
        b'0'..=b'9' => prefix::timed(line),
        b'{' => {
            let has = |text: &str| memchr::memmem::find(line, text.as_bytes()).is_some();
            if line.len() < *json::DOCKER_PIECE.start() && !has("\"P\"") && !has("partial") {
                let of = |stream: &str| has(&format!("\"stream\":\"{stream}\""));
                let streams = [("stdout", Stream::Stdout), ("stderr", Stream::Stderr)];
                let stream = streams.into_iter().find(|(name, _)| of(name))?.1;
                return Some(Piece { stream, goes_on: false });
            }
            json::open(line, &FieldMap::default())
        }
        _ => return None,
    };
    match layer {
        Layer::Opened(opened) => opened.piece,
        Layer::Bare(_) | Layer::Wrong(_) => None,
    }
}

impl Envelopes {
    /// Opens the envelopes of one input, whose records have at most `max_line_bytes`.
    pub(crate) fn new(max_line_bytes: usize) -> Self {
        Envelopes { pieces: Pieces::new(max_line_bytes), journal: Journal::new(max_line_bytes), json: JsonSigns::new() }
    }

    /// Opens a line. Blank lines must come here, too, for they end an entry of the journal.
    pub(crate) fn open<'a>(&mut self, line: &'a [u8], at: At, names: &FieldMap) -> Unwrapped<'a> {
        match self.journal.line(line, at) {
            Step::NotMine => {}
            Step::Nothing => return Unwrapped::Nothing,
            Step::Entry(ended) => return self.entry(ended, names),
            Step::Wrong(refusal) => return Unwrapped::Wrong(Wrong { refusal, cut: None }),
        }
        let line = line.trim_ascii_start();
        if line.is_empty() {
            return Unwrapped::Nothing;
        }
        let (node, envelope) = (Node::default(), Envelope::None);
        let record = Record { text: Cow::Borrowed(line), node, envelope, begun_at: at, written: None };
        self.layers(record, Outermost::Line, names)
    }

    /// Whether nothing is in the making: the next line means what it would mean at the start of an input.
    pub(crate) fn is_idle(&self) -> bool {
        self.pieces.is_empty() && self.journal.is_idle()
    }

    /// Whether there are pieces of a record whose last one is to come.
    pub(crate) fn has_pieces(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// Whether the next line belongs to an entry of a journal, whatever it looks like.
    pub(crate) fn is_in_entry(&self) -> bool {
        !self.journal.is_idle()
    }

    /// What the end of the input leaves: the last entry of a journal is a record, a line whose last piece is missing is wrong.
    pub(crate) fn finish(mut self, names: &FieldMap) -> Vec<Unwrapped<'static>> {
        let last = self.journal.finish();
        let last = last.map(|last| match last {
            Ok(ended) => self.entry(ended, names),
            Err(wrong) => Unwrapped::Wrong(wrong),
        });
        let mut left: Vec<_> = last.into_iter().filter(|last| *last != Unwrapped::Nothing).collect();
        left.extend(self.pieces.finish().map(Unwrapped::Wrong));
        left
    }

    fn entry(&mut self, ended: Ended, names: &FieldMap) -> Unwrapped<'static> {
        let Ended { begun_at, message, node, written, piece } = ended;
        let (text, written, envelope) = (Cow::Owned(message), written.map(Cow::Owned), Envelope::Journald);
        let mut record = Record { text, node, envelope, begun_at, written };
        match self.join(&mut record, piece) {
            Ok(Whole::Yes) => self.layers(record, Outermost::Journal, names),
            Ok(Whole::No) => Unwrapped::Nothing,
            Err(wrong) => Unwrapped::Wrong(wrong.of(&record)),
        }
    }

    fn layers<'a>(&mut self, mut record: Record<'a>, outermost: Outermost, names: &FieldMap) -> Unwrapped<'a> {
        let line = record.begun_at;
        let mut opened = outermost == Outermost::Journal;
        for _ in 0..LAYERS {
            let layer = match &record.text {
                Cow::Borrowed(text) => self.peel(text, names),
                Cow::Owned(text) => self.peel(text, names).into_owned(),
            };
            let joined = match layer {
                Layer::Opened(Opened { content, envelope, node, written, piece }) => {
                    if !opened {
                        record.envelope = envelope;
                    }
                    opened = true;
                    record.text = content;
                    record.node = record.node.or(node);
                    record.written = written.or(record.written);
                    piece.map_or(Ok(Whole::Yes), |piece| self.join(&mut record, piece))
                }
                Layer::Bare(node) => {
                    record.node = record.node.or(node);
                    break;
                }
                Layer::Wrong(refusal) => Err(Wrong { refusal, cut: None }),
            };
            match joined {
                Ok(Whole::Yes) => {}
                Ok(Whole::No) => return Unwrapped::Nothing,
                // what began at an earlier line is not what this line says
                Err(wrong) if outermost == Outermost::Journal || record.begun_at != line => {
                    return Unwrapped::Wrong(wrong.of(&record));
                }
                Err(wrong) => return Unwrapped::Wrong(wrong),
            }
        }
        match opened {
            true if record.text.trim_ascii().is_empty() => Unwrapped::Nothing,
            true => Unwrapped::Record(record),
            false => Unwrapped::Bare(record.node),
        }
    }

    /// Makes the record whole that a piece ends, or keeps the piece.
    fn join(&mut self, record: &mut Record<'_>, Piece { stream, goes_on }: Piece) -> Result<Whole, Wrong> {
        if goes_on {
            self.pieces.add(stream, record)?;
            return Ok(Whole::No);
        }
        self.pieces.end(stream, record)?;
        Ok(Whole::Yes)
    }

    fn peel<'t>(&self, text: &'t [u8], names: &FieldMap) -> Layer<'t> {
        match text.first() {
            Some(b'{') if self.json.are_in(text, names) => json::open(text, names),
            Some(b'[') => prefix::kubectl(text),
            Some(b'A') => prefix::ambassador(text, Begin::Known),
            Some(b'0'..=b'9') => match prefix::timed(text) {
                Layer::Bare(_) => prefix::stern(text, Begin::Known),
                layer => layer,
            },
            Some(b'a'..=b'z') => prefix::stern(text, Begin::Known),
            _ => Layer::bare(),
        }
    }
}

/// Whether a record is whole, or a piece that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    No,
}

/// What is opened first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outermost {
    Line,
    /// An entry, which is itself an envelope.
    Journal,
}

impl Wrong {
    /// The same, of a record rather than of the line itself.
    fn of(self, record: &Record<'_>) -> Wrong {
        Wrong { cut: self.cut.or_else(|| Some(Cut::of(&record.text, record.begun_at))), ..self }
    }
}

impl Layer<'_> {
    fn bare() -> Self {
        Layer::Bare(Node::default())
    }

    fn into_owned(self) -> Layer<'static> {
        match self {
            Layer::Bare(node) => Layer::Bare(node.into_owned()),
            Layer::Opened(Opened { content, envelope, node, written, piece }) => {
                let content = Cow::Owned(content.into_owned());
                let written = written.map(|written| Cow::Owned(written.into_owned()));
                Layer::Opened(Opened { content, envelope, node: node.into_owned(), written, piece })
            }
            Layer::Wrong(refusal) => Layer::Wrong(refusal),
        }
    }
}

/// Looks for the keys of JSON envelopes without reading the JSON: most lines have none of them.
#[derive(Debug)]
struct JsonSigns {
    records: [Finder<'static>; 5],
    node: Finder<'static>,
}

impl JsonSigns {
    fn new() -> Self {
        let of = |key: &str| Finder::new(key).into_owned();
        let records = json::NAMES.map(|name| of(&format!("\"{name}\"")));
        JsonSigns { records, node: of("\"kubernetes") }
    }

    fn are_in(&self, line: &[u8], names: &FieldMap) -> bool {
        // a line that starts as a record is one: only who logged it may stand there
        let record = json::starts_record(line, names);
        self.node.find(line).is_some() || (!record && self.records.iter().any(|key| key.find(line).is_some()))
    }
}

#[cfg(test)]
mod tests;
