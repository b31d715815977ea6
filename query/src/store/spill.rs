//! Moving rows of a store in passing from memory to disk, so that memory stays bounded; they are gone with the process.
//!
//! ```text
//!  freeze ─▶ write Parquet, quick to write ─▶ one lock section: memory out, file in
//! ```
//! No roll-ups, no Delta log, no coverage, nothing put on stable storage: the list of files is in memory alone. A failure leaves the frozen rows in memory,
//! queryable, and the next flush takes them along.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use super::cold;
use super::delta::Listing;
use super::error::StoreError;
use super::flush::Flushed;
use super::hot::Piece;
use super::state::{State, Which};

/// What it takes to write rows that pass.
#[derive(Debug)]
pub(crate) struct Spill {
    folder: PathBuf,
    /// Files written so far: a name is never used twice.
    files: u64,
}

impl Spill {
    /// To an empty folder.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, files: 0 }
    }

    /// Moves everything appended so far to disk.
    pub(crate) async fn flush(&mut self, state: &RwLock<State>) -> Result<Flushed, StoreError> {
        let (sequence, rejects, rows) = {
            let mut state = write(state);
            let sequence = state.sequence;
            (sequence, state.rejects.freeze(sequence), state.access_logs.freeze(sequence))
        };
        let (rejects, of_rejects) = self.move_to_disk(state, Which::Rejects, rejects, sequence).await?;
        let (rows, of_rows) = self.move_to_disk(state, Which::AccessLogs, rows, sequence).await?;
        Ok(Flushed { rows, rejects, edges: 0, bytes: of_rejects + of_rows, sequence, version: None })
    }

    /// Answers rows and bytes written.
    async fn move_to_disk(
        &mut self,
        state: &RwLock<State>,
        which: Which,
        pieces: Vec<Arc<Piece>>,
        sequence: u64,
    ) -> Result<(u64, u64), StoreError> {
        let (shape, mut files) = {
            let state = write(state);
            let table = which.of(&state);
            (Arc::clone(&table.shape), table.cold.as_ref().clone())
        };
        let mut written = (0, 0);
        if !pieces.is_empty() {
            self.files += 1;
            let (folder, name) = (self.folder.clone(), format!("{}-{}.parquet", shape.name, self.files));
            let file = tokio::task::spawn_blocking(move || {
                cold::write_passing(&folder, &name, &shape.schema, shape.time_column, &pieces)
            });
            let file = file.await.map_err(StoreError::Interrupted)??;
            written = (file.rows.unwrap_or(0), file.bytes);
            files.push(file);
        }
        which.of_mut(&mut write(state)).settle(Listing { files, version: None }, sequence);
        Ok(written)
    }
}

fn write(state: &RwLock<State>) -> RwLockWriteGuard<'_, State> {
    state.write().unwrap_or_else(PoisonError::into_inner)
}
