//! What can go wrong with the store, said to the person who runs it.
//!
//! Errors of the libraries underneath are kept as sources (`{:#}`-style printers show them); the text here says which folder,
//! which file, and what to do. The Delta crate's error type stays in [`super::delta`]: here it is a boxed source.

use std::path::PathBuf;

/// An error of a library below, kept for its text.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An error of the store. After any of them nothing is lost: rows that were not moved to disk are still in memory and queryable.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was being done, as a verb ("create folder").
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another process writes to this folder.
    #[error(
        "{} is in use by another meshwarden{holder}: only one may write to a folder; stop that one, or give this one a folder of its own",
        folder.display()
    )]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// " (process 4711)" if it could be found out, else empty.
        holder: String,
    },
    /// The folder was written by a newer version of this program.
    #[error(
        "{} has data format {found}, this meshwarden reads up to {known}: it was written by a newer version; upgrade this one (the data is untouched)",
        folder.display()
    )]
    NewerFormat {
        /// The folder.
        folder: PathBuf,
        /// The format that it declares.
        found: u64,
        /// The newest format that this program knows.
        known: u64,
    },
    /// The format file is there and makes no sense.
    #[error("{} does not say which data format this folder has: {reason}", path.display())]
    BadFormat {
        /// The format file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The place is not one where a store can be.
    #[error("cannot use {}: {reason}", data.display())]
    Location {
        /// What was named.
        data: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The object store refused, or could not be reached.
    #[error("cannot {action} {}", url.display())]
    Object {
        /// What was being done, as a verb ("write to").
        action: &'static str,
        /// To which part of which bucket.
        url: PathBuf,
        /// Why not.
        source: object_store::Error,
    },
    /// Nothing to read here.
    #[error("{} holds no meshwarden data (it has no meshwarden.json): check the path, or start a server on it first", folder.display())]
    NoData {
        /// The folder.
        folder: PathBuf,
    },
    /// A batch does not have the columns that the table has.
    #[error("these rows do not fit the table {table}: {reason}")]
    Schema {
        /// Which table.
        table: &'static str,
        /// The first difference.
        reason: String,
    },
    /// A write to a store that was opened for reading.
    #[error("this store was opened for reading only")]
    ReadOnly,
    /// A write to a store after `close`.
    #[error("this store is closed")]
    Closed,
    /// The Delta log could not be read or written.
    #[error("cannot {action} the Delta table in {}", folder.display())]
    Delta {
        /// What was being done, as a verb ("commit to").
        action: &'static str,
        /// The table's folder.
        folder: PathBuf,
        /// Why not.
        source: Cause,
    },
    /// The Delta log says something that this program would have to ignore to go on.
    #[error("the Delta table in {} cannot be read correctly: {reason}", folder.display())]
    Foreign {
        /// The table's folder.
        folder: PathBuf,
        /// What it says.
        reason: String,
    },
    /// Other writers of a bucket were first, each time.
    #[error("other writers committed to the Delta table in {} before this one could, {attempts} times", folder.display())]
    Contended {
        /// The table's folder.
        folder: PathBuf,
        /// How often it was tried.
        attempts: usize,
    },
    /// A Parquet file could not be written.
    #[error("cannot write the Parquet file {}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: parquet::errors::ParquetError,
    },
    /// Files could not be read, to be written again in another way.
    #[error("cannot write the files of {table} again")]
    Rewrite {
        /// Which table.
        table: &'static str,
        /// Why not.
        source: Cause,
    },
    /// Files hold other rows than the table says: nothing was changed.
    #[error(
        "files of {table} hold {found} rows where the table says {expected}: nothing was changed; `meshwarden store verify` says which"
    )]
    Miscounted {
        /// Which table.
        table: &'static str,
        /// As the table's log says.
        expected: u64,
        /// As they are.
        found: u64,
    },
    /// Rows could not be split, joined or sorted.
    #[error("cannot rearrange rows in memory")]
    Rows(#[from] arrow::error::ArrowError),
    /// The summed coverage could not be read or written.
    #[error("cannot understand the coverage file {}", path.display())]
    Coverage {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// No thread was to be had for background work, or it ended before it was done.
    #[error("background work of the store could not be done")]
    Thread(#[source] std::io::Error),
    /// Background work ended before it was done (the runtime is shutting down, or it panicked).
    #[error("background work of the store was cut short")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl StoreError {
    /// A closure for `map_err`: names the file and what was done to it.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
