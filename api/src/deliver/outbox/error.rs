//! What can go wrong with the outbox.

use std::path::PathBuf;

use query::finding::json::FindingJsonError;

/// The outbox could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The file.
    #[error("the outbox '{path}' could not be opened: {source} (does its folder exist, may this user write there?)")]
    Open {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
    /// Written by a later release.
    #[error(
        "the outbox '{path}' has version {version}, which a newer meshwarden wrote: use that one, or move the file away"
    )]
    Newer {
        /// Its path.
        path: PathBuf,
        /// Its version.
        version: i64,
    },
    /// A statement.
    #[error("the outbox could not be read or written: {0}")]
    Sql(#[from] sqlx::Error),
    /// A row that holds no delivery.
    #[error("delivery '{id}' in the outbox cannot be read: {reason}")]
    Row {
        /// Its id.
        id: String,
        /// Why.
        reason: String,
    },
    /// A row whose finding is none.
    #[error("delivery '{id}' in the outbox holds no finding: {source}")]
    Finding {
        /// Its id.
        id: String,
        /// Why.
        source: FindingJsonError,
    },
    /// A finding's JSON.
    #[error("delivery '{id}' in the outbox: {source}")]
    Json {
        /// Its id.
        id: String,
        /// Why.
        source: serde_json::Error,
    },
    /// Nothing to replay.
    #[error("no delivery of change '{id}' has failed for good: list those that have")]
    NotDead {
        /// The change's id.
        id: String,
    },
}
