//! A line that could not be decoded, whatever it is: JSON, text, garbage, cut off anywhere.
//!
//! ```text
//! {"authorization":"Basic YQ==","log":"{\"token\":\"x\"}", GET /?code=7 authorization: Bearer y
//!                   ╵ member            ╵ member, escaped            ╵ parameter       ╵ credentials
//! ```
//! Each pass is linear and works on what the one before left: JWTs, credentials, members, parameters. All else stays byte for byte.

use std::borrow::Cow;
use std::ops::Range;

use super::names::Names;
use super::splice::{splice, then};
use super::{VALUE, jwt, params, user};
use crate::fields::is_null;

/// The header whose value is a scheme and credentials.
const AUTHORIZATION: &[u8] = b"authorization";
/// That, too, of `Set-Cookie`: several words.
const COOKIE: &[u8] = b"cookie";
const SCHEMES: [&[u8]; 2] = [b"bearer", b"basic"];
/// Shortest credentials behind a scheme that nothing else gives away: `Basic auth` is none.
const SHORTEST: usize = 8;
/// Longest name of a header, bytes.
const LONGEST_NAME: usize = 64;
/// Blanks, quotes and backslashes between the header, its colon and its value: more are something else.
const FILL: usize = 8;

/// The bytes without secrets.
pub(super) fn redact<'a>(raw: &'a [u8], names: &Names) -> Cow<'a, [u8]> {
    let redacted = jwt::redact(raw);
    let redacted = then(redacted, |raw| splice(raw, quoted_credentials(raw), VALUE));
    let redacted = then(redacted, |raw| splice(raw, credentials(raw, names), VALUE));
    let redacted = then(redacted, |raw| splice(raw, user::passwords(raw), VALUE));
    let redacted = then(redacted, |raw| splice(raw, members(raw, names), VALUE));
    then(redacted, |raw| splice(raw, params::of_raw(raw, names), VALUE))
}

/// What stands behind `authorization: Bearer`, `X-Api-Key: ` and their like, in any of the ways to write a header.
pub(super) fn credentials<'a>(raw: &'a [u8], names: &'a Names) -> impl Iterator<Item = Range<usize>> + 'a {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let separator = at + memchr::memchr2(b':', b'=', raw.get(at..)?)?;
            at = separator + 1;
            let (before, after) = (raw.get(..separator)?, raw.get(at..)?);
            let header = before.get(..before.len() - fill(before.iter().rev()))?;
            let value = at + fill(after.iter());
            let found = match ends_with(header, AUTHORIZATION) {
                true => behind_scheme(raw, value).or_else(|| header_value(raw, separator, value, true)),
                false if after.first() == Some(&b' ') && is_named(header, names) => {
                    header_value(raw, separator, value, ends_with(header, COOKIE))
                }
                false => None,
            };
            if let Some(found) = found {
                at = found.end;
                if !is_nothing(raw.get(found.clone())?) {
                    return Some(found);
                }
            }
        }
    })
}

/// Whether a value hides nothing, or was hidden before.
fn is_nothing(value: &[u8]) -> bool {
    matches!(value, [] | [b'-'] | [b'{' | b'[', ..]) || value.ends_with(VALUE.as_bytes())
}

fn ends_with(text: &[u8], name: &[u8]) -> bool {
    text.get(text.len().saturating_sub(name.len())..).is_some_and(|end| end.eq_ignore_ascii_case(name))
}

/// Whether the bytes end with a sensitive name.
fn is_named(text: &[u8], names: &Names) -> bool {
    let of_name = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let length = text.iter().rev().take(LONGEST_NAME).take_while(of_name).count();
    text.get(text.len() - length..).is_some_and(|name| !name.is_empty() && names.member(name))
}

/// The value behind `name: `. A blank follows the colon, for `auth:8080` is a host and its port. It ends at a quote, a comma or the end, and at a blank
/// unless it has `several_words`: `token: expired at 7` says more than a secret.
fn header_value(raw: &[u8], colon: usize, start: usize, several_words: bool) -> Option<Range<usize>> {
    (raw.get(colon..colon + 2)? == b": ").then_some(())?;
    let rest = raw.get(start..)?;
    let ends = |byte: &u8| match byte {
        b' ' => !several_words,
        byte => matches!(byte, b'"' | b'\'' | b'\\' | b',' | 0..0x20 | 0x7f),
    };
    let length = rest.iter().position(ends).unwrap_or(rest.len());
    let value = rest.get(..length)?.trim_ascii_end();
    Some(start..start + value.len())
}

/// What stands behind a scheme in a string of JSON that is nothing but these two.
fn quoted_credentials(raw: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let values = memchr::memchr_iter(b'"', raw).filter_map(|quote| behind_scheme(raw, quote + 1));
    values.filter(|value| value.len() >= SHORTEST && matches!(raw.get(value.end), Some(b'"' | b'\\')))
}

fn behind_scheme(raw: &[u8], at: usize) -> Option<Range<usize>> {
    let word = |scheme: &&[u8]| raw.get(at..at + scheme.len()).is_some_and(|word| word.eq_ignore_ascii_case(scheme));
    let blank = at + SCHEMES.iter().find(|scheme| word(scheme))?.len();
    let blanks = raw.get(blank..)?.iter().take_while(|byte| **byte == b' ').count();
    let start = blank + blanks;
    let ends = |byte: &u8| matches!(byte, b'"' | b'\'' | b'\\' | b',' | 0..=b' ' | 0x7f);
    let rest = raw.get(start..)?;
    let length = rest.iter().position(ends).unwrap_or(rest.len());
    let value = rest.get(..length)?;
    (blanks > 0 && length > 0 && value != VALUE.as_bytes()).then_some(start..start + length)
}

/// What stands behind a scheme in a text that is nothing but these two: `Bearer abcdefgh`.
pub(super) fn scheme_and_credentials(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let whole = behind_scheme(text, 0).filter(|value| value.end == text.len() && value.len() >= SHORTEST);
    // what was taken out of it before was all
    let whole = whole.filter(|_| !text.ends_with(VALUE.as_bytes()));
    whole.into_iter()
}

fn fill<'a>(bytes: impl Iterator<Item = &'a u8>) -> usize {
    bytes.take(FILL).take_while(|byte| matches!(byte, b' ' | b'"' | b'\'' | b'\\')).count()
}

/// Values of `"name":"value"`, quotes escaped or not.
pub(super) fn members<'a>(raw: &'a [u8], names: &'a Names) -> impl Iterator<Item = Range<usize>> + 'a {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            // whatever stands before a quote, a colon and a quote may be a name
            let quote = at + memchr::memchr(b'"', raw.get(at..)?)?;
            let before = raw.get(at..quote)?;
            at = quote + 1;
            let name = before.get(..before.len() - backslashes(before))?;
            if let Some(number) = number(raw, at).filter(|_| names.member(name)) {
                at = number.end;
                return Some(number);
            }
            let Some(value) = value_start(raw, at).filter(|_| names.member(name)) else { continue };
            let value = value..value_end(raw, value);
            at = value.end;
            // what is between here and the closing quote is backslashes
            at += raw.get(at..)?.iter().position(|byte| *byte == b'"').map_or(0, |quote| quote + 1);
            let text = raw.get(value.clone())?;
            if text != VALUE.as_bytes() && !std::str::from_utf8(text).is_ok_and(is_null) {
                return Some(value);
            }
        }
    })
}

/// How many backslashes the bytes end with.
fn backslashes(bytes: &[u8]) -> usize {
    bytes.iter().rev().take_while(|byte| **byte == b'\\').count()
}

/// Where the bytes from there on are others.
fn skip(raw: &[u8], at: usize, passed: fn(&u8) -> bool) -> usize {
    at + raw.get(at..).unwrap_or_default().iter().take_while(|byte| passed(byte)).count()
}

/// Where the value begins of a name that ended here.
fn behind_colon(raw: &[u8], at: usize) -> Option<usize> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let colon = skip(raw, at, blank);
    (raw.get(colon) == Some(&b':')).then(|| skip(raw, colon + 1, blank))
}

/// Where the string starts that is the value of a name that ended here.
fn value_start(raw: &[u8], at: usize) -> Option<usize> {
    let quote = skip(raw, behind_colon(raw, at)?, |byte| *byte == b'\\');
    (raw.get(quote) == Some(&b'"')).then_some(quote + 1)
}

/// The number that is the value of a name that ended here.
fn number(raw: &[u8], at: usize) -> Option<Range<usize>> {
    let start = behind_colon(raw, at)?;
    matches!(raw.get(start), Some(b'0'..=b'9' | b'-')).then_some(())?;
    let end = skip(raw, start, |byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
    matches!(raw.get(end), None | Some(b',' | b'}' | b' ' | b'\t')).then_some(start..end)
}

/// Where the string ends that starts here: at a quote of the same nesting, or where the line was cut off. A quote that n backslashes escape
/// closes at the next one behind n of them, or behind n and as many as an escaped backslash at the end of the value takes.
fn value_end(raw: &[u8], start: usize) -> usize {
    let escaped = backslashes(raw.get(..start - 1).unwrap_or_default());
    let mut at = start;
    while let Some(quote) = memchr::memchr(b'"', raw.get(at..).unwrap_or_default()).map(|quote| at + quote) {
        let run = backslashes(raw.get(start..quote).unwrap_or_default());
        if run % (2 * (escaped + 1)) == escaped {
            return quote - escaped;
        }
        at = quote + 1;
    }
    raw.len()
}
