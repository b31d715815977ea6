//! The bytes behind the text columns of one batch: lines as they came, and texts that were made of them.
//!
//! ```text
//!  lines   blocks of 1 MiB   ◀── a value that stands in the line as it is: a view of these bytes, no copy
//!  made    blocks of 64 KiB  ◀── everything else: log_id, extra, decoded escapes, canonical addresses
//! ```
//! Each line is copied once, into a block; every text column of its row then points into it. A block is never grown, so that what points into it
//! stays where it is.

use arrow::buffer::Buffer;

/// Which of the two kinds of blocks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Holds {
    Lines = 0,
    Made = 1,
}

/// Blocks of one kind.
#[derive(Debug)]
pub(crate) struct Arena {
    holds: Holds,
    block_bytes: usize,
    blocks: Vec<Vec<u8>>,
}

/// Where bytes of a block stand, for views of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    /// Number of the buffer among those of the batch.
    pub(crate) buffer: u32,
    /// Bytes from the start of the buffer.
    pub(crate) offset: u32,
}

impl Arena {
    pub(crate) fn new(holds: Holds) -> Self {
        let block_bytes = match holds {
            Holds::Lines => 1 << 20,
            Holds::Made => 64 << 10,
        };
        Arena { holds, block_bytes, blocks: Vec::new() }
    }

    /// Copies bytes in.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Origin {
        let fits = self.blocks.last().is_some_and(|block| block.capacity() - block.len() >= bytes.len());
        if !fits {
            self.blocks.push(Vec::with_capacity(self.block_bytes.max(bytes.len())));
        }
        let buffer = number(self.holds, self.blocks.len() - 1);
        let Some(block) = self.blocks.last_mut() else { return Origin { buffer, offset: 0 } };
        // a block is as long as the longest line at most, and lines are bounded below 4 GiB
        let offset = u32::try_from(block.len()).unwrap_or(u32::MAX);
        block.extend_from_slice(bytes);
        Origin { buffer, offset }
    }

    /// The bytes that were put in last.
    pub(crate) fn last(&self, length: usize) -> &[u8] {
        let block = self.blocks.last().map(Vec::as_slice).unwrap_or_default();
        block.len().checked_sub(length).and_then(|start| block.get(start..)).unwrap_or_default()
    }

    /// Gives the room of the bytes that were put in last back: nothing points to them.
    pub(crate) fn take_back(&mut self, length: usize) {
        if let Some(block) = self.blocks.last_mut() {
            block.truncate(block.len().saturating_sub(length));
        }
    }

    fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.blocks)
    }
}

/// Lines and made texts take turns.
fn number(holds: Holds, block: usize) -> u32 {
    u32::try_from(block * 2 + holds as usize).unwrap_or(u32::MAX)
}

/// The buffers of both, each at its number; the arenas start anew.
pub(crate) fn buffers(lines: &mut Arena, made: &mut Arena) -> Vec<Buffer> {
    let (mut lines, mut made) = (lines.take().into_iter(), made.take().into_iter());
    let mut buffers = Vec::new();
    loop {
        let (line, text) = (lines.next(), made.next());
        if line.is_none() && text.is_none() {
            return buffers;
        }
        buffers.push(Buffer::from_vec(line.unwrap_or_default()));
        buffers.push(Buffer::from_vec(text.unwrap_or_default()));
    }
}
