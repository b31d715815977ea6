//! What every handler is given: the core and what surrounds it. Cheap to clone.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use query::Core;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::config::HttpConfig;
use super::metrics::{DeliveryCount, Metrics};
use super::problem::Problem;
use crate::clock::Clock;
use crate::detect_loop::Detector;
use crate::intake::Intake;

/// What every handler is given.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

type Ids = Arc<dyn Fn() -> String + Send + Sync>;
type Deliveries = Arc<dyn Fn() -> Vec<DeliveryCount> + Send + Sync>;

#[derive(Clone)]
struct Inner {
    detector: Detector,
    config: Arc<HttpConfig>,
    ids: Ids,
    deliveries: Deliveries,
    ingests: Arc<Semaphore>,
    queries: Arc<Semaphore>,
    phase: Arc<watch::Sender<Phase>>,
}

/// Bytes that one unit of a place among the ingests stands for.
const UNIT: u64 = 64 << 10;

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).max(1)
}

/// The units of the largest body.
fn whole(config: &HttpConfig) -> u32 {
    // a semaphore has room for 2^61 of them
    units(config.max_body_bytes)
}

/// Where the program is in its life, as `/readyz` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Rows accepted earlier may not be queryable yet.
    Starting,
    /// Every accepted row is queryable.
    Ready,
    /// No new connections; requests under way are answered.
    Draining,
}

impl AppState {
    /// The state of a program that is starting: [`super::serve()`] makes it ready.
    #[must_use]
    pub fn new(detector: Detector, config: HttpConfig) -> Self {
        Self(Arc::new(Inner {
            detector,
            ids: Arc::new(|| uuid::Uuid::new_v4().to_string()),
            deliveries: Arc::new(Vec::new),
            ingests: Arc::new(Semaphore::new(config.ingests.max(1) * whole(&config) as usize)),
            queries: Arc::new(Semaphore::new(config.queries.max(1))),
            phase: Arc::new(watch::Sender::new(Phase::Starting)),
            config: Arc::new(config),
        }))
    }

    /// The same with another source of request ids; a test fixes them.
    #[must_use]
    pub fn with_ids(self, ids: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { ids: Arc::new(ids), ..Inner::clone(&self.0) }))
    }

    /// The same with counts of deliveries for `/metrics`.
    #[must_use]
    pub fn with_deliveries(self, counts: impl Fn() -> Vec<DeliveryCount> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { deliveries: Arc::new(counts), ..Inner::clone(&self.0) }))
    }

    /// Says where the program is in its life.
    pub fn enter(&self, phase: Phase) {
        self.0.phase.send_replace(phase);
    }

    /// Where the program is in its life.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.phase.borrow()
    }

    /// Waits until no more lines are to be taken: for whoever would go on for ever.
    pub(crate) async fn draining(&self) {
        // the sender lives as long as this does
        let _ = self.0.phase.subscribe().wait_for(|phase| *phase == Phase::Draining).await;
    }

    /// Store, SQL, detections and findings.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        self.0.detector.core()
    }

    /// What brings the findings up to date.
    #[must_use]
    pub fn detector(&self) -> &Detector {
        &self.0.detector
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        self.0.detector.metrics()
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        self.0.detector.clock()
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock().now()
    }

    pub(crate) fn config(&self) -> &HttpConfig {
        &self.0.config
    }

    pub(crate) fn intake(&self) -> &Intake {
        self.0.detector.intake()
    }

    pub(crate) fn deliveries(&self) -> Vec<DeliveryCount> {
        (self.0.deliveries)()
    }

    /// An id that no other request has.
    pub(crate) fn id(&self) -> String {
        (self.0.ids)()
    }

    /// A place among the ingests for a body that may be as large as any.
    pub(crate) async fn place_to_ingest(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.place_for(None).await
    }

    /// A place among the ingests for what takes so many bytes of memory; `None`: nobody knows, or as many as any.
    pub(crate) async fn place_for(&self, bytes: Option<u64>) -> Result<OwnedSemaphorePermit, Problem> {
        let whole = whole(&self.0.config);
        let units = bytes.map_or(whole, |bytes| units(bytes).min(whole));
        self.place(&self.0.ingests, units, "ingests").await
    }

    /// A place among the queries.
    pub(crate) async fn place_to_query(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.place(&self.0.queries, 1, "queries").await
    }

    async fn place(
        &self,
        places: &Arc<Semaphore>,
        units: u32,
        of: &'static str,
    ) -> Result<OwnedSemaphorePermit, Problem> {
        let acquiring = Arc::clone(places).acquire_many_owned(units);
        match tokio::time::timeout(self.0.config.queue_timeout, acquiring).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Problem::unavailable(format!(
                "as many {of} as the server takes at once are running: try again in a few seconds"
            ))),
        }
    }
}

impl std::fmt::Debug for AppState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppState").field("config", &self.0.config).field("phase", &self.phase()).finish_non_exhaustive()
    }
}
