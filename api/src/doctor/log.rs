//! A log: which formats its lines have, which columns they fill and how often, what was rejected, what detections see.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use ingest::schema::ACCESS_LOGS;
use ingest::{AccessLogBatch, Coverage, DecodeOptions, LineFormat, LineFormats};
use query::detect::Pack;
use serde::Serialize;

use super::eyes::{Eye, Queries, eyes};
use super::provider::ORIGINAL_PATH_FIRST;
use super::twins::Twins;
use super::{Note, sorted};
use crate::clock::Clock;
use crate::scan::{Rejects, ScanError, each_batch, tally};

/// Rows whose unknown keys are looked at.
const SAMPLE: u64 = 1000;
/// Unknown keys that are named.
const NAMES: usize = 20;

/// What is known of a log.
#[derive(Debug, Default, Serialize)]
pub(crate) struct LogReport {
    /// Lines that are access logs.
    pub(crate) rows: u64,
    /// Lines that are not.
    pub(crate) rejected: u64,
    /// Formats, the most frequent first.
    pub(crate) formats: Vec<FormatLines>,
    /// Rejects by reason.
    pub(crate) reasons: BTreeMap<String, Rejects>,
    /// Columns that lines can fill, in the order of the table.
    pub(crate) columns: Vec<ColumnFill>,
    /// What a person should know.
    pub(crate) notes: Vec<Note>,
    /// What detections see.
    pub(crate) detections: Vec<Eye>,
    /// Inputs that were opened.
    pub(crate) read: usize,
    /// Inputs that could not be read, or not to their end, and why.
    pub(crate) unreadable: Vec<(String, String)>,
    /// Files of folders that were not read, and why.
    pub(crate) passed_over: Vec<(String, &'static str)>,
}

/// How many lines had a format.
#[derive(Debug, Serialize)]
pub(crate) struct FormatLines {
    /// The format's name.
    pub(crate) format: &'static str,
    /// What the lines came in.
    pub(crate) envelope: Option<&'static str>,
    /// How many.
    pub(crate) lines: u64,
}

/// How often lines had something for a column.
#[derive(Debug, Serialize)]
pub(crate) struct ColumnFill {
    /// The column.
    pub(crate) column: &'static str,
    /// Lines whose format has a key that feeds it.
    pub(crate) carried: u64,
    /// Rows in which it says something: not null, and not `unknown`.
    pub(crate) filled: u64,
}

/// What is counted while lines come in.
#[derive(Debug)]
struct Counts {
    coverage: Coverage,
    formats: LineFormats,
    filled: Vec<u64>,
    rows: u64,
    rejected: u64,
    reasons: BTreeMap<String, Rejects>,
    with_query: u64,
    twins: Twins,
    sampled: u64,
    unknown: BTreeMap<String, u64>,
}

/// Reads logs and examines them.
///
/// # Errors
/// None but those of reading on; an input that cannot be read is named in the report.
pub(crate) async fn examine(
    paths: &[PathBuf],
    options: Arc<DecodeOptions>,
    clock: &dyn Clock,
    pack: &Pack,
) -> Result<LogReport, ScanError> {
    let mut counts = Counts::new();
    let inputs = each_batch(paths, options, clock, async |batch| {
        counts.add(&batch);
        Ok(())
    })
    .await?;
    let mut report = counts.report(pack);
    (report.read, report.unreadable, report.passed_over) = (inputs.read, inputs.unreadable, inputs.passed_over);
    Ok(report)
}

impl Counts {
    fn new() -> Self {
        Counts {
            coverage: Coverage::default(),
            formats: LineFormats::default(),
            filled: vec![0; ACCESS_LOGS.len()],
            rows: 0,
            rejected: 0,
            reasons: BTreeMap::new(),
            with_query: 0,
            twins: Twins::default(),
            sampled: 0,
            unknown: BTreeMap::new(),
        }
    }

    fn add(&mut self, batch: &AccessLogBatch) {
        self.coverage.merge(&batch.coverage);
        self.formats.merge(&batch.formats);
        self.rows += batch.rows.num_rows() as u64;
        self.rejected += batch.rejects.num_rows() as u64;
        tally(&mut self.reasons, &batch.rejects);
        for (count, column) in self.filled.iter_mut().zip(batch.rows.columns()) {
            *count += (column.len() - column.null_count()) as u64;
        }
        for name in ["rbac_decision", "transport_security", "egress"] {
            let says_nothing = texts(&batch.rows, name).filter(|text| *text == "unknown").count() as u64;
            let place = ingest::schema::index(name).and_then(|place| self.filled.get_mut(place));
            place.into_iter().for_each(|count| *count -= says_nothing);
        }
        self.with_query += texts(&batch.rows, "path").filter(|path| path.contains('?')).count() as u64;
        self.twins.add(&batch.rows);
        // ztunnel has names of its own
        let (extras, reporters) = (column(&batch.rows, "extra"), column(&batch.rows, "reporter"));
        for (extra, _) in extras.zip(reporters).filter(|(_, reporter)| *reporter != Some("ztunnel")) {
            if self.sampled >= SAMPLE {
                break;
            }
            let Some(extra) = extra else { continue };
            self.sampled += 1;
            let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(extra).unwrap_or_default();
            members.into_iter().for_each(|(name, _)| *self.unknown.entry(name).or_default() += 1);
        }
    }

    fn report(self, pack: &Pack) -> LogReport {
        let notes = sorted(self.notes());
        let detections = eyes(pack, &self.coverage, self.queries());
        let Counts { coverage, formats, filled, rows, rejected, reasons, .. } = self;
        let mut lines: Vec<FormatLines> = formats
            .iter()
            .map(|(format, envelope, lines)| FormatLines {
                format: format.as_str(),
                envelope: envelope.as_str(),
                lines,
            })
            .collect();
        lines.sort_by_key(|format| std::cmp::Reverse(format.lines));
        let columns = ACCESS_LOGS.iter().zip(filled).filter(|(column, _)| !column.fed_by.keys.is_empty());
        let columns = columns.map(|(column, filled)| {
            let column = column.name;
            ColumnFill { column, carried: coverage.get(column), filled }
        });
        LogReport {
            rows,
            rejected,
            formats: lines,
            reasons,
            columns: columns.collect(),
            notes,
            detections,
            ..LogReport::default()
        }
    }

    /// Query strings are left out only if no line has one and every line is of a format that is known to leave them out.
    fn queries(&self) -> Queries {
        if self.with_query == 0 && self.formats.leave_queries_out() { Queries::LeftOut } else { Queries::Logged }
    }

    fn ztunnel(&self) -> u64 {
        self.formats.get(LineFormat::ZtunnelText) + self.formats.get(LineFormat::ZtunnelJson)
    }

    fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        let rows = self.rows;
        if self.with_query > 0 {
            notes.push(Note::risk(format!(
                "{} of {rows} lines log a path with its query string: whoever reads the file reads the secrets in it (meshwarden redacts its \
                 own copy); the recommended format leaves it out",
                self.with_query
            )));
        }
        if let Some((twins, of)) = self.twins.many() {
            notes.push(Note::risk(format!(
                "{twins} of {of} requests are there twice: two providers that write to one file (name one of them in the Telemetry), or one \
                 log given twice; everything is counted twice"
            )));
        }
        let strings = self.formats.get(LineFormat::StringJson);
        if strings > 0 {
            notes.push(Note::risk(format!(
                "{strings} of {rows} lines are JSON of strings, as a text template writes it: that escapes nothing, so a caller's quote adds keys \
                 of its own. No principal in them counts as identity; log JSON by labels (MeshConfig: accessLogEncoding JSON)"
            )));
        }
        let older = self.formats.get(LineFormat::OlderText);
        let defaults = older + self.formats.get(LineFormat::IstioText) + self.formats.get(LineFormat::IstioJson);
        if defaults > 0 {
            notes.push(Note::risk(format!("{ORIGINAL_PATH_FIRST} ({defaults} of {rows} lines)")));
        }
        if older > 0 {
            notes.push(Note::risk(format!(
                "text of Istio before 1.9, or Envoy's own ({older} lines), has no response code details: nothing tells a denial from the \
                 application's own 403"
            )));
        }
        if self.ztunnel() > 0 {
            notes.push(Note::hint(format!(
                "ztunnel's lines ({}): their format cannot be changed; they are connections, the requests are in a waypoint's log",
                self.ztunnel()
            )));
        }
        // what stands there besides keys is ours
        let ours = ["duplicate_keys", "ambiguous_request", "ambiguous_quoted", "ambiguous_server_name"];
        let canonical = super::provider::recommended();
        let mut unknown: Vec<(&String, &u64)> = self
            .unknown
            .iter()
            .filter(|(name, _)| !ours.contains(&name.as_str()) && !canonical.contains(&name.as_str()))
            .collect();
        unknown.sort_by_key(|(name, lines)| (std::cmp::Reverse(**lines), name.as_str()));
        let other_json = [LineFormat::OtherJson, LineFormat::ConfiguredJsonWithoutQuery];
        if !unknown.is_empty() && other_json.iter().any(|format| self.formats.get(*format) > 0) {
            let more = unknown.len().saturating_sub(NAMES);
            let names: Vec<&str> = unknown.iter().take(NAMES).map(|(name, _)| name.as_str()).collect();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            notes.push(Note::hint(format!(
                "keys that no column takes, they stay in extra: {}{more}; if one of them is a key of the recommended format by another name, \
                 say so with --field YOURS=OURS",
                names.join(", ")
            )));
        }
        for (key, text) in [
            ("ambiguous_request", "the end of the request"),
            ("ambiguous_quoted", "quoted fields"),
            ("ambiguous_server_name", "the server name and the route"),
        ] {
            if let Some(lines) = self.unknown.get(key) {
                notes.push(Note::hint(format!(
                    "of {} sampled lines {lines} leave {text} in doubt, because somebody sent quotes or blanks: JSON leaves no doubt",
                    self.sampled
                )));
            }
        }
        notes
    }
}

/// The values of a text column that are not null.
fn texts<'r>(rows: &'r RecordBatch, name: &str) -> impl Iterator<Item = &'r str> {
    column(rows, name).flatten()
}

fn column<'r>(rows: &'r RecordBatch, name: &str) -> impl Iterator<Item = Option<&'r str>> {
    let column = rows.column_by_name(name).and_then(|column| column.as_string_view_opt());
    column.into_iter().flat_map(|column| column.iter())
}
