//! Which characters an operator's value can have: what tells one value from the next in a text line.
//!
//! The classes say what Envoy writes, null included, and are trusted: a line is read in the one way in which every value
//! is of its class. So a class is as wide as any value that a caller could bring about.

use crate::address::{self, Address};
use crate::cluster::Cluster;
use crate::time_format::TimeFormat;

/// The class of an operator's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ValueClass {
    /// Up to 20 digits, or `-`: `%RESPONSE_CODE%`, `%BYTES_SENT%`, `%DURATION%`.
    Number,
    /// A time in the operator's form: `%START_TIME%`.
    Time(TimeFormat),
    /// Without blank, tab and double quote, not empty: names, hex, cluster names, TLS versions, what Envoy alone writes.
    Word,
    /// The same, of a format that separates values by `|`: with a `|` only a name as Istio makes them, which has three (`inbound|8080||`), and never just
    /// its first part. That a mesh has a cluster called `inbound` is not taken into account.
    Cluster,
    /// `-`, or names joined by commas: `%RESPONSE_FLAGS%`.
    Flags,
    /// `-`, an IP address with or without a port, `envoy://…`, or the path of a pipe.
    Address,
    /// `-` or `HTTP/…`.
    Protocol,
    /// A word, in old Envoys one with blanks inside its braces; never a double quote: `%RESPONSE_CODE_DETAILS%`.
    Details,
    /// `-`, or a JSON object or list: metadata.
    Json,
    /// Anything, also nothing: headers, the path, server names, certificate subjects; may hold quotes and blanks.
    Text,
}

/// Longest value of a number, flags or an address, in bytes. A pipe's path has at most 108.
const NUMBER_LENGTH: usize = 20;
const WORD_LENGTH: usize = 512;

impl ValueClass {
    /// Whether a value of the class can hold that byte.
    pub(crate) fn may_hold(&self, byte: u8) -> bool {
        match self {
            ValueClass::Number => byte.is_ascii_digit() || byte == b'-',
            ValueClass::Time(format) => format.may_hold(byte),
            ValueClass::Word | ValueClass::Cluster | ValueClass::Address => !matches!(byte, b' ' | b'\t' | b'"'),
            ValueClass::Flags => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b',' | b'-'),
            ValueClass::Protocol => byte.is_ascii_digit() || matches!(byte, b'-' | b'H' | b'T' | b'P' | b'/' | b'.'),
            ValueClass::Details => byte != b'"',
            ValueClass::Json | ValueClass::Text => true,
        }
    }

    /// Whether a value is of the class.
    pub(crate) fn accepts(&self, value: &str) -> bool {
        let bytes = value.as_bytes();
        match self {
            ValueClass::Number => is_number(bytes),
            ValueClass::Time(format) => format.accepts(value),
            ValueClass::Word => is_word(bytes),
            ValueClass::Cluster => is_word(bytes) && is_cluster(value),
            ValueClass::Flags => {
                let flag =
                    |flag: &[u8]| !flag.is_empty() && flag.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
                bytes == b"-" || (bytes.len() <= WORD_LENGTH && bytes.split(|byte| *byte == b',').all(flag))
            }
            ValueClass::Address => is_address(value),
            ValueClass::Protocol => matches!(value, "-" | "HTTP/1.0" | "HTTP/1.1" | "HTTP/2" | "HTTP/3"),
            ValueClass::Details => is_details(bytes),
            ValueClass::Json => value == "-" || json_end(value) == Some(value.len()),
            ValueClass::Text => true,
        }
    }

    /// Whether the bytes alone, and that there is one, decide ([`ValueClass::may_hold`]).
    pub(crate) fn is_alphabet(&self) -> bool {
        matches!(self, ValueClass::Word | ValueClass::Text)
    }

    /// Whether nothing is a value.
    pub(crate) fn may_be_empty(&self) -> bool {
        matches!(self, ValueClass::Text)
    }

    /// Longest value, bytes.
    pub(crate) fn longest(&self) -> usize {
        match self {
            ValueClass::Number => NUMBER_LENGTH,
            ValueClass::Time(format) => format.longest(),
            ValueClass::Flags | ValueClass::Address | ValueClass::Cluster => WORD_LENGTH,
            ValueClass::Protocol => "HTTP/1.1".len(),
            ValueClass::Word | ValueClass::Details | ValueClass::Json | ValueClass::Text => usize::MAX,
        }
    }
}

fn is_number(value: &[u8]) -> bool {
    value == b"-" || (!value.is_empty() && value.len() <= NUMBER_LENGTH && value.iter().all(u8::is_ascii_digit))
}

fn is_word(value: &[u8]) -> bool {
    !value.is_empty() && memchr::memchr3(b' ', b'\t', b'"', value).is_none()
}

fn is_cluster(value: &str) -> bool {
    match value.split_once('|') {
        Some(_) => !matches!(Cluster::parse(value), Cluster::Other),
        None => !matches!(value, "inbound" | "inbound-vip" | "outbound"),
    }
}

fn is_address(value: &str) -> bool {
    let named = value.starts_with(['/', '@']) || address::is_internal(value);
    let word = || value.len() <= WORD_LENGTH && memchr::memchr3(b' ', b'\t', b'"', value.as_bytes()).is_none();
    value == "-" || Address::parse(value).is_some() || (named && word())
}

fn is_details(value: &[u8]) -> bool {
    if value.is_empty() || memchr::memchr(b'"', value).is_some() {
        return false;
    }
    match memchr::memchr2(b' ', b'\t', value) {
        None => true,
        Some(blank) => memchr::memchr(b'{', value).is_some_and(|brace| brace < blank) && value.ends_with(b"}"),
    }
}

impl ValueClass {
    /// A value as many lines have it.
    pub(crate) fn usual(&self) -> &'static str {
        match self {
            ValueClass::Number => "200",
            // no form's own
            ValueClass::Time(_) => "",
            ValueClass::Word => "GET",
            ValueClass::Cluster | ValueClass::Flags => "-",
            ValueClass::Address => "10.0.0.1:80",
            ValueClass::Protocol => "HTTP/1.1",
            ValueClass::Details => "via_upstream",
            ValueClass::Json => "{}",
            ValueClass::Text => "curl",
        }
    }
}

/// Where the JSON object or list at the start of `text` ends.
pub(crate) fn json_end(text: &str) -> Option<usize> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    values.next()?.ok()?;
    Some(values.byte_offset())
}
