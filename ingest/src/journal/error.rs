//! Why a journal did not keep something.

use std::io;

use thiserror::Error;

/// Why a journal did not keep something.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The disk is full: nothing was kept; it may be sent again when there is room.
    #[error("the disk of the journal is full ({file} could not be written): free some space, or lower the retention")]
    Full {
        /// What was to be written.
        file: String,
    },
    /// The file system failed.
    #[error("the journal cannot {action} {file}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        file: String,
        /// Why not.
        source: io::Error,
    },
    /// A payload of more than 4 GiB.
    #[error("the payload has more than 4 GiB: send it in parts")]
    TooLong,
    /// Not a frame's payload as this version writes it.
    #[error("the journal's frame {sequence} is not understood ({reason}): was it written by a newer version?")]
    Foreign {
        /// The frame.
        sequence: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// Whoever was handed a frame did not take it.
    #[error("what the journal kept cannot be taken in again: {0}")]
    NotTaken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It was closed, or its thread ended.
    #[error("the journal is closed")]
    Closed,
}

impl JournalError {
    pub(super) fn io(action: &'static str, file: &str) -> impl Fn(io::Error) -> JournalError + use<> {
        let file = file.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => JournalError::Full { file: file.clone() },
            _ => JournalError::Io { action, file: file.clone(), source },
        }
    }
}
