//! A hit: one row that a detection's SQL returned, with the columns that the engine knows taken out of it.
//!
//! Output of every detection: the header's entity columns, `count` (integer), `first_seen` and `last_seen` (timestamps),
//! `evidence` (list of `log_id`); every other column is a fact.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::header::Header;
use crate::finding::{Entity, Finding, Status, id};
use crate::json::rows_as_json;
use crate::sql::functions::MOST_EVIDENCE;
use crate::window::Window;

/// A row that a detection returned for one window.
#[derive(Clone, Debug)]
pub struct Hit {
    header: std::sync::Arc<Header>,
    window: Window,
    entity: Entity,
    count: i64,
    first_seen: DateTime<Utc>,
    last_seen: DateTime<Utc>,
    evidence: Vec<String>,
    facts: BTreeMap<String, Value>,
}

/// Output that is no hit.
#[derive(Debug, thiserror::Error)]
pub enum HitError {
    /// A column is missing.
    #[error("its SQL returns no column '{0}'")]
    Column(String),
    /// A column cannot be read as what it must be.
    #[error("its column '{column}' is no {expected}: {source}")]
    Type {
        /// The column.
        column: &'static str,
        /// What it must be.
        expected: &'static str,
        /// Why not.
        source: arrow::error::ArrowError,
    },
    /// A count below one.
    #[error("its SQL returns a hit with count {0}: a hit stands on at least one row")]
    Count(i64),
    /// Facts could not be written as JSON.
    #[error("its facts cannot be written as JSON: {0}")]
    Facts(#[from] crate::json::JsonRowsError),
}

impl Hit {
    /// The hits in one batch of a detection's output.
    pub(super) fn read(
        header: &std::sync::Arc<Header>,
        window: Window,
        batch: &RecordBatch,
    ) -> Result<Vec<Self>, HitError> {
        let column = |name: &str| batch.column_by_name(name).cloned().ok_or_else(|| HitError::Column(name.to_owned()));
        let typed = |name: &'static str, expected: &'static str, to: &DataType| -> Result<ArrayRef, HitError> {
            cast(&column(name)?, to).map_err(|source| HitError::Type { column: name, expected, source })
        };
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let counts = typed("count", "integer", &DataType::Int64)?;
        let first = typed("first_seen", "timestamp", &utc)?;
        let last = typed("last_seen", "timestamp", &utc)?;
        let texts = DataType::new_list(DataType::Utf8, true);
        let evidence = typed("evidence", "list of texts", &texts)?;
        let entities = header
            .entity
            .iter()
            .map(|name| {
                let text = cast(&column(name)?, &DataType::Utf8).map_err(|source| HitError::Type {
                    column: "entity",
                    expected: "text",
                    source,
                })?;
                Ok((name, text))
            })
            .collect::<Result<Vec<_>, HitError>>()?;
        let facts = rows_as_json(std::slice::from_ref(batch))?;
        let mut hits = Vec::with_capacity(batch.num_rows());
        for (row, facts) in facts.into_iter().enumerate() {
            let time = |array: &ArrayRef| {
                let micros = array.as_primitive::<TimestampMicrosecondType>();
                (!micros.is_null(row))
                    .then(|| micros.value(row))
                    .and_then(DateTime::from_timestamp_micros)
                    .unwrap_or(window.start_time())
            };
            let counts = counts.as_primitive::<Int64Type>();
            let count = if counts.is_null(row) { 0 } else { counts.value(row) };
            if count < 1 {
                return Err(HitError::Count(count));
            }
            let list = evidence.as_list::<i32>();
            let evidence = if list.is_null(row) {
                Vec::new()
            } else {
                let texts = list.value(row);
                let mut evidence = Vec::with_capacity(texts.len().min(MOST_EVIDENCE));
                evidence.extend(texts.as_string::<i32>().iter().flatten().take(MOST_EVIDENCE).map(str::to_owned));
                evidence
            };
            hits.push(Self {
                header: header.clone(),
                window,
                entity: entities
                    .iter()
                    .map(|(name, texts)| {
                        let texts = texts.as_string::<i32>();
                        let value = if texts.is_null(row) { "unknown" } else { texts.value(row) };
                        ((*name).clone(), value.to_owned())
                    })
                    .collect(),
                count,
                first_seen: time(&first),
                last_seen: time(&last),
                evidence,
                facts: facts
                    .into_iter()
                    .filter(|(name, _)| !["count", "first_seen", "last_seen", "evidence"].contains(&name.as_str()))
                    .filter(|(name, _)| !header.entity.contains(name))
                    .collect(),
            });
        }
        Ok(hits)
    }

    /// Who it is about.
    #[must_use]
    pub fn entity(&self) -> &Entity {
        &self.entity
    }

    /// Distinct rows that made it.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.count
    }

    /// The finding that this hit stands for, as if it were new.
    #[must_use]
    pub fn into_finding(self) -> Finding {
        let Self { header, window, entity, count, first_seen, last_seen, evidence, facts } = self;
        let id = id(&header.id, header.version, &entity, window);
        Finding {
            incident: id.clone(),
            id,
            detection: header.id.clone(),
            version: header.version,
            title: header.title.clone(),
            severity: header.severity,
            status: Status::Open,
            summary: summary(&header.summary, &entity, count, &facts),
            entity,
            first_seen,
            last_seen,
            count,
            window,
            facts,
            attack: header.attack.clone(),
            evidence,
            runbook: header.runbook.clone(),
            note: None,
        }
    }
}

/// The header's sentence with every `{name}` replaced by the entity's or fact's value.
fn summary(template: &str, entity: &Entity, count: i64, facts: &BTreeMap<String, Value>) -> String {
    let mut sentence = String::with_capacity(template.len() + 64);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        sentence.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            sentence.push('{');
            rest = after;
            break;
        };
        match (entity.get(name), facts.get(name)) {
            (Some(text), _) | (None, Some(Value::String(text))) => sentence.push_str(text),
            (None, Some(Value::Null)) => sentence.push_str("unknown"),
            (None, Some(value)) => sentence.push_str(&value.to_string()),
            (None, None) if name == "count" => sentence.push_str(&count.to_string()),
            (None, None) => sentence.push_str("unknown"),
        }
        rest = after;
    }
    sentence.push_str(rest);
    sentence
}

#[cfg(test)]
impl Hit {
    /// The header of a detection `test`.
    pub(crate) fn header_for_test() -> std::sync::Arc<Header> {
        let text = r#"/* ---
id = "test"
version = 1
title = "a test"
severity = "low"
window = "1s"
entity = ["source"]
summary = "{source} did it {count} times"
requires = []
attack = []
false_positives = ""
runbook = ""
--- */ SELECT 1"#;
        let header = super::header::parse(text).map(|(header, _)| header);
        #[allow(clippy::unwrap_used)]
        std::sync::Arc::new(header.unwrap())
    }

    /// A hit of a detection `test` about `source`.
    pub(crate) fn for_test(source: &str, window: Window, count: i64) -> Self {
        Self {
            header: Self::header_for_test(),
            window,
            entity: Entity::from([("source".to_owned(), source.to_owned())]),
            count,
            first_seen: window.start_time(),
            last_seen: window.start_time(),
            evidence: vec![format!("log:{count}")],
            facts: BTreeMap::new(),
        }
    }
}
