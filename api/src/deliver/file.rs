//! An archive on disk: NDJSON, appended, fsynced and rotated.
//!
//! ```text
//! findings.ndjson      {"id","kind","at","finding":{…}} LF      the current file
//! findings.ndjson.1                                             the newest rotated one
//! findings.ndjson.10                                            the oldest of `keep`
//! ```
//! A line is `Delivered` when it is on stable storage. Lines are whole and stand once: what a crash tore is cut off when the
//! file is opened again (its delivery is still in the outbox), and a line that was written while the outbox did not learn of it
//! any more is recognised by its id, the last one in the file. A file that somebody moved away or removed is noticed and made anew.
//!
//! | happening | verdict |
//! |---|---|
//! | written and fsynced | delivered |
//! | the disk is full, no permission, … | again later (in strict order, never given up) |

mod log;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use query::finding::Change;

use super::json::ChangeJson;
use super::sink::Verdict;
use log::Log;

/// Checked configuration.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) path: PathBuf,
    pub(crate) max_bytes: u64,
    pub(crate) keep: u32,
}

/// An archive, opened with the first delivery.
pub(crate) struct Sink {
    settings: Settings,
    log: Arc<Mutex<Option<Log>>>,
}

/// An attempt that failed.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("'{path}' could not be opened: {source} (does its folder exist, may this user write there?)")]
    Open { path: PathBuf, source: std::io::Error },
    #[error("'{path}' could not be written: {source}")]
    Write { path: PathBuf, source: std::io::Error },
}

impl Sink {
    /// Nothing is opened yet.
    pub(crate) fn open(settings: &Settings) -> Self {
        Self { settings: settings.clone(), log: Arc::default() }
    }

    /// One attempt.
    pub(crate) async fn deliver(&self, change: &Change, _now: DateTime<Utc>) -> Verdict {
        let line = match serde_json::to_vec(&ChangeJson::new(change, &[])) {
            Ok(json) => [json, b"\n".to_vec()].concat(),
            Err(error) => {
                let reason = format!("the finding could not be written as JSON: {error}");
                return Verdict::Rejected { reason, disable: false };
            }
        };
        let (settings, log, id) = (self.settings.clone(), Arc::clone(&self.log), change.id.clone());
        // fsync blocks
        match tokio::task::spawn_blocking(move || append(&settings, &log, &id, &line)).await {
            Ok(Ok(())) => Verdict::Delivered,
            Ok(Err(error)) => Verdict::retry(error.to_string()),
            Err(error) => Verdict::retry(format!("writing was cut short: {error}")),
        }
    }

    /// Lets go of the file.
    pub(crate) async fn close(&self) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Appends a line, unless it is the last one already.
fn append(settings: &Settings, log: &Mutex<Option<Log>>, id: &str, line: &[u8]) -> Result<(), FileError> {
    let mut place = log.lock().unwrap_or_else(PoisonError::into_inner);
    let path = || settings.path.clone();
    // taken out of its place: after an error the file is opened again, and with that repaired
    let mut log = match place.take().filter(|log| log.is_at(&settings.path)) {
        Some(log) => log,
        None => Log::open(&settings.path).map_err(|source| FileError::Open { path: path(), source })?,
    };
    if log.last_id() != Some(id) {
        if log.len() > 0 && log.len().saturating_add(line.len() as u64) > settings.max_bytes {
            log = log
                .rotate(&settings.path, settings.keep)
                .map_err(|source| FileError::Write { path: path(), source })?;
        }
        log.append(id, line).map_err(|source| FileError::Write { path: path(), source })?;
    }
    *place = Some(log);
    Ok(())
}
