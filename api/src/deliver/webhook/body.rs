//! The body of a webhook: `{"type","timestamp","data","truncated"?}`.
//!
//! `type` is `finding.` and the change's kind, `timestamp` is when the change happened (the finding's event times are inside
//! `data`), `data` is the finding as it was after the change. Standard Webhooks wants less than 20 kB: `truncated` names what
//! was taken away to keep that.

use query::finding::Change;
use query::finding::json::{FindingJson, time_text};
use serde::Serialize;

use crate::deliver::json::within;

/// Largest body, bytes.
pub(super) const LIMIT: usize = 20_000;

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    timestamp: String,
    data: FindingJson,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    truncated: &'a [&'static str],
}

/// The body for a change.
pub(super) fn of(change: &Change) -> Result<Vec<u8>, serde_json::Error> {
    within(change, LIMIT, |change, truncated| {
        serde_json::to_vec(&Body {
            r#type: format!("finding.{}", change.kind.as_str()),
            timestamp: time_text(change.at),
            data: FindingJson::from(&change.finding),
            truncated,
        })
    })
}
