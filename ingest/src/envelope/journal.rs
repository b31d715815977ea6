//! `journalctl -o export`: an entry is a block of fields, a line each, and ends with a blank line.
//!
//! ```text
//! __CURSOR=s=...;i=...            the first field of each entry
//! _HOSTNAME=node-1
//! MESSAGE={"start_time":...}      the record
//!
//! MESSAGE                         a field whose value is not printable: its name alone,
//! <8 bytes, little-endian><data>  then the length of the data and the data
//! ```
//!
//! The lines come split at newlines, whatever they hold. A length may hold one and is put together again; data that does is
//! refused, line by line to its end, for it could look like fields or records. A length beyond `max` is a lie, and swallows nothing.

use std::borrow::Cow;

use super::node::name;
use super::pieces::Stream;
use super::{At, Cut, Node, Piece, Wrong};
use crate::reject::{Refusal, RejectReason};

/// Longest name of a field, as journald has it.
const LONGEST_NAME: usize = 64;

/// The entry that is being read, if any.
#[derive(Debug)]
pub(super) struct Journal {
    /// Longest data, bytes.
    max: u64,
    entry: Option<Entry>,
}

#[derive(Debug)]
struct Entry {
    begun_at: At,
    message: Option<Vec<u8>>,
    node: Node<'static>,
    written: Option<String>,
    goes_on: bool,
    binary: Option<Binary>,
    /// A field could not be read to its end: what looks like lines of the entry may be its data.
    broken: bool,
}

/// A field whose value follows its length.
#[derive(Debug)]
struct Binary {
    begun_at: At,
    field: Field,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The length's bytes so far, at most 8.
    Length(Vec<u8>),
    /// Bytes of refused data that are to come.
    Refused(u64),
}

/// The fields that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Message,
    Hostname,
    ContainerName,
    RealtimeTimestamp,
    Partial,
    Other,
}

/// An entry that ended, with the record in it.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) begun_at: At,
    pub(super) message: Vec<u8>,
    pub(super) node: Node<'static>,
    /// Seconds since 1970.
    pub(super) written: Option<String>,
    pub(super) piece: Piece,
}

/// What a line was.
#[derive(Debug)]
pub(super) enum Step {
    /// No line of a journal.
    NotMine,
    /// A field, or the end of an entry without a message.
    Nothing,
    /// The end of an entry.
    Entry(Ended),
    Wrong(Refusal),
}

impl Journal {
    pub(super) fn new(max: usize) -> Self {
        Journal { max: max as u64, entry: None }
    }

    /// Whether no entry is being read.
    pub(super) fn is_idle(&self) -> bool {
        self.entry.is_none()
    }

    /// Takes a line, which may be blank.
    pub(super) fn line(&mut self, line: &[u8], at: At) -> Step {
        if let Some(entry) = &mut self.entry
            && let Some(binary) = entry.binary.take()
        {
            return entry.data(binary, line, self.max);
        }
        if line.starts_with(b"__CURSOR=") {
            let before = self.entry.take();
            self.entry = Some(Entry::new(at));
            // where blank lines were lost on the way, the next entry ends the one before
            return before.map_or(Step::Nothing, Entry::end);
        }
        let Some(entry) = &mut self.entry else { return Step::NotMine };
        if line.iter().all(u8::is_ascii_whitespace) {
            return self.entry.take().map_or(Step::Nothing, Entry::end);
        }
        match split(line) {
            Some((field, Some(value))) => entry.set(field, value),
            Some((field, None)) => {
                entry.binary = Some(Binary { begun_at: at, field, state: State::Length(Vec::new()) });
                Step::Nothing
            }
            // what began like an entry was none, or is over: nothing of it is lost
            None if entry.message.is_none() && !entry.broken => {
                self.entry = None;
                Step::NotMine
            }
            None => {
                let detail = format!(
                    "no field of a journal entry, though one begins at line {}; a blank line ends an entry",
                    entry.begun_at.line
                );
                Step::Wrong(Refusal::new(RejectReason::NotAnAccessLog, detail))
            }
        }
    }

    /// The last entry, which needs no blank line after it; refused where the input ends within a field.
    pub(super) fn finish(&mut self) -> Option<Result<Ended, Wrong>> {
        let mut entry = self.entry.take()?;
        if let Some(Binary { begun_at, state, .. }) = entry.binary.take() {
            let refusal = wrong("the input ends within a field of a journal entry");
            let head = match state {
                State::Length(head) => head,
                State::Refused(_) => Vec::new(),
            };
            let cut = match entry.message {
                Some(message) => Cut::of(&message, entry.begun_at),
                None => Cut::of(&head, begun_at),
            };
            return Some(Err(Wrong { refusal, cut: Some(cut) }));
        }
        match entry.end() {
            Step::Entry(ended) => Some(Ok(ended)),
            _ => None,
        }
    }
}

impl Entry {
    fn new(begun_at: At) -> Self {
        let node = Node::default();
        Entry { begun_at, message: None, node, written: None, goes_on: false, binary: None, broken: false }
    }

    fn end(self) -> Step {
        let Entry { begun_at, message, node, written, goes_on, .. } = self;
        let piece = Piece { stream: Stream::Unknown, goes_on };
        match message {
            Some(message) => Step::Entry(Ended { begun_at, message, node, written, piece }),
            None => Step::Nothing,
        }
    }

    fn set(&mut self, field: Field, value: &[u8]) -> Step {
        let text = || name(String::from_utf8_lossy(value)).map(|name| Cow::Owned(name.into_owned()));
        match field {
            Field::Message if self.message.is_some() || self.broken => {
                return Step::Wrong(wrong(
                    "a second MESSAGE in a journal entry, or one behind a field that could not be read",
                ));
            }
            Field::Message => self.message = Some(value.to_vec()),
            Field::Hostname => self.node.host = text(),
            Field::ContainerName => {
                let named = text().map(Node::of_container_name).unwrap_or_default();
                self.node = std::mem::take(&mut self.node).or(named);
            }
            Field::RealtimeTimestamp => self.written = std::str::from_utf8(value).ok().and_then(seconds),
            Field::Partial => self.goes_on = value == b"true",
            Field::Other => {}
        }
        Step::Nothing
    }

    /// A line of a binary field: of the length, or of the data.
    fn data(&mut self, binary: Binary, line: &[u8], max: u64) -> Step {
        let Binary { begun_at, field, state } = binary;
        let mut head = match state {
            State::Length(head) => head,
            State::Refused(left) => return self.refused(begun_at, field, line, left),
        };
        let Some((rest, data)) = line.split_at_checked(8_usize.saturating_sub(head.len())) else {
            // a byte of the length is a newline
            head.extend_from_slice(line);
            head.push(b'\n');
            self.binary = Some(Binary { begun_at, field, state: State::Length(head) });
            return Step::Nothing;
        };
        head.extend_from_slice(rest);
        let length = <[u8; 8]>::try_from(head).map_or(u64::MAX, u64::from_le_bytes);
        if length == data.len() as u64 {
            return self.set(field, data);
        }
        self.broken = true;
        match length <= max {
            true => self.refused(begun_at, field, data, length),
            false => Step::Wrong(wrong(UNREADABLE)),
        }
    }

    /// A line of refused data, of which `left` bytes are to come.
    fn refused(&mut self, begun_at: At, field: Field, line: &[u8], left: u64) -> Step {
        if let Some(left) = left.checked_sub(line.len() as u64 + 1) {
            self.binary = Some(Binary { begun_at, field, state: State::Refused(left) });
        }
        match line.is_empty() {
            true => Step::Nothing,
            false => Step::Wrong(wrong(UNREADABLE)),
        }
    }
}

const UNREADABLE: &str = "the data of a binary field of a journal entry has newlines or another length than it says, and cannot be read; export as JSON (journalctl -o json --all)";

fn wrong(detail: &str) -> Refusal {
    Refusal::new(RejectReason::NotAnAccessLog, detail)
}

/// Seconds since 1970 of journald's microseconds.
pub(super) fn seconds(micros: &str) -> Option<String> {
    let micros: u64 = micros.parse().ok()?;
    Some(format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000))
}

/// Field and value of `NAME=value`; no value where the line is the name alone.
fn split(line: &[u8]) -> Option<(Field, Option<&[u8]>)> {
    let window = line.get(..=LONGEST_NAME).unwrap_or(line);
    let (name, value) = match memchr::memchr(b'=', window) {
        Some(end) => (line.get(..end)?, Some(line.get(end + 1..)?)),
        None => (line, None),
    };
    let letter = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    if name.is_empty() || name.len() > LONGEST_NAME || !name.iter().all(letter) {
        return None;
    }
    let field = match name {
        b"MESSAGE" => Field::Message,
        b"_HOSTNAME" => Field::Hostname,
        b"CONTAINER_NAME" => Field::ContainerName,
        b"__REALTIME_TIMESTAMP" => Field::RealtimeTimestamp,
        b"CONTAINER_PARTIAL_MESSAGE" => Field::Partial,
        _ => Field::Other,
    };
    Some((field, value))
}
