//! `POST /api/v1/sql`: one read-only statement in, rows out.
//!
//! ```json
//! {"query":"SELECT …"} ─▶ {"schema":[{"name","type","nullable"}],"rows":[{column: value}],"truncated":false}
//! ```
//! Bounds: 256 KiB of SQL (413), rows and bytes of the result (`truncated`), time (504), queries at once (503). Times in rows are RFC 3339
//! text, bytes hexadecimal digits.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use datafusion::error::DataFusionError;
use query::json::rows_as_json;
use query::sql::{FenceError, QueryError, Rowset};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::extract::{JsonBody, Nothing, Params, Wire};
use super::problem::{Kind, Problem};
use super::state::AppState;

/// A question.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SqlQuery)]
pub(crate) struct SqlBody {
    /// One statement: SELECT, WITH, EXPLAIN or SHOW. Tables: `access_logs`, `requests`, `rejects`.
    #[schema(min_length = 1, max_length = 262144, example = "SELECT reporter, count(*) AS n FROM requests GROUP BY 1")]
    query: String,
}

impl Wire for SqlBody {
    // 256 KiB of SQL in which JSON escapes every character, and the braces
    const MAX_BYTES: usize = 6 * 256 * 1024 + 1024;
}

/// An answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct SqlAnswer {
    /// The columns, in order.
    schema: Vec<SqlColumn>,
    /// The rows: every column a key.
    #[schema(value_type = Vec<Object>)]
    rows: Vec<Map<String, Value>>,
    /// Whether a limit cut rows off.
    truncated: bool,
}

/// A column of an answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct SqlColumn {
    /// Its name.
    name: String,
    /// Its Arrow type.
    #[serde(rename = "type")]
    kind: String,
    /// Whether it may be null.
    nullable: bool,
}

/// Answers one read-only statement.
#[utoipa::path(
    post, path = "/api/v1/sql", tag = "sql",
    request_body = SqlBody,
    responses(
        (status = 200, description = "The rows", body = SqlAnswer),
        (status = 413, description = "More than 256 KiB of SQL", body = super::problem::ProblemJson, content_type = "application/problem+json"),
        (status = 504, description = "The query took too long", body = super::problem::ProblemJson, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = super::problem::ProblemJson, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn sql(
    State(state): State<AppState>,
    Params(Nothing {}): Params<Nothing>,
    JsonBody(body): JsonBody<SqlBody>,
) -> Result<Json<SqlAnswer>, Problem> {
    let place = state.place_to_query().await?;
    // a task of its own, which keeps its place to the end: a caller that hangs up must not make room for the next query
    let answer = tokio::spawn(async move {
        let _place = place;
        let rowset = state.core().query(&body.query, state.config().sql).await.map_err(refused)?;
        tokio::task::spawn_blocking(move || answer(&rowset))
            .await
            .map_err(|error| Problem::internal("writing the rows", &error))?
    });
    answer.await.map_err(|error| Problem::internal("the query", &error))?.map(Json)
}

fn answer(rowset: &Rowset) -> Result<SqlAnswer, Problem> {
    let mut names = BTreeSet::new();
    if let Some(twice) = rowset.schema.fields().iter().find(|field| !names.insert(field.name())) {
        let name = twice.name();
        return Err(Problem::bad_request(format!(
            "two columns are named '{name}': name one of them otherwise with AS, a row is an object by name"
        )));
    }
    let columns = rowset.schema.fields().iter().map(|field| SqlColumn {
        name: field.name().clone(),
        kind: field.data_type().to_string(),
        nullable: field.is_nullable(),
    });
    let rows = rows_as_json(&rowset.batches).map_err(|error| {
        Problem::bad_request(format!("a column has no JSON form ({error}): cast it, for example with ::varchar"))
    })?;
    Ok(SqlAnswer { schema: columns.collect(), rows, truncated: rowset.truncated })
}

fn refused(error: QueryError) -> Problem {
    match &error {
        QueryError::Fence(FenceError::TooLong(_)) => Problem::new(Kind::TooLarge, error.to_string()),
        QueryError::Fence(_) => Problem::bad_request(error.to_string()),
        QueryError::Time(_) => Problem::new(Kind::TookTooLong, error.to_string()),
        QueryError::Plan(cause) | QueryError::Run(cause) if is_callers(cause) => {
            Problem::bad_request(error.to_string())
        }
        QueryError::Plan(_) | QueryError::Run(_) => Problem::internal("the query", &error),
    }
}

/// Whether the error is about the SQL and its values, so that its text helps the caller and says nothing about this machine.
fn is_callers(error: &DataFusionError) -> bool {
    matches!(
        error.find_root(),
        DataFusionError::SQL(..)
            | DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Configuration(_)
            | DataFusionError::ArrowError(..)
            | DataFusionError::Execution(_)
            | DataFusionError::ResourcesExhausted(_)
    )
}
