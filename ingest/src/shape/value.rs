//! Where a JSON value ends. A value is only passed over here if it is certainly right and simple; `None` means that the general parser has to
//! look, not that the value is wrong.

use crate::unchecked::string_ends;

/// A value of the top level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    /// Without its quotes. One with escapes is the plain parser's.
    String(&'a str),
    /// A number or truth value: its text.
    Plain(&'a str),
    /// An object or list: its text, which may yet be no JSON.
    Nested(&'a str),
}

/// The value that starts at `at`, and where it ends.
#[inline(always)]
pub(super) fn value(line: &str, at: usize) -> Option<(Value<'_>, usize)> {
    let bytes = line.as_bytes();
    match bytes.get(at)? {
        b'"' => string(line, at),
        b'n' => starts_with(bytes, at, b"null").then_some((Value::Null, at + 4)),
        b't' => starts_with(bytes, at, b"true").then_some((Value::Plain("true"), at + 4)),
        b'f' => starts_with(bytes, at, b"false").then_some((Value::Plain("false"), at + 5)),
        b'-' | b'0'..=b'9' => {
            let end = number(bytes, at)?;
            Some((Value::Plain(line.get(at..end)?), end))
        }
        b'{' | b'[' => {
            let end = nested(bytes, at)?;
            Some((Value::Nested(line.get(at..end)?), end))
        }
        _ => None,
    }
}

#[inline]
fn starts_with(bytes: &[u8], at: usize, word: &[u8]) -> bool {
    bytes.get(at..at + word.len()) == Some(word)
}

#[inline(always)]
fn string(line: &str, at: usize) -> Option<(Value<'_>, usize)> {
    let bytes = line.as_bytes();
    let start = at + 1;
    let end = plain_until(bytes, start);
    (bytes.get(end) == Some(&b'"')).then_some(())?;
    Some((Value::String(line.get(start..end)?), end + 1))
}

/// Where a number of JSON's grammar ends.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let digits = |mut at: usize| {
        while digit(at) {
            at += 1;
        }
        at
    };
    let mut end = at + usize::from(bytes.get(at) == Some(&b'-'));
    let first = end;
    end = digits(end);
    // no digit, or a zero before others
    if end == first || (bytes.get(first) == Some(&b'0') && end > first + 1) {
        return None;
    }
    if bytes.get(end) == Some(&b'.') {
        let decimals = end + 1;
        end = digits(decimals);
        if end == decimals {
            return None;
        }
    }
    // doubles of metadata; and whatever follows a number must end it
    match bytes.get(end) {
        Some(b'e' | b'E' | b'.' | b'+' | b'-') => None,
        _ => Some(end),
    }
}

/// Where an object or list ends, if its brackets balance. What is within is not looked at.
fn nested(bytes: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut end = at;
    loop {
        match bytes.get(end)? {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(end + 1);
                }
            }
            b'"' => {
                end = plain_until(bytes, end + 1);
                // an escape within is rare: the general parser may look
                if bytes.get(end) != Some(&b'"') {
                    return None;
                }
            }
            _ => {}
        }
        end += 1;
    }
}

/// The first quote, backslash or control character from `at` on, or the end.
#[inline]
pub(crate) fn plain_until(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..at + LANES).and_then(|chunk| <&[u8; LANES]>::try_from(chunk).ok()) {
        let special = string_ends(chunk);
        if special != 0 {
            return at + special.trailing_zeros() as usize;
        }
        at += LANES;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

const LANES: usize = 16;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn values_end_where_json_says() {
        let text = |text: &'static str| Value::String(text);
        for (line, expected) in [
            ("null,", Some((Value::Null, 4))),
            ("nul", None),
            ("true}", Some((Value::Plain("true"), 4))),
            ("false", Some((Value::Plain("false"), 5))),
            ("0,", Some((Value::Plain("0"), 1))),
            ("-12.50}", Some((Value::Plain("-12.50"), 6))),
            ("01", None),
            ("-", None),
            ("1.", None),
            ("1e9", None),
            ("1-1", None),
            (r#""","#, Some((text(""), 2))),
            (
                r#""a quite long text, of more than 16 bytes","#,
                Some((text("a quite long text, of more than 16 bytes"), 42)),
            ),
            (r#""a\n\"b\\","#, None),
            (r#""a\u00e9","#, None),
            (r#""a\x","#, None),
            ("\"a\tb\"", None),
            (r#""open"#, None),
            (r#""open\"#, None),
            (r#"{"a":[1,{}],"b":"]}"},"#, Some((Value::Nested(r#"{"a":[1,{}],"b":"]}"}"#), 21))),
            (r#"[[]"#, None),
            (r#"{"a\"":1}"#, None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(value(line, 0), expected, "{line}");
        }
    }

    #[test]
    fn every_byte_at_every_place() {
        for place in 0..40 {
            for byte in 0..=255_u8 {
                let mut bytes = [b'a'; 40];
                bytes[place] = byte;
                let special = matches!(byte, b'"' | b'\\' | 0..0x20);
                assert_eq!(plain_until(&bytes, 0), if special { place } else { 40 }, "{byte} at {place}");
            }
        }
    }
}
