//! OTLP logs, over gRPC and over HTTP.
//!
//! A record that could not be decoded is in the table `rejects`; the answer counts it as OTLP has it, as a partial success, so that a collector's own log says
//! so, too. Statuses as the OTLP specification has them: what may be sent again is UNAVAILABLE, or 503 with Retry-After.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ingest::protocol::{Lines, otlp};
use serde_json::json;

use super::grpc::{self, Frames, Status};
use super::{keep, lines, received};
use crate::http::problem::{Kind, Problem};
use crate::http::state::AppState;
use crate::receive::{Receiver, Tally};

/// Bytes of a request in JSON: it is read as a tree, which takes much more than the bytes.
const LARGEST_JSON: usize = 8 << 20;

const PROTOBUF: &str = "application/x-protobuf";

/// `LogsService/Export`.
pub(super) async fn grpc(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Response {
    match export(&state, &headers, body).await {
        Ok(tally) => {
            let answer = partial_success(&tally);
            grpc::answer(async { Ok(answer) })
        }
        Err(status) => status.answer(),
    }
}

async fn export(state: &AppState, headers: &HeaderMap, body: Body) -> Result<Tally, Status> {
    let encoding = grpc::check(headers)?;
    let config = state.config();
    let mut frames = Frames::new(body, encoding, config.max_body_bytes, config.idle_timeout);
    let whole = async {
        let head = frames.head().await?.ok_or_else(|| Status::invalid_argument("the call has no message"))?;
        let place = state.place_for(head.becomes().map(|bytes| bytes * super::GROWTH)).await?;
        Ok::<_, Status>((frames.message(head).await?, place))
    };
    let whole = tokio::time::timeout(config.ingest_timeout, whole).await;
    let (message, place) = whole.map_err(|_| Status::unavailable("the message did not come in time"))??;
    let inflated = tokio::task::spawn_blocking(move || message.inflated());
    let message = inflated.await.map_err(|error| Problem::internal("inflating", &error))??;
    let ((), lines) =
        lines(message, otlp::from_protobuf).await?.map_err(|error| Status::invalid_argument(error.to_string()))?;
    Ok(keep(state, headers, Receiver::OtlpGrpc, place, lines).await?)
}

/// `POST /v1/logs`, in Protocol Buffers or JSON.
pub(super) async fn http(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Response {
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let json = match kind {
        b"application/json" => true,
        b"application/x-protobuf" => false,
        _ => {
            let wrong = "Content-Type is application/x-protobuf or application/json here";
            return Problem::new(Kind::UnsupportedEncoding, wrong).into_response();
        }
    };
    match export_http(&state, &headers, body, json).await {
        Ok(tally) if json => {
            let mut answer = json!({"partialSuccess": {}});
            if let Some(partial) = answer.get_mut("partialSuccess").filter(|_| tally.rejected > 0) {
                *partial = json!({"rejectedLogRecords": tally.rejected.to_string(), "errorMessage": why(&tally)});
            }
            axum::Json(answer).into_response()
        }
        Ok(tally) => ([(header::CONTENT_TYPE, PROTOBUF)], partial_success(&tally)).into_response(),
        Err(problem) => refusal(&problem, json),
    }
}

async fn export_http(state: &AppState, headers: &HeaderMap, body: Body, json: bool) -> Result<Tally, Problem> {
    let received = received(state, headers, body).await?;
    if json && received.body.len() > LARGEST_JSON {
        let wrong = format!("JSON has at most {LARGEST_JSON} bytes here: send less at once, or Protocol Buffers");
        return Err(Problem::new(Kind::TooLarge, wrong));
    }
    let read = move |body: &[u8], lines: &mut Lines| match json {
        true => otlp::from_json(body, lines).map_err(|error| error.to_string()),
        false => otlp::from_protobuf(body, lines).map_err(|error| error.to_string()),
    };
    let ((), lines) = lines(received.body, read).await?.map_err(Problem::bad_request)?;
    keep(state, headers, Receiver::OtlpHttp, received.place, lines).await
}

/// An `ExportLogsServiceResponse`.
fn partial_success(tally: &Tally) -> Vec<u8> {
    if tally.rejected == 0 {
        return Vec::new();
    }
    let mut partial = vec![0x08];
    varint(&mut partial, tally.rejected);
    bytes(&mut partial, 2, why(tally).as_bytes());
    let mut response = Vec::new();
    bytes(&mut response, 1, &partial);
    response
}

/// What a collector's log is to say.
fn why(tally: &Tally) -> String {
    let reasons: Vec<String> = tally.by_reason.iter().map(|(reason, count)| format!("{reason}: {count}")).collect();
    format!("not decoded as access logs, kept in the table rejects: {}", reasons.join(", "))
}

/// A refusal: a `google.rpc.Status`, in the encoding of the request.
fn refusal(problem: &Problem, json: bool) -> Response {
    let status = match problem.status() {
        // of OTLP's senders only 429, 502, 503 and 504 make one send again what was not stored
        StatusCode::REQUEST_TIMEOUT => StatusCode::SERVICE_UNAVAILABLE,
        status if status.is_server_error() => StatusCode::SERVICE_UNAVAILABLE,
        status => status,
    };
    let mut response = match json {
        true => (status, axum::Json(json!({"message": problem.detail()}))).into_response(),
        false => {
            let mut message = Vec::new();
            bytes(&mut message, 2, problem.detail().as_bytes());
            (status, [(header::CONTENT_TYPE, PROTOBUF)], message).into_response()
        }
    };
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, problem.retry_after());
    }
    response
}

/// Appends a field of bytes to a message.
fn bytes(message: &mut Vec<u8>, field: u8, value: &[u8]) {
    message.push(field << 3 | 2);
    varint(message, value.len() as u64);
    message.extend_from_slice(value);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}
