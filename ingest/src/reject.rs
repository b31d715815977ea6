//! Lines that could not be decoded. A reject is a row, too: with its reason, its place and its bytes.

use std::fmt;

/// The most bytes of a line over the bound that a reject keeps.
pub(crate) const SAMPLE_BYTES: usize = 64 << 10;

/// Why a line is a reject. The names ([`RejectReason::as_str`]) are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// Longer than `max_line_bytes`; or so long that journalctl left it out.
    LineTooLong,
    /// Not UTF-8. Envoy's JSON always is; its text format passes on a header's bytes and is then read as Latin-1.
    NotUtf8,
    /// Starts with `{` but is no JSON object.
    NotJson,
    /// JSON nested deeper than `max_nesting`.
    NestingTooDeep,
    /// JSON without a start time, or text of some other kind.
    NotAnAccessLog,
    /// The same, but with what only access logs of Envoy and ztunnel have: it may be one in a format that is not known here.
    UnknownFormat,
    /// The start time is no time, or not of the years 1970 to 9999; or a line of ztunnel's has none.
    BadTime,
    /// Starts like Istio's text format, but does not continue so, or its request could end in more than one place.
    BadTextFormat,
}

impl RejectReason {
    /// Every reason.
    pub const ALL: [RejectReason; 8] = [
        RejectReason::LineTooLong,
        RejectReason::NotUtf8,
        RejectReason::NotJson,
        RejectReason::NestingTooDeep,
        RejectReason::NotAnAccessLog,
        RejectReason::UnknownFormat,
        RejectReason::BadTime,
        RejectReason::BadTextFormat,
    ];

    /// The name in the column `reason`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            RejectReason::LineTooLong => "line_too_long",
            RejectReason::NotUtf8 => "not_utf8",
            RejectReason::NotJson => "not_json",
            RejectReason::NestingTooDeep => "nesting_too_deep",
            RejectReason::NotAnAccessLog => "not_an_access_log",
            RejectReason::UnknownFormat => "unknown_format",
            RejectReason::BadTime => "bad_time",
            RejectReason::BadTextFormat => "bad_text_format",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A line that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The line's number in its input, from 1; blank lines count.
    pub line: u64,
    /// Where the line starts, in bytes from the start of the inflated input.
    pub offset: u64,
    /// Why.
    pub reason: RejectReason,
    /// Why, for a person.
    pub detail: String,
    /// Bytes of the whole line, without its line end.
    pub length: u64,
    /// SHA-256 of the whole line, in hex.
    pub sha256: String,
    /// The line byte for byte; of a line over the bound its first 64 KiB.
    pub sample: Vec<u8>,
}

/// Whether a line that is no access log has words of one. What a proxy says about itself does not have them, but in debug logs.
pub(crate) fn has_words_of_access_logs(line: &[u8]) -> bool {
    const WORDS: [&str; 9] = [
        "rbac_access_denied",
        "via_upstream",
        "filter_chain_not_found",
        "policy rejection",
        "response_code",
        "inbound|",
        "outbound|",
        "PassthroughCluster",
        "BlackHoleCluster",
    ];
    WORDS.into_iter().any(|word| memchr::memmem::find(line, word.as_bytes()).is_some())
}

/// Why one line cannot be a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: RejectReason,
    pub(crate) detail: String,
}

impl Refusal {
    /// The same of a line with these bytes, which may make it another reason.
    pub(crate) fn of_line(mut self, line: &[u8]) -> Self {
        if self.reason == RejectReason::NotAnAccessLog && has_words_of_access_logs(line) {
            self.reason = RejectReason::UnknownFormat;
            self.detail.push_str(
                "; but it reads like an access log: --format-string, --mesh-config or --field tell which format it has",
            );
        }
        self
    }

    pub(crate) fn new(reason: RejectReason, detail: impl Into<String>) -> Self {
        Refusal { reason, detail: detail.into() }
    }
}

/// A value for an error message: short, whatever it is.
pub(crate) fn shown(value: &str) -> String {
    const MOST: usize = 80;
    let mut shown: String = value.chars().take(MOST).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    shown
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        // writing to a String cannot fail
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
