//! A finding: a hit of a detection with an identity and a life.
//!
//! ```text
//! Detection ──hit(entity, window)──▶ Finding ──change──▶ feed ──▶ deliveries, API
//! ```
//!
//! Identity: the id is a hash of (detection, version, entity, window), so a repeated evaluation is an update and never a second
//! finding. Times are UTC microseconds of *event* time. [`json`] holds the one JSON form that API, webhooks, files and state share.

pub mod json;
mod severity;
mod status;

pub use severity::{ParseSeverityError, Severity};
pub use status::{ParseStatusError, Status};

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::window::Window;

/// Who a finding is about: the header's entity columns and their values, as whole strings
/// (`source` → `cluster.local/ns/bank/sa/reports`). A column that was null in the hit is `"unknown"`.
pub type Entity = BTreeMap<String, String>;

/// A hit of a detection with an identity and a life. What all findings of a detection say alike is held once.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Hash of (detection, version, entity, window): 32 hexadecimal digits.
    pub id: String,
    /// Id of the detection, such as `authz.denied-spike`.
    pub detection: String,
    /// Version of the detection that made it.
    pub version: i64,
    /// Title of the detection.
    pub title: Arc<str>,
    /// How bad it is.
    pub severity: Severity,
    /// Where it is in its life.
    pub status: Status,
    /// Id of the first finding of an unbroken run of windows of this detection and entity.
    pub incident: String,
    /// Who it is about.
    pub entity: Entity,
    /// One plain sentence.
    pub summary: String,
    /// Event time of the first row that made it.
    pub first_seen: DateTime<Utc>,
    /// Event time of the last row that made it.
    pub last_seen: DateTime<Utc>,
    /// Distinct access-log rows that made it, from one reporter only.
    pub count: i64,
    /// The window of event time it was found in.
    pub window: Window,
    /// What else the detection's SQL said about it.
    pub facts: BTreeMap<String, Value>,
    /// MITRE ATT&CK technique ids.
    pub attack: Arc<[String]>,
    /// `log_id` of up to 20 rows that made it, the earliest first.
    pub evidence: Vec<String>,
    /// What to do about it.
    pub runbook: Arc<str>,
    /// A person's note, set with `PATCH`; absent until then.
    pub note: Option<String>,
}

/// The id of a finding: SHA-256 over the length-prefixed parts, the first 16 bytes as hexadecimal digits.
#[must_use]
pub fn id(detection: &str, version: i64, entity: &Entity, window: Window) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        // the length in front keeps ("ab", "c") and ("a", "bc") apart
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(detection.as_bytes());
    part(&version.to_be_bytes());
    for (name, value) in entity {
        part(name.as_bytes());
        part(value.as_bytes());
    }
    part(&window.start().to_be_bytes());
    part(&window.end().to_be_bytes());
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What happened to a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// First seen.
    Opened,
    /// Count, facts, evidence, incident or a person's note changed.
    Updated,
    /// Late data took away what it stood on.
    Retracted,
    /// It was retracted and stands again, or a person opened it again.
    Reopened,
    /// A person has seen it.
    Acknowledged,
    /// A person is done with it.
    Closed,
}

impl ChangeKind {
    /// The stable name: `opened`, `updated`, `retracted`, `reopened`, `acknowledged`, `closed`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Updated => "updated",
            Self::Retracted => "retracted",
            Self::Reopened => "reopened",
            Self::Acknowledged => "acknowledged",
            Self::Closed => "closed",
        }
    }

    /// The kind of a stable name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Opened, Self::Updated, Self::Retracted, Self::Reopened, Self::Acknowledged, Self::Closed]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// One entry of the findings' change feed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Place in the feed: strictly growing, kept over restarts.
    pub seq: i64,
    /// Stable id of this change, the same in every delivery of it: `<finding id>-<revision>`.
    pub id: String,
    /// What happened.
    pub kind: ChangeKind,
    /// When it happened, wall time.
    pub at: DateTime<Utc>,
    /// The finding as it was after the change.
    pub finding: Finding,
}
