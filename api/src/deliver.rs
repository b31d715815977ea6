//! Deliveries: the findings' changes on their way to webhooks, syslog receivers and files.
//!
//! ```text
//!              ┌ worker "soc"     ─▶ webhook ─▶ egress ─▶ HTTPS
//! feed ─▶ outbox ┼ worker "siem"    ─▶ syslog  ─▶ egress ─▶ TCP
//!  (query)      └ worker "archive" ─▶ file               ─▶ disk
//! ```
//! Promises, for every sink that is configured: every change of at least its `min_severity` is delivered at least once, with
//! the same id over all retries and restarts; a receiver that is slow or down delays no other; what is given up is kept, listed
//! ([`Deliverer::failed`]) and can be replayed ([`Deliverer::replay`]). A sink's place in the feed belongs to its name: a sink
//! that is removed and configured again goes on where it was.
//!
//! Deliberately absent: other places than [`egress`] that connect to configured addresses; a clock.

mod backoff;
pub mod config;
pub mod egress;
mod events;
mod feed;
mod file;
mod json;
mod outbox;
mod sink;
mod syslog;
#[cfg(test)]
mod testing;
mod webhook;
mod worker;

pub use config::Config;
pub use events::{SinkStats, Stats};
pub use feed::{Feed, FeedError};
pub use outbox::{Failed, OutboxError};
pub use sink::OpenError;
pub use webhook::SecretError;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use config::Origin;
use events::Events;
use outbox::Outbox;
use sink::Sink;
use worker::Worker;

/// Deliveries could not be started.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The outbox.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// A sink.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// All sinks at work.
pub struct Deliverer {
    outbox: Outbox,
    clock: Arc<dyn Clock>,
    doors: Vec<Door>,
    stop: watch::Sender<bool>,
    workers: Mutex<JoinSet<()>>,
}

/// What is reached of a worker from outside.
struct Door {
    name: String,
    events: Arc<Events>,
    wake: Arc<Notify>,
}

impl Deliverer {
    /// Opens the outbox and every sink, and starts one worker per sink. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the outbox or a sink cannot be opened. A receiver that is down is no error: that is what the outbox is for.
    pub async fn start(
        config: Config,
        outbox: &Path,
        feed: Arc<dyn Feed>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DeliverError> {
        let outbox = Outbox::open(outbox).await?;
        let (stop, stopped) = watch::channel(false);
        let mut doors = Vec::new();
        let mut workers = Vec::new();
        for config in config.sinks.iter().cloned() {
            let sink = Sink::open(&config)?;
            let start = match config.from {
                Origin::Start => 0,
                Origin::End => *feed.newest().borrow(),
            };
            let place = outbox.register(&config.name, start).await?;
            let events = Arc::new(Events::new(&config.name, config.target.kind()));
            let wake = Arc::new(Notify::new());
            doors.push(Door { name: config.name.clone(), events: Arc::clone(&events), wake: Arc::clone(&wake) });
            workers.push((place, sink, config, events, wake));
        }
        // every sink is open: now nothing can fail any more, and no worker is started in vain
        let mut tasks = JoinSet::new();
        for (place, sink, sink_config, events, wake) in workers {
            let worker = Worker {
                backoff: sink.backoff(config.retry_scale),
                config: sink_config,
                sink,
                outbox: outbox.clone(),
                feed: Arc::clone(&feed),
                clock: Arc::clone(&clock),
                events,
                wake,
                stop: stopped.clone(),
            };
            tasks.spawn(worker.run(place));
        }
        Ok(Self { outbox, clock, doors, stop, workers: Mutex::new(tasks) })
    }

    /// Starts nothing new, waits up to 5 s for the attempts under way, records them and closes the outbox.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        while let Some(ended) = self.workers.lock().await.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a sink's worker died");
            }
        }
        self.outbox.close().await;
    }

    /// How every sink is doing, for `/metrics` and status pages.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { sinks: self.doors.iter().map(|door| door.events.stats()).collect() }
    }

    /// The newest deliveries that were given up, of all sinks, up to 1,000.
    ///
    /// # Errors
    /// If the outbox cannot be read.
    pub async fn failed(&self) -> Result<Vec<Failed>, OutboxError> {
        self.outbox.failed().await
    }

    /// Delivers a change again to every sink that gave it up. Returns the names of these sinks; one that is not configured any more
    /// gets it when it is again.
    ///
    /// # Errors
    /// If no sink gave it up, or the outbox cannot be written.
    pub async fn replay(&self, id: &str) -> Result<Vec<String>, OutboxError> {
        let sinks = self.outbox.replay(id, self.clock.now()).await?;
        for door in self.doors.iter().filter(|door| sinks.contains(&door.name)) {
            door.events.replayed(id);
            door.wake.notify_one();
        }
        Ok(sinks)
    }
}
