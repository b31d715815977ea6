//! Everything that happens to deliveries: one function per event, which writes its log line and moves its counters together.
//!
//! Labels are bounded: the configured sinks, and fixed outcomes.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

use super::feed::FeedError;
use super::outbox::{Counts, OutboxError};

/// How all sinks are doing. Counters count since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// In the order of the configuration.
    pub sinks: Vec<SinkStats>,
}

/// How one sink is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkStats {
    /// Its name.
    pub name: String,
    /// Its type: `webhook`, `syslog`, `file`.
    pub kind: &'static str,
    /// Counter: changes taken from the feed into the outbox.
    pub taken: u64,
    /// Counter: changes passed over because of `min_severity`.
    pub filtered: u64,
    /// Counter: attempts after which the receiver had it.
    pub delivered: u64,
    /// Counter: attempts that are made again.
    pub retried: u64,
    /// Counter: deliveries given up.
    pub rejected: u64,
    /// Gauge: deliveries that wait.
    pub pending: i64,
    /// Gauge: dead letters.
    pub dead: i64,
    /// Gauge: the last seq of the feed that was taken.
    pub place: i64,
    /// Gauge: the newest seq of the feed that the sink has heard of; `newest - place` is what it is behind.
    pub newest: i64,
    /// Whether the receiver wants no more until the next start.
    pub disabled: bool,
    /// Why the last failed attempt failed; none after one that succeeded.
    pub last_error: Option<String>,
}

/// One sink's log and counters.
#[derive(Debug, Default)]
pub(super) struct Events {
    sink: String,
    kind: &'static str,
    taken: AtomicU64,
    filtered: AtomicU64,
    delivered: AtomicU64,
    retried: AtomicU64,
    rejected: AtomicU64,
    pending: AtomicI64,
    dead: AtomicI64,
    place: AtomicI64,
    newest: AtomicI64,
    disabled: AtomicBool,
    last_error: Mutex<Option<String>>,
}

impl Events {
    pub(super) fn new(sink: &str, kind: &'static str) -> Self {
        Self { sink: sink.to_owned(), kind, ..Self::default() }
    }

    pub(super) fn stats(&self) -> SinkStats {
        SinkStats {
            name: self.sink.clone(),
            kind: self.kind,
            taken: self.taken.load(Relaxed),
            filtered: self.filtered.load(Relaxed),
            delivered: self.delivered.load(Relaxed),
            retried: self.retried.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            place: self.place.load(SeqCst),
            pending: self.pending.load(SeqCst),
            dead: self.dead.load(SeqCst),
            newest: self.newest.load(Relaxed),
            disabled: self.disabled.load(Relaxed),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn remember(&self, error: Option<&str>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error.map(str::to_owned);
    }

    /// The sink runs. Its place is told when the outbox was counted: before that, what is pending would seem to be nothing.
    pub(super) fn started(&self, place: i64) {
        tracing::info!(sink = self.sink, kind = self.kind, place, "sink started");
    }

    /// Attempts under way were left alone when stopping.
    pub(super) fn abandoned(&self, attempts: usize) {
        tracing::warn!(
            sink = self.sink,
            attempts,
            "stopped before the receiver answered, will be tried again after the next start"
        );
    }

    /// The sink has stopped.
    pub(super) fn stopped(&self) {
        tracing::info!(sink = self.sink, place = self.place.load(Relaxed), "sink stopped");
    }

    /// The feed has grown.
    pub(super) fn heard(&self, newest: i64) {
        self.newest.store(newest, Relaxed);
    }

    /// A page of the feed is in the outbox.
    pub(super) fn took(&self, place: i64, taken: usize, filtered: usize) {
        self.taken.fetch_add(taken as u64, Relaxed);
        self.filtered.fetch_add(filtered as u64, Relaxed);
        tracing::debug!(sink = self.sink, place, taken, filtered, "changes taken from the feed");
    }

    /// The outbox was counted. The place comes last: who sees it sees what was taken up to it as pending, too.
    pub(super) fn counted(&self, place: i64, counts: Counts) {
        self.pending.store(counts.pending, SeqCst);
        self.dead.store(counts.rejected, SeqCst);
        self.place.store(place, SeqCst);
    }

    /// The receiver has it.
    pub(super) fn delivered(&self, id: &str, attempts: i64) {
        self.delivered.fetch_add(1, Relaxed);
        self.remember(None);
        tracing::debug!(sink = self.sink, id, attempts, "delivered");
    }

    /// It will be tried again.
    pub(super) fn retried(&self, id: &str, attempts: i64, pause: Duration, reason: &str) {
        self.retried.fetch_add(1, Relaxed);
        self.remember(Some(reason));
        tracing::warn!(
            sink = self.sink,
            id,
            attempts,
            pause_s = pause.as_secs(),
            reason,
            "delivery failed, will be tried again"
        );
    }

    /// It will not be tried again.
    pub(super) fn rejected(&self, id: &str, attempts: i64, reason: &str) {
        self.rejected.fetch_add(1, Relaxed);
        self.remember(Some(reason));
        tracing::error!(sink = self.sink, id, attempts, reason, "delivery given up, it can be replayed");
    }

    /// The receiver wants no more.
    pub(super) fn disabled(&self, reason: &str) {
        self.disabled.store(true, Relaxed);
        tracing::error!(
            sink = self.sink,
            reason,
            "the receiver wants no more deliveries: sink stopped until the next start"
        );
    }

    /// The receiver is overloaded.
    pub(super) fn throttled(&self, pause: Duration) {
        tracing::warn!(sink = self.sink, pause_s = pause.as_secs(), "the receiver asked for a pause");
    }

    /// The receiver is back.
    pub(super) fn recovered(&self, waiting: u64) {
        tracing::info!(sink = self.sink, waiting, "the receiver is back, what waited is delivered now");
    }

    /// Dead letters get a new life.
    pub(super) fn replayed(&self, id: &str) {
        tracing::info!(sink = self.sink, id, "delivery replayed");
    }

    /// The feed does not know this place any more.
    pub(super) fn rewound(&self, place: i64) {
        tracing::warn!(
            sink = self.sink,
            place,
            "the findings' change feed does not reach this sink's place, so its state is another one than before: \
             starting from the beginning of the feed, receivers tell repeats by their ids"
        );
    }

    /// The feed could not be read.
    pub(super) fn feed_failed(&self, error: &FeedError) {
        tracing::error!(sink = self.sink, %error, "the feed could not be read, will be tried again");
    }

    /// The feed has ended.
    pub(super) fn feed_ended(&self) {
        tracing::warn!(sink = self.sink, "the feed tells of no more changes");
    }

    /// The outbox could not be read or written.
    pub(super) fn outbox_failed(&self, error: &OutboxError) {
        tracing::error!(sink = self.sink, %error, "the outbox could not be used, will be tried again");
    }
}
