//! Bytes to lines, with bounded memory, whatever the pieces in which the bytes come.
//!
//! ```text
//! piece ─▶ carry (≤ bound) ─▶ Whole      a line within the bound: its bytes
//!                  └─ over ─▶ TooLong    first 64 KiB, full length and SHA-256, computed while it streams by
//! ```
//!
//! A line ends at `\n`; one `\r` before it belongs to the line end, as does a byte order mark at the start of the input.
//! Lengths and offsets are bytes. Any cutting of the same bytes yields the same lines.

use sha2::{Digest, Sha256};

use crate::reject::{SAMPLE_BYTES, hex};

/// Where a line stands in its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// From 1, blank lines included.
    pub(crate) number: u64,
    /// Bytes from the start of the input to the start of the line.
    pub(crate) offset: u64,
    /// Bytes of the line, its line end and a byte order mark before it: the spans of all lines add up to the input.
    pub(crate) span: u64,
}

/// One line of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// Within the bound; may be blank.
    Whole(Place, &'a [u8]),
    /// Over the bound.
    TooLong(Place, LongLine),
}

/// What is kept of a line over the bound.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LongLine {
    pub(crate) length: u64,
    pub(crate) sha256: String,
    pub(crate) sample: Vec<u8>,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Splits a stream of bytes into lines.
#[derive(Debug)]
pub(crate) struct LineSplitter {
    max: usize,
    /// Lines that ended.
    lines: u64,
    /// Where the current line starts.
    start: u64,
    current: Current,
}

/// The part of the current line that earlier pieces brought.
#[derive(Debug)]
enum Current {
    /// At most `max + 1` bytes: the last may be the `\r` of a line end.
    Short(Vec<u8>),
    Long(Box<Streaming>),
}

#[derive(Debug)]
struct Streaming {
    /// Without a `\r` that is held back.
    length: u64,
    hash: Sha256,
    sample: Vec<u8>,
    /// The last byte was a `\r`: of the line, or of its end?
    held: bool,
}

impl LineSplitter {
    pub(crate) fn new(max: usize) -> Self {
        LineSplitter { max, lines: 0, start: 0, current: Current::Short(Vec::new()) }
    }

    /// Takes the next bytes and hands on every line that they end.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(Line<'_>)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            self.end_line(line, 1, &mut each);
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.carry(bytes);
    }

    /// Hands on the last line, where it has no line end.
    pub(crate) fn finish(mut self, mut each: impl FnMut(Line<'_>)) {
        let empty = matches!(&self.current, Current::Short(carried) if carried.is_empty());
        if !empty {
            self.end_line(&[], 0, &mut each);
        }
    }

    fn end_line(&mut self, tail: &[u8], newline: u64, each: &mut impl FnMut(Line<'_>)) {
        self.lines += 1;
        let (number, offset) = (self.lines, self.start);
        let place = |length: u64| Place { number, offset, span: length + newline };
        // the common case: the whole line is in this piece
        if matches!(&self.current, Current::Short(carried) if carried.is_empty())
            && let Some(line) = self.within_bound(tail)
        {
            let place = place(tail.len() as u64);
            self.start = offset + place.span;
            return each(whole(place, line));
        }
        self.carry(tail);
        let fresh = Current::Short(Vec::new());
        match std::mem::replace(&mut self.current, fresh) {
            Current::Short(mut carried) => {
                let place = place(carried.len() as u64);
                self.start = offset + place.span;
                match self.within_bound(&carried) {
                    Some(line) => each(whole(place, line)),
                    None => {
                        let mut streaming = Streaming::default();
                        streaming.take(&carried);
                        each(Line::TooLong(place, streaming.finish()));
                    }
                }
                // keep its memory for the next line that comes in pieces
                carried.clear();
                self.current = Current::Short(carried);
            }
            Current::Long(streaming) => {
                let place = place(streaming.length + u64::from(streaming.held));
                self.start = offset + place.span;
                each(Line::TooLong(place, streaming.finish()));
            }
        }
    }

    /// The line without the `\r` of its end, if it is within the bound.
    fn within_bound<'b>(&self, line: &'b [u8]) -> Option<&'b [u8]> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (line.len() <= self.max).then_some(line)
    }

    fn carry(&mut self, bytes: &[u8]) {
        match &mut self.current {
            Current::Short(carried) if carried.len() + bytes.len() <= self.max.saturating_add(1) => {
                carried.extend_from_slice(bytes);
            }
            Current::Short(carried) => {
                let mut streaming = Box::new(Streaming::default());
                streaming.take(carried);
                streaming.take(bytes);
                self.current = Current::Long(streaming);
            }
            Current::Long(streaming) => streaming.take(bytes),
        }
    }
}

fn whole(place: Place, line: &[u8]) -> Line<'_> {
    match line.strip_prefix(BYTE_ORDER_MARK) {
        Some(line) if place.number == 1 => {
            Line::Whole(Place { offset: place.offset + BYTE_ORDER_MARK.len() as u64, ..place }, line)
        }
        _ => Line::Whole(place, line),
    }
}

impl Default for Streaming {
    fn default() -> Self {
        Streaming { length: 0, hash: Sha256::new(), sample: Vec::new(), held: false }
    }
}

impl Streaming {
    fn take(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if std::mem::take(&mut self.held) {
            self.add(b"\r");
        }
        match bytes.strip_suffix(b"\r") {
            Some(bytes) => {
                self.add(bytes);
                self.held = true;
            }
            None => self.add(bytes),
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.hash.update(bytes);
        let room = SAMPLE_BYTES.saturating_sub(self.sample.len());
        self.sample.extend(bytes.iter().take(room));
    }

    fn finish(self) -> LongLine {
        LongLine { length: self.length, sha256: hex(&self.hash.finalize()), sample: self.sample }
    }
}

#[cfg(test)]
mod tests;
