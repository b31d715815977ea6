//! What the service does with its tables while it runs: small files become large ones, rows whose time is over are deleted, and files that nobody
//! names any more are removed.
//!
//! Each commit is made whole or not at all, and a retention makes one for each file that it writes again: what fails, or is cut off by the end of the service,
//! leaves what was committed before it, is logged, and is tried again the next time.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use query::Core;
use query::store::{Eagerness, Retention};
use query::with_causes;
use tokio::time::Instant;

use crate::clock::Clock;

/// How often it looks around.
const EVERY: Duration = Duration::from_secs(60);
/// How often rows may get too old: a day is deleted within these hours.
const RETAIN_EVERY: Duration = Duration::from_secs(6 * 3600);
/// How long a file stays that no table names, if nobody says otherwise: queries may still read it, and other processes that opened the table before.
pub(crate) const KEEP_OLD_FILES: Duration = Duration::from_secs(3600);

/// How far the clock may be from where it should be.
const JUMP: TimeDelta = TimeDelta::hours(1);
/// How long the service may have stood still before its clock is doubted.
const STOOD_STILL: TimeDelta = TimeDelta::days(7);
/// How long a clock has to go on as it should until it is believed again.
const DOUBTED: Duration = Duration::from_secs(24 * 3600);

/// Whether the clock may say what is too old: a year's rows would be gone by one that jumps a year ahead.
#[derive(Debug)]
struct Trust {
    /// What the clock said, and after how long.
    last: (Duration, DateTime<Utc>),
    /// It is doubted until the service has run so long.
    until: Duration,
}

impl Trust {
    /// At the start; `written`: when rows were last written.
    fn new(written: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Self {
        let doubtful = written.is_some_and(|written| now - written > STOOD_STILL || written - now > JUMP);
        Self { last: (Duration::ZERO, now), until: if doubtful { DOUBTED } else { Duration::ZERO } }
    }

    /// After that long.
    fn holds(&mut self, running: Duration, now: DateTime<Utc>) -> bool {
        let (before, then) = std::mem::replace(&mut self.last, (running, now));
        let passed = TimeDelta::from_std(running.saturating_sub(before)).unwrap_or(TimeDelta::MAX);
        if ((now - then) - passed).abs() > JUMP {
            self.until = running + DOUBTED;
        }
        running >= self.until
    }
}

/// Runs until it is dropped.
pub(crate) async fn run(core: Arc<Core>, retention: Retention, keep_old_files: Duration, clock: Arc<dyn Clock>) {
    let store = core.store();
    let (mut retain_at, started) = (Instant::now(), Instant::now());
    let (mut trust, mut doubted) = (Trust::new(store.as_of(), clock.now()), false);
    loop {
        let trusted = trust.holds(started.elapsed(), clock.now());
        if !trusted && !doubted {
            tracing::warn!(now = %clock.now(), "the clock jumped, or the service stood still for long: nothing is deleted for a day");
        }
        doubted = !trusted;
        if trusted && Instant::now() >= retain_at {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_clock_that_jumps_deletes_nothing_for_a_day() {
        let at = |hours: i64| DateTime::UNIX_EPOCH + TimeDelta::hours(hours);
        let after = |hours: u64| Duration::from_secs(hours * 3600);
        let mut trust = Trust::new(Some(at(-24)), at(0));
        assert!(trust.holds(after(0), at(0)) && trust.holds(after(5), at(5)));
        // a year ahead, and back
        assert!(!trust.holds(after(6), at(8766)) && !trust.holds(after(29), at(8789)));
        assert!(trust.holds(after(30), at(8790)));
        assert!(!trust.holds(after(31), at(31)) && trust.holds(after(55), at(55)));
        // it stood still for a year, or its clock did; it is earlier than what it wrote
        for written in [at(-8766), at(2)] {
            let mut trust = Trust::new(Some(written), at(0));
            assert!(!trust.holds(after(0), at(0)) && !trust.holds(after(23), at(23)) && trust.holds(after(24), at(24)));
        }
        assert!(Trust::new(None, at(0)).holds(after(0), at(0)));
    }
}
