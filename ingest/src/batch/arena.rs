//! The bytes behind the text columns of one batch: blocks of the input as they came, and texts that were made of them.
//!
//! ```text
//!  block   of the input, shared       ◀── a value that stands in a line as it is: a view of these bytes, no copy
//!  made    pages of 64 KiB            ◀── everything else: log_id, extra, names of edges, decoded escapes, canonical addresses
//! ```
//! A page is never grown, so that what points into it stays where it is. Buffers are numbered in the order in which they are first needed.

use arrow::buffer::Buffer;

/// Bytes of a page.
const PAGE: usize = 64 << 10;

/// Longest text that stands in its view itself, bytes.
const INLINE: usize = 12;

/// The buffers of one batch.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    buffers: Vec<Bytes>,
    /// The block that lines are read from: where it is in memory, how long, and its number.
    block: Option<(usize, usize, u32)>,
    /// Number of the page that is written to.
    page: Option<u32>,
}

#[derive(Debug)]
enum Bytes {
    Block(Buffer),
    Page(Vec<u8>),
}

impl Arena {
    /// From now on, lines are of this block.
    pub(crate) fn enter(&mut self, block: &Buffer) {
        let number = self.add(Bytes::Block(block.clone()));
        self.block = Some((block.as_ptr() as usize, block.len(), number));
    }

    /// A view of the text: in the block if it stands there, else of a copy.
    #[inline]
    pub(crate) fn view(&mut self, text: &str) -> u128 {
        let bytes = text.as_bytes();
        if bytes.len() <= INLINE {
            return inline_view(bytes);
        }
        match self.within_block(bytes) {
            Some((buffer, offset)) => view(bytes, buffer, offset),
            None => self.made(&[text]),
        }
    }

    /// A view of a copy of the texts, one after the other.
    pub(crate) fn made(&mut self, texts: &[&str]) -> u128 {
        let length: usize = texts.iter().map(|text| text.len()).sum();
        let fits = |page: &mut Vec<u8>| page.capacity() - page.len() >= length;
        let current = self.page.filter(|number| self.page_of(*number).is_some_and(fits));
        let page = current.unwrap_or_else(|| self.add(Bytes::Page(Vec::with_capacity(PAGE.max(length)))));
        self.page = Some(page);
        let Some(bytes) = self.page_of(page) else { return 0 };
        let start = bytes.len();
        texts.iter().for_each(|text| bytes.extend_from_slice(text.as_bytes()));
        // pages are short, unless one text fills it: and texts are bounded below 4 GiB
        let made = bytes.get(start..).unwrap_or_default();
        match made.len() <= INLINE {
            true => inline_view(made),
            false => view(made, page, u32::try_from(start).unwrap_or(u32::MAX)),
        }
    }

    /// The buffers, each at its number; the arena starts anew.
    pub(crate) fn take(&mut self) -> Vec<Buffer> {
        let buffers = std::mem::take(self).buffers.into_iter();
        buffers
            .map(|bytes| match bytes {
                Bytes::Block(block) => block,
                Bytes::Page(page) => Buffer::from_vec(page),
            })
            .collect()
    }

    #[inline]
    fn within_block(&self, text: &[u8]) -> Option<(u32, u32)> {
        let (start, length, number) = self.block?;
        let offset = (text.as_ptr() as usize).checked_sub(start)?;
        let inside = offset.checked_add(text.len()).is_some_and(|end| end <= length);
        inside.then_some((number, u32::try_from(offset).ok()?))
    }

    fn page_of(&mut self, number: u32) -> Option<&mut Vec<u8>> {
        match self.buffers.get_mut(number as usize) {
            Some(Bytes::Page(page)) => Some(page),
            _ => None,
        }
    }

    fn add(&mut self, bytes: Bytes) -> u32 {
        self.buffers.push(bytes);
        u32::try_from(self.buffers.len() - 1).unwrap_or(u32::MAX)
    }
}

/// The view of a text of more than [`INLINE`] bytes: length, first four bytes, buffer, offset, 32 bits each, the lowest first (Arrow's columnar
/// format, variable-size binary view layout). As `arrow::array::builder::make_view`, without a call for each cell.
#[inline]
fn view(text: &[u8], buffer: u32, offset: u32) -> u128 {
    let prefix = text.first_chunk().map_or(0, |prefix| u32::from_le_bytes(*prefix));
    // a text is shorter than a block, and so than 4 GiB
    text.len() as u128 | u128::from(prefix) << 32 | u128::from(buffer) << 64 | u128::from(offset) << 96
}

/// The view of a text of up to [`INLINE`] bytes: length and the text, filled up with zeros.
#[inline]
fn inline_view(text: &[u8]) -> u128 {
    let length = text.len();
    // the first and the last so many bytes, which overlap
    let bytes = match (
        text.first_chunk::<8>().zip(text.last_chunk::<8>()),
        text.first_chunk::<4>().zip(text.last_chunk::<4>()),
    ) {
        (Some((first, last)), _) => {
            u128::from(u64::from_le_bytes(*first)) | u128::from(u64::from_le_bytes(*last)) << ((length - 8) * 8)
        }
        (None, Some((first, last))) => {
            u128::from(u32::from_le_bytes(*first)) | u128::from(u32::from_le_bytes(*last)) << ((length - 4) * 8)
        }
        (None, None) => text.iter().rev().fold(0, |bytes, byte| bytes << 8 | u128::from(*byte)),
    };
    length as u128 | bytes << 32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use arrow::array::builder::make_view;

    use super::*;

    #[test]
    fn views_are_those_of_arrow() {
        let text = b"abcdefghijklmnopqrstuvwxyz\xff\x80";
        for length in 0..=text.len() {
            let text = &text[..length];
            match length <= INLINE {
                true => assert_eq!(inline_view(text), make_view(text, 7, 9), "{length}"),
                false => assert_eq!(view(text, 7, u32::MAX - 9), make_view(text, 7, u32::MAX - 9), "{length}"),
            }
        }
    }
}
