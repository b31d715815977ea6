//! Envoy's gRPC Access Log Service: streams that live as long as their proxies.
//!
//! ```text
//!  message ─▶ a place in memory ─▶ lines ─┐  while more is there already, up to 1 MiB
//!  message ─▶ a place in memory ─▶ lines ─┴▶ one payload ─▶ journal ─▶ tables        up to 4 of them under way
//! ```
//! Envoy expects no answer, and sends nothing again: where the disk is full, or memory, the stream is not read on, and Envoy keeps (and in the end drops) what it
//! has. The answer, which ends the stream, comes when everything before it is in the tables.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use futures::FutureExt;
use ingest::journal::Label;
use ingest::protocol::{Lines, als};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::grpc::{self, Frames, Head, Status};
use crate::http::connection::Activity;
use crate::http::ingest::source;
use crate::http::state::AppState;
use crate::intake::Repeat;
use crate::receive::Receiver;

/// Bytes of lines after which a payload is large enough.
const ENOUGH: usize = 1 << 20;
/// Largest message. Envoy's have 16 KiB and a bit, the first one what its node says besides.
const LARGEST: u64 = 4 << 20;
/// How much longer than its message lines may be: an entry of a few hundred bytes is a line of all its keys.
const LONGER: usize = 16;
/// Bytes that the lines of a message may have in any case.
const LINES: usize = 256 << 10;
/// Payloads of one stream on their way.
const UNDER_WAY: u32 = 4;
/// How long it waits when a payload could not be kept.
const RETRY: Duration = Duration::from_secs(1);

/// `StreamAccessLogs`.
pub(super) async fn stream(State(state): State<AppState>, request: Request) -> Response {
    // as long as the stream is open, its connection is not idle
    let busy = request.extensions().get::<ConnectInfo<Activity>>().map(|ConnectInfo(activity)| activity.begin());
    let (parts, body) = request.into_parts();
    let encoding = match grpc::check(&parts.headers) {
        Ok(encoding) => encoding,
        Err(status) => return status.answer(),
    };
    let (idle, limit) = (state.config().idle_timeout, LARGEST.min(state.config().max_body_bytes));
    let frames = Frames::new(body, encoding, limit, idle);
    let reading = tokio::spawn(async move {
        let _busy = busy;
        match Reading::new(state, &parts.headers) {
            Ok(reading) => reading.run(frames).await,
            Err(status) => Err(status),
        }
    });
    grpc::answer(async move {
        match reading.await {
            Ok(outcome) => outcome.map(|()| Vec::new()),
            Err(error) => {
                tracing::error!(%error, "a stream of access logs ended early");
                Err(Status::unavailable("the stream ended early"))
            }
        }
    })
}

struct Reading {
    state: AppState,
    source: String,
    stream: als::Stream,
    lines: Lines,
    places: Vec<OwnedSemaphorePermit>,
    under_way: Arc<Semaphore>,
    /// Payloads that were sent on their way, and those of them that are kept.
    sent: usize,
    kept: Arc<AtomicUsize>,
}

impl Reading {
    fn new(state: AppState, headers: &HeaderMap) -> Result<Self, Status> {
        let source = source(None, headers, Receiver::Als.name())?;
        Ok(Self {
            state,
            source,
            stream: als::Stream::new(),
            lines: Lines::new(),
            places: Vec::new(),
            under_way: Arc::new(Semaphore::new(UNDER_WAY as usize)),
            sent: 0,
            kept: Arc::default(),
        })
    }

    async fn run(mut self, mut frames: Frames) -> Result<(), Status> {
        let state = self.state.clone();
        let outcome = tokio::select! {
            outcome = self.messages(&mut frames) => outcome,
            () = state.draining() => Err(Status::unavailable("the server is going away")),
        };
        if let Err(status) = &outcome {
            tracing::debug!(status = status.message(), "a stream of access logs ended");
        }
        // what was read is kept, however the stream ended
        self.send().await;
        drop(self.under_way.acquire_many(UNDER_WAY).await);
        // whatever came of the others: only what is kept is acknowledged
        if self.kept.load(Ordering::Acquire) != self.sent {
            return Err(Status::unavailable("not everything could be kept"));
        }
        outcome
    }

    async fn messages(&mut self, frames: &mut Frames) -> Result<(), Status> {
        while let Some(head) = frames.head().await? {
            self.message(head, frames).await?;
            while self.lines.bytes().len() < ENOUGH {
                match frames.head().now_or_never() {
                    Some(Ok(Some(head))) => self.message(head, frames).await?,
                    Some(Ok(None)) => return Ok(()),
                    Some(Err(status)) => return Err(status),
                    None => break,
                }
            }
            self.send().await;
        }
        Ok(())
    }

    async fn message(&mut self, head: Head, frames: &mut Frames) -> Result<(), Status> {
        let bytes = Some(head.becomes().unwrap_or(LARGEST) * (1 + LONGER as u64));
        let place = match self.state.place_for(bytes).now_or_never() {
            Some(place) => place?,
            None => {
                // what it holds itself must not be what it waits for
                self.send().await;
                loop {
                    // there is no hurry: whoever sends waits as well
                    if let Ok(place) = self.state.place_for(bytes).await {
                        break place;
                    }
                }
            }
        };
        // who takes longer for a few bytes holds the place that others wait for
        let whole = tokio::time::timeout(self.state.config().idle_timeout, frames.message(head)).await;
        let message = whole.map_err(|_| Status::invalid_argument("a message did not come in time"))??.inflated()?;
        self.lines.allow(message.len() * LONGER + LINES);
        self.stream
            .message(&message, &mut self.lines)
            .map_err(|error| Status::invalid_argument(format!("no message of StreamAccessLogs: {error}")))?;
        self.places.push(place);
        match self.lines.is_over() {
            // what there is of them is kept: nobody sends it again
            true => Err(Status::invalid_argument("the entries of a message become too much: they say next to nothing")),
            false => Ok(()),
        }
    }

    /// Sends what there is on its way, once there is room on it.
    async fn send(&mut self) {
        let places = std::mem::take(&mut self.places);
        if self.lines.is_empty() {
            return;
        }
        let Ok(under_way) = Arc::clone(&self.under_way).acquire_owned().await else { return };
        let lines = Bytes::from(self.lines.take().into_bytes());
        let (state, source, kept) = (self.state.clone(), self.source.clone(), Arc::clone(&self.kept));
        self.sent += 1;
        tokio::spawn(async move {
            let _held = (places, under_way);
            if keep(&state, &source, lines).await {
                kept.fetch_add(1, Ordering::Release);
            }
        });
    }
}

/// Keeps lines, however long that takes, unless the service ends; whether they are on stable storage.
async fn keep(state: &AppState, source: &str, lines: Bytes) -> bool {
    let length = lines.len() as u64;
    let mut tried = false;
    let taken = loop {
        let id = format!("{source}/{}", state.id());
        let (received_at, source) = (state.now(), source.to_owned());
        let label = Label { received_at, source, id, idempotency: None, position: None };
        match state.intake().take(label, Repeat::Unknown, vec![lines.clone()]).await {
            Ok(taken) => break taken,
            Err(error) => {
                state.metrics().receive_failed(Receiver::Als);
                if !std::mem::replace(&mut tried, true) {
                    tracing::error!(%error, "lines of a stream could not be kept: they are tried again");
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = state.draining() => {
                tracing::error!(bytes = length, "lines of a stream could not be kept: they are lost");
                return false;
            }
        }
    };
    if let Err(error) = Receiver::Als.into_tables(state.detector(), taken, length).await {
        tracing::error!(%error, "lines that were kept are not in the tables yet: they will be after a restart");
    }
    true
}
