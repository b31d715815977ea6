//! One consistent cut through the store: every row appended before it, once, and none appended after it.

use std::sync::Arc;

use datafusion::catalog::TableProvider;

use super::provider::HotCold;
use super::span::may_overlap;
use super::table::Cut;
use crate::window::Window;

/// The tables at one instant. Cheap to make; keeps what it shows alive, whatever is appended and flushed meanwhile.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) access_logs: Cut,
    pub(crate) rejects: Cut,
    pub(crate) edges_1m: Cut,
    pub(crate) sequence: u64,
}

impl Snapshot {
    /// The table `access_logs`.
    #[must_use]
    pub fn access_logs(&self) -> Arc<dyn TableProvider> {
        Arc::new(HotCold(self.access_logs.clone()))
    }

    /// The table `rejects`.
    #[must_use]
    pub fn rejects(&self) -> Arc<dyn TableProvider> {
        Arc::new(HotCold(self.rejects.clone()))
    }

    /// The table `edges_1m`.
    #[must_use]
    pub fn edges_1m(&self) -> Arc<dyn TableProvider> {
        Arc::new(HotCold(self.edges_1m.clone()))
    }

    /// The part of `access_logs` that can hold rows of `window`: all of those, and others (filter by `time` all the same).
    #[must_use]
    pub fn access_logs_between(&self, window: Window) -> Arc<dyn TableProvider> {
        let Cut { shape, pieces, files } = &self.access_logs;
        Arc::new(HotCold(Cut {
            shape: Arc::clone(shape),
            pieces: pieces.iter().filter(|piece| may_overlap(piece.span, window)).cloned().collect(),
            files: Arc::new(files.iter().filter(|file| may_overlap(file.span, window)).cloned().collect()),
        }))
    }

    /// The last append that it shows.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}
