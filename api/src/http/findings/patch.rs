//! `PATCH /api/v1/findings/{id}`: what a person says about a finding.

use axum::Json;
use axum::extract::State;
use query::finding::Status;
use query::finding::json::FindingJson;
use query::findings::Patch;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::schema::FindingSchema;
use crate::http::extract::{Id, JsonBody, Nothing, Params, Wire};
use crate::http::problem::{Kind, Problem};
use crate::http::state::AppState;

/// Longest note, characters.
const NOTE: usize = 4096;

/// What changes; at least one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FindingPatch, min_properties = 1)]
pub(crate) struct PatchBody {
    /// `acknowledged`, `closed`, or `open` again.
    #[serde(default, deserialize_with = "given")]
    #[schema(pattern = "^(open|acknowledged|closed)$", nullable = false)]
    status: Option<String>,
    /// A note; an empty one takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(max_length = 4096, nullable = false)]
    note: Option<String>,
}

/// A text that is there: null is none.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

impl Wire for PatchBody {
    const MAX_BYTES: usize = 64 * 1024;
}

impl TryFrom<PatchBody> for Patch {
    type Error = Problem;

    fn try_from(body: PatchBody) -> Result<Self, Problem> {
        let PatchBody { status, note } = body;
        let wrong = |detail: String| Problem::new(Kind::Unprocessable, detail);
        if status.is_none() && note.is_none() {
            return Err(wrong("nothing changes: give 'status', 'note' or both".to_owned()));
        }
        let status = match status.as_deref() {
            None => None,
            Some(word) => match word.parse() {
                Ok(Status::Retracted) => {
                    return Err(wrong("only data retracts a finding: use open, acknowledged or closed".to_owned()));
                }
                Ok(status) => Some(status),
                Err(_) => {
                    return Err(wrong(format!(
                        "'{word}' is no status that a person sets: use open, acknowledged or closed"
                    )));
                }
            },
        };
        let length = note.as_deref().map_or(0, |note| note.chars().count());
        if length > NOTE {
            return Err(wrong(format!("the note has {length} characters, at most {NOTE} are kept")));
        }
        Ok(Self { status, note })
    }
}

/// Acknowledges, closes or opens a finding again, or notes something about it.
#[utoipa::path(
    patch, path = "/api/v1/findings/{id}", tag = "findings",
    params(("id" = String, Path, description = "Id of a finding")),
    request_body = PatchBody,
    responses(
        (status = 200, description = "The finding as it is now", body = FindingSchema),
        (status = 404, description = "There is none", body = crate::http::problem::ProblemJson, content_type = "application/problem+json"),
        (status = 422, description = "A value is not right", body = crate::http::problem::ProblemJson, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = crate::http::problem::ProblemJson, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn patch(
    State(state): State<AppState>,
    Id(id): Id,
    Params(Nothing {}): Params<Nothing>,
    JsonBody(body): JsonBody<PatchBody>,
) -> Result<Json<FindingJson>, Problem> {
    let patch = Patch::try_from(body)?;
    let now = state.now();
    let patched = state.core().findings().patch(&id, &patch, now).await;
    let finding = patched.map_err(|error| Problem::internal("changing a finding", &error))?;
    finding.map(|finding| Json(FindingJson::from(&finding))).ok_or_else(|| super::no_such(&id))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_patch_is_right_or_says_what_is_wrong() {
        let patch = |text: &str| {
            serde_json::from_str::<PatchBody>(text)
                .map_err(|error| error.to_string())
                .and_then(|body| Patch::try_from(body).map_err(|problem| problem.detail().to_owned()))
        };
        assert_eq!(patch(r#"{"status":"closed"}"#).unwrap().status, Some(Status::Closed));
        assert_eq!(patch(r#"{"note":""}"#).unwrap().note.as_deref(), Some(""));
        for (text, word) in [
            ("{}", "nothing changes"),
            (r#"{"status":"retracted"}"#, "only data"),
            (r#"{"status":"done"}"#, "'done'"),
            (r#"{"severity":"low"}"#, "unknown field"),
            (r#"{"status":null}"#, "null"),
        ] {
            let error = patch(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
        let long = serde_json::json!({"note": "ä".repeat(4097)}).to_string();
        assert!(patch(&long).unwrap_err().contains("4097"));
        assert!(patch(&long.replacen('ä', "", 1)).is_ok());
    }
}
