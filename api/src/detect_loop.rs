//! Keeps the findings up to the rows, and the rows on their way to disk.
//!
//! ```text
//!  rows came in ─▶ wake ─▶ (200 ms, more rows) ─▶ round of detection ─▶ findings + feed
//!  beside that, every 30 s (flush_seconds), or when much is in memory ─▶ flush
//!  GET /findings ─▶ catch_up ─▶ the same round, awaited
//! ```
//! A round runs in a task of its own: it takes the list of touched windows out of the core, and a caller that goes away half-way (a client
//! that hangs up) must not take that list with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use query::{Core, CoreError, with_causes};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::http::Metrics;
use crate::intake::Intake;

/// How long rows are gathered before a round.
const GATHER: Duration = Duration::from_millis(200);
/// How long after a failed round the next one is tried.
const RETRY: Duration = Duration::from_secs(5);
/// How often rows in memory are written to disk, however few they are, if nobody says otherwise.
pub(crate) const FLUSH_EVERY: Duration = Duration::from_secs(30);

/// Brings the findings up to date. Cheap to clone; clones are one.
#[derive(Clone)]
pub struct Detector(Arc<Inner>);

struct Inner {
    core: Arc<Core>,
    intake: Intake,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    rows_came: Notify,
    /// A flush that nobody waits for is under way.
    flushing: AtomicBool,
}

/// A round that could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CatchUpError {
    /// The core said no; the windows concerned are looked at again in the next round.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// The task ended before it was done.
    #[error("the round of detection was cut short")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl Detector {
    /// A detector over the core that this way in leads to.
    #[must_use]
    pub fn new(intake: Intake, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        let (core, rows_came) = (intake.core().clone(), Notify::new());
        Self(Arc::new(Inner { core, intake, clock, metrics, rows_came, flushing: AtomicBool::new(false) }))
    }

    /// The way in.
    #[must_use]
    pub fn intake(&self) -> &Intake {
        &self.0.intake
    }

    /// Store, SQL, detections and findings.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.0.core
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// Where the time comes from.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Rows came in: the loop looks at them soon. Every door that appends calls this.
    pub fn wake(&self) {
        self.0.rows_came.notify_one();
    }

    /// Brings the findings up to everything appended before this call. Waits for a round that is running. A detection that fails on a
    /// window is logged, counted, and tried again later, six times in all; the others' findings stand.
    ///
    /// # Errors
    /// If the findings' state cannot be written.
    pub async fn catch_up(&self) -> Result<(), CatchUpError> {
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move { inner.round().await }).await??;
        Ok(())
    }

    /// Runs until `shutdown`, then does one last round. Rows are on disk after `flush_every`, or before.
    pub async fn run(self, flush_every: Duration, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            () = self.rounds(shutdown) => {}
            // beside the rounds: those take as long as they take, and rows have to get to disk
            () = self.flushes(flush_every) => {}
        }
        self.round_or_log().await;
    }

    async fn rounds(&self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        // what a process before this one left over
        let mut retry_at = (!self.0.core.is_up_to_date()).then(Instant::now);
        loop {
            let retry = async {
                match retry_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut shutdown => break,
                () = self.0.rows_came.notified() => tokio::time::sleep(GATHER).await,
                () = retry => {}
            }
            self.round_or_log().await;
            retry_at = (!self.0.core.is_up_to_date()).then(|| Instant::now() + RETRY);
        }
    }

    async fn flushes(&self, every: Duration) {
        let mut turns = tokio::time::interval_at(Instant::now() + every, every);
        // one that took longer than that is no reason to hurry
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            self.flush().await;
        }
    }

    /// Writes the rows in memory to disk. A failure is logged and counted: the rows stay in memory, and the next flush takes them along.
    pub async fn flush(&self) {
        let inner = Arc::clone(&self.0);
        let flushed = tokio::spawn(async move { inner.core.flush().await }).await;
        match flushed {
            Ok(Ok(flushed)) => {
                if let Err(error) = self.0.intake.forget(flushed.sequence).await {
                    tracing::error!(error = %with_causes(&error), "the journal forgets nothing for now");
                }
                tracing::debug!(rows = flushed.rows, rejects = flushed.rejects, "rows are on disk");
            }
            Ok(Err(error)) => {
                self.0.metrics.flush_failed();
                tracing::error!(error = %with_causes(&error), "rows could not be written to disk: they stay in memory and are tried again");
            }
            Err(error) => tracing::error!(%error, "a flush was cut short"),
        }
    }

    /// Begins to write rows to disk if there is enough of them in memory; waits for it only if there is too much.
    pub(crate) async fn make_room(&self) {
        let store = self.0.core.store();
        if store.is_crowded() {
            self.flush().await;
        } else if store.wants_flush() && !self.0.flushing.swap(true, Ordering::AcqRel) {
            let detector = self.clone();
            tokio::spawn(async move {
                detector.flush().await;
                detector.0.flushing.store(false, Ordering::Release);
            });
        }
    }

    async fn round_or_log(&self) {
        if let Err(error) = self.catch_up().await {
            tracing::error!(error = %with_causes(&error), "a round of detection failed: its windows are tried again");
        }
    }
}

impl Inner {
    async fn round(&self) -> Result<(), CoreError> {
        let began = Instant::now();
        match self.core.detect(self.clock.now()).await {
            Ok(round) => {
                for failure in &round.failures {
                    let error = with_causes(&failure.error);
                    if failure.again {
                        tracing::warn!(error, "a detection failed on a window: it is tried again later");
                    } else {
                        tracing::error!(
                            error,
                            "a detection failed on a window six times: given up until new rows touch the window"
                        );
                    }
                }
                if round.windows > 0 {
                    self.metrics.detected(&round, began.elapsed());
                }
                Ok(())
            }
            Err(error) => {
                self.metrics.detect_failed();
                Err(error)
            }
        }
    }
}

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detector").finish_non_exhaustive()
    }
}
