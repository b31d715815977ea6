//! One task per sink, so that a slow receiver delays nobody else.
//!
//! ```text
//!          ┌────────────────────────── step ──────────────────────────┐
//! feed ───▶│ take a page ─▶ outbox ─▶ start what is due, up to `lanes` │──▶ wait: an answer · news · a due time · replay · stop
//!          └──────────────▲────────────────────────────────────────────┘                 │
//!                         └───────────────── settle: record, count ◀─────────────────────┘
//! ```
//! Memory is bounded by a page of the feed and the deliveries in flight; the outbox by [`MOST_PENDING`], beyond which changes stay
//! in the feed. Order: a sink with one lane delivers strictly in the feed's order, the head first whatever it takes; one with
//! more starts in the feed's order, never has two changes of one finding under way, and retries each on its own.
//! Stopping starts nothing new, waits up to five seconds for what is under way and records it. An attempt that was not recorded
//! (a kill between a receiver's yes and the record, a receiver that was still silent) is repeated with the same id: at least once.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{Notify, watch};

use super::backoff::Backoff;
use super::config::SinkConfig;
use super::events::Events;
use super::feed::Feed;
use super::outbox::{Next, Outbox, OutboxError, Pending};
use super::sink::{Sink, Verdict};
use crate::clock::Clock;

/// Changes read from the feed at once.
const PAGE: usize = 100;
/// Deliveries read from the outbox at once.
const DUE: i64 = 32;
/// Pending deliveries of a sink beyond which nothing more is taken from the feed.
const MOST_PENDING: i64 = 10_000;
/// Longest sleep, so that a clock that was set is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// How long stopping waits for the attempts under way.
const DRAIN: Duration = Duration::from_secs(5);
/// Pause after the feed or the outbox failed.
const TROUBLE: Duration = Duration::from_secs(2);

/// What one sink's task works with.
pub(super) struct Worker {
    pub(super) config: SinkConfig,
    pub(super) sink: Sink,
    pub(super) backoff: Backoff,
    pub(super) outbox: Outbox,
    pub(super) feed: Arc<dyn Feed>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) events: Arc<Events>,
    pub(super) wake: Arc<Notify>,
    pub(super) stop: watch::Receiver<bool>,
}

/// What changes while it works.
struct State {
    place: i64,
    /// The place is one that the feed knows.
    confirmed: bool,
    /// Nothing is read from the feed before.
    feed_rests_until: DateTime<Utc>,
    /// Nothing is started before: the receiver asked for it.
    sink_rests_until: DateTime<Utc>,
    /// The last answer was a failure, or there has been none.
    failing: bool,
    disabled: bool,
    /// (change, finding) of the deliveries under way.
    under_way: Vec<(String, String)>,
}

type Attempts<'a> = FuturesUnordered<BoxFuture<'a, (Pending, Verdict)>>;

impl Worker {
    /// Works until told to stop. `place` is the sink's place in the feed.
    pub(super) async fn run(self, place: i64) {
        self.events.started(place);
        let mut state = State {
            place,
            confirmed: place == 0,
            feed_rests_until: DateTime::<Utc>::MIN_UTC,
            sink_rests_until: DateTime::<Utc>::MIN_UTC,
            failing: true,
            disabled: false,
            under_way: Vec::new(),
        };
        let mut newest = self.feed.newest();
        let mut feed_ended = false;
        let mut stop = self.stop.clone();
        let mut attempts: Attempts<'_> = FuturesUnordered::new();
        loop {
            let news = *newest.borrow_and_update();
            let pause = self.step(&mut state, news, &mut attempts).await.unwrap_or_else(|error| {
                self.events.outbox_failed(&error);
                TROUBLE
            });
            tokio::select! {
                biased;
                () = told(&mut stop) => break,
                Some((pending, verdict)) = attempts.next() => self.settle(&mut state, &pending, verdict).await,
                changed = newest.changed(), if !feed_ended => {
                    if changed.is_err() {
                        feed_ended = true;
                        self.events.feed_ended();
                    }
                }
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause.min(LONGEST_SLEEP)) => {}
            }
        }
        let drained = tokio::time::timeout(DRAIN, async {
            while let Some((pending, verdict)) = attempts.next().await {
                self.settle(&mut state, &pending, verdict).await;
            }
        });
        if drained.await.is_err() {
            self.events.abandoned(attempts.len());
        }
        // an attempt under way may hold what close wants
        drop(attempts);
        self.sink.close().await;
        self.events.stopped();
    }

    /// Takes from the feed and starts what is due. Returns how long there is nothing more to do.
    async fn step<'a>(
        &'a self,
        state: &mut State,
        newest: i64,
        attempts: &mut Attempts<'a>,
    ) -> Result<Duration, OutboxError> {
        if state.disabled {
            return Ok(LONGEST_SLEEP);
        }
        let now = self.clock.now();
        self.events.heard(newest);
        let more = self.take(state, newest, now).await?;
        self.events.counted(state.place, self.outbox.counts(&self.config.name).await?);
        let due_in = self.start(state, now, attempts).await?;
        Ok(if more { Duration::ZERO } else { due_in.min(until(state.feed_rests_until, now).unwrap_or(LONGEST_SLEEP)) })
    }

    /// Moves one page of the feed into the outbox. Returns whether there is more.
    async fn take(&self, state: &mut State, newest: i64, now: DateTime<Utc>) -> Result<bool, OutboxError> {
        let name = &self.config.name;
        if now < state.feed_rests_until || (state.confirmed && newest <= state.place) {
            return Ok(false);
        }
        if self.outbox.counts(name).await?.pending >= MOST_PENDING {
            return Ok(false);
        }
        if !state.confirmed {
            match self.feed.changes_after(state.place - 1, 1).await {
                Ok(changes) => {
                    if changes.is_empty() {
                        self.events.rewound(state.place);
                        self.outbox.take(name, 0, &[], now).await?;
                        state.place = 0;
                    }
                    state.confirmed = true;
                }
                Err(error) => {
                    self.events.feed_failed(&error);
                    state.feed_rests_until = now + TROUBLE;
                    return Ok(false);
                }
            }
        }
        let changes = match self.feed.changes_after(state.place, PAGE as i64).await {
            Ok(changes) => changes,
            Err(error) => {
                self.events.feed_failed(&error);
                state.feed_rests_until = now + TROUBLE;
                return Ok(false);
            }
        };
        let Some(last) = changes.last() else { return Ok(false) };
        let wanted: Vec<_> =
            changes.iter().filter(|change| change.finding.severity >= self.config.min_severity).collect();
        self.outbox.take(name, last.seq, &wanted, now).await?;
        state.place = last.seq;
        self.events.took(last.seq, wanted.len(), changes.len() - wanted.len());
        Ok(changes.len() == PAGE)
    }

    /// Starts what is due while there are free lanes. Returns in how long the next delivery is due.
    async fn start<'a>(
        &'a self,
        state: &mut State,
        now: DateTime<Utc>,
        attempts: &mut Attempts<'a>,
    ) -> Result<Duration, OutboxError> {
        if let Some(rest) = until(state.sink_rests_until, now) {
            return Ok(rest);
        }
        let lanes = self.sink.lanes();
        if attempts.len() >= lanes {
            return Ok(LONGEST_SLEEP);
        }
        let name = &self.config.name;
        let (candidates, next) = if lanes == 1 {
            let head = self.outbox.head(name).await?;
            let next = head.as_ref().map(|pending| pending.next_attempt);
            (head.into_iter().filter(|pending| pending.next_attempt <= now).collect(), next)
        } else {
            (self.outbox.due(name, now, DUE).await?, self.outbox.next_attempt(name, now).await?)
        };
        for pending in candidates {
            let finding = pending.change.finding.id.clone();
            if state.under_way.iter().any(|(_, other)| *other == finding) {
                continue;
            }
            state.under_way.push((pending.change.id.clone(), finding));
            attempts.push(Box::pin(async move {
                let verdict = self.sink.deliver(&pending.change, self.clock.now()).await;
                (pending, verdict)
            }));
            if attempts.len() >= lanes {
                break;
            }
        }
        Ok(next.and_then(|next| until(next, now)).unwrap_or(LONGEST_SLEEP))
    }

    /// Records what became of an attempt.
    async fn settle(&self, state: &mut State, pending: &Pending, verdict: Verdict) {
        let id = pending.change.id.as_str();
        let attempts = pending.attempts + 1;
        let now = self.clock.now();
        let delivered = verdict == Verdict::Delivered;
        let next = match verdict {
            Verdict::Delivered => {
                self.events.delivered(id, attempts);
                Next::Delivered
            }
            Verdict::Retry { after, reason } => {
                if let Some(after) = after {
                    self.events.throttled(after);
                    state.sink_rests_until = state.sink_rests_until.max(later(now, after));
                }
                match self.backoff.pause(id, attempts) {
                    Some(pause) => {
                        let pause = pause.max(after.unwrap_or_default());
                        self.events.retried(id, attempts, pause, &reason);
                        Next::Again { at: later(now, pause), reason }
                    }
                    None => {
                        self.events.rejected(id, attempts, &reason);
                        Next::Rejected { reason }
                    }
                }
            }
            Verdict::Rejected { reason, disable } => {
                self.events.rejected(id, attempts, &reason);
                if disable && !state.disabled {
                    state.disabled = true;
                    self.events.disabled(&reason);
                    if let Err(error) = self.outbox.disable(&self.config.name, &reason).await {
                        self.events.outbox_failed(&error);
                    }
                }
                Next::Rejected { reason }
            }
        };
        self.record(id, &next).await;
        // only now: what is under way must not be read from the outbox as due
        state.under_way.retain(|(change, _)| change != id);
        if delivered && state.failing {
            match self.outbox.hurry(&self.config.name, now).await {
                Ok(0) => {}
                Ok(waiting) => self.events.recovered(waiting),
                Err(error) => self.events.outbox_failed(&error),
            }
        }
        state.failing = !delivered;
    }

    /// Writes to the outbox until it works: a delivery that is not recorded would be repeated.
    async fn record(&self, id: &str, next: &Next) {
        let mut stop = self.stop.clone();
        while let Err(error) = self.outbox.record(&self.config.name, id, next).await {
            self.events.outbox_failed(&error);
            tokio::select! {
                () = told(&mut stop) => return,
                () = tokio::time::sleep(TROUBLE) => {}
            }
        }
    }
}

/// Waits until told to stop, or until whoever could tell is gone.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// How long until `then`; `None` if it has come.
fn until(then: DateTime<Utc>, now: DateTime<Utc>) -> Option<Duration> {
    (then - now).to_std().ok().filter(|rest| !rest.is_zero())
}

fn later(now: DateTime<Utc>, pause: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(pause).ok().and_then(|pause| now.checked_add_signed(pause)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
