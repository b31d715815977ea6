//! Lines of JSON, written straight into one buffer.
//!
//! What a caller sent need not be UTF-8, and a line that is not would be a reject: whoever wants no row would only have to send such a header. So a text that is
//! none is written as Envoy writes it into a file of JSON, each of its bytes from 0x80 on as the character of that number.

use crate::shape::plain_until;

/// Lines that a message became: each ends with `\n`.
///
/// A record of two bytes may become a line of a thousand, and what is said once for many records stands in each of their lines. So whoever reads a stranger's
/// message says how much it may become; what is beyond that is not written, and [`Lines::is_over`] says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    bytes: Vec<u8>,
    count: u64,
    limit: usize,
    over: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Lines { bytes: Vec::new(), count: 0, limit: usize::MAX, over: false }
    }
}

impl Lines {
    /// None yet, and as many as there will be.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says how many bytes may be added to those that there are.
    pub fn allow(&mut self, more: usize) {
        self.limit = self.bytes.len().saturating_add(more);
    }

    /// Whether there were more lines than were allowed: then those that are here are not all.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The lines.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same, as a buffer of its own.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds lines as they are, with their ends.
    pub fn verbatim(&mut self, lines: &[u8]) {
        self.bytes.extend_from_slice(lines);
        if !lines.is_empty() && !lines.ends_with(b"\n") {
            self.bytes.push(b'\n');
        }
        self.count += memchr::memchr_iter(b'\n', self.bytes.get(self.bytes.len() - lines.len()..).unwrap_or_default())
            .count() as u64;
    }

    /// Takes all of them, and leaves none.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// All of them; none, if they are more than were allowed.
    #[must_use]
    pub fn whole(self) -> Option<Self> {
        (!self.over).then_some(self)
    }

    /// Adds a line of JSON.
    pub(super) fn object(&mut self, write: impl FnOnce(&mut Object<'_>)) {
        if self.is_full() {
            return;
        }
        self.bytes.push(b'{');
        write(&mut Object { out: &mut self.bytes, first: true });
        self.bytes.extend_from_slice(b"}\n");
        self.count += 1;
    }

    /// Whether nothing more is written: one line may lead beyond the limit, none begins there.
    fn is_full(&mut self) -> bool {
        self.over |= self.bytes.len() >= self.limit;
        self.over
    }

    /// Adds a line as it is. It has no line end in it, except perhaps at its end.
    pub(super) fn plain(&mut self, line: &[u8]) {
        if self.is_full() {
            return;
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
        self.count += 1;
    }

    /// Up to where there are lines, so that [`Lines::cut`] takes away what was added since.
    pub(super) fn mark(&self) -> (usize, u64) {
        (self.bytes.len(), self.count)
    }

    /// Takes away everything since the mark.
    pub(super) fn cut(&mut self, mark: (usize, u64)) {
        self.bytes.truncate(mark.0);
        self.count = mark.1;
    }
}

/// An object that is being written.
#[derive(Debug)]
pub(super) struct Object<'l> {
    out: &'l mut Vec<u8>,
    first: bool,
}

impl Object<'_> {
    /// A key that needs no escapes: one of ours.
    pub(super) fn key(&mut self, key: &'static str) {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A key of the sender's.
    pub(super) fn their_key(&mut self, key: &[u8]) {
        self.separate();
        text(self.out, key);
        self.out.push(b':');
    }

    fn separate(&mut self) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(b',');
        }
    }

    /// Members that are written already, without braces.
    pub(super) fn members(&mut self, members: &[u8]) {
        if !members.is_empty() {
            self.separate();
            self.out.extend_from_slice(members);
        }
    }

    /// A text; `null`, if it is empty.
    pub(super) fn text(&mut self, key: &'static str, value: &[u8]) {
        self.key(key);
        if value.is_empty() { self.null() } else { self.string(value) }
    }

    /// A number, or `null`.
    pub(super) fn number(&mut self, key: &'static str, value: Option<u64>) {
        self.key(key);
        match value {
            Some(value) => number(self.out, value),
            None => self.null(),
        }
    }

    /// What follows a key: a string.
    pub(super) fn string(&mut self, value: &[u8]) {
        text(self.out, value);
    }

    /// What follows a key: nothing.
    pub(super) fn null(&mut self) {
        self.out.extend_from_slice(b"null");
    }

    /// What follows a key: JSON that is written already.
    pub(super) fn json(&mut self, json: &[u8]) {
        self.out.extend_from_slice(json);
    }

    /// What follows a key: whatever it is that `write` appends.
    pub(super) fn with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(self.out);
    }

    /// What follows a key: an object.
    pub(super) fn object(&mut self, write: impl FnOnce(&mut Object<'_>)) {
        self.out.push(b'{');
        write(&mut Object { out: self.out, first: true });
        self.out.push(b'}');
    }

    /// The same, where writing may fail.
    pub(super) fn try_object<E>(&mut self, write: impl FnOnce(&mut Object<'_>) -> Result<(), E>) -> Result<(), E> {
        self.out.push(b'{');
        write(&mut Object { out: self.out, first: true })?;
        self.out.push(b'}');
        Ok(())
    }
}

/// Appends a string, quoted and escaped.
pub(super) fn text(out: &mut Vec<u8>, value: &[u8]) {
    if !value.is_ascii() && simdutf8::basic::from_utf8(value).is_err() {
        return text(out, value.iter().copied().map(char::from).collect::<String>().as_bytes());
    }
    out.push(b'"');
    let mut rest = value;
    loop {
        let (plain, special) = rest.split_at(plain_until(rest, 0));
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => {
                let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(other >> 4), digit(other & 15)]);
            }
        }
        rest = after;
    }
    out.push(b'"');
}

/// Appends a number.
pub(super) fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut from = digits.len();
    loop {
        from -= 1;
        if let Some(digit) = digits.get_mut(from) {
            *digit = b'0' + (value % 10) as u8;
        }
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(from..).unwrap_or_default());
}

/// Appends a time, given in seconds and nanoseconds since 1970, in quotes: the form that Envoy writes. `null`, if it is none of the years 1970 to 9999.
pub(super) fn time(out: &mut Vec<u8>, seconds: i64, nanos: i64) {
    let micros = seconds.checked_mul(1_000_000).and_then(|micros| micros.checked_add(nanos / 1000));
    match micros.and_then(crate::time::written) {
        Some(text) => {
            out.push(b'"');
            out.extend_from_slice(&text);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn texts_are_what_a_json_parser_reads() {
        let all: String = (0..0x250).filter_map(char::from_u32).collect();
        for value in
            ["", "a", "a\"b", "\\", "\u{0}\u{1f}\u{7f}", "é\n\r\t", &all, &"x".repeat(40), &format!("{all}{all}")]
        {
            let mut out = Vec::new();
            text(&mut out, value.as_bytes());
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), value);
            assert!(out.iter().all(|byte| *byte >= 0x20));
        }
    }

    #[test]
    fn bytes_that_are_no_text_become_one() {
        let mut out = Vec::new();
        text(&mut out, b"caf\xc3\xa9 \xff\xfe \"");
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), "caf\u{c3}\u{a9} \u{ff}\u{fe} \"");
    }

    #[test]
    fn numbers_and_times() {
        for value in [0, 9, 10, 99, 100, 1_234_567_890, u64::MAX] {
            let mut out = Vec::new();
            number(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
        for (seconds, nanos, text) in [
            (1_795_358_364, 727_123_999, "\"2026-11-22T14:39:24.727123Z\""),
            (0, 0, "\"1970-01-01T00:00:00.000000Z\""),
            (-1, 0, "null"),
            (i64::MAX, i64::MAX, "null"),
            (253_402_300_800, 0, "null"),
        ] {
            let mut out = Vec::new();
            time(&mut out, seconds, nanos);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn objects() {
        let mut lines = Lines::new();
        lines.object(|line| {
            line.text("a", b"x");
            line.text("b", b"");
            line.number("c", Some(7));
            line.number("d", None);
            line.their_key(b"e\"");
            line.object(|inner| inner.text("f", b"g"));
        });
        let mark = lines.mark();
        lines.plain(b"[x] y\n");
        assert_eq!(
            (lines.count(), lines.bytes()),
            (2, &b"{\"a\":\"x\",\"b\":null,\"c\":7,\"d\":null,\"e\\\"\":{\"f\":\"g\"}}\n[x] y\n"[..])
        );
        lines.cut(mark);
        assert_eq!(lines.count(), 1);
    }

    #[test]
    fn no_more_than_is_allowed() {
        let mut lines = Lines::new();
        lines.plain(b"before");
        lines.allow(10);
        for _ in 0..1000 {
            lines.plain(b"1234567");
            lines.object(|line| line.text("a", b"b"));
        }
        // the second line is the one that leads beyond
        assert_eq!((lines.count(), lines.is_over()), (3, true));
        assert_eq!(lines.whole(), None);
        let mut lines = Lines::new();
        lines.allow(10);
        lines.plain(b"1234567");
        lines.plain(b"1234567");
        assert_eq!(lines.whole().map(|lines| lines.count()), Some(2));
    }
}
