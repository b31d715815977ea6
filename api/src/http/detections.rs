//! `GET /api/v1/detections`: what is looked for, and what of it the logs at hand let one see.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use query::detect::{Detection, Missing, Refused, Sight};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{Nothing, Params};
use super::problem::Problem;
use super::state::AppState;

/// The loaded detections.
#[derive(Serialize, ToSchema)]
pub(crate) struct Detections {
    /// By id.
    detections: Vec<DetectionJson>,
    /// Files that are no detection.
    refused: Vec<RefusedJson>,
}

/// A detection.
#[derive(Serialize, ToSchema)]
#[schema(as = Detection)]
pub(crate) struct DetectionJson {
    /// Unique.
    id: String,
    /// Part of a finding's id.
    version: i64,
    /// A few words.
    title: String,
    /// `info`, `low`, `medium`, `high` or `critical`.
    severity: String,
    /// Length of a window: a number and `s`, `m`, `h` or `d`.
    window: String,
    /// How far before the window it reads; `0s` if it does not.
    lookback: String,
    /// Columns that say who a finding is about.
    entity: Vec<String>,
    /// Columns of `access_logs` without which it is blind.
    requires: Vec<String>,
    /// MITRE ATT&CK techniques.
    attack: Vec<String>,
    /// When it is wrong.
    false_positives: String,
    /// What to do about a finding.
    runbook: String,
    /// Its SQL.
    sql: String,
    /// Where it came from.
    file: String,
    /// What it sees.
    sight: SightJson,
}

/// What a detection sees in the logs that came in so far.
#[derive(Serialize, ToSchema)]
#[schema(as = Sight)]
pub(crate) struct SightJson {
    /// `evaluable`, `degraded`, `blind` or `no data`.
    state: &'static str,
    /// Columns that no line carried.
    missing: Vec<MissingJson>,
}

/// A column that no line carried.
#[derive(Serialize, ToSchema)]
#[schema(as = Missing)]
pub(crate) struct MissingJson {
    /// The column.
    column: String,
    /// What is not seen without it.
    unseen: String,
    /// Lines that do not carry it.
    lines: u64,
    /// Lines in all.
    of: u64,
    /// Lines for the log format that would fill it.
    add: Vec<String>,
}

/// A file that is no detection.
#[derive(Serialize, ToSchema)]
#[schema(as = Refused)]
pub(crate) struct RefusedJson {
    /// The file.
    file: String,
    /// Why.
    reason: String,
}

/// What is looked for, and what the logs at hand let it see.
#[utoipa::path(
    get, path = "/api/v1/detections", tag = "detections",
    responses(
        (status = 200, description = "The detections", body = Detections),
        (status = "default", description = "A problem", body = super::problem::ProblemJson, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn detections(
    State(state): State<AppState>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Json<Detections>, Problem> {
    let detections = state.core().sights().iter().map(|(detection, sight)| detection_json(detection, sight)).collect();
    let refused = state.core().pack().refused().iter().map(refused_json).collect();
    Ok(Json(Detections { detections, refused }))
}

fn detection_json(detection: &Detection, sight: &Sight) -> DetectionJson {
    let header = &detection.header;
    DetectionJson {
        id: header.id.clone(),
        version: header.version,
        title: header.title.to_string(),
        severity: header.severity.to_string(),
        window: duration(header.window),
        lookback: duration(header.lookback),
        entity: header.entity.clone(),
        requires: header.requires.clone(),
        attack: header.attack.to_vec(),
        false_positives: header.false_positives.clone(),
        runbook: header.runbook.to_string(),
        sql: detection.sql.clone(),
        file: detection.file.clone(),
        sight: SightJson { state: sight.as_str(), missing: sight.missing().iter().map(missing_json).collect() },
    }
}

fn missing_json(missing: &Missing) -> MissingJson {
    let Missing { column, unseen, lines, of, add } = missing.clone();
    MissingJson { column, unseen, lines, of, add }
}

fn refused_json(refused: &Refused) -> RefusedJson {
    let Refused { file, reason } = refused.clone();
    RefusedJson { file, reason }
}

/// As headers write it: a whole number of the largest unit that fits.
fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    let unit = [(86_400, 'd'), (3_600, 'h'), (60, 'm')]
        .into_iter()
        .find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    match unit {
        Some((unit, letter)) => format!("{}{letter}", seconds / unit),
        None => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn durations_read_as_in_headers() {
        for (seconds, text) in [(0, "0s"), (30, "30s"), (90, "90s"), (300, "5m"), (3_600, "1h"), (86_400, "1d")] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }
}
