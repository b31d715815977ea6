//! The only place that is allowed `unsafe`, each use with its proof.
//!
//! Miri runs its tests: `cargo +nightly miri test -p ingest unchecked` (once before it: `rustup +nightly component add miri`).

#![allow(unsafe_code)]

use std::sync::Arc;

use arrow::array::StringViewArray;
use arrow::buffer::{Buffer, NullBuffer};

/// An array of views that were made of `&str`s, as `batch/arena.rs` and `batch/compact.rs` do: a view of more than twelve bytes points to its text in
/// `buffers`, at the buffer and offset that the arena gave. Checking each of them for UTF-8 again would cost more than decoding.
///
/// Debug builds, and so the tests, check them all beforehand, and then go the same way.
pub(crate) fn string_views(views: Vec<u128>, buffers: &Arc<[Buffer]>, nulls: Option<NullBuffer>) -> StringViewArray {
    if cfg!(debug_assertions) {
        // panics where a view is none
        StringViewArray::new(views.clone().into(), Arc::clone(buffers), nulls.clone());
    }
    // SAFETY: `new_unchecked` asks for what `new` checks. (1) Views of up to twelve bytes hold their text, zero-padded (`inline_view`, which a test holds to Arrow's `make_view`); cells that
    // were not set hold the view 0, an empty text. (2) Longer ones name a buffer and an offset of the batch's `Arena`: a block of the input, which is
    // never written once it is lent, in which the text is a slice (`within_block` compares addresses); or a page, into which the text's bytes were
    // copied (`made`), and which is only appended to and never grown. `take` hands out both at their numbers. Or they name buffer 0, the only one, and
    // the offset at which the same text's bytes were just appended to it (`compact.rs`). (3) The bytes are those of a `&str`, so they
    // are UTF-8. (4) Views and `nulls` are cut to the same number of rows (`Column::finish`).
    unsafe { StringViewArray::new_unchecked(views.into(), Arc::clone(buffers), nulls) }
}

/// What SSE2 knows of 16 bytes: one bit for each that is a quote, a backslash or a control character, the first byte's the lowest.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn string_ends(chunk: &[u8; 16]) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    // SAFETY: SSE2 is part of every x86-64 processor and of Rust's x86_64 targets; the load reads the 16 bytes of the chunk, and needs no
    // alignment.
    unsafe {
        let bytes = _mm_loadu_si128(chunk.as_ptr().cast());
        let quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x22));
        let backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x5c));
        let controls = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
        _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), controls)).cast_unsigned()
    }
}

/// The same, for other processors.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn string_ends(chunk: &[u8; 16]) -> u32 {
    let bit = |(at, byte): (usize, &u8)| u32::from(matches!(byte, b'"' | b'\\' | 0..0x20)) << at;
    chunk.iter().enumerate().map(bit).sum()
}

/// What SSE2 knows of 16 bytes: one bit for each that is a blank, a tab or a double quote, the first byte's the lowest.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn blanks_and_quotes(chunk: &[u8; 16]) -> u32 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8};
    // SAFETY: as in `string_ends`.
    unsafe {
        let bytes = _mm_loadu_si128(chunk.as_ptr().cast());
        let quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x22));
        let blanks = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x20));
        let tabs = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x09));
        _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, blanks), tabs)).cast_unsigned()
    }
}

/// The same, for other processors.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn blanks_and_quotes(chunk: &[u8; 16]) -> u32 {
    let bit = |(at, byte): (usize, &u8)| u32::from(matches!(byte, b'"' | b' ' | b'\t')) << at;
    chunk.iter().enumerate().map(bit).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use arrow::array::{Array, make_view};

    use super::*;

    /// What SSE2 finds, as anybody would look for it.
    fn bits(chunk: &[u8; 16], is_one: impl Fn(u8) -> bool) -> u32 {
        chunk.iter().enumerate().map(|(at, byte)| u32::from(is_one(*byte)) << at).sum()
    }

    #[test]
    fn every_byte_is_told_at_every_place() {
        let ends = |byte: u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        let marks = |byte: u8| matches!(byte, b' ' | b'\t' | b'"');
        for place in 0..16 {
            for byte in 0..=u8::MAX {
                let mut chunk = [b'a'; 16];
                chunk[place] = byte;
                assert_eq!((string_ends(&chunk), blanks_and_quotes(&chunk)), (bits(&chunk, ends), bits(&chunk, marks)));
            }
        }
        // at any address
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        for chunk in bytes.windows(16) {
            let chunk = chunk.try_into().unwrap();
            assert_eq!((string_ends(chunk), blanks_and_quotes(chunk)), (bits(chunk, ends), bits(chunk, marks)));
        }
    }

    #[test]
    fn views_read_what_they_were_made_of() {
        let (first, second) = ("a text of more than twelve bytes, ", "and an älterer one in another buffer");
        let buffers: Arc<[Buffer]> = Arc::from([Buffer::from(first.as_bytes()), Buffer::from(second.as_bytes())]);
        let views = vec![
            make_view(first.as_bytes(), 0, 0),
            make_view(b"twelve bytes", 0, 0),
            make_view(b"", 0, 0),
            0,
            make_view(&second.as_bytes()[4..], 1, 4),
        ];
        let nulls = NullBuffer::from(vec![true, true, true, false, true]);
        let array = string_views(views, &buffers, Some(nulls));
        let texts: Vec<Option<&str>> = array.iter().collect();
        assert_eq!(texts, [Some(first), Some("twelve bytes"), Some(""), None, second.get(4..)]);
        assert_eq!(array.len(), 5);
    }

    #[test]
    #[should_panic(expected = "buffer index")]
    #[cfg(debug_assertions)]
    fn debug_builds_look_at_every_view() {
        let beyond = make_view(b"a text of more than twelve bytes", 3, 0);
        string_views(vec![beyond], &Arc::from([]), None);
    }
}
