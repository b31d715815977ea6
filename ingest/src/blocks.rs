//! Bytes to lines, without a copy and with bounded memory, whatever the pieces in which the bytes come.
//!
//! ```text
//! space ─▶ block (1 MiB) ─ full ─▶ its whole lines ─▶ Piece::Lines   handed on with the block, which is never written again
//!                │                 the rest ─▶ start of the next block
//!                └─ a line over the bound ─▶ Piece::TooLong          first 64 KiB, length and SHA-256, computed while it streams by
//! ```
//!
//! A line ends at `\n`; one `\r` before it belongs to the line end, as does a byte order mark before it (files that have one are joined by `cat`).
//! NULs before a line, at least [`HOLE`], are passed over, however many: they are what `copytruncate` leaves of a file whose writer goes on where it was.
//! Lengths and offsets are bytes. Any cutting of the same bytes yields the same lines. At most one block and one line of the bound's
//! length are held here.

mod pool;

use arrow::buffer::Buffer;
use sha2::{Digest, Sha256};

use crate::reject::{SAMPLE_BYTES, hex};
use pool::Pool;

/// Bytes of a block: a few hundred lines, and small enough to stay in a core's cache while it is decoded.
const BLOCK: usize = 1 << 20;
/// Bytes of the first block: many inputs are small.
const FIRST_BLOCK: usize = 64 << 10;

/// Where a line stands in its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// From 1, blank lines included.
    pub(crate) number: u64,
    /// Bytes from the start of the input to the start of the line.
    pub(crate) offset: u64,
    /// Bytes of the line, its line end and what is passed over before it: the spans of all lines add up to the input.
    pub(crate) span: u64,
}

/// What a stretch of the input is.
pub(crate) enum Piece<'m, 'b> {
    /// A block, and the lines that it holds.
    Lines(&'b Buffer, &'m mut Lines<'b>),
    /// A line over the bound that no block holds.
    TooLong(Place, LongLine),
}

/// One line of a block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// Within the bound; may be blank.
    Whole(Place, &'a [u8]),
    /// Over the bound.
    TooLong(Place, LongLine),
}

/// What is kept of a line over the bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LongLine {
    pub(crate) length: u64,
    pub(crate) sha256: String,
    pub(crate) sample: Vec<u8>,
}

/// Fewer NULs are a line's own: of UTF-16 or UTF-32, which is no access log, and rejected as it is.
const HOLE: usize = 4;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Collects a stream of bytes in blocks and hands on their lines.
#[derive(Debug)]
pub(crate) struct Blocks {
    max: usize,
    /// Of every block but the first.
    pool: Pool,
    /// All of it may be written to; what is filled starts with a line (or goes on with the long one).
    block: Vec<u8>,
    filled: usize,
    at: Position,
    /// The current line is over the bound: what is known of it.
    long: Option<Box<Streaming>>,
}

/// Where the next line stands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Position {
    /// Lines that ended.
    lines: u64,
    /// Bytes from the start of the input.
    offset: u64,
    /// Bytes before it that were passed over.
    passed_over: u64,
}

/// The lines of one block, in order.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    rest: &'a [u8],
    at: Position,
    max: usize,
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

impl Blocks {
    pub(crate) fn new(max: usize) -> Self {
        Blocks::sized(max, FIRST_BLOCK, BLOCK)
    }

    /// With blocks of other sizes; of at least one byte.
    pub(crate) fn sized(max: usize, first: usize, block_bytes: usize) -> Self {
        let pool = Pool::new(block_bytes);
        Blocks { max, pool, block: vec![0; first.max(1)], filled: 0, at: Position::default(), long: None }
    }

    /// Room for the next bytes of the input; never empty.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        self.block.get_mut(self.filled..).unwrap_or_default()
    }

    /// Says that the first `bytes` of the space hold input now; hands on what that completes.
    pub(crate) fn fill(&mut self, bytes: usize, each: &mut impl FnMut(Piece<'_, '_>)) {
        self.filled = (self.filled + bytes).min(self.block.len());
        if self.long.is_some() {
            self.stream_by(each);
        }
        if self.filled == self.block.len() {
            self.turn(each);
        }
    }

    /// Takes the next bytes of the input.
    pub(crate) fn push(&mut self, mut bytes: &[u8], each: &mut impl FnMut(Piece<'_, '_>)) {
        while !bytes.is_empty() {
            let space = self.space();
            let count = space.len().min(bytes.len());
            let (now, later) = bytes.split_at(count);
            if let Some(space) = space.get_mut(..count) {
                space.copy_from_slice(now);
            }
            self.fill(count, each);
            bytes = later;
        }
    }

    /// Hands on the rest; the last line may have no line end.
    pub(crate) fn finish(mut self, each: &mut impl FnMut(Piece<'_, '_>)) {
        match self.long.take() {
            Some(long) => self.end_long(*long, 0, each),
            None => {
                let block = std::mem::take(&mut self.block);
                self.hand_on(block, self.filled, each);
            }
        }
    }

    /// The block is full: its whole lines go on, the rest moves to a new one.
    fn turn(&mut self, each: &mut impl FnMut(Piece<'_, '_>)) {
        let Some(last) = memchr::memrchr(b'\n', &self.block) else {
            return self.grow();
        };
        let rest = self.block.get(last + 1..).unwrap_or_default();
        let mut next = self.pool.take(rest.len() * 2);
        if let Some(start) = next.get_mut(..rest.len()) {
            start.copy_from_slice(rest);
        }
        self.filled = rest.len();
        let block = std::mem::replace(&mut self.block, next);
        self.hand_on(block, last + 1, each);
        if self.filled > self.max.saturating_add(1) {
            self.grow();
        }
    }

    /// What is filled is one line that goes on: more room for it, or it is over the bound (the last byte may be the `\r` of its end).
    fn grow(&mut self) {
        let nuls = leading_nuls(self.block.get(..self.filled).unwrap_or_default());
        let is_hole = nuls >= HOLE || self.at.passed_over > 0;
        // one is left: there is a line, if it is an empty one
        let nuls = nuls.min(self.filled.saturating_sub(1));
        if is_hole && nuls > 0 {
            self.block.copy_within(nuls..self.filled, 0);
            self.filled -= nuls;
            self.at.offset += nuls as u64;
            self.at.passed_over += nuls as u64;
        } else if self.filled > self.max.saturating_add(1).max(HOLE) {
            let mut long = Box::new(Streaming::default());
            long.take(self.block.get(..self.filled).unwrap_or_default());
            self.long = Some(long);
            self.filled = 0;
        } else {
            let most = self.max.saturating_add(2).max(HOLE + 1);
            self.block.resize((self.block.len() * 2).min(most).max(self.filled + 1), 0);
        }
    }

    fn hand_on(&mut self, block: Vec<u8>, filled: usize, each: &mut impl FnMut(Piece<'_, '_>)) {
        let block = self.pool.lend(block, filled);
        let mut lines = Lines::of(&block, self.at, self.max);
        each(Piece::Lines(&block, &mut lines));
        // whoever does not want a line must not shift the places of those after it
        self.at = lines.pass_over();
    }

    /// The current line is over the bound and goes on, perhaps to its end.
    fn stream_by(&mut self, each: &mut impl FnMut(Piece<'_, '_>)) {
        let Some(mut long) = self.long.take() else { return };
        let filled = self.block.get(..self.filled).unwrap_or_default();
        match memchr::memchr(b'\n', filled) {
            None => {
                long.take(filled);
                self.long = Some(long);
                self.filled = 0;
            }
            Some(end) => {
                long.take(filled.get(..end).unwrap_or_default());
                self.block.copy_within(end + 1..self.filled, 0);
                self.filled -= end + 1;
                self.end_long(*long, 1, each);
            }
        }
    }

    fn end_long(&mut self, long: Streaming, newline: u64, each: &mut impl FnMut(Piece<'_, '_>)) {
        let place = self.at.pass(long.length + u64::from(long.held) + newline);
        each(Piece::TooLong(place, long.finish()));
    }
}

impl Position {
    /// The place of a line of that many bytes; the next one stands behind it.
    fn pass(&mut self, span: u64) -> Place {
        self.lines += 1;
        let place =
            Place { number: self.lines, offset: self.offset, span: span + std::mem::take(&mut self.passed_over) };
        self.offset += span;
        place
    }
}

impl<'a> Lines<'a> {
    /// The lines of a block whose first one stands there.
    pub(crate) fn of(block: &'a Buffer, at: Position, max: usize) -> Self {
        Lines { rest: block.as_slice(), at, max }
    }

    /// Where the next line stands.
    pub(crate) fn next_at(&self) -> Position {
        self.at
    }

    /// Passes over the lines that are left: where the one after them stands.
    pub(crate) fn pass_over(&mut self) -> Position {
        let rest = std::mem::take(&mut self.rest);
        let ends = memchr::memchr_iter(b'\n', rest).count() as u64;
        self.at.lines += ends + u64::from(rest.last().is_some_and(|last| *last != b'\n'));
        self.at.offset += rest.len() as u64;
        if !rest.is_empty() {
            self.at.passed_over = 0;
        }
        self.at
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    #[inline]
    fn next(&mut self) -> Option<Line<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', self.rest);
        let (line, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.get(1..).unwrap_or_default();
        let passed_over = self.at.passed_over > 0;
        let mut place = self.at.pass(line.len() as u64 + u64::from(end.is_some()));
        let mut line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.first() == Some(&0) {
            let nuls = leading_nuls(line);
            if nuls >= HOLE || passed_over {
                place.offset += nuls as u64;
                line = line.get(nuls..).unwrap_or_default();
            }
        }
        if line.len() > self.max {
            let mut streaming = Streaming::default();
            streaming.add(line);
            return Some(Line::TooLong(place, streaming.finish()));
        }
        if let Some(marked) = line.strip_prefix(BYTE_ORDER_MARK) {
            place.offset += BYTE_ORDER_MARK.len() as u64;
            line = marked;
        }
        Some(Line::Whole(place, line))
    }
}

fn leading_nuls(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len())
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
