//! `GET /healthz`: the process answers. `GET /readyz`: every row accepted so far is queryable.
//!
//! Rows are queryable when they are accepted, so not ready means: not serving yet, or about to stop. Neither asks for a token.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::state::{AppState, Phase};

/// A word about the program.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok` or `ready`.
    status: &'static str,
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "operation", security(()), responses((status = 200, description = "The process answers", body = Health)))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Every row accepted so far is queryable.
#[utoipa::path(
    get, path = "/readyz", tag = "operation", security(()),
    responses(
        (status = 200, description = "Every accepted row is queryable", body = Health),
        (status = 503, description = "Starting or stopping", body = super::problem::ProblemJson, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn readyz(State(state): State<AppState>) -> Result<Json<Health>, Problem> {
    match state.phase() {
        Phase::Ready => Ok(Json(Health { status: "ready" })),
        Phase::Starting => {
            Err(Problem::unavailable("the server is starting: rows accepted earlier may not be queryable yet"))
        }
        Phase::Draining => Err(Problem::unavailable("the server is stopping")),
    }
}
