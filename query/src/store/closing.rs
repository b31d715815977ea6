//! What closing a store needs to know of the work that goes on beside flushes, and that work of the closing: a file that is being written again is given
//! up, so that the end does not wait for all of it, and nothing of it is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::error::StoreError;

/// Cheap to clone; clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Closing(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    closing: AtomicBool,
    /// Read by what writes files again, however many of it there are.
    at_work: Arc<RwLock<()>>,
}

impl Closing {
    /// Whether to go on.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.0.closing.load(Ordering::Acquire) { Err(StoreError::Closed) } else { Ok(()) }
    }

    /// Files are written again while the guard lives.
    pub(super) async fn begin(&self) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.0.at_work).read_owned().await
    }

    /// No file is being written again while the guard lives; waits for what is.
    pub(super) async fn alone(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.0.at_work).write_owned().await
    }

    /// As [`Self::alone`], but what is being written again is given up.
    pub(super) async fn close(&self) -> OwnedRwLockWriteGuard<()> {
        self.0.closing.store(true, Ordering::Release);
        self.alone().await
    }

    /// It did not close after all.
    pub(super) fn reopen(&self) {
        self.0.closing.store(false, Ordering::Release);
    }
}
