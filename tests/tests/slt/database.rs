//! The database of a script: a core, fed by `LINES`, asked with SQL.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Utc};
use ingest::{DecodeOptions, Decoder};
use query::finding::Finding;
use query::findings::Filter;
use query::sql::{Limits, Rowset};
use query::{Core, CoreOptions, Keep};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};
use tests::lines::Line;

/// 2026-11-23T00:00:00Z, the day of every script.
const MIDNIGHT: i64 = 1_795_392_000_000_000;

/// Where rows are when a query runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// In memory.
    Hot,
    /// In Parquet.
    Cold,
    /// Every other `LINES` in Parquet.
    Half,
}

pub(crate) struct Database {
    core: Core,
    stored: Stored,
    statements: usize,
    _folder: tempfile::TempDir,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failure(String);

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self(text)
    }
}

fn failure(error: impl std::fmt::Display) -> Failure {
    Failure(error.to_string())
}

impl Database {
    pub(crate) async fn new(stored: Stored) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let core = match stored {
            Stored::Hot => Core::in_memory(Keep::All, CoreOptions::default()).await.unwrap(),
            Stored::Cold | Stored::Half => Core::open(folder.path(), CoreOptions::default()).await.unwrap(),
        };
        Self { core, stored, statements: 0, _folder: folder }
    }

    async fn lines(&mut self, words: &str) -> Result<(), Failure> {
        let (words, overrides) = match words.split_once('{') {
            Some((words, overrides)) => (words, serde_json::from_str(&format!("{{{overrides}")).map_err(failure)?),
            None => (words, serde_json::Map::new()),
        };
        let words: Vec<&str> = words.split_whitespace().collect();
        let [kind, source, destination, count, at, every] = words[..] else {
            return Err(format!("LINES takes six words, not {words:?}").into());
        };
        let (count, every): (i64, f64) = (count.parse().map_err(failure)?, every.parse().map_err(failure)?);
        let clock: Vec<i64> = at.split(':').map(|part| part.parse().unwrap()).collect();
        let start = MIDNIGHT + (clock[0] * 3600 + clock[1] * 60 + clock[2]) * 1_000_000;
        let mut lines = String::new();
        for n in 0..count {
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
            let time = start + (n as f64 * every * 1e6) as i64;
            let mut line = match kind {
                "inbound" => Line::inbound(time, source, destination),
                "denied" => Line::denied(time, source, destination),
                "refused" => Line::refused(time, source, destination),
                "plaintext-rejected" => Line::plaintext_rejected(time, source, destination),
                "plaintext-accepted" => Line::plaintext_accepted(time, source, destination),
                "passthrough" => Line::passthrough(time, source, destination),
                "ztunnel-inbound" => Line::ztunnel(time, "inbound", source, destination),
                "ztunnel-outbound" => Line::ztunnel(time, "outbound", source, destination),
                other => return Err(format!("there are no lines of kind {other}").into()),
            };
            for (key, value) in &overrides {
                line = line.with(key, value.clone());
            }
            lines.push_str(&format!("{line}\n"));
        }
        self.take(&lines).await
    }

    /// Takes lines in as they stand.
    async fn take(&mut self, lines: &str) -> Result<(), Failure> {
        self.statements += 1;
        let source = format!("lines-{}", self.statements);
        let mut decoder = Decoder::new(Arc::new(DecodeOptions::default()), source, DateTime::<Utc>::UNIX_EPOCH);
        decoder.push(lines.as_bytes());
        while let Some(batch) = decoder.next_batch() {
            self.core.append(&batch).await.map_err(failure)?;
        }
        if let Some(batch) = decoder.finish() {
            self.core.append(&batch).await.map_err(failure)?;
        }
        if self.stored == Stored::Cold || (self.stored == Stored::Half && self.statements % 2 == 1) {
            self.core.store().flush().await.map_err(failure)?;
        }
        Ok(())
    }

    async fn query(&self, sql: &str) -> Result<Rowset, Failure> {
        let session = self.core.session().await.map_err(failure)?;
        let page = self.core.findings().list(&Filter { limit: 1000, ..Filter::default() }).await.map_err(failure)?;
        session.register_batch("findings", findings(&page.findings)).map_err(failure)?;
        Rowset::of(self.core.sql(), session, sql, Limits::default()).await.map_err(failure)
    }
}

fn findings(findings: &[Finding]) -> RecordBatch {
    let text = |f: &dyn Fn(&Finding) -> Option<String>| -> ArrayRef {
        Arc::new(findings.iter().map(f).collect::<StringArray>())
    };
    let count: ArrayRef = Arc::new(findings.iter().map(|finding| Some(finding.count)).collect::<Int64Array>());
    let entity = |name: &'static str| text(&move |finding: &Finding| finding.entity.get(name).cloned());
    RecordBatch::try_from_iter_with_nullable([
        ("detection", text(&|finding| Some(finding.detection.clone())), true),
        ("source", entity("source"), true),
        ("destination", entity("destination"), true),
        ("host", entity("host"), true),
        ("route", entity("route"), true),
        ("count", count, true),
        ("severity", text(&|finding| Some(finding.severity.to_string())), true),
        ("starts", text(&|finding| Some(finding.window.start_time().format("%H:%M").to_string())), true),
        ("incident", text(&|finding| Some(finding.incident.clone())), true),
        ("summary", text(&|finding| Some(finding.summary.clone())), true),
        ("facts", text(&|finding| serde_json::to_string(&finding.facts).ok()), true),
    ])
    .unwrap()
}

#[async_trait::async_trait]
impl AsyncDB for Database {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        if let Some(words) = sql.trim().strip_prefix("LINES ") {
            self.lines(words).await?;
            return Ok(DBOutput::StatementComplete(0));
        }
        if let Some(lines) = sql.trim().strip_prefix("RAW\n") {
            self.take(lines).await?;
            return Ok(DBOutput::StatementComplete(0));
        }
        if sql.trim() == "DETECT" {
            let round = self.core.detect(DateTime::<Utc>::UNIX_EPOCH).await.map_err(failure)?;
            if let Some(bad) = round.failures.first() {
                return Err(failure(bad));
            }
            return Ok(DBOutput::StatementComplete(0));
        }
        let rowset = self.query(sql).await?;
        let options = FormatOptions::default().with_null("NULL");
        let mut rows = Vec::new();
        for batch in &rowset.batches {
            let columns = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column, &options))
                .collect::<Result<Vec<_>, _>>();
            let columns = columns.map_err(failure)?;
            for row in 0..batch.num_rows() {
                let cell = |column: &ArrayFormatter<'_>| match column.value(row).to_string() {
                    text if text.is_empty() => "(empty)".to_owned(),
                    text => text,
                };
                rows.push(columns.iter().map(cell).collect());
            }
        }
        let types = rowset.schema.fields().iter().map(|field| match field.data_type() {
            kind if kind.is_integer() => DefaultColumnType::Integer,
            kind if kind.is_floating() => DefaultColumnType::FloatingPoint,
            _ => DefaultColumnType::Text,
        });
        Ok(DBOutput::Rows { types: types.collect(), rows })
    }

    async fn shutdown(&mut self) {}
}
