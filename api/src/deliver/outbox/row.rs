//! Rows of the outbox and what they mean.

use chrono::{DateTime, Utc};
use query::finding::json::FindingJson;
use query::finding::{Change, ChangeKind, Finding};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::OutboxError;

/// A delivery that waits.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::deliver) struct Pending {
    pub(in crate::deliver) change: Change,
    /// Attempts so far.
    pub(in crate::deliver) attempts: i64,
    pub(in crate::deliver) next_attempt: DateTime<Utc>,
}

/// A delivery that failed for good: a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Name of the sink.
    pub sink: String,
    /// Id of the change, which is the id of the delivery.
    pub id: String,
    /// Place of the change in the feed.
    pub seq: i64,
    /// What happened to the finding.
    pub kind: ChangeKind,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Attempts made.
    pub attempts: i64,
    /// Why the last one failed.
    pub last_error: String,
}

impl Pending {
    pub(super) fn from_row(row: &SqliteRow) -> Result<Self, OutboxError> {
        let id: String = row.try_get("id")?;
        let wire: FindingJson = serde_json::from_str(row.try_get("finding")?)
            .map_err(|source| OutboxError::Json { id: id.clone(), source })?;
        let finding = Finding::try_from(wire).map_err(|source| OutboxError::Finding { id: id.clone(), source })?;
        let change = Change {
            seq: row.try_get("seq")?,
            kind: kind(row, &id)?,
            at: time(row, "at", &id)?,
            finding,
            id: id.clone(),
        };
        Ok(Self { change, attempts: row.try_get("attempts")?, next_attempt: time(row, "next_attempt", &id)? })
    }
}

impl Failed {
    pub(super) fn from_row(row: &SqliteRow) -> Result<Self, OutboxError> {
        let id: String = row.try_get("id")?;
        Ok(Self {
            sink: row.try_get("sink")?,
            seq: row.try_get("seq")?,
            kind: kind(row, &id)?,
            at: time(row, "at", &id)?,
            attempts: row.try_get("attempts")?,
            last_error: row.try_get::<Option<String>, _>("last_error")?.unwrap_or_default(),
            id,
        })
    }
}

fn kind(row: &SqliteRow, id: &str) -> Result<ChangeKind, OutboxError> {
    let name: String = row.try_get("kind")?;
    ChangeKind::from_name(&name)
        .ok_or_else(|| OutboxError::Row { id: id.to_owned(), reason: format!("'{name}' is no kind of change") })
}

fn time(row: &SqliteRow, column: &str, id: &str) -> Result<DateTime<Utc>, OutboxError> {
    let micros: i64 = row.try_get(column)?;
    DateTime::from_timestamp_micros(micros).ok_or_else(|| OutboxError::Row {
        id: id.to_owned(),
        reason: format!("'{column}' is {micros}, outside of time"),
    })
}
