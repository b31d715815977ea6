//! The JSON form of a change, the same in NDJSON files and syslog messages, and the art of keeping it within a bound.
//!
//! ```json
//! {"id":"<finding id>-<revision>","kind":"opened","at":"2026-…Z","finding":{…},"truncated":["evidence"]}
//! ```
//! `truncated` is absent unless something had to go: it names the keys of `finding` that were emptied or cut.

use query::finding::json::{FindingJson, time_text};
use query::finding::{Change, Finding};
use serde::Serialize;

/// Longest text (characters) that is left whole in the last step of [`within`].
const CUT: usize = 200;

/// A change on the wire.
#[derive(Serialize)]
pub(crate) struct ChangeJson<'a> {
    id: &'a str,
    kind: &'static str,
    at: String,
    finding: FindingJson,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    truncated: &'a [&'static str],
}

impl<'a> ChangeJson<'a> {
    /// The form of `change`, from which the keys `truncated` were taken away.
    pub(crate) fn new(change: &'a Change, truncated: &'a [&'static str]) -> Self {
        let Change { seq: _, id, kind, at, finding } = change;
        Self { id, kind: kind.as_str(), at: time_text(*at), finding: FindingJson::from(finding), truncated }
    }
}

/// What `write` makes of `change`, after as much of the finding as necessary is taken away to keep it within `limit` bytes: what
/// can be looked up again goes first (evidence, facts, runbook, note), then long texts are cut. Returns the last form when even
/// that is too long.
pub(crate) fn within<E>(
    change: &Change,
    limit: usize,
    write: impl Fn(&Change, &[&'static str]) -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, E> {
    /// The key that goes, and how.
    type Step = (&'static str, fn(&mut Finding));
    const STEPS: [Step; 5] = [
        ("evidence", |finding| finding.evidence.clear()),
        ("facts", |finding| finding.facts.clear()),
        ("runbook", |finding| finding.runbook = cut(&finding.runbook).into()),
        ("note", |finding| finding.note = finding.note.as_deref().map(cut)),
        ("texts", |finding| {
            finding.title = cut(&finding.title).into();
            finding.summary = cut(&finding.summary);
            for value in finding.entity.values_mut() {
                *value = cut(value);
            }
        }),
    ];
    let mut bytes = write(change, &[])?;
    let mut smaller = change.clone();
    let mut gone = Vec::new();
    for (key, take_away) in STEPS {
        if bytes.len() <= limit {
            break;
        }
        take_away(&mut smaller.finding);
        gone.push(key);
        bytes = write(&smaller, &gone)?;
    }
    Ok(bytes)
}

/// The first characters of a text.
fn cut(text: &str) -> String {
    if text.chars().count() <= CUT {
        return text.to_owned();
    }
    text.chars().take(CUT).chain(['…']).collect()
}
