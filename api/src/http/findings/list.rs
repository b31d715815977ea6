//! `GET /api/v1/findings`: a page of findings, the latest seen first.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use chrono::{DateTime, Utc};
use query::finding::json::FindingJson;
use query::findings::{Filter, FindingsError};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::schema::FindingSchema;
use crate::http::extract::Params;
use crate::http::problem::Problem;
use crate::http::state::AppState;

/// Set to `behind` on a list that detection had no time to complete.
const DETECTION: HeaderName = HeaderName::from_static("x-meshwarden-detection");

/// Findings a page, if nothing else is asked for.
const PAGE: usize = 100;

/// Filters; an absent one filters nothing.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// `open`, `acknowledged`, `closed` or `retracted`. Without it: all but retracted ones.
    #[param(pattern = "^(open|acknowledged|closed|retracted)$")]
    status: Option<String>,
    /// This severity or worse: `info`, `low`, `medium`, `high` or `critical`.
    #[param(pattern = "^(info|low|medium|high|critical)$")]
    severity: Option<String>,
    /// Id of a detection.
    detection: Option<String>,
    /// Last seen at or after this RFC 3339 time of the logs.
    #[param(format = DateTime)]
    since: Option<String>,
    /// `next` of the page before, unchanged.
    #[serde(alias = "after")]
    #[param(pattern = "^-?[0-9]+~[0-9a-f]+$")]
    cursor: Option<String>,
    /// Findings a page, 1 to 1000; 100 if absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
}

/// A page of findings.
#[derive(Serialize, ToSchema)]
#[schema(as = FindingsPage)]
pub(crate) struct PageJson {
    /// The findings, the latest seen first.
    #[schema(value_type = Vec<FindingSchema>)]
    findings: Vec<FindingJson>,
    /// `cursor` of the next page; null on the last one.
    #[schema(required = true)]
    next: Option<String>,
}

impl TryFrom<ListParams> for Filter {
    type Error = Problem;

    fn try_from(params: ListParams) -> Result<Self, Problem> {
        let ListParams { status, severity, detection, since, cursor, limit } = params;
        let wrong = |name: &str, reason: &dyn std::fmt::Display| {
            Problem::bad_request(format!("the parameter '{name}' is not right: {reason}"))
        };
        Ok(Self {
            status: status.map(|word| word.parse().map_err(|error| wrong("status", &error))).transpose()?,
            severity: severity.map(|word| word.parse().map_err(|error| wrong("severity", &error))).transpose()?,
            detection,
            since: since
                .map(|text| {
                    instant(&text).ok_or_else(|| {
                        wrong("since", &format!("'{text}' is no RFC 3339 time, write it like 2026-11-23T16:00:00Z"))
                    })
                })
                .transpose()?,
            after: cursor,
            limit: match limit {
                None => PAGE,
                Some(text) => text
                    .parse()
                    .ok()
                    .filter(|limit| (1..=1000).contains(limit))
                    .ok_or_else(|| wrong("limit", &format!("'{text}' is no number from 1 to 1000")))?,
            },
        })
    }
}

/// An RFC 3339 time. In a query a `+` reads as a space, so that a space before the offset means `+`.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    let parse = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc));
    parse(text).or_else(|| text.rsplit_once(' ').and_then(|(time, offset)| parse(&format!("{time}+{offset}"))))
}

/// A page of findings, the latest seen first.
#[utoipa::path(
    get, path = "/api/v1/findings", tag = "findings",
    params(ListParams),
    responses(
        (status = 200, description = "A page of findings", body = PageJson,
         headers(("x-meshwarden-detection" = String, description = "`behind`: detection has not looked at everything that came in yet"))),
        (status = 400, description = "A parameter is unknown or not right", body = crate::http::problem::ProblemJson, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = crate::http::problem::ProblemJson, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Params(params): Params<ListParams>,
) -> Result<(HeaderMap, Json<PageJson>), Problem> {
    let filter = Filter::try_from(params)?;
    let mut headers = HeaderMap::new();
    if !super::caught_up(&state).await? {
        headers.insert(DETECTION, HeaderValue::from_static("behind"));
    }
    let page = state.core().findings().list(&filter).await.map_err(|error| match &error {
        FindingsError::Cursor(_) => Problem::bad_request(format!("the parameter 'cursor' is not right: {error}")),
        _ => Problem::internal("listing findings", &error),
    })?;
    let findings = page.findings.iter().map(FindingJson::from).collect();
    Ok((headers, Json(PageJson { findings, next: page.next })))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_with_every_offset() {
        let expected: DateTime<Utc> = "2026-11-23T16:00:00Z".parse().unwrap();
        for text in [
            "2026-11-23T16:00:00Z",
            "2026-11-23T17:00:00+01:00",
            "2026-11-23T17:00:00 01:00",
            "2026-11-23T16:00:00.000-00:00",
        ] {
            assert_eq!(instant(text), Some(expected), "{text}");
        }
        for text in ["", "yesterday", "2026-11-23", "1795358539"] {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
