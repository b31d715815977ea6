//! The JSON form of a finding, the same in the API, webhooks, NDJSON files and the state store.
//!
//! ```json
//! {"id","detection","version","title","severity","status","incident","entity":{…},"summary","first_seen","last_seen",
//!  "count","window":{"start","end"},"facts":{…},"attack":[…],"evidence":[log_id…],"runbook","note"?}
//! ```
//! Times are RFC 3339 in UTC with microseconds.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Entity, Finding};
use crate::window::{Window, WindowError};

/// A finding on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FindingJson {
    id: String,
    detection: String,
    version: i64,
    title: String,
    severity: String,
    status: String,
    incident: String,
    entity: Entity,
    summary: String,
    first_seen: String,
    last_seen: String,
    count: i64,
    window: WindowJson,
    facts: BTreeMap<String, Value>,
    attack: Vec<String>,
    evidence: Vec<String>,
    runbook: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct WindowJson {
    start: String,
    end: String,
}

/// A JSON text that is no finding.
#[derive(Debug, thiserror::Error)]
pub enum FindingJsonError {
    /// A time that is not RFC 3339.
    #[error("'{field}' is '{value}', which is not an RFC 3339 time")]
    Time {
        /// The key.
        field: &'static str,
        /// Its value.
        value: String,
    },
    /// A word that is no severity.
    #[error(transparent)]
    Severity(#[from] super::ParseSeverityError),
    /// A word that is no status.
    #[error(transparent)]
    Status(#[from] super::ParseStatusError),
    /// A window that ends before it starts.
    #[error(transparent)]
    Window(#[from] WindowError),
}

/// RFC 3339 in UTC with microseconds and `Z`.
#[must_use]
pub fn time_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn time(field: &'static str, value: &str) -> Result<DateTime<Utc>, FindingJsonError> {
    DateTime::parse_from_rfc3339(value)
        .map(|time| time.with_timezone(&Utc))
        .map_err(|_| FindingJsonError::Time { field, value: value.to_owned() })
}

impl From<&Finding> for FindingJson {
    fn from(finding: &Finding) -> Self {
        // taken apart field by field: a new field breaks the build here
        let Finding {
            id,
            detection,
            version,
            title,
            severity,
            status,
            incident,
            entity,
            summary,
            first_seen,
            last_seen,
            count,
            window,
            facts,
            attack,
            evidence,
            runbook,
            note,
        } = finding;
        Self {
            id: id.clone(),
            detection: detection.clone(),
            version: *version,
            title: title.to_string(),
            severity: severity.to_string(),
            status: status.to_string(),
            incident: incident.clone(),
            entity: entity.clone(),
            summary: summary.clone(),
            first_seen: time_text(*first_seen),
            last_seen: time_text(*last_seen),
            count: *count,
            window: WindowJson { start: time_text(window.start_time()), end: time_text(window.end_time()) },
            facts: facts.clone(),
            attack: attack.to_vec(),
            evidence: evidence.clone(),
            runbook: runbook.to_string(),
            note: note.clone(),
        }
    }
}

impl TryFrom<FindingJson> for Finding {
    type Error = FindingJsonError;

    fn try_from(wire: FindingJson) -> Result<Self, Self::Error> {
        let FindingJson {
            id,
            detection,
            version,
            title,
            severity,
            status,
            incident,
            entity,
            summary,
            first_seen,
            last_seen,
            count,
            window,
            facts,
            attack,
            evidence,
            runbook,
            note,
        } = wire;
        Ok(Self {
            id,
            detection,
            version,
            title: title.into(),
            severity: severity.parse()?,
            status: status.parse()?,
            incident,
            entity,
            summary,
            first_seen: time("first_seen", &first_seen)?,
            last_seen: time("last_seen", &last_seen)?,
            count,
            window: Window::between(time("window.start", &window.start)?, time("window.end", &window.end)?)?,
            facts,
            attack: attack.into(),
            evidence,
            runbook: runbook.into(),
            note,
        })
    }
}
