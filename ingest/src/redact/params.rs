//! Values of sensitive parameters: in a query, a fragment, the path's `;matrix=parameters`, and in URLs that are encoded within a parameter.
//!
//! ```text
//! /a;token=1/b?next=%2Fcb%3Fcode%3D2%26x%3D3&pin=4;y#id_token=5
//!          ~                       ~             ~~~          ~      ~ is replaced
//! ```
//! A [`Sign`] is one character, written plainly (depth 0) or percent-encoded (depth 1; `%25` before its digits for each further depth). At every
//! `=` of any depth the name before it is looked at: back to the nearest separator, but never past another `=`, for what follows the first `=` is
//! the value. A value that is replaced ends at a separator of its own depth or less; at a `;` only if a parameter follows, for else it is part
//! of the value. So every byte is looked at a few times at most.

use std::ops::Range;

use super::VALUE;
use super::names::Names;

/// A character of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sign {
    /// The character once it is decoded.
    pub(super) means: u8,
    /// Bytes that it takes.
    pub(super) length: usize,
    /// How often it was encoded.
    pub(super) depth: usize,
}

/// The sign at that place; `None` at the end.
#[inline]
pub(super) fn sign(text: &[u8], at: usize) -> Option<Sign> {
    let byte = *text.get(at)?;
    Some(if byte == b'%' { encoded(text, at) } else { Sign { means: byte, length: 1, depth: 0 } })
}

/// `%3D` is a `=` of depth 1, `%253D` one of depth 2. A `%` that encodes nothing means itself, as do the `25` behind it.
fn encoded(text: &[u8], at: usize) -> Sign {
    let mut digits = at + 1;
    while text.get(digits..digits + 2) == Some(b"25") {
        digits += 2;
    }
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    match digit(digits).zip(digit(digits + 1)) {
        Some((high, low)) => Sign {
            means: u8::try_from(high * 16 + low).unwrap_or_default(),
            length: digits + 2 - at,
            depth: (digits - at).div_ceil(2),
        },
        None => Sign { means: b'%', length: digits - at, depth: 0 },
    }
}

/// What the text is, and so where names start and values end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A URL, whole: up to `path_end` a `/` separates, too.
    Url { path_end: usize },
    /// Any bytes, in which URLs may stand: they end at a quote, a blank, a backslash, a control character. A name may also stand behind a blank,
    /// alone: there `code=403` is a status, as in JSON.
    Raw,
}

/// The values in a URL, a path, a query or a fragment. What is empty or was replaced before is passed over.
pub(super) fn of_url<'a>(text: &'a [u8], names: &'a Names) -> impl Iterator<Item = Range<usize>> + 'a {
    let path_end = if has_path(text) { memchr::memchr2(b'?', b'#', text).unwrap_or(text.len()) } else { 0 };
    Values { text, names, kind: Kind::Url { path_end }, at: 0, from: 0, opens: true }
}

/// Whether the text starts with a path, and not with a query: `/a;token=b/c` and `https://a/b` do, `token=a/b` does not.
fn has_path(text: &[u8]) -> bool {
    let start = memchr::memchr3(b'=', b'?', b'#', text).and_then(|end| text.get(..end)).unwrap_or(text);
    // only a `=` before any value will be there the next time, too
    let mut encoded = memchr::memchr_iter(b'%', start);
    let end = encoded.find(|at| sign(start, *at).is_some_and(|sign| sign.means == b'='));
    memchr::memchr(b'/', end.and_then(|end| start.get(..end)).unwrap_or(start)).is_some()
}

/// The values in what may be no URL at all: here a name follows a separator, a quote or a blank.
pub(super) fn of_raw<'a>(text: &'a [u8], names: &'a Names) -> impl Iterator<Item = Range<usize>> + 'a {
    Values { text, names, kind: Kind::Raw, at: 0, from: 0, opens: false }
}

/// What a name stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opened {
    Url,
    Text,
}

struct Values<'a> {
    text: &'a [u8],
    names: &'a Names,
    kind: Kind,
    /// Up to here the text was looked at.
    at: usize,
    /// A name may start here, but not before.
    from: usize,
    /// It may start there without a separator: the separator was encoded, or this is where the text starts.
    opens: bool,
}

impl Iterator for Values<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let rest = self.text.get(self.at..)?;
            let place = self.at
                + match self.kind {
                    Kind::Url { .. } => memchr::memchr2(b'=', b'%', rest),
                    Kind::Raw => memchr::memchr3(b'=', b'%', b'\\', rest),
                }?;
            let Sign { means, length, depth } = self.sign(place)?;
            self.at = place + length;
            match means {
                b'=' => {
                    let sensitive = self.name(place).is_some_and(|(name, opened)| match opened {
                        Opened::Url => self.names.parameter(name),
                        Opened::Text => self.names.member(name),
                    });
                    let value = self.at..if sensitive { self.value_end(self.at, depth) } else { self.at };
                    self.at = value.end;
                    self.from = value.end;
                    self.opens = false;
                    if !value.is_empty() && self.text.get(value.clone()) != Some(VALUE.as_bytes()) {
                        return Some(value);
                    }
                }
                b'?' | b'&' | b';' | b'#' => {
                    self.from = self.at;
                    self.opens = true;
                }
                _ => {}
            }
        }
    }
}

impl Values<'_> {
    /// As [`sign`]; raw JSON may have escaped what HTML gives a meaning: `\u0026` is a `&`.
    fn sign(&self, at: usize) -> Option<Sign> {
        if self.kind == Kind::Raw && self.text.get(at) == Some(&b'\\') {
            let digit = |at: usize| self.text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
            let escape = self.text.get(at + 1..at + 4) == Some(b"u00");
            if let Some((high, low)) = digit(at + 4).zip(digit(at + 5)).filter(|_| escape) {
                return Some(Sign { means: u8::try_from(high * 16 + low).unwrap_or_default(), length: 6, depth: 0 });
            }
        }
        sign(self.text, at)
    }

    /// The name before the `=` at that place, if there is one, and what it stands in.
    fn name(&self, equals: usize) -> Option<(&[u8], Opened)> {
        let before = self.text.get(self.from..equals)?;
        let separator = before.iter().enumerate().rposition(|(at, byte)| match self.kind {
            Kind::Url { path_end } => separates(*byte) || *byte == b'/' && self.from + at < path_end,
            Kind::Raw => separates(*byte) || ends_raw(*byte) || matches!(byte, b'`' | b'('),
        });
        match separator.and_then(|at| Some((before.get(at)?, before.get(at + 1..)?))) {
            Some((b' ' | b'`' | b'(', name)) => Some((name, Opened::Text)),
            Some((byte, name)) => (*byte == b'"' || !ends_raw(*byte)).then_some((name, Opened::Url)),
            None if self.opens => Some((before, Opened::Url)),
            None => (self.kind == Kind::Raw && self.from == 0).then_some((before, Opened::Text)),
        }
    }

    /// Where the value ends that starts at that place, behind a `=` of that depth.
    fn value_end(&self, start: usize, depth: usize) -> usize {
        let mut at = start;
        while let Some(sign) = self.sign(at) {
            if self.ends(sign, at, depth) && !(sign.means == b';' && self.goes_on(at + sign.length, depth)) {
                break;
            }
            at += sign.length;
        }
        at
    }

    /// Whether a value of that depth ends at that sign.
    fn ends(&self, sign: Sign, at: usize, depth: usize) -> bool {
        let separates = match sign.means {
            b'&' | b';' | b'#' => true,
            b'/' | b'?' => sign.depth == 0 && self.in_path(at),
            _ => false,
        };
        separates && sign.depth <= depth || self.is_raw_end(at)
    }

    /// Whether the place is in the path, or the first behind it.
    fn in_path(&self, at: usize) -> bool {
        matches!(self.kind, Kind::Url { path_end } if path_end > 0 && at <= path_end)
    }

    fn is_raw_end(&self, at: usize) -> bool {
        self.kind == Kind::Raw && self.text.get(at).is_some_and(|byte| ends_raw(*byte))
    }

    /// Whether the piece behind a `;` is no parameter, but more of the value.
    fn goes_on(&self, start: usize, depth: usize) -> bool {
        let mut at = start;
        while let Some(sign) = self.sign(at).filter(|sign| !self.ends(*sign, at, depth)) {
            if sign.means == b'=' {
                return false;
            }
            at += sign.length;
        }
        at > start
    }
}

/// What a name may follow, wherever it stands.
fn separates(byte: u8) -> bool {
    matches!(byte, b'?' | b'&' | b';' | b'#')
}

/// What no URL holds.
fn ends_raw(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..=b' ' | 0x7f)
}
