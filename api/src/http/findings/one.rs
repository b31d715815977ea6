//! `GET /api/v1/findings/{id}`: one finding and the access logs that it stands on.

use axum::Json;
use axum::extract::State;
use query::finding::json::FindingJson;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::schema::FindingSchema;
use crate::http::extract::{Id, Nothing, Params};
use crate::http::problem::Problem;
use crate::http::state::AppState;

/// A finding with its evidence.
#[derive(Serialize, ToSchema)]
#[schema(as = FindingWithEvidence)]
pub(crate) struct OneJson {
    /// The finding.
    #[serde(flatten)]
    #[schema(value_type = FindingSchema)]
    finding: FindingJson,
    /// The rows of `access_logs` that `evidence` names, the earliest first; null columns are left out.
    #[schema(value_type = Vec<Object>)]
    evidence_rows: Vec<Map<String, Value>>,
}

/// One finding and the access logs that it stands on.
#[utoipa::path(
    get, path = "/api/v1/findings/{id}", tag = "findings",
    params(("id" = String, Path, description = "Id of a finding")),
    responses(
        (status = 200, description = "The finding", body = OneJson),
        (status = 404, description = "There is none", body = crate::http::problem::ProblemJson, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = crate::http::problem::ProblemJson, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn one(
    State(state): State<AppState>,
    Id(id): Id,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Json<OneJson>, Problem> {
    let found =
        state.core().findings().get(&id).await.map_err(|error| Problem::internal("reading a finding", &error))?;
    let finding = found.ok_or_else(|| super::no_such(&id))?;
    let evidence_rows = super::evidence::rows(&state, &finding).await?;
    Ok(Json(OneJson { finding: FindingJson::from(&finding), evidence_rows }))
}
