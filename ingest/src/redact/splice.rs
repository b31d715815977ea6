//! Pieces of a text replaced by a placeholder; the text itself, borrowed, where there are none.

use std::borrow::Cow;
use std::ops::Range;

/// The text with a placeholder instead of each range. Ranges are in order, do not overlap, and are not empty.
pub(super) fn splice<'a>(
    text: &'a [u8],
    mut ranges: impl Iterator<Item = Range<usize>>,
    placeholder: &str,
) -> Cow<'a, [u8]> {
    let Some(first) = ranges.next() else { return Cow::Borrowed(text) };
    let mut spliced = Vec::with_capacity(text.len() + placeholder.len());
    let mut kept = 0;
    for range in std::iter::once(first).chain(ranges) {
        spliced.extend_from_slice(text.get(kept..range.start).unwrap_or_default());
        spliced.extend_from_slice(placeholder.as_bytes());
        kept = range.end;
    }
    spliced.extend_from_slice(text.get(kept..).unwrap_or_default());
    Cow::Owned(spliced)
}

/// One pass after another: borrowed only if neither changed anything.
pub(super) fn then<'a>(text: Cow<'a, [u8]>, pass: impl for<'b> FnOnce(&'b [u8]) -> Cow<'b, [u8]>) -> Cow<'a, [u8]> {
    match text {
        Cow::Borrowed(text) => pass(text),
        Cow::Owned(text) => match pass(&text) {
            Cow::Owned(changed) => Cow::Owned(changed),
            Cow::Borrowed(_) => Cow::Owned(text),
        },
    }
}

/// The bytes of a text as a text again. Ranges begin and end beside ASCII, so no character is ever cut.
pub(super) fn as_text<'a>(text: &'a str, redacted: Cow<'a, [u8]>) -> Cow<'a, str> {
    match redacted {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => Cow::Owned(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }),
    }
}
