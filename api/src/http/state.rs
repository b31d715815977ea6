//! What every handler is given: the core and what surrounds it. Cheap to clone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use chrono::{DateTime, Utc};
use query::Core;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
    phase: Arc<AtomicU8>,
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
            ingests: Arc::new(Semaphore::new(config.ingests.max(1))),
            queries: Arc::new(Semaphore::new(config.queries.max(1))),
            phase: Arc::new(AtomicU8::new(Phase::Starting as u8)),
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
        self.0.phase.store(phase as u8, Ordering::Release);
    }

    /// Where the program is in its life.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let phase = self.0.phase.load(Ordering::Acquire);
        [Phase::Starting, Phase::Ready].into_iter().find(|known| *known as u8 == phase).unwrap_or(Phase::Draining)
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

    /// A place among the ingests.
    pub(crate) async fn place_to_ingest(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.place(&self.0.ingests, "ingests").await
    }

    /// A place among the queries.
    pub(crate) async fn place_to_query(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.place(&self.0.queries, "queries").await
    }

    async fn place(&self, places: &Arc<Semaphore>, of: &'static str) -> Result<OwnedSemaphorePermit, Problem> {
        match tokio::time::timeout(self.0.config.queue_timeout, Arc::clone(places).acquire_owned()).await {
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
