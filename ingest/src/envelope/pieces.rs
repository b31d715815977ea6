//! Records that come in pieces: container runtimes cut a line after 16 KiB and mark each piece that goes on.
//!
//! ```text
//! CRI      time stdout P <piece>      time stdout P <piece>      time stdout F <last piece>
//! docker   {"log":"<16 KiB>",..}      {"log":"<16 KiB>",..}      {"log":"<last piece>\n",..}
//! ```
//!
//! Pieces are joined per stream of a pod. Of each at most `max` bytes are kept: of a longer record only its first 64 KiB, its
//! length and its SHA-256. At most [`AT_ONCE`] records are in the making; a piece of a further one is refused.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::{At, Cut, Node, Record, Wrong};
use crate::reject::{Refusal, RejectReason, SAMPLE_BYTES, hex};

/// Records in the making at the same time: the two streams of one pod, but shippers mix those of several.
const AT_ONCE: usize = 16;

/// The stream that a container wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
    /// The envelope does not say.
    Unknown,
}

/// The records in the making, by where they began.
#[derive(Debug)]
pub(super) struct Pieces {
    max: usize,
    open: Vec<Pending>,
}

#[derive(Debug)]
struct Pending {
    stream: Stream,
    node: Node<'static>,
    begun_at: At,
    joined: Joined,
}

#[derive(Debug)]
enum Joined {
    Short(Vec<u8>),
    Long(Box<Long>),
}

/// What is kept of a record over the bound.
#[derive(Debug)]
struct Long {
    length: u64,
    hash: Sha256,
    sample: Vec<u8>,
}

impl Pieces {
    pub(super) fn new(max: usize) -> Self {
        Pieces { max, open: Vec::new() }
    }

    /// Whether no record is in the making.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes a piece that goes on.
    pub(super) fn add(&mut self, stream: Stream, piece: &Record<'_>) -> Result<(), Wrong> {
        let place = self.position(stream, &piece.node);
        if place.is_none() && self.open.len() >= AT_ONCE {
            let detail = format!(
                "a piece of a line, with {AT_ONCE} other lines in pieces before it; let the log shipper join lines, or decode each pod's log apart"
            );
            return Err(Wrong { refusal: Refusal::new(RejectReason::NotAnAccessLog, detail), cut: None });
        }
        if place.is_none() {
            let (node, begun_at) = (piece.node.clone().into_owned(), piece.begun_at);
            self.open.push(Pending { stream, node, begun_at, joined: Joined::Short(Vec::new()) });
        }
        let last = self.open.len().saturating_sub(1);
        if let Some(pending) = self.open.get_mut(place.unwrap_or(last)) {
            pending.joined.push(&piece.text, self.max);
        }
        Ok(())
    }

    /// Makes the record whole that a last piece ends. Where nothing went before, the piece is the record.
    pub(super) fn end(&mut self, stream: Stream, piece: &mut Record<'_>) -> Result<(), Wrong> {
        let Some(place) = self.position(stream, &piece.node) else { return Ok(()) };
        let Pending { begun_at, mut joined, .. } = self.open.remove(place);
        joined.push(&piece.text, self.max);
        match joined {
            Joined::Short(record) => {
                piece.text = Cow::Owned(record);
                piece.begun_at = begun_at;
                Ok(())
            }
            Joined::Long(long) => {
                let detail = format!(
                    "the line has {} bytes in its pieces, the bound is {} (max_line_bytes); raise it if such lines are genuine",
                    long.length, self.max
                );
                let refusal = Refusal::new(RejectReason::LineTooLong, detail);
                Err(Wrong { refusal, cut: Some(Joined::Long(long).cut(begun_at)) })
            }
        }
    }

    /// The records whose last piece never came.
    pub(super) fn finish(self) -> impl Iterator<Item = Wrong> {
        self.open.into_iter().map(|Pending { begun_at, joined, .. }| {
            let detail =
                "the last piece of this line is missing: the input ends before it (a log that was rotated or cut)";
            Wrong { refusal: Refusal::new(RejectReason::NotAnAccessLog, detail), cut: Some(joined.cut(begun_at)) }
        })
    }

    fn position(&self, stream: Stream, node: &Node<'_>) -> Option<usize> {
        self.open.iter().position(|pending| pending.stream == stream && pending.node == *node)
    }
}

impl Joined {
    fn push(&mut self, piece: &[u8], max: usize) {
        match self {
            Joined::Short(record) if record.len() + piece.len() <= max => record.extend_from_slice(piece),
            Joined::Short(record) => {
                let mut long = Box::new(Long { length: 0, hash: Sha256::new(), sample: Vec::new() });
                long.push(record);
                long.push(piece);
                *self = Joined::Long(long);
            }
            Joined::Long(long) => long.push(piece),
        }
    }

    fn cut(self, begun_at: At) -> Cut {
        match self {
            Joined::Short(record) => Cut::of(&record, begun_at),
            Joined::Long(long) => {
                Cut { begun_at, length: long.length, sha256: hex(&long.hash.finalize()), sample: long.sample }
            }
        }
    }
}

impl Long {
    fn push(&mut self, piece: &[u8]) {
        self.length += piece.len() as u64;
        self.hash.update(piece);
        let room = SAMPLE_BYTES.saturating_sub(self.sample.len());
        self.sample.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }
}

impl Cut {
    /// What is kept of these bytes.
    pub(super) fn of(record: &[u8], begun_at: At) -> Cut {
        let mut long = Long { length: 0, hash: Sha256::new(), sample: Vec::new() };
        long.push(record);
        Joined::Long(Box::new(long)).cut(begun_at)
    }
}
