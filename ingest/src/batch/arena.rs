//! The bytes behind the text columns of one batch: blocks of the input as they came, and texts that were made of them.
//!
//! ```text
//!  block   of the input, shared       ◀── a value that stands in a line as it is: a view of these bytes, no copy
//!  made    pages of 64 KiB            ◀── everything else: log_id, extra, names of edges, decoded escapes, canonical addresses
//! ```
//! A page is never grown, so that what points into it stays where it is. Buffers are numbered in the order in which they are first needed.

use arrow::array::builder::make_view;
use arrow::buffer::Buffer;

/// Bytes of a page.
const PAGE: usize = 64 << 10;

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
        // up to twelve bytes stand in the view itself
        if bytes.len() <= 12 {
            return make_view(bytes, 0, 0);
        }
        match self.within_block(bytes) {
            Some((buffer, offset)) => make_view(bytes, buffer, offset),
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
        make_view(bytes.get(start..).unwrap_or_default(), page, u32::try_from(start).unwrap_or(u32::MAX))
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
