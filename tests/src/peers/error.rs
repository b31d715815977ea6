//! What keeps a measurement from being made.

use std::io;
use std::path::PathBuf;

use super::options::USAGE;
use crate::receivers::ReceiverError;

/// A measurement could not be made, or would not be a fair one.
#[derive(Debug, thiserror::Error)]
pub enum PeersError {
    /// A flag that does not exist.
    #[error("unknown flag '{flag}'\n{USAGE}")]
    UnknownFlag {
        /// The flag.
        flag: String,
    },
    /// A flag at the end.
    #[error("{flag} takes a value\n{USAGE}")]
    NoValue {
        /// The flag.
        flag: String,
    },
    /// A value that its flag does not take.
    #[error("{flag} takes {takes}, not '{value}'\n{USAGE}")]
    WrongValue {
        /// The flag.
        flag: String,
        /// What was given.
        value: String,
        /// What it takes.
        takes: &'static str,
    },
    /// A program that could not be installed or run.
    #[error(transparent)]
    Program(#[from] ReceiverError),
    /// A file.
    #[error("'{path}': {source}")]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program that failed.
    #[error("{program} failed: {said}")]
    Failed {
        /// The program.
        program: String,
        /// Its last words.
        said: String,
    },
    /// A program that did not say what it measured.
    #[error("{program} should have written what it measured as JSON ({{\"seconds\", \"rows\"}}), but wrote '{said}'")]
    Said {
        /// The program.
        program: String,
        /// What it wrote.
        said: String,
    },
    /// A program that read something else than the others.
    #[error("{work}: {program} read {rows} rows of a file of {lines} lines, so its time says nothing")]
    Rows {
        /// The work.
        work: &'static str,
        /// The program.
        program: String,
        /// What it read.
        rows: u64,
        /// What there is.
        lines: u64,
    },
    /// `--child` with something else than this program gives itself.
    #[error("'--child {given}' is none of this program's own works")]
    Child {
        /// What was given.
        given: String,
    },
    /// arrow-json.
    #[error("arrow-json: {0}")]
    ArrowJson(#[from] arrow::error::ArrowError),
    /// The store.
    #[error(transparent)]
    Store(#[from] query::store::StoreError),
    /// The inflater.
    #[error(transparent)]
    Inflate(#[from] ingest::inflate::InflateError),
    /// meshwarden's own program is not there.
    #[error(
        "there is no '{path}': build it with `cargo build --release -p api`, or start this program by `cargo run --release -p tests --bin peers`"
    )]
    NoMeshwarden {
        /// Where it should be.
        path: PathBuf,
    },
}

impl PeersError {
    /// An error about a file.
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }

    pub(super) fn wrong(flag: &str, value: &str, takes: &'static str) -> Self {
        Self::WrongValue { flag: flag.to_owned(), value: value.to_owned(), takes }
    }
}
