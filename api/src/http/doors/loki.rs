//! Loki's push: JSON, or Protocol Buffers in a block of Snappy, as Promtail and Alloy send them.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ingest::inflate::snappy_block;
use ingest::protocol::loki;

use super::{keep, lines, received};
use crate::http::body::too_large;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use crate::receive::Receiver;

/// Takes streams in: 204, as Loki answers.
pub(super) async fn push(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Response {
    match take_in(&state, &headers, body).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => answer(&problem),
    }
}

async fn take_in(state: &AppState, headers: &HeaderMap, body: Body) -> Result<(), Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes().to_ascii_lowercase());
    let json = content_type.is_some_and(|kind| kind.starts_with(b"application/json"));
    let mut headers = headers.clone();
    if !json {
        // what Alloy says of the block; it is inflated below
        headers.remove(header::CONTENT_ENCODING);
    }
    let mut received = received(state, &headers, body).await?;
    let limit = state.config().max_body_bytes;
    if !json {
        // how large it becomes stands at its start
        let (head, _) = received.body.split_at(received.body.len().min(16));
        let length = ingest::inflate::snappy_length(head).unwrap_or(0);
        if length > limit {
            return Err(too_large(limit));
        }
        received.place = match length > received.body.len() as u64 {
            true => {
                drop(received.place);
                state.place_for(Some((length + received.body.len() as u64) * super::GROWTH)).await?
            }
            false => received.place,
        };
    }
    let read = move |body: &[u8], lines: &mut ingest::protocol::Lines| match json {
        true => loki::from_json(body, lines).map_err(|error| error.to_string()),
        false => {
            let plain = snappy_block(body, limit).map_err(|error| error.to_string())?;
            loki::from_protobuf(&plain, lines).map_err(|error| error.to_string())
        }
    };
    let ((), lines) = lines(received.body, read).await?.map_err(Problem::bad_request)?;
    keep(state, &headers, Receiver::Loki, received.place, lines).await?;
    Ok(())
}

/// Loki answers in plain text; 429 and 5xx are tried again.
fn answer(problem: &Problem) -> Response {
    let status = match problem.status() {
        StatusCode::INSUFFICIENT_STORAGE => StatusCode::SERVICE_UNAVAILABLE,
        status => status,
    };
    let mut response = (status, format!("{}\n", problem.detail())).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, problem.retry_after());
    }
    response
}
