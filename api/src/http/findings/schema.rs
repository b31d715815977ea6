//! The shape of a finding for `/openapi.json`. What is sent is [`query::finding::json::FindingJson`]; a test holds the two together.

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// A finding.
#[derive(ToSchema)]
#[cfg_attr(test, derive(serde::Deserialize), serde(deny_unknown_fields))]
#[schema(as = Finding)]
#[allow(dead_code)]
pub(crate) struct FindingSchema {
    /// Hash of detection, version, entity and window.
    id: String,
    /// Id of the detection.
    detection: String,
    /// Version of the detection.
    version: i64,
    /// Title of the detection.
    title: String,
    /// `info`, `low`, `medium`, `high` or `critical`.
    severity: String,
    /// `open`, `acknowledged`, `closed` or `retracted`.
    status: String,
    /// Id of the first finding of an unbroken run of windows.
    incident: String,
    /// Who it is about.
    entity: BTreeMap<String, String>,
    /// One plain sentence.
    summary: String,
    /// Time of the first row that made it.
    #[schema(format = DateTime)]
    first_seen: String,
    /// Time of the last row that made it.
    #[schema(format = DateTime)]
    last_seen: String,
    /// Rows that made it.
    count: i64,
    /// The window it was found in.
    window: WindowSchema,
    /// What else the detection says about it.
    #[schema(value_type = Object)]
    facts: BTreeMap<String, serde_json::Value>,
    /// MITRE ATT&CK techniques.
    attack: Vec<String>,
    /// `log_id` of rows that made it.
    evidence: Vec<String>,
    /// What to do about it.
    runbook: String,
    /// A person's note.
    note: Option<String>,
}

/// A half-open interval of the logs' time.
#[derive(ToSchema)]
#[cfg_attr(test, derive(serde::Deserialize), serde(deny_unknown_fields))]
#[schema(as = Window)]
#[allow(dead_code)]
pub(crate) struct WindowSchema {
    /// First instant inside.
    #[schema(format = DateTime)]
    start: String,
    /// First instant after.
    #[schema(format = DateTime)]
    end: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::FindingSchema;
    use chrono::DateTime;
    use query::finding::json::FindingJson;
    use query::finding::{Finding, Severity, Status};
    use query::window::Window;

    #[test]
    fn the_schema_is_what_is_sent() {
        let finding = Finding {
            id: "1".into(),
            detection: "d".into(),
            version: 1,
            title: "t".into(),
            severity: Severity::High,
            status: Status::Open,
            incident: "1".into(),
            entity: [("source".to_owned(), "a".to_owned())].into(),
            summary: "s".into(),
            first_seen: DateTime::UNIX_EPOCH,
            last_seen: DateTime::UNIX_EPOCH,
            count: 1,
            window: Window::new(0, 1).unwrap(),
            facts: [("n".to_owned(), 1.into())].into(),
            attack: std::sync::Arc::new(["T1046".into()]),
            evidence: vec!["x".into()],
            runbook: "r".into(),
            note: Some("n".into()),
        };
        let sent = serde_json::to_value(FindingJson::from(&finding)).unwrap();
        serde_json::from_value::<FindingSchema>(sent).unwrap();
    }
}
