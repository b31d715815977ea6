//! JSON Web Tokens by their shape.
//!
//! ```text
//! eyJhbGciOiJSUzI1NiJ9 . eyJzdWIiOiJib2IifQ . c2lnbmF0dXJl            signed; without signature the last part is empty
//! eyJhbGciOiJkaXIifQ   .                    . aXY . Y2lwaGVy . dGFn   encrypted: five parts, the second may be empty
//! ```
//! A token that was cut off before its second dot has no signature, opens nothing, and is kept.

use std::borrow::Cow;
use std::ops::Range;

use super::JWT;
use super::params::{Sign, sign};
use super::splice::splice;

/// How the base64url of `{"` starts.
const START: &[u8] = b"eyJ";
/// The same with white space before the quote: a line break and a blank, a tab or the quote; a carriage return; a blank and one of the four.
const INDENTED: [&[u8]; 7] = [b"ewog", b"ewoJ", b"ewoi", b"ew0K", b"eyAi", b"eyAg", b"eyAK"];
/// Shortest header of which that is believed: base64url of `{ "alg":"none"}`. A shorter one may be a name with dots.
const SHORTEST_INDENTED: usize = 20;
/// Parts of an encrypted token beyond the three that every token has.
const MORE_PARTS: usize = 2;

/// The text without tokens.
pub(super) fn redact(text: &[u8]) -> Cow<'_, [u8]> {
    splice(text, tokens(text), JWT)
}

/// Where tokens stand.
fn tokens(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += memchr::memchr2(b'y', b'w', text.get(at..)?)? + 1;
            // the second letter of each
            let Some(start) = at.checked_sub(2).filter(|start| starts(text, *start)) else { continue };
            match token_end(text, start) {
                Ok(end) => {
                    at = end;
                    return Some(start..end);
                }
                Err(looked_at) => at = looked_at,
            }
        }
    })
}

/// Whether a token's header may start there.
#[inline]
fn starts(text: &[u8], at: usize) -> bool {
    let rest = text.get(at..).unwrap_or_default();
    // few words have these two letters
    rest.first() == Some(&b'e') && starts_token(text, at, rest)
}

#[cold]
fn starts_token(text: &[u8], at: usize, rest: &[u8]) -> bool {
    rest.starts_with(START)
        || INDENTED.into_iter().any(|start| rest.starts_with(start)) && part_end(text, at) - at >= SHORTEST_INDENTED
}

/// Where the token that may start here ends, or up to where there is none: whatever starts before that lacks the same dot.
fn token_end(text: &[u8], start: usize) -> Result<usize, usize> {
    let head = part_end(text, start);
    let claims = part_end(text, dot(text, head).ok_or(head)?);
    let mut end = part_end(text, dot(text, claims).ok_or(claims)?);
    for _ in 0..MORE_PARTS {
        match dot(text, end).map(|after| (after, part_end(text, after))) {
            Some((after, more)) if more > after => end = more,
            _ => break,
        }
    }
    Ok(end)
}

fn part_end(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let base64url = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    start + rest.iter().position(|byte| !base64url(byte)).unwrap_or(rest.len())
}

/// The place after a dot, percent-encoded or not.
fn dot(text: &[u8], at: usize) -> Option<usize> {
    let Sign { means, length, .. } = sign(text, at)?;
    (means == b'.').then_some(at + length)
}
