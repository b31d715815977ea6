//! `POST /api/v1/ingest`: lines in, rows and rejects out; what was accepted is visible to the next query.
//!
//! ```text
//!  body ─▶ receive: inflate, ≤ max_body_bytes in memory ─▶ complete? ─▶ take_in: journal ─▶ on stable storage ─▶ in the tables ─▶ 200
//!              └─ too large 413 · broken 400 · slow 408 · hung up ─▶ nothing      └─ disk full 507    └─ ?ack=durable: 202
//! ```
//! A 2xx says that the lines are on stable storage: they are in the tables after any crash, once.
//! Every line is a row or a reject, so that a body of nothing but rejects is a 200 as well. `reasons` names the first 1000 rejects; all of
//! them are in the table `rejects`. Content-Type says nothing here; Content-Encoding is gzip, zstd, identity or absent, and where it is
//! absent the first bytes tell.
//!
//! Lines sent again under the same `Idempotency-Key` are answered as the first time (with `Idempotent-Replayed: true`), and not taken again; other lines
//! under that key are 422.
//!
//! A row's `log_id` is unique to the request (`<source>/<request id>` and its place), its `source` is `http` or what the caller names it.

mod take_in;

pub(super) use take_in::problem;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use ingest::journal::Label;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body;
use super::extract::Params;
use super::problem::Problem;
use super::state::AppState;
use crate::receive::Receiver;

const SOURCE: HeaderName = HeaderName::from_static("x-meshwarden-source");

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Whether the lines had been taken before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Most bytes of a key.
const KEY_BYTES: usize = 255;

/// Most bytes of a source's name.
const SOURCE_BYTES: usize = 128;

/// How the lines are named.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct IngestParams {
    /// Name of the source in the column `source` (`http` if absent): letters, digits and `. _ : / -`. The header `X-Meshwarden-Source` does
    /// the same.
    #[param(max_length = 128, pattern = "^[A-Za-z0-9][A-Za-z0-9._:/-]*$")]
    source: Option<String>,
    /// When to answer: `queryable` (the default), when the next query sees the lines, or `durable`, as soon as they are on stable storage.
    #[serde(default)]
    #[param(inline)]
    ack: Ack,
}

/// When to answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ack {
    /// When the lines are queryable.
    #[default]
    Queryable,
    /// When they are on stable storage. A server that keeps everything in memory answers as for `queryable`.
    Durable,
}

/// What is answered.
pub(crate) struct Answer {
    done: Done,
    /// It had been taken before.
    again: bool,
}

enum Done {
    Queryable(Accepted),
    Durable(Durable),
}

/// The lines are on stable storage, and will be in the tables.
#[derive(Serialize, ToSchema)]
pub(crate) struct Durable {
    /// The journal's number of them.
    sequence: u64,
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = match self.done {
            Done::Queryable(accepted) => Json(accepted).into_response(),
            Done::Durable(durable) => (StatusCode::ACCEPTED, Json(durable)).into_response(),
        };
        if self.again {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// What became of the lines.
#[derive(Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// Lines that became rows.
    accepted: u64,
    /// Lines that could not be decoded.
    rejected: u64,
    /// Why, of the first 1000 of them; all are in the table `rejects`.
    reasons: Vec<Reason>,
}

/// Why one line could not be decoded.
#[derive(Serialize, ToSchema)]
pub(crate) struct Reason {
    /// Its number, from 1; blank lines count.
    line: u64,
    /// `line_too_long`, `not_utf8`, `not_json`, `nesting_too_deep`, `not_an_access_log`, `unknown_format`, `bad_time` or `bad_text_format`.
    reason: String,
}

/// Takes in access-log lines, NDJSON or text, and answers when they are queryable.
#[utoipa::path(
    post, path = "/api/v1/ingest", tag = "ingest",
    params(
        IngestParams,
        ("X-Meshwarden-Source" = Option<String>, Header, nullable = false, pattern = "^[A-Za-z0-9][A-Za-z0-9._:/-]*$",
         description = "As the parameter `source`"),
        ("Idempotency-Key" = Option<String>, Header, nullable = false, max_length = 255, pattern = "^[ -~]+$",
         description = "Remembered with the source for 24 hours, across any crash: the same lines sent again under it are acknowledged, and not taken a second time"),
        ("Content-Encoding" = Option<String>, Header, nullable = false, pattern = "^(gzip|zstd|identity)$",
         description = "gzip, zstd or identity; without it the first bytes tell"),
    ),
    request_body(
        content((String = "application/x-ndjson"), (String = "text/plain"), (String = "application/octet-stream")),
        description = "Lines, plain or compressed; 100 MiB after inflating unless configured otherwise",
    ),
    responses(
        (status = 200, description = "What became of the lines, even if all of them were rejected", body = Accepted),
        (status = 202, description = "With `ack=durable`: the lines are on stable storage", body = Durable),
        (status = 408, description = "The body stopped coming", body = super::problem::ProblemJson, content_type = "application/problem+json"),
        (status = 413, description = "Too large after inflating: nothing was accepted", body = super::problem::ProblemJson, content_type = "application/problem+json"),
        (status = 415, description = "Unknown Content-Encoding", body = super::problem::ProblemJson, content_type = "application/problem+json"),
        (status = 422, description = "Other lines were taken under this Idempotency-Key", body = super::problem::ProblemJson, content_type = "application/problem+json"),
        (status = 507, description = "The disk is full: nothing was accepted", body = super::problem::ProblemJson, content_type = "application/problem+json"),
        (status = "default", description = "A problem: nothing was accepted", body = super::problem::ProblemJson, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn ingest(
    State(state): State<AppState>,
    Params(params): Params<IngestParams>,
    headers: HeaderMap,
    sent: Body,
) -> Result<Answer, Problem> {
    let mut sent = sent.into_data_stream();
    let outcome = accept(&state, params, &headers, &mut sent).await;
    if outcome.is_err() {
        body::linger(&mut sent, &headers, state.config()).await;
    }
    outcome
}

async fn accept(
    state: &AppState,
    params: IngestParams,
    headers: &HeaderMap,
    sent: &mut axum::body::BodyDataStream,
) -> Result<Answer, Problem> {
    let received_at = state.now();
    let source = source(params.source.as_deref(), headers, Receiver::Http.name())?;
    let key = key(headers)?;
    let encoding = body::encoding(headers)?;
    let config = state.config();
    body::announced(headers, config.max_body_bytes)?;
    let place = state.place_to_ingest().await?;
    let received = tokio::time::timeout(config.ingest_timeout, body::receive(sent, encoding, config)).await;
    let pieces = received.map_err(|_| body::too_slow(config.ingest_timeout))??;
    let pieces = pieces.into_iter().map(Bytes::from).collect();
    let id = format!("{source}/{}", state.id());
    let label = Label { received_at, source, id, idempotency: None, position: None };
    let payload = take_in::Sent { label, key, pieces };
    // a task of its own: whoever hangs up from here on has had all of the lines taken in, not some
    let work = tokio::spawn(take_in::take_in(state.clone(), place, payload, params.ack));
    work.await.map_err(|error| Problem::internal("taking the lines in", &error))?
}

/// The key under which the lines are taken once.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=KEY_BYTES).contains(&key.len()) && keys.next().is_none());
    let wrong = || format!("the header Idempotency-Key is one text of 1 to {KEY_BYTES} ASCII characters");
    key.map(|key| Some(key.to_owned())).ok_or_else(|| Problem::bad_request(wrong()))
}

/// What the caller calls the source of its lines; `else_named`, if it does not.
pub(super) fn source(param: Option<&str>, headers: &HeaderMap, else_named: &str) -> Result<String, Problem> {
    let header = match headers.get(SOURCE).map(HeaderValue::to_str) {
        None => None,
        Some(Ok(name)) => Some(name),
        Some(Err(_)) => {
            return Err(Problem::bad_request("the header X-Meshwarden-Source holds characters outside ASCII"));
        }
    };
    let name = match (param, header) {
        (Some(param), Some(header)) if param != header => {
            return Err(Problem::bad_request(
                "the parameter 'source' and the header X-Meshwarden-Source differ: send one of them",
            ));
        }
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) => else_named,
    };
    let right = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if starts && name.len() <= SOURCE_BYTES && name.bytes().all(right) {
        return Ok(name.to_owned());
    }
    let shown: String = name.chars().take(SOURCE_BYTES).collect();
    Err(Problem::bad_request(format!(
        "the source '{shown}' is no name: start with a letter or digit, use letters, digits and . _ : / -, at most {SOURCE_BYTES} of them"
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sources_have_names() {
        let header = |name: &'static str| HeaderMap::from_iter([(SOURCE, HeaderValue::from_static(name))]);
        assert_eq!(source(None, &HeaderMap::new(), "http").unwrap(), "http");
        assert_eq!(source(Some("eu-1/gateway"), &HeaderMap::new(), "http").unwrap(), "eu-1/gateway");
        assert_eq!(source(None, &header("a"), "http").unwrap(), "a");
        assert_eq!(source(Some("a"), &header("a"), "http").unwrap(), "a");
        assert!(source(Some("b"), &header("a"), "http").is_err());
        for wrong in ["", "/a", "a b", "a\n", "ä", "../x"] {
            assert!(source(Some(wrong), &HeaderMap::new(), "http").is_err(), "{wrong:?}");
        }
    }
}
