//! The header of a detection: TOML between `/* ---` and `--- */` at the top of its `.sql` file.
//!
//! ```sql
//! /* ---
//! id = "authz.denied-spike"          # lower-case words, dots and dashes
//! version = 1                        # part of a finding's id: raise it when the meaning changes
//! title = "Spike of denied requests on one edge"
//! severity = "high"                  # info | low | medium | high | critical
//! window = "5m"                      # windows tile event time: 30s, 5m, 1h, 1d
//! lookback = "1h"                    # optional: how much earlier time the SQL reads, whole windows
//! entity = ["source", "destination"] # output columns that say who it is about
//! summary = "{source} was denied {count} times by {destination}"
//! requires = ["rbac_decision"]       # columns without which it is blind; "a | b": without both
//! reporters = ["destination"]        # optional: whose lines it reads; without one of them in a log it is blind
//! reads_query = true                 # optional: it reads query strings, which the recommended format logs only with --with-query
//! signals = ["denied"]               # optional: only windows with such rows are looked at, and only such rows are read
//! attack = ["T1046"]                 # MITRE ATT&CK techniques
//! false_positives = "…"
//! runbook = "…"
//! [degraded]                         # optional: column = what is not seen without it
//! source_principal = "sources are addresses, not identities"
//! [params]                           # optional: whole numbers bound as $name
//! floor = 20
//! --- */
//! SELECT …
//! ```
//! Unknown keys are refused. The SQL sees `$window_start`, `$window_end` and `$lookback_start` (timestamps) and `$name` of every parameter.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::finding::Severity;

/// A header, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Unique id, such as `authz.denied-spike`.
    pub id: String,
    /// Part of a finding's id.
    pub version: i64,
    /// A few words.
    pub title: Arc<str>,
    /// Severity of its findings.
    pub severity: Severity,
    /// Length of a window.
    pub window: Duration,
    /// How far before the window the SQL reads: a multiple of `window`, maybe zero.
    pub lookback: Duration,
    /// Output columns that say who a hit is about.
    pub entity: Vec<String>,
    /// One sentence with `{column}` in it.
    pub summary: String,
    /// Columns without which it sees nothing.
    pub requires: Vec<String>,
    /// Column → what is not seen where logs do not carry it.
    pub degraded: BTreeMap<String, String>,
    /// Whose lines it reads: values of the column `reporter`, and [`UNKNOWN`] for a null; empty: everybody's.
    pub reporters: Vec<String>,
    /// It reads the query strings of paths, which a format may leave out while it carries the column.
    pub reads_query: bool,
    /// Mask over the `signals` column: rows without any of these bits are never read. 0 = every row.
    pub signals: i64,
    /// MITRE ATT&CK technique ids.
    pub attack: Arc<[String]>,
    /// When it is wrong.
    pub false_positives: String,
    /// What to do about a finding.
    pub runbook: Arc<str>,
    /// Whole numbers bound as `$name`.
    pub params: BTreeMap<String, i64>,
}

impl Header {
    /// Window length in µs.
    #[must_use]
    pub fn window_micros(&self) -> i64 {
        i64::try_from(self.window.as_micros()).unwrap_or(i64::MAX)
    }

    /// Lookback in µs.
    #[must_use]
    pub fn lookback_micros(&self) -> i64 {
        i64::try_from(self.lookback.as_micros()).unwrap_or(i64::MAX)
    }
}

/// Among the reporters of a header: lines of which nobody knows who logged them.
pub const UNKNOWN: &str = "unknown";

/// A header that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// No header at the top.
    #[error("it does not begin with '/* ---' and a header that ends in '--- */'")]
    Missing,
    /// Not TOML, an unknown key, a missing key or a value of the wrong type.
    #[error("its header is not right: {0}")]
    Toml(String),
    /// A value outside its range.
    #[error("its header's {key} is '{value}': {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderToml {
    id: String,
    version: i64,
    title: String,
    severity: String,
    window: String,
    lookback: Option<String>,
    entity: Vec<String>,
    summary: String,
    requires: Vec<String>,
    #[serde(default)]
    degraded: BTreeMap<String, String>,
    #[serde(default)]
    reporters: Vec<String>,
    #[serde(default)]
    reads_query: bool,
    #[serde(default)]
    signals: Vec<String>,
    attack: Vec<String>,
    false_positives: String,
    runbook: String,
    #[serde(default)]
    params: BTreeMap<String, i64>,
}

/// Splits a `.sql` file into its checked header and its SQL.
///
/// # Errors
/// If the header is missing or not right.
pub fn parse(text: &str) -> Result<(Header, &str), HeaderError> {
    let rest = text.trim_start_matches('\u{feff}').trim_start().strip_prefix("/* ---").ok_or(HeaderError::Missing)?;
    let (toml, sql) = rest.split_once("--- */").ok_or(HeaderError::Missing)?;
    let wire: HeaderToml = toml::from_str(toml).map_err(|error| HeaderError::Toml(at_its_line(toml, &error)))?;
    Ok((Header::try_from(wire)?, sql))
}

/// What is wrong, with the line that it is wrong in.
fn at_its_line(toml: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| toml.get(..span.start)).unwrap_or_default();
    let line = toml.lines().nth(before.matches('\n').count()).unwrap_or_default().trim();
    if line.is_empty() { error.message().to_owned() } else { format!("{}, in '{line}'", error.message()) }
}

impl TryFrom<HeaderToml> for Header {
    type Error = HeaderError;

    fn try_from(wire: HeaderToml) -> Result<Self, HeaderError> {
        let HeaderToml {
            id,
            version,
            title,
            severity,
            window,
            lookback,
            entity,
            summary,
            requires,
            degraded,
            reporters,
            reads_query,
            signals,
            attack,
            false_positives,
            runbook,
            params,
        } = wire;
        let bad = |key, value: &str, expected| HeaderError::Value { key, value: value.to_owned(), expected };
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if id.is_empty() || !id.chars().all(word) {
            return Err(bad("id", &id, "use lower-case letters, digits, dots and dashes"));
        }
        if version < 1 {
            return Err(bad("version", &version.to_string(), "start at 1"));
        }
        let severity =
            severity.parse().map_err(|_| bad("severity", &severity, "use info, low, medium, high or critical"))?;
        let length = duration(&window).filter(|length| *length <= Duration::from_secs(86_400));
        let length = length.ok_or_else(|| bad("window", &window, "use a number and s, m, h or d, up to 1d"))?;
        let back = match &lookback {
            None => Duration::ZERO,
            Some(text) => duration(text)
                .filter(|back| back.as_secs() % length.as_secs() == 0 && *back <= Duration::from_secs(31 * 86_400))
                .ok_or_else(|| bad("lookback", text, "use a whole number of windows, up to 31d"))?,
        };
        for (key, columns) in [("requires", &requires), ("degraded", &degraded.keys().cloned().collect())] {
            let unknown = |column: &&String| alternatives(column).any(|column| ingest::schema::index(column).is_none());
            if let Some(column) = columns.iter().find(unknown) {
                return Err(bad(key, column, "it is no column of access_logs"));
            }
        }
        let unknown = |name: &&String| **name != UNKNOWN && !ingest::reporters().any(|known| known == **name);
        if let Some(name) = reporters.iter().find(unknown) {
            return Err(bad("reporters", name, "use source, destination, gateway, waypoint, ztunnel or unknown"));
        }
        if entity.is_empty() {
            return Err(bad("entity", "[]", "name at least one output column"));
        }
        let mut mask = 0;
        for name in &signals {
            mask |= ingest::schema::signals::by_name(name)
                .ok_or_else(|| bad("signals", name, "it is no signal of a row"))?;
        }
        let technique = |id: &str| {
            id.strip_prefix('T').is_some_and(|n| n.len() >= 4 && n.chars().all(|c| c.is_ascii_digit() || c == '.'))
        };
        if let Some(id) = attack.iter().find(|id| !technique(id)) {
            return Err(bad("attack", id, "use ATT&CK technique ids such as T1046 or T1071.001"));
        }
        if let Some(name) =
            params.keys().find(|name| ["window_start", "window_end", "lookback_start"].contains(&name.as_str()))
        {
            return Err(bad("params", name, "the engine binds that name itself"));
        }
        Ok(Self {
            id,
            version,
            title: title.into(),
            severity,
            window: length,
            lookback: back,
            entity,
            summary,
            requires,
            degraded,
            reporters,
            reads_query,
            signals: mask,
            attack: attack.into(),
            false_positives,
            runbook: runbook.into(),
            params,
        })
    }
}

/// The columns of one requirement, any of which will do: `transport_security | response_code_details`.
pub(crate) fn alternatives(column: &str) -> impl Iterator<Item = &str> {
    column.split('|').map(str::trim)
}

/// `30s`, `5m`, `1h`, `1d`: a whole, positive number of one unit.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
