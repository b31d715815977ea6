//! The outermost layers: what every request passes, whatever it asks for.
//!
//! ```text
//!  request ─▶ edge (busy connection, panic, instance, counters) ─▶ guard ─▶ deadline ─▶ handler
//! ```

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;

use super::connection::Activity;
use super::problem::{Kind, Problem};
use super::state::AppState;

/// Counts and logs the answer, completes a problem, turns a panic into one.
pub(crate) async fn edge(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let _busy = request.extensions().get::<ConnectInfo<Activity>>().map(|ConnectInfo(activity)| activity.begin());
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let method = name(request.method());
    let path = request.uri().path().to_owned();
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|_| {
        tracing::error!(method, route, "a handler panicked");
        Problem::new(Kind::Internal, "the server's log says more").into_response()
    });
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.response(&path);
    }
    let (status, took) = (response.status().as_u16(), began.elapsed());
    tracing::debug!(method, path, status, ?took, "answered");
    state.metrics().answered(method, &route, status, took);
    response
}

/// Bounds the time of a request whose handler does not do so itself.
pub(crate) async fn deadline(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let config = state.config();
    // a query bounds itself and says so better
    let limit = config.request_timeout.max(config.sql.time + config.queue_timeout + Duration::from_secs(5));
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            Kind::TookTooLong,
            format!("the request took longer than {limit:?}: try again, or ask for less"),
        )
        .into_response(),
    }
}

/// No such route.
pub(crate) async fn not_found() -> Problem {
    Problem::new(
        Kind::NotFound,
        "no such path: /openapi.json lists those of the API, the README the doors of other senders",
    )
}

/// No such method on this route; axum adds the `Allow` header.
pub(crate) async fn method_not_allowed(method: Method) -> Problem {
    Problem::new(
        Kind::MethodNotAllowed,
        format!("{method} cannot be done on this path: the Allow header says what can"),
    )
}

/// The method as a label: one of a fixed list.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
