//! The HTTP door: lines in, findings, SQL and numbers out.
//!
//! ```text
//!  connection ─▶ edge ─▶ guard (token) ─▶ deadline ─▶ POST  /api/v1/ingest            (bounds of its own, as the doors have)
//!  bounded       count    401, 403        504         GET   /api/v1/findings[/{id}]
//!  in number,    problem                              PATCH /api/v1/findings/{id}
//!  idle time     panic                                GET   /api/v1/detections · POST /api/v1/sql
//!                  │                                  GET   /metrics /openapi.json
//!                  └──────────────────────────────▶   GET   /healthz /readyz
//! ```
//! Errors are `application/problem+json` (see `problem.rs`). Bounds before memory: connections, headers' time, body bytes after inflating, ingests and
//! queries at once, rows, bytes and time of a query. Wire structs stay in their handler's file. Absent on purpose: TLS and users (a proxy in
//! front has both), CORS (no page of another origin has business here).

mod access;
mod body;
mod config;
mod connection;
mod detections;
mod doors;
mod edge;
mod extract;
mod findings;
mod health;
mod ingest;
mod metrics;
mod openapi;
mod problem;
mod serve;
mod sql;
mod state;

pub(crate) use config::check_address;
pub use config::{HttpConfig, ListenError, TOKEN_VARIABLE, Token, TokenError, check_listen};
pub use metrics::{DeliveryCount, Metrics};
pub use serve::{ServeError, serve, serve_proxies};
pub use state::{AppState, Phase};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, patch, post};
use tower_http::trace::TraceLayer;

/// All routes. [`serve()`] puts them behind a listener; a test may do so itself.
pub fn router(state: AppState) -> Router {
    let quick = Router::new()
        .route("/api/v1/findings", get(findings::list))
        .route("/api/v1/findings/{id}", get(findings::one).merge(patch(findings::patch)))
        .route("/api/v1/detections", get(detections::detections))
        .route("/api/v1/sql", post(sql::sql))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .route_layer(from_fn_with_state(state.clone(), edge::deadline));
    let guarded = quick
        .route("/api/v1/ingest", post(ingest::ingest))
        .merge(doors::of_shippers())
        .route_layer(from_fn_with_state(state.clone(), access::guard));
    finished(guarded, state)
}

/// The routes of an address for proxies and collectors: OTLP and Envoy's access log service. `guarded`: as the API itself is; else whoever reaches it may send.
pub(crate) fn proxies_router(state: AppState, guarded: bool) -> Router {
    let doors = doors::of_proxies();
    let doors = match guarded {
        true => doors.route_layer(from_fn_with_state(state.clone(), access::guard)),
        false => doors,
    };
    finished(doors, state)
}

fn finished(routes: Router<AppState>, state: AppState) -> Router {
    routes
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(edge::not_found)
        .method_not_allowed_fallback(edge::method_not_allowed)
        .layer(from_fn_with_state(state.clone(), edge::edge))
        .layer(TraceLayer::new_for_http())
        .with_state(state)
}
