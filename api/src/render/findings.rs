//! Findings as a table for people and as NDJSON.

use std::io::{IsTerminal, Write};

use comfy_table::modifiers::UTF8_ROUND_CORNERS;
use comfy_table::presets::UTF8_FULL;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use query::finding::json::FindingJson;
use query::finding::{Entity, Finding, Severity};

use super::{short, visible};

/// Width of a table where no terminal says its own.
const WIDTH: u16 = 140;

/// Rows of a table at most: its widths are known when all of it is there, and an input may have tens of thousands of findings.
const ROWS: usize = 500;

/// A table: how bad, what, who → whom, when, how many, one sentence each. Many findings are several tables. `incomplete` says what was not looked
/// at although it was asked for.
pub(crate) fn findings_table(
    findings: &[Finding],
    incomplete: Option<&str>,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    if findings.is_empty() {
        return writeln!(out, "{}", nothing_found(incomplete));
    }
    findings.chunks(ROWS).try_for_each(|findings| writeln!(out, "{}", table(findings)))
}

/// What to say where there is no finding.
pub(crate) fn nothing_found(incomplete: Option<&str>) -> String {
    match incomplete {
        None => "No findings.".to_owned(),
        Some(reason) => {
            format!("No all-clear: nothing was found, but not everything was looked at: {}", visible(reason))
        }
    }
}

fn table(findings: &[Finding]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(UTF8_FULL)
        .apply_modifier(UTF8_ROUND_CORNERS)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if !std::io::stdout().is_terminal() {
        table.set_width(WIDTH).force_no_tty();
    }
    table.set_header(["severity", "what", "who → whom", "when (UTC)", "count", "in one sentence"]);
    for finding in findings {
        table.add_row([
            severity(finding.severity),
            Cell::new(&finding.detection),
            Cell::new(short(&who(&finding.entity))),
            Cell::new(when(finding)),
            Cell::new(finding.count),
            Cell::new(short(&visible(&finding.summary))),
        ]);
    }
    table
}

/// One JSON object a line.
pub(crate) fn findings_ndjson(findings: &[Finding], out: &mut dyn Write) -> std::io::Result<()> {
    for finding in findings {
        serde_json::to_writer(&mut *out, &FindingJson::from(finding))?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// `source → destination`, and what else the entity holds.
pub(crate) fn who(entity: &Entity) -> String {
    let source = entity.get("source").map(String::as_str);
    let others = entity.iter().filter(|(name, _)| *name != "source").map(|(_, value)| value.as_str());
    let whom = others.collect::<Vec<_>>().join(" ");
    visible(&match source {
        Some(source) if whom.is_empty() => source.to_owned(),
        Some(source) => format!("{source} → {whom}"),
        None => whom,
    })
}

fn when(finding: &Finding) -> String {
    let first = finding.first_seen.format("%Y-%m-%d %H:%M:%S");
    format!("{first}\n– {}", finding.last_seen.format("%H:%M:%S"))
}

fn severity(severity: Severity) -> Cell {
    let cell = Cell::new(severity);
    match severity {
        Severity::Critical | Severity::High => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        Severity::Medium => cell.fg(Color::Yellow),
        Severity::Low | Severity::Info => cell,
    }
}
