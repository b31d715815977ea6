//! One input decoded side by side: cut into stretches of whole lines, which several decoders take in turn.
//!
//! ```text
//!  bytes ─▶ Stretches ─▶ stretch 0, 1, 2, … ─┬▶ StretchDecoder ─▶ batches of 0, 2, …, carried ─┐
//!           (cheap)                          └▶ StretchDecoder ─▶ batches of 1, 3, …, carried ─┴▶ put in order again
//! ```
//! A line knows its number and offset, so that a stretch can be decoded without those before it, but for one thing: a record may come in pieces (CRI), or as
//! a block of lines (journald), that the cut has torn. That is [`Carried`] from a stretch to the next. It is nearly always nothing; where it is something, the
//! next stretch has to be decoded again, with it. So rows and rejects, in order, are those of one [`Decoder`]; only batches end elsewhere.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::buffer::Buffer;
use chrono::{DateTime, Utc};

use super::{Assembly, Decoder, longest_line};
use crate::access_log_batch::AccessLogBatch;
use crate::blocks::{Blocks, Lines, LongLine, Piece, Place, Position};
use crate::envelope::Envelopes;
use crate::options::DecodeOptions;

/// Bytes of a stretch, and up to a block more: what becomes one batch.
const STRETCH_BYTES: usize = 3 << 20;

/// Cuts an input into stretches.
#[derive(Debug)]
pub struct Stretches {
    blocks: Blocks,
    pieces: Vec<Owned>,
    bytes: usize,
    full: VecDeque<Stretch>,
    number: u64,
    /// Bytes of a stretch at least.
    least: usize,
}

/// Some whole lines of an input.
#[derive(Debug)]
pub struct Stretch {
    number: u64,
    pieces: Vec<Owned>,
}

#[derive(Debug)]
enum Owned {
    Lines(Buffer, Position),
    TooLong(Place, LongLine),
}

/// Decodes stretches of one input, in whatever order they come.
#[derive(Debug)]
pub struct StretchDecoder(Assembly);

/// What the end of a stretch leaves in the making.
#[derive(Debug, Default)]
pub struct Carried {
    envelopes: Option<Envelopes>,
    /// Of lines that came to nothing so far: they count to the next batch.
    bytes: u64,
}

impl Stretches {
    /// Of an input that is decoded with these options.
    #[must_use]
    pub fn new(options: &DecodeOptions) -> Self {
        let blocks = Blocks::new(longest_line(options));
        Stretches { blocks, pieces: Vec::new(), bytes: 0, full: VecDeque::new(), number: 0, least: STRETCH_BYTES }
    }

    /// As [`Decoder::push`].
    pub fn push(&mut self, bytes: &[u8]) {
        let Stretches { blocks, pieces, bytes: held, .. } = self;
        blocks.push(bytes, &mut |piece| take(piece, pieces, held));
        self.cut();
    }

    /// As [`Decoder::space`].
    pub fn space(&mut self) -> &mut [u8] {
        self.blocks.space()
    }

    /// As [`Decoder::fill`].
    pub fn fill(&mut self, bytes: usize) {
        let Stretches { blocks, pieces, bytes: held, .. } = self;
        blocks.fill(bytes, &mut |piece| take(piece, pieces, held));
        self.cut();
    }

    /// The next stretch, if it is complete. Call it until `None` after each push or fill.
    pub fn next_stretch(&mut self) -> Option<Stretch> {
        self.full.pop_front()
    }

    /// The last one, if there is one; every complete one must have been taken.
    #[must_use]
    pub fn finish(self) -> Option<Stretch> {
        let Stretches { blocks, mut pieces, mut bytes, number, .. } = self;
        blocks.finish(&mut |piece| take(piece, &mut pieces, &mut bytes));
        (!pieces.is_empty()).then_some(Stretch { number, pieces })
    }

    fn cut(&mut self) {
        if self.bytes >= self.least {
            self.full.push_back(Stretch { number: self.number, pieces: std::mem::take(&mut self.pieces) });
            self.bytes = 0;
            self.number += 1;
        }
    }
}

fn take(piece: Piece<'_, '_>, pieces: &mut Vec<Owned>, bytes: &mut usize) {
    match piece {
        Piece::Lines(block, _) if block.is_empty() => {}
        Piece::Lines(block, lines) => {
            *bytes += block.len();
            pieces.push(Owned::Lines(block.clone(), lines.next_at()));
        }
        Piece::TooLong(place, long) => pieces.push(Owned::TooLong(place, long)),
    }
}

impl Stretch {
    /// From 0, without a gap.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl StretchDecoder {
    /// As [`Decoder::new`].
    #[must_use]
    pub fn new(options: Arc<DecodeOptions>, source: impl Into<String>, received_at: DateTime<Utc>) -> Self {
        StretchDecoder(Decoder::new(options, source, received_at).assembly)
    }

    /// The batches of a stretch, and what it carries into the next.
    pub fn decode(&mut self, stretch: &Stretch, carried: Carried) -> (Vec<AccessLogBatch>, Carried) {
        let assembly = &mut self.0;
        assembly.envelopes = carried.envelopes.unwrap_or_else(|| Envelopes::new(longest_line(&assembly.options)));
        assembly.bytes = carried.bytes;
        for piece in &stretch.pieces {
            match piece {
                Owned::Lines(block, at) => {
                    assembly.block(block, &mut Lines::of(block, *at, longest_line(&assembly.options)));
                }
                Owned::TooLong(place, long) => assembly.too_long(*place, long.clone()),
            }
        }
        let left = std::mem::replace(&mut assembly.envelopes, Envelopes::new(longest_line(&assembly.options)));
        let batches = assembly.take_all();
        let envelopes = Some(left).filter(|left| !left.is_idle());
        (batches, Carried { envelopes, bytes: std::mem::take(&mut assembly.bytes) })
    }

    /// What the last stretch carried over the end of the input.
    pub fn finish(&mut self, carried: Carried) -> Vec<AccessLogBatch> {
        let Some(left) = carried.envelopes else { return Vec::new() };
        self.0.envelopes = left;
        self.0.bytes = carried.bytes;
        self.0.end_envelopes();
        self.0.take_all()
    }
}

impl Carried {
    /// As at the start of an input.
    #[must_use]
    pub fn nothing() -> Self {
        Carried::default()
    }

    /// Whether it is.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.envelopes.is_none() && self.bytes == 0
    }
}

impl Assembly {
    /// Every batch, the one that is not full included.
    fn take_all(&mut self) -> Vec<AccessLogBatch> {
        let mut batches: Vec<_> = self.full.drain(..).collect();
        if self.lines > 0 {
            batches.push(self.take_batch());
        }
        batches
    }
}

#[cfg(test)]
mod tests;
