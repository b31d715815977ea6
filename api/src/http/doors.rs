//! The doors for senders that exist already: each speaks its sender's protocol, and all do the same behind it.
//!
//! ```text
//!  POST /v1/logs                                     OTLP over HTTP    otlp.rs ─┐
//!  POST /opentelemetry.…LogsService/Export           OTLP over gRPC    otlp.rs ─┤
//!  POST /services/collector/event · /raw             Splunk HEC        hec.rs  ─┼▶ received ─▶ ingest::protocol: lines ─▶ keep ─▶ their answer
//!  POST /_bulk · /{index}/_bulk                      Elasticsearch     bulk.rs ─┤
//!  POST /loki/api/v1/push                            Loki              loki.rs ─┘
//!  POST /envoy.…AccessLogService/StreamAccessLogs    Envoy ALS         als.rs  ──▶ of each stream what came together ─▶ the journal
//! ```
//! Acknowledged means stored and queryable, as at `/api/v1/ingest`. What is sent again within an hour, byte for byte and to the same door, is acknowledged and not
//! taken a second time: these senders have no keys, and send again what they do not know the fate of. An `Idempotency-Key` is taken, too.

mod als;
mod bulk;
mod grpc;
mod hec;
mod loki;
mod otlp;

use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use bytes::Bytes;
use ingest::journal::Label;
use ingest::protocol::Lines;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use super::body;
use super::ingest::{key, problem, source};
use super::problem::{Kind, Problem};
use super::state::AppState;
use crate::intake::Repeat;
use crate::receive::{Receiver, Tally};

/// How much longer than its body lines may be: what a resource or a stream says of all of its records stands in each line.
const LONGER: usize = 8;
/// What a body becomes on its way, in bytes of memory for each of its own: itself, and the lines.
const GROWTH: u64 = 1 + LONGER as u64;
/// Bytes that lines may have in any case.
const LINES: usize = 256 << 10;

/// The doors of shippers, which stand in the API's own address.
pub(super) fn of_shippers() -> Router<AppState> {
    Router::new()
        .route("/services/collector", post(hec::events))
        .route("/services/collector/event", post(hec::events))
        .route("/services/collector/event/1.0", post(hec::events))
        .route("/services/collector/raw", post(hec::raw))
        .route("/services/collector/raw/1.0", post(hec::raw))
        .route("/services/collector/ack", post(hec::ack))
        .route("/services/collector/health", get(hec::health))
        .route("/services/collector/health/1.0", get(hec::health))
        .route("/_bulk", post(bulk::bulk).put(bulk::bulk))
        .route("/{index}/_bulk", post(bulk::bulk_of).put(bulk::bulk_of))
        .route("/loki/api/v1/push", post(loki::push))
        .merge(of_proxies())
}

/// The doors of proxies and collectors, which have addresses of their own besides.
pub(super) fn of_proxies() -> Router<AppState> {
    Router::new()
        .route("/v1/logs", post(otlp::http))
        .route("/opentelemetry.proto.collector.logs.v1.LogsService/Export", post(otlp::grpc))
        .route("/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs", post(als::stream))
}

/// A body, and the place that its bytes take in memory.
struct Received {
    body: Vec<u8>,
    place: OwnedSemaphorePermit,
}

/// Takes a body off the wire; of one that is refused the rest is read, so that its sender reads the answer.
async fn received(state: &AppState, headers: &HeaderMap, body: Body) -> Result<Received, Problem> {
    let mut sent = body.into_data_stream();
    let outcome = receive(state, headers, &mut sent).await;
    if outcome.is_err() {
        body::linger(&mut sent, headers, state.config()).await;
    }
    outcome
}

async fn receive(
    state: &AppState,
    headers: &HeaderMap,
    sent: &mut axum::body::BodyDataStream,
) -> Result<Received, Problem> {
    let config = state.config();
    let encoding = body::encoding(headers)?.unwrap_or(ingest::inflate::Encoding::Plain);
    let announced = body::announced(headers, config.max_body_bytes)?;
    // how much compressed bytes become nobody knows
    let most = announced.filter(|_| encoding == ingest::inflate::Encoding::Plain);
    let place = state.place_for(most.map(|bytes| bytes * GROWTH)).await?;
    let receiving = body::receive(sent, Some(encoding), config);
    let pieces = tokio::time::timeout(config.ingest_timeout, receiving).await;
    let mut pieces = pieces.map_err(|_| body::too_slow(config.ingest_timeout))??;
    let body = if pieces.len() == 1 { pieces.pop().unwrap_or_default() } else { pieces.concat() };
    Ok(Received { body, place })
}

/// Reads a body's lines, away from the threads that answer others.
async fn lines<T, E>(
    body: impl AsRef<[u8]> + Send + 'static,
    read: impl FnOnce(&[u8], &mut Lines) -> Result<T, E> + Send + 'static,
) -> Result<Result<(T, Read), E>, Problem>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let reading = tokio::task::spawn_blocking(move || {
        let mut lines = Lines::new();
        let body = body.as_ref();
        lines.allow(body.len() * LONGER + LINES);
        read(body, &mut lines).map(|outcome| {
            // of what was sent: lines may lack what tells one payload from another
            let digest = Sha256::digest(body).into();
            (outcome, lines.whole().map(|lines| Read { lines: lines.into_bytes(), digest }))
        })
    });
    let read = reading.await.map_err(|error| Problem::internal("reading the lines", &error))?;
    match read {
        Ok((outcome, Some(read))) => Ok(Ok((outcome, read))),
        Ok((_, None)) => Err(too_long()),
        Err(error) => Ok(Err(error)),
    }
}

/// The lines of a body.
struct Read {
    lines: Vec<u8>,
    /// Of the body, as it was sent.
    digest: [u8; 32],
}

/// Records that say next to nothing, and much that is said of all of them.
fn too_long() -> Problem {
    Problem::new(
        Kind::TooLarge,
        format!("the records become more than {LONGER} times their bytes as lines: nothing was accepted"),
    )
}

/// Takes lines in; when this returns, they are queryable.
async fn keep(
    state: &AppState,
    headers: &HeaderMap,
    receiver: Receiver,
    place: OwnedSemaphorePermit,
    Read { lines, digest }: Read,
) -> Result<Tally, Problem> {
    if lines.is_empty() {
        return Ok(Tally::default());
    }
    let source = source(None, headers, receiver.name())?;
    let key = key(headers)?;
    let id = format!("{source}/{}", state.id());
    let label = Label { received_at: state.now(), source, id, idempotency: None, position: None };
    let (state, metrics) = (state.clone(), state.metrics().clone());
    // a task of its own: whoever hangs up from here on has had all of the lines taken in, not some
    let work = tokio::spawn(async move {
        let _place = place;
        let bytes = lines.len() as u64;
        let repeat = key.as_deref().map_or(Repeat::ByContent(receiver.name(), digest), Repeat::ByKey);
        let taken =
            state.intake().take(label, repeat, vec![Bytes::from(lines)]).await.map_err(|error| problem(&error))?;
        receiver.into_tables(state.detector(), taken, bytes).await.map_err(|error| problem(&error))
    });
    let kept = work.await.map_err(|error| Problem::internal("taking the lines in", &error))?;
    if kept.is_err() {
        metrics.receive_failed(receiver);
    }
    kept
}
