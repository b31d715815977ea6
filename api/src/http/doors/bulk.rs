//! Elasticsearch's `_bulk`, and no more of Elasticsearch than shippers need to find it.
//!
//! Answers as Elasticsearch's reference has them: 200 with one item for each action, 400 for a body that is none, 429 where there is no room, which shippers try
//! again after.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ingest::protocol::bulk::{self, Action, BulkError, Item};
use serde::Serialize;
use serde_json::{Value, json};

use super::{keep, lines, received};
use crate::http::problem::Problem;
use crate::http::state::AppState;
use crate::receive::Receiver;

/// What is answered.
#[derive(Serialize)]
struct Answer {
    took: u128,
    errors: bool,
    items: Vec<Value>,
}

/// An answer other than success.
struct Refused {
    status: StatusCode,
    kind: &'static str,
    reason: String,
    retry: Option<HeaderValue>,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Refused { status, kind, reason, retry } = self;
        let error = json!({"type": kind, "reason": reason});
        let body = json!({"error": {"root_cause": [error], "type": kind, "reason": reason}, "status": status.as_u16()});
        let mut response = (status, Json(body)).into_response();
        if let Some(retry) = retry {
            response.headers_mut().insert(header::RETRY_AFTER, retry);
        }
        response
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let reason = problem.detail().to_owned();
        match problem.status() {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE => Self {
                status: StatusCode::TOO_MANY_REQUESTS,
                kind: "es_rejected_execution_exception",
                reason,
                retry: Some(problem.retry_after()),
            },
            status if status.is_server_error() => Self { status, kind: "exception", reason, retry: None },
            status => Self { status, kind: "illegal_argument_exception", reason, retry: None },
        }
    }
}

impl From<BulkError> for Refused {
    fn from(error: BulkError) -> Self {
        let status = match error {
            BulkError::TooMany => StatusCode::PAYLOAD_TOO_LARGE,
            BulkError::Action(_) | BulkError::NoDocument(_) => StatusCode::BAD_REQUEST,
        };
        Self { status, kind: "illegal_argument_exception", reason: error.to_string(), retry: None }
    }
}

/// Takes documents in.
pub(super) async fn bulk(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Response {
    take_in(&state, None, &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

/// Takes documents in that are meant for an index.
pub(super) async fn bulk_of(
    State(state): State<AppState>,
    Path(index): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    take_in(&state, Some(&index), &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn take_in(state: &AppState, index: Option<&str>, headers: &HeaderMap, body: Body) -> Result<Response, Refused> {
    let began = std::time::Instant::now();
    let received = received(state, headers, body).await?;
    let (items, lines) = lines(received.body, bulk::documents).await??;
    keep(state, headers, Receiver::Bulk, received.place, lines).await?;
    let errors = items.iter().any(|item| !item.action.is_taken());
    let items = items.iter().zip(0_u64..).map(|(each, number)| item(each, number, index)).collect();
    let mut response = Json(Answer { took: began.elapsed().as_millis(), errors, items }).into_response();
    // official clients refuse to talk to a server without it
    response.headers_mut().insert("x-elastic-product", HeaderValue::from_static("Elasticsearch"));
    Ok(response)
}

fn item(item: &Item, number: u64, index: Option<&str>) -> Value {
    let index = item.index.as_deref().or(index).unwrap_or("logs");
    let id = item.id.clone().unwrap_or_else(|| number.to_string());
    let outcome = match item.action {
        Action::Index | Action::Create => json!({
            "_index": index, "_id": id, "_version": 1, "result": "created", "status": 201,
            "_shards": {"total": 1, "successful": 1, "failed": 0}, "_seq_no": number, "_primary_term": 1,
        }),
        Action::Update | Action::Delete => json!({
            "_index": index, "_id": id, "status": 405,
            "error": {"type": "action_not_taken", "reason": "documents are only added here: use create or index"},
        }),
    };
    json!({ item.action.name(): outcome })
}
