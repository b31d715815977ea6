//! The only place that is allowed `unsafe`, each use with its proof.

#![allow(unsafe_code)]

use std::sync::Arc;

use arrow::array::StringViewArray;
use arrow::buffer::{Buffer, NullBuffer};

/// An array of views that were made of `&str`s, as `batch/arena.rs` and `batch/compact.rs` do: a view of more than twelve bytes points to its text in
/// `buffers`, at the buffer and offset that the arena gave. Checking each of them for UTF-8 again would cost more than decoding.
///
/// Debug builds, and so the tests, check them all.
pub(crate) fn string_views(views: Vec<u128>, buffers: &Arc<[Buffer]>, nulls: Option<NullBuffer>) -> StringViewArray {
    if cfg!(debug_assertions) {
        return StringViewArray::new(views.into(), Arc::clone(buffers), nulls);
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
