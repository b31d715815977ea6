//! What the service does with its tables while it runs: small files become large ones, rows whose time is over are deleted, and files that nobody
//! names any more are removed.
//!
//! Each step is carried through or leaves the tables as they were; one that fails is logged and tried again the next time.

use std::sync::Arc;
use std::time::Duration;

use query::Core;
use query::store::{Eagerness, Retention};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::detect_loop::with_causes;

/// How often it looks around.
const EVERY: Duration = Duration::from_secs(60);
/// How often rows may get too old: a day is deleted within these hours.
const RETAIN_EVERY: Duration = Duration::from_secs(6 * 3600);
/// How long a file stays that no table names, if nobody says otherwise: queries may still read it, and other processes that opened the table before.
pub(crate) const KEEP_OLD_FILES: Duration = Duration::from_secs(3600);

/// Runs until it is dropped.
pub(crate) async fn run(core: Arc<Core>, retention: Retention, keep_old_files: Duration, clock: Arc<dyn Clock>) {
    let store = core.store();
    let mut retain_at = Instant::now();
    loop {
        if Instant::now() >= retain_at {
            retain_at = Instant::now() + RETAIN_EVERY;
            match store.retain(&retention, clock.now()).await {
                Ok(tables) => tables.iter().filter(|table| table.deleted_files > 0).for_each(|table| {
                    let (rows, before, held) = (table.deleted_rows, table.before, table.held_rows);
                    tracing::info!(table = table.table, rows, %before, held, "rows whose time is over were deleted");
                }),
                Err(error) => tracing::error!(error = %with_causes(&error), "old rows could not be deleted"),
            }
        }
        loop {
            match store.compact(Eagerness::Steady, clock.now()).await {
                Ok(Some(done)) => {
                    tracing::debug!(table = done.table, files = done.files, rows = done.rows, "small files became one")
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(error = %with_causes(&error), "small files could not be made one");
                    break;
                }
            }
        }
        if let Err(error) = store.vacuum(keep_old_files).await {
            tracing::warn!(error = %with_causes(&error), "files that nobody needs could not be removed");
        }
        tokio::time::sleep(EVERY).await;
    }
}
