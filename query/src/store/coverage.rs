//! Which columns each source really filled, summed over everything ever appended: what lets a detection say *blind*.
//!
//! ```text
//!  DIR/coverage/00000000000000004711.json      {"<source>": {…}, …}     the sums as of sequence 4711
//! ```
//! The file is written before the Delta commit whose `txn` names the same sequence number, and becomes the truth with it: counts
//! and the rows that they count change in one step. A file that no commit names is litter of a flush that failed.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use arrow::array::StringViewArray;
use ingest::{AccessLogBatch, Coverage};

use super::error::StoreError;
use super::folder;

/// Coverage by source.
pub(crate) type Sums = BTreeMap<String, Coverage>;

/// Which source a batch is from (a batch has one); `None` if it has no line.
pub(crate) fn source_of(batch: &AccessLogBatch) -> Option<&str> {
    [&batch.rows, &batch.rejects].into_iter().find_map(|rows| {
        let sources = rows.column_by_name("source")?.as_any().downcast_ref::<StringViewArray>()?;
        sources.iter().flatten().next()
    })
}

/// Sources kept apart; what comes from more of them is summed up as [`OTHERS`]: a sender can invent names without end.
const MAX_SOURCES: usize = 1000;
const OTHERS: &str = "(others)";

/// The source that a batch counts for: the id of a single request (`http/<uuid>`) is left off.
fn sender(source: &str) -> &str {
    match source.rsplit_once('/') {
        Some((sender, id)) if uuid::Uuid::try_parse(id).is_ok() => sender,
        _ => source,
    }
}

/// Adds one batch's coverage to its source.
pub(crate) fn add(sums: &mut Sums, source: &str, coverage: &Coverage) {
    let source = sender(source);
    let source = if sums.len() < MAX_SOURCES || sums.contains_key(source) { source } else { OTHERS };
    match sums.get_mut(source) {
        Some(sum) => sum.merge(coverage),
        None => {
            sums.insert(source.to_owned(), coverage.clone());
        }
    }
}

/// The sums as of `sequence` (nothing was ever flushed: empty).
pub(crate) fn load(folder: &Path, sequence: u64) -> Result<Sums, StoreError> {
    let path = file(folder, sequence);
    match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map_err(|source| StoreError::Coverage { path, source }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if sequence > 0 {
                tracing::warn!(path = %path.display(), "the coverage file is missing: sources count as unseen until they send again");
            }
            Ok(Sums::new())
        }
        Err(error) => Err(StoreError::io("read", path)(error)),
    }
}

/// Writes the sums as of `sequence`, to stable storage.
pub(crate) fn save(folder: &Path, sequence: u64, sums: &Sums) -> Result<(), StoreError> {
    let path = file(folder, sequence);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(StoreError::io("create folder", parent))?;
        folder::sync_folder(folder)?;
    }
    let text = serde_json::to_vec(sums).map_err(|source| StoreError::Coverage { path: path.clone(), source })?;
    folder::write_durably(&path, &text)
}

/// Removes the sums of all sequence numbers but `keep`. Leftovers do no harm, so failures are only logged.
pub(crate) fn forget_others(folder: &Path, keep: [u64; 2]) {
    let keep = keep.map(|sequence| file(folder, sequence));
    let entries = std::fs::read_dir(folder.join("coverage")).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(|path| !keep.contains(path)) {
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::debug!(path = %path.display(), %error, "an old coverage file stays");
        }
    }
}

fn file(folder: &Path, sequence: u64) -> PathBuf {
    folder.join("coverage").join(format!("{sequence:020}.json"))
}
