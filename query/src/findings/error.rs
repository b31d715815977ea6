//! What can go wrong with the findings' state.

/// The findings' state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FindingsError {
    /// SQLite said no.
    #[error("the findings' state cannot be used: {0}")]
    Sqlite(#[from] sqlx::Error),
    /// A stored finding could not be read back.
    #[error("a stored finding is not readable: {0}")]
    Json(#[from] serde_json::Error),
    /// A stored finding holds a value outside its type.
    #[error("a stored finding is not readable: {0}")]
    Value(#[from] crate::finding::json::FindingJsonError),
    /// The folder was written by a newer meshwarden.
    #[error("the findings' state has version {found}, this program reads up to {known}: use a newer meshwarden")]
    Newer {
        /// Version in the folder.
        found: i64,
        /// Version this program writes.
        known: i64,
    },
    /// The cursor is none of ours.
    #[error("'{0}' is no cursor: pass on the 'next' of the page before, unchanged")]
    Cursor(String),
}
