//! What keeps a receiver from running.

use std::io;
use std::path::PathBuf;

/// A receiver could not be installed, started or read.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// No folder for what is installed.
    #[error("there is no cache folder: set MESHWARDEN_CACHE, XDG_CACHE_HOME or HOME")]
    NoCache,
    /// A file.
    #[error("'{path}': {source}")]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program that did not start.
    #[error("'{program}' could not be started: {source} (is it installed and in PATH?)")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A program that failed.
    #[error("'{command}' failed ({status}): {said}")]
    Failed {
        /// The command line.
        command: String,
        /// Its exit status.
        status: String,
        /// What it wrote.
        said: String,
    },
    /// rsyslog is missing and cannot be installed.
    #[error("rsyslogd is not installed, and only root can install it: apt-get install rsyslog")]
    NoRsyslog,
    /// A program that runs, but is not there in time.
    #[error("{what} did not happen within {seconds} s: {said}")]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
        /// What the program wrote.
        said: String,
    },
    /// A line that the receiver should not have written.
    #[error("a receiver wrote '{line}', which is no JSON: {source}")]
    Line {
        /// The line.
        line: String,
        /// Why.
        source: serde_json::Error,
    },
}

impl ReceiverError {
    /// An error about a file.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}
