//! The only place that is allowed `unsafe`, each use with its proof.

#![allow(unsafe_code)]

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
