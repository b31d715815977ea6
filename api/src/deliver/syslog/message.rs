//! One finding's change as an RFC 5424 message.
//!
//! ```text
//! <131>1 2026-11-23T17:00:00.000000Z mesh-prod meshwarden - opened [meshwarden@32473 id="…" …][entity@32473 source="…"] {"id":…}
//!  │   │ │                           │         │          │ │      │                         │                         │
//!  │   │ when the change happened    hostname  app-name   │ msgid: the change's kind         who it is about           the change
//!  │   version                                      procid: nil                                                         as JSON
//!  facility * 8 + severity
//! ```
//! Severity: critical 2, high 3, medium 4, low 5, info 6. The JSON is pure ASCII (everything else as `\uXXXX`), so there is
//! no question of encoding and no byte order mark; control characters in structured data are written the same way, so no
//! finding can forge a line. 32473 is the enterprise number for examples (RFC 5612): meshwarden has none of its own.
//! A message is kept within 8 KiB, which receivers take without being told (rsyslog's default): see `truncated` in the JSON.

use query::finding::json::time_text;
use query::finding::{Change, Severity};

use crate::deliver::json::{ChangeJson, within};

/// Largest message, bytes.
pub(super) const LIMIT: usize = 8192;

/// A syslog facility: 0 to 23.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facility(u8);

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

impl Default for Facility {
    /// `local4`.
    fn default() -> Self {
        Self(20)
    }
}

impl Facility {
    /// The facility of a name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let index = FACILITIES.iter().position(|facility| *facility == name)?;
        u8::try_from(index).ok().map(Self)
    }
}

/// The message for a change.
pub(super) fn of(change: &Change, facility: Facility, hostname: &str) -> Result<Vec<u8>, serde_json::Error> {
    within(change, LIMIT, |change, truncated| {
        let json = serde_json::to_string(&ChangeJson::new(change, truncated))?;
        let mut message = header(change, facility, hostname);
        message.push_str(&structured_data(change));
        message.push(' ');
        push_ascii(&mut message, &json);
        Ok(message.into_bytes())
    })
}

fn header(change: &Change, facility: Facility, hostname: &str) -> String {
    let severity = match change.finding.severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Info => 6,
    };
    let priority = u32::from(facility.0) * 8 + severity;
    format!("<{priority}>1 {} {hostname} meshwarden - {} ", time_text(change.at), change.kind.as_str())
}

fn structured_data(change: &Change) -> String {
    let finding = &change.finding;
    let mut text = String::from("[meshwarden@32473");
    param(&mut text, "change", &change.id);
    param(&mut text, "finding", &finding.id);
    param(&mut text, "detection", &finding.detection);
    param(&mut text, "severity", finding.severity.as_str());
    param(&mut text, "status", &finding.status.to_string());
    param(&mut text, "incident", &finding.incident);
    param(&mut text, "count", &finding.count.to_string());
    param(&mut text, "first_seen", &time_text(finding.first_seen));
    param(&mut text, "last_seen", &time_text(finding.last_seen));
    text.push(']');
    if !finding.entity.is_empty() {
        text.push_str("[entity@32473");
        for (name, value) in &finding.entity {
            param(&mut text, &param_name(name), value);
        }
        text.push(']');
    }
    text
}

/// ` name="value"`; `"`, `\` and `]` escaped with a backslash, control characters as `\uXXXX`.
fn param(text: &mut String, name: &str, value: &str) {
    text.push(' ');
    text.push_str(name);
    text.push_str("=\"");
    for letter in value.chars() {
        match letter {
            '"' | '\\' | ']' => text.extend(['\\', letter]),
            // the backslash of \uXXXX is a backslash in the value, so it is escaped itself
            letter if hidden(letter) => text.push_str(&format!("\\\\u{:04x}", u32::from(letter))),
            letter => text.push(letter),
        }
    }
    text.push('"');
}

/// Control characters, and characters that break or turn around a line on a screen.
fn hidden(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// 1 to 32 printable ASCII characters without `=`, space, `]` and `"`.
fn param_name(name: &str) -> String {
    let fits = |letter: char| letter.is_ascii_graphic() && !matches!(letter, '=' | ']' | '"');
    let name: String = name.chars().map(|letter| if fits(letter) { letter } else { '_' }).take(32).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

/// Appends a JSON text as pure ASCII. What is not ASCII can only stand inside of a string, where `\uXXXX` means the same.
fn push_ascii(text: &mut String, json: &str) {
    for letter in json.chars() {
        if letter.is_ascii() && !letter.is_ascii_control() {
            text.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            text.push_str(&format!("\\u{unit:04x}"));
        }
    }
}
