//! `doctor ingest`: what arrived from whom in the last hour, what is silent, what is rejected and why. The answer to "set up, and nothing shows".
//!
//! ```text
//!  tables on disk ─▶ two queries: rows and rejects by source ─▶ Arrivals ─▶ notes: what is wrong, and what to do ─▶ text or JSON
//! ```
//! Two or three columns of all rows are read, whatever time the lines themselves say: a clock that is wrong is one of the answers.

use std::collections::BTreeMap;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use query::detect::Pack;
use query::sql::{Limits, QueryError, Rowset, Sql};
use query::store::Store;
use serde::Serialize;

use super::wrap::labelled;
use super::{Note, sorted};
use crate::render::visible;

/// What "lately" is.
const LATELY: TimeDelta = TimeDelta::hours(1);
/// A table that was not written for so long is not being written.
const STALE: TimeDelta = TimeDelta::minutes(10);
/// Bytes of a rejected line that are shown.
const SHOWN: usize = 160;

/// What arrived.
#[derive(Debug, Serialize)]
pub(crate) struct Arrivals {
    /// Lately is from then on, RFC 3339.
    since: String,
    /// When the tables were last written, RFC 3339.
    as_of: Option<String>,
    /// Payloads that are on stable storage and not in the tables on disk yet.
    waiting: u64,
    /// By name.
    sources: Vec<Source>,
    /// The worst first.
    notes: Vec<Note>,
}

/// One source.
#[derive(Debug, Default, Serialize)]
struct Source {
    source: String,
    /// Rows, lately.
    rows: u64,
    /// Of these, rows whose own time is more than a day before they came, or later than that.
    of_another_time: u64,
    /// Pods that they are of, as far as the lines say.
    pods: u64,
    /// Lines that were rejected, lately.
    rejected: u64,
    /// Rows of all times.
    rows_ever: u64,
    /// When the last line came, row or reject, RFC 3339.
    last: Option<String>,
    /// Nothing came lately.
    silent: bool,
    reasons: Vec<Reason>,
    /// Detections that cannot see in its lines.
    blind: Vec<String>,
}

/// Why lines were rejected.
#[derive(Debug, Serialize)]
struct Reason {
    reason: String,
    lines: u64,
    /// What was wrong with one of them.
    detail: String,
    /// The beginning of that.
    line: String,
    /// What to do.
    advice: &'static str,
}

/// What is asked of a store.
pub(crate) struct Asked<'a> {
    pub(crate) store: &'a Store,
    pub(crate) pack: &'a Pack,
    pub(crate) sql: &'a Sql,
    /// Payloads of the journal that the tables do not have.
    pub(crate) waiting: u64,
    pub(crate) now: DateTime<Utc>,
}

impl Arrivals {
    /// Asks a store.
    ///
    /// # Errors
    /// If its tables cannot be read.
    pub(crate) async fn of(asked: &Asked<'_>) -> Result<Self, QueryError> {
        let since = asked.now - LATELY;
        let mut sources = rows_by_source(asked, since).await?;
        rejects_by_source(asked, since, &mut sources).await?;
        for (name, coverage) in asked.store.coverage() {
            let source = sources.entry(name.clone()).or_insert_with(|| Source { source: name, ..Source::default() });
            let blind = asked.pack.sights(&coverage).into_iter().filter(|(_, sight)| sight.as_str() == "blind");
            source.blind = blind.map(|(detection, _)| detection.header.id.clone()).collect();
        }
        let mut sources: Vec<Source> = sources.into_values().collect();
        for source in &mut sources {
            source.silent = source.rows + source.rejected == 0;
        }
        let as_of = asked.store.as_of();
        let notes = sorted(notes(asked, &sources, as_of));
        Ok(Self { since: instant(since), as_of: as_of.map(instant), waiting: asked.waiting, sources, notes })
    }

    /// Whether nothing ever arrived.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting == 0 && self.sources.iter().all(|source| source.last.is_none())
    }

    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        let as_of = self.as_of.as_deref().unwrap_or("never");
        labelled(&mut out, 0, "written", &format!("{as_of}; {} payloads wait in the journal", self.waiting));
        for source in &self.sources {
            out.push('\n');
            labelled(&mut out, 0, "source", &visible(&source.source));
            let Source { rows, rejected, rows_ever, pods, .. } = source;
            let lately = match source.silent {
                true => format!("silent since {}", source.last.as_deref().unwrap_or("the beginning")),
                false => {
                    let pods = if *pods > 0 { format!(", of {pods} pods") } else { String::new() };
                    format!("{rows} rows{pods}, {rejected} rejected lines")
                }
            };
            labelled(&mut out, 2, "last hour", &lately);
            labelled(
                &mut out,
                2,
                "ever",
                &format!("{rows_ever} rows, the last line at {}", source.last.as_deref().unwrap_or("–")),
            );
            for Reason { reason, lines, detail, line, advice } in &source.reasons {
                labelled(&mut out, 2, "rejected", &visible(&format!("{lines} {reason}: {detail}")));
                labelled(&mut out, 4, "such as", &visible(line));
                labelled(&mut out, 4, "do", advice);
            }
            if !source.blind.is_empty() {
                labelled(
                    &mut out,
                    2,
                    "blind",
                    &format!("{} (doctor format says what is missing)", source.blind.join(", ")),
                );
            }
        }
        if !self.notes.is_empty() {
            out.push('\n');
        }
        for note in &self.notes {
            labelled(&mut out, 0, note.weight.as_str(), &visible(&note.text));
        }
        out
    }
}

async fn rows_by_source(asked: &Asked<'_>, since: DateTime<Utc>) -> Result<BTreeMap<String, Source>, QueryError> {
    let lately = format!("received_at >= '{}'", instant(since));
    let rows = ask(
        asked,
        &format!(
            "SELECT source, count(*) FILTER (WHERE {lately}) AS rows,
                count(*) FILTER (WHERE {lately} AND (time < received_at - INTERVAL '1 day' OR time > received_at + INTERVAL '1 day')) AS other,
                count(DISTINCT CASE WHEN {lately} THEN node_pod END) AS pods,
                count(*) AS ever, max(received_at) AS last
             FROM access_logs GROUP BY source"
        ),
    )
    .await?;
    let mut sources = BTreeMap::new();
    for batch in &rows.batches {
        for row in 0..batch.num_rows() {
            let number = |column: usize| count(batch, column, row);
            let name = text(batch, 0, row);
            let source = Source {
                source: name.clone(),
                rows: number(1),
                of_another_time: number(2),
                pods: number(3),
                rows_ever: number(4),
                last: time(batch, 5, row),
                ..Source::default()
            };
            sources.insert(name, source);
        }
    }
    Ok(sources)
}

async fn rejects_by_source(
    asked: &Asked<'_>,
    since: DateTime<Utc>,
    sources: &mut BTreeMap<String, Source>,
) -> Result<(), QueryError> {
    let lately = format!("received_at >= '{}'", instant(since));
    let rows = ask(
        asked,
        &format!(
            "SELECT source, reason, count(*) FILTER (WHERE {lately}) AS lines, max(received_at) AS last,
                min(detail) AS detail, arrow_cast(min(raw), 'Binary') AS raw
             FROM rejects GROUP BY source, reason ORDER BY lines DESC, reason"
        ),
    )
    .await?;
    for batch in &rows.batches {
        for row in 0..batch.num_rows() {
            let name = text(batch, 0, row);
            let source = sources.entry(name.clone()).or_insert_with(|| Source { source: name, ..Source::default() });
            source.last = source.last.take().max(time(batch, 3, row));
            let (reason, lines) = (text(batch, 1, row), count(batch, 2, row));
            if lines == 0 {
                continue;
            }
            source.rejected += lines;
            let line = batch.columns().get(5).and_then(|column| column.as_binary_opt::<i32>());
            let line = line.filter(|line| line.is_valid(row)).map(|line| String::from_utf8_lossy(line.value(row)));
            let line = line.unwrap_or_default().chars().take(SHOWN).collect();
            let advice = advice(&reason);
            source.reasons.push(Reason { reason, lines, detail: text(batch, 4, row), line, advice });
        }
    }
    Ok(())
}

async fn ask(asked: &Asked<'_>, query: &str) -> Result<Rowset, QueryError> {
    let limits = Limits { rows: usize::MAX, bytes: usize::MAX, time: std::time::Duration::from_secs(3600) };
    let session = asked.sql.over(&asked.store.snapshot()).await;
    Rowset::of(asked.sql, session.map_err(|error| QueryError::Run(Box::new(error)))?, query, limits).await
}

fn text(batch: &arrow::array::RecordBatch, column: usize, row: usize) -> String {
    let column = batch.columns().get(column).and_then(|column| column.as_string_view_opt());
    column.filter(|column| column.is_valid(row)).map(|column| column.value(row).to_owned()).unwrap_or_default()
}

fn count(batch: &arrow::array::RecordBatch, column: usize, row: usize) -> u64 {
    let column = batch.columns().get(column).and_then(|column| column.as_primitive_opt::<Int64Type>());
    column.filter(|column| column.is_valid(row)).map_or(0, |column| u64::try_from(column.value(row)).unwrap_or(0))
}

fn time(batch: &arrow::array::RecordBatch, column: usize, row: usize) -> Option<String> {
    let column = batch.columns().get(column)?.as_primitive_opt::<TimestampMicrosecondType>()?;
    column.is_valid(row).then(|| DateTime::from_timestamp_micros(column.value(row)).map(instant))?
}

/// Fixed width, so that texts are in the order of time.
fn instant(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What helps against a reason.
fn advice(reason: &str) -> &'static str {
    match reason {
        "unknown_format" => {
            "name your format with --format-string or --mesh-config; meshwarden doctor format FILE tries them"
        }
        "not_an_access_log" => {
            "this is something else, as what a proxy says about itself: send access logs alone, or leave it"
        }
        "not_json" => "a shipper cuts lines, or a text template imitates JSON: use encoding JSON, and send whole lines",
        "bad_time" => "log an instant with its zone: %START_TIME% without a pattern, or with %Y-%m-%dT%H:%M:%S%z",
        "bad_text_format" => "a value breaks the text format, as a quote in a header does: log JSON",
        "line_too_long" => "raise --max-line-bytes, or log fewer headers",
        "nesting_too_deep" => "raise --max-nesting, or log less deeply",
        "not_utf8" => "send the bytes as the proxy wrote them: Envoy escapes what is not UTF-8",
        _ => "see the table rejects: SELECT * FROM rejects",
    }
}

fn notes(asked: &Asked<'_>, sources: &[Source], as_of: Option<DateTime<Utc>>) -> Vec<Note> {
    let mut notes = Vec::new();
    if as_of.is_some_and(|as_of| asked.now - as_of > STALE) {
        notes.push(Note::wrong(format!(
            "nothing was written for {} minutes: either nothing arrives, or the service does not run (GET /healthz says)",
            as_of.map_or(0, |as_of| (asked.now - as_of).num_minutes())
        )));
    }
    if asked.waiting > 0 {
        notes.push(Note::hint(
            "what waits in the journal is on stable storage and can be asked from the service; it is counted here once it is in the tables on disk (store.flush_seconds)",
        ));
    }
    for source in sources {
        let name = &source.source;
        if source.silent && source.last.is_some() {
            notes.push(Note::wrong(format!("{name} is silent: nothing came in the last hour")));
        }
        if source.rows == 0 && source.rejected > 0 {
            notes.push(Note::wrong(format!("all that {name} sends is rejected: no detection sees any of it")));
        } else if source.rejected * 100 > source.rows {
            notes.push(Note::risk(format!("more than one line in a hundred of {name} is rejected")));
        }
        if source.of_another_time > 0 {
            notes.push(Note::risk(format!(
                "{} rows of {name} say a time more than a day from when they came: an old log, or a clock that is wrong; findings are of the time that lines say",
                source.of_another_time
            )));
        }
    }
    notes
}
