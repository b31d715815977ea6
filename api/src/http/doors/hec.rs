//! Splunk's HTTP Event Collector: events, raw lines, and its acknowledgements.
//!
//! Codes and texts as Splunk's documentation has them, "HTTP Event Collector error codes". Every answer of success says that the lines are stored: whoever asks
//! for acknowledgements (with a channel) gets an id that is acknowledged already.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ingest::protocol::Lines;
use ingest::protocol::hec::{self, HecError};
use serde::{Deserialize, Serialize};

use super::{keep, lines, received};
use crate::http::problem::Problem;
use crate::http::state::AppState;
use crate::receive::Receiver;

const CHANNEL: HeaderName = HeaderName::from_static("x-splunk-request-channel");

/// What is answered.
#[derive(Serialize)]
struct Answer {
    text: String,
    code: u16,
    #[serde(rename = "invalid-event-number", skip_serializing_if = "Option::is_none")]
    event: Option<u64>,
    #[serde(rename = "ackId", skip_serializing_if = "Option::is_none")]
    ack: Option<u64>,
}

/// An answer other than success.
struct Refused(StatusCode, Answer, Option<HeaderValue>);

impl Refused {
    fn new(status: StatusCode, code: u16, text: impl Into<String>) -> Self {
        Self(status, Answer { text: text.into(), code, event: None, ack: None }, None)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Refused(status, answer, retry) = self;
        let mut response = (status, Json(answer)).into_response();
        if let Some(retry) = retry {
            response.headers_mut().insert(header::RETRY_AFTER, retry);
        }
        response
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let detail = problem.detail();
        match problem.status() {
            // forwarders try again after this one
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE => {
                let busy = format!("Server is busy: {detail}");
                let Refused(status, answer, _) = Self::new(StatusCode::SERVICE_UNAVAILABLE, 9, busy);
                Self(status, answer, Some(problem.retry_after()))
            }
            status if status.is_server_error() => Self::new(status, 8, format!("Internal server error: {detail}")),
            status => Self::new(status, 6, format!("Invalid data format: {detail}")),
        }
    }
}

/// Takes events in.
pub(super) async fn events(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Response> {
    take_in(&state, &headers, body, true).await.map_err(IntoResponse::into_response)
}

/// Takes lines in as they are.
pub(super) async fn raw(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Result<Response, Response> {
    take_in(&state, &headers, body, false).await.map_err(IntoResponse::into_response)
}

async fn take_in(state: &AppState, headers: &HeaderMap, body: Body, events: bool) -> Result<Response, Refused> {
    let received = received(state, headers, body).await?;
    if received.body.trim_ascii().is_empty() {
        return Err(Refused::new(StatusCode::BAD_REQUEST, 5, "No data"));
    }
    let kept = match events {
        false => lines(received.body, plain).await?.map_err(|error| refused(&error))?.1,
        true => lines(received.body, hec::events).await?.map_err(|error| refused(&error))?.1,
    };
    keep(state, headers, Receiver::Hec, received.place, kept).await?;
    // forwarders tell answers apart by it
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let ack = headers.contains_key(CHANNEL).then(|| NEXT.fetch_add(1, Ordering::Relaxed));
    Ok(Json(Answer { text: "Success".to_owned(), code: 0, event: None, ack }).into_response())
}

/// Lines as they are.
fn plain(body: &[u8], lines: &mut Lines) -> Result<(), HecError> {
    lines.verbatim(body);
    Ok(())
}

fn refused(error: &HecError) -> Refused {
    let (code, text, number) = match error {
        HecError::Format { number, .. } => (6, format!("Invalid data format: {error}"), *number),
        HecError::NoEvent { number } => (12, "Event field is required".to_owned(), *number),
    };
    let answer = Answer { text, code, event: Some(number), ack: None };
    Refused(StatusCode::BAD_REQUEST, answer, None)
}

/// Ids whose fate somebody wants to know.
#[derive(Deserialize)]
pub(super) struct Acks {
    acks: Vec<u64>,
}

/// The fate of ids: what was answered with success is stored.
#[derive(Serialize)]
pub(super) struct Acked {
    acks: BTreeMap<u64, bool>,
}

/// Says that everything is stored.
pub(super) async fn ack(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Acked>, Response> {
    let received = received(&state, &headers, body).await.map_err(|problem| Refused::from(problem).into_response())?;
    let asked: Result<Acks, _> = serde_json::from_slice(&received.body);
    let Acks { acks } = asked.map_err(|error| {
        Refused::new(StatusCode::BAD_REQUEST, 6, format!("Invalid data format: {error}")).into_response()
    })?;
    Ok(Json(Acked { acks: acks.into_iter().map(|id| (id, true)).collect() }))
}

/// Says that events are taken.
pub(super) async fn health() -> Response {
    Json(Answer { text: "HEC is healthy".to_owned(), code: 17, event: None, ack: None }).into_response()
}
