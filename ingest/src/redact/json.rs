//! A JSON text: its strings as URLs, and every string under a sensitive key.
//!
//! ```text
//! {"url":"/?token=1","authorization":"Bearer x","auth":{"user":"a","tries":3},"n":1e400}
//!         /?token=[redacted]          [redacted]         [redacted]
//! ```
//! The text is passed over once, not parsed: numbers, blanks, and strings in which nothing is found stay byte for byte, keys as well as
//! values. A string that changes is written anew, so what was JSON still is.

use std::borrow::Cow;

use super::VALUE;
use super::names::Names;
use super::url_or_words;
use crate::fields::{is_null, push_json_string};
use crate::shape::plain_until;

/// The text without secrets.
pub(super) fn redact<'a>(json: &'a str, names: &Names) -> Cow<'a, str> {
    let bytes = json.as_bytes();
    let mut redacted = String::new();
    let mut kept = 0;
    let mut secret = Secret { next: false, depth: 0, within: None };
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let start = at;
        at += 1;
        if *byte != b'"' {
            if secret.next
                && let Some(end) = number_end(bytes, start)
            {
                at = end;
                redacted.push_str(json.get(kept..start).unwrap_or_default());
                push_json_string(&mut redacted, VALUE);
                kept = at;
                secret.next = false;
                continue;
            }
            secret.pass(*byte);
            continue;
        }
        at = string_end(bytes, at);
        let literal = json.get(start..at).unwrap_or_default();
        let new = if is_key(bytes, at) {
            let (key, new) = string(literal, names);
            secret.next = names.member(key.as_bytes());
            new
        } else if secret.here() {
            hidden(literal)
        } else {
            string(literal, names).1
        };
        if let Some(new) = new {
            redacted.push_str(json.get(kept..start).unwrap_or_default());
            redacted.push_str(&new);
            kept = at;
        }
    }
    if kept == 0 {
        return Cow::Borrowed(json);
    }
    redacted.push_str(json.get(kept..).unwrap_or_default());
    Cow::Owned(redacted)
}

/// Whether the next string is a secret.
struct Secret {
    /// The last key was sensitive, and its value has not ended.
    next: bool,
    depth: usize,
    /// The depth of an object or list that is the value of a sensitive key.
    within: Option<usize>,
}

impl Secret {
    fn here(&self) -> bool {
        self.next || self.within.is_some()
    }

    /// Passes over what is no string.
    fn pass(&mut self, byte: u8) {
        match byte {
            b'{' | b'[' => {
                self.depth += 1;
                if self.next && self.within.is_none() {
                    self.within = Some(self.depth);
                }
                self.next = false;
            }
            b'}' | b']' => {
                if self.within == Some(self.depth) {
                    self.within = None;
                }
                self.depth = self.depth.saturating_sub(1);
                self.next = false;
            }
            b',' => self.next = false,
            _ => {}
        }
    }
}

/// The place behind a number that begins there and is a member's whole value.
fn number_end(bytes: &[u8], start: usize) -> Option<usize> {
    // first, for it is cheap: what is behind a key may be a megabyte of blanks
    matches!(bytes.get(start), Some(b'0'..=b'9' | b'-')).then_some(())?;
    let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let (before, rest) = bytes.split_at_checked(start)?;
    let follows_key = before.iter().rev().find(|byte| !blank(byte)) == Some(&b':');
    let of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    let length = rest.iter().position(|byte| !of_number(byte)).unwrap_or(rest.len());
    let ends = rest.get(length..)?.iter().find(|byte| !blank(byte)).is_none_or(|byte| matches!(byte, b',' | b'}'));
    (follows_key && ends).then_some(start + length)
}

/// The place behind the closing quote.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    loop {
        at = plain_until(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            // a control character: no JSON, but not for us to say
            Some(_) => at += 1,
            None => return bytes.len(),
        }
    }
}

fn is_key(bytes: &[u8], end: usize) -> bool {
    let rest = bytes.get(end..).unwrap_or_default();
    rest.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) == Some(&b':')
}

/// What a string says without secrets, and its JSON text if that is another.
fn string<'a>(literal: &'a str, names: &Names) -> (Cow<'a, str>, Option<String>) {
    let Some(text) = decoded(literal) else { return (Cow::Borrowed(literal), hidden(literal)) };
    match url_or_words(&text, names) {
        Cow::Borrowed(_) => (text, None),
        Cow::Owned(redacted) => {
            let mut json = String::with_capacity(redacted.len() + 2);
            push_json_string(&mut json, &redacted);
            (Cow::Owned(redacted), Some(json))
        }
    }
}

/// `None` for a string that is no text, such as one with half of a surrogate pair: what it hides cannot be looked for.
fn decoded(literal: &str) -> Option<Cow<'_, str>> {
    match literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(text) if !text.contains('\\') => Some(Cow::Borrowed(text)),
        _ => serde_json::from_str(literal).ok().map(Cow::Owned),
    }
}

/// The placeholder instead of a secret, unless there is nothing to hide.
fn hidden(literal: &str) -> Option<String> {
    let text = literal.trim_matches('"');
    (text != VALUE && !is_null(text)).then(|| format!("\"{VALUE}\""))
}
