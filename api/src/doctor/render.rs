//! The report as text for a terminal.

use std::fmt::Write;

use super::eyes::{Eye, Unseen};
use super::log::{ColumnFill, LogReport};
use super::mesh::MeshReport;
use super::provider::ProviderReport;
use super::telemetry::{RuleReport, TelemetryReport};
use super::wrap::{items, labelled};
use super::{Note, Report};
use crate::render::visible;

/// Keys that are named, if a format lacks no more.
const SHOWN: usize = 30;

/// The whole report.
pub(crate) fn text(report: &Report) -> String {
    let mut out = String::new();
    if let Some(read) = &report.log {
        log(&mut out, read);
    }
    for mesh in &report.meshes {
        if !out.is_empty() {
            out.push('\n');
        }
        self::mesh(&mut out, mesh);
    }
    out.push('\n');
    labelled(&mut out, 0, "queries", &report.queries);
    for refused in &report.refused {
        labelled(&mut out, 0, "refused", &visible(refused));
    }
    if let Some(remedy) = &report.remedy {
        // writing to a String cannot fail
        if !remedy.labels.is_empty() {
            let _ = writeln!(out, "\nAdd these labels to a JSON format:");
            for label in &remedy.labels {
                let _ = writeln!(out, "  {label}");
            }
        }
        let _ = write!(out, "\nOr switch the whole recommended format on:\n\n{}", remedy.yaml);
    }
    out
}

fn log(out: &mut String, log: &LogReport) {
    labelled(out, 0, "lines", &format!("{} are access logs, {} are not", log.rows, log.rejected));
    for format in &log.formats {
        let envelope = format.envelope.map_or(String::new(), |name| format!(", in {name}"));
        labelled(out, 0, "", &format!("{} {}{envelope}", format.lines, format.format));
    }
    for (reason, rejects) in &log.reasons {
        let text = format!("{} {reason}, first at {}: {}", rejects.count, rejects.first, rejects.detail);
        labelled(out, 0, "rejected", &visible(&text));
    }
    for (input, reason) in &log.passed_over {
        labelled(out, 0, "passed over", &visible(&format!("{input}: {reason}")));
    }
    for (input, reason) in &log.unreadable {
        labelled(out, 0, "not readable", &visible(&format!("{input}: {reason}")));
    }
    notes(out, 0, &log.notes);
    if log.rows > 0 {
        columns(out, log);
        out.push('\n');
        eyes(out, 0, &log.detections);
    }
}

fn columns(out: &mut String, log: &LogReport) {
    let never = |fill: &&ColumnFill| fill.carried == 0;
    let full = |fill: &&ColumnFill| fill.carried == log.rows && log.rows > 0;
    let share = |lines: u64| percent(lines, log.rows);
    let all = log.columns.len();
    let on_every: Vec<String> =
        log.columns.iter().filter(full).map(|fill| format!("{} {}", fill.column, share(fill.filled))).collect();
    let on_none: Vec<&str> = log.columns.iter().filter(never).map(|fill| fill.column).collect();
    let partly = log.columns.iter().filter(|fill| !never(fill) && !full(fill));
    let partly: Vec<String> =
        partly.map(|fill| format!("{} {} of {}", fill.column, share(fill.filled), share(fill.carried))).collect();
    let mut group = |title: &str, names: Vec<&str>| {
        if !names.is_empty() {
            let _ = writeln!(out, "\n{title} ({} of {all} columns)", names.len());
            items(out, "  ", 2, names, ", ");
        }
    };
    group("on every line, and how often with a value", on_every.iter().map(String::as_str).collect());
    group("on some lines: how often with a value, of how often logged", partly.iter().map(String::as_str).collect());
    group("on no line", on_none);
}

fn mesh(out: &mut String, mesh: &MeshReport) {
    let _ = writeln!(out, "{}", visible(&mesh.input));
    notes(out, 2, &mesh.notes);
    mesh.providers.iter().for_each(|provider| self::provider(out, provider));
    mesh.telemetries.iter().for_each(|telemetry| self::telemetry(out, telemetry));
}

fn provider(out: &mut String, provider: &ProviderReport) {
    let name = provider.name.as_deref().map_or("access log of Envoy".to_owned(), |name| format!("provider {name}"));
    let _ = writeln!(out, "\n{} ({})", visible(&name), visible(&provider.place));
    labelled(out, 2, "logs", &visible(&provider.logs));
    keys(out, provider);
    if !provider.renamed.is_empty() {
        let pairs: Vec<String> =
            provider.renamed.iter().map(|(label, key)| visible(&format!("{label}={key}"))).collect();
        let text = format!("its lines are read with --mesh-config and this YAML, or with --field {}", pairs.join(","));
        labelled(out, 2, "names", &text);
    }
    if !provider.extra.is_empty() {
        let names: Vec<String> = provider.extra.iter().map(|name| visible(name)).collect();
        list(out, "extra", &names.iter().map(String::as_str).collect::<Vec<_>>());
    }
    notes(out, 2, &provider.notes);
    eyes(out, 2, &provider.detections);
}

/// Which keys a format fills, and which it lacks; nothing of one that cannot be read.
fn keys(out: &mut String, provider: &ProviderReport) {
    let recommended = super::provider::recommended();
    let all = recommended.len();
    match (provider.fills.as_slice(), provider.lacks.len()) {
        ([], 0) => {}
        ([], _) => labelled(out, 2, "fills", &format!("none of the {all} keys of the recommended format")),
        (_, 0) => labelled(out, 2, "fills", &format!("all {all} keys of the recommended format")),
        (fills, lacks) => {
            list(out, &format!("fills {}", fills.len()), fills);
            // more than a person reads: the labels that matter are listed at the end
            if lacks <= SHOWN {
                return list(out, &format!("lacks {lacks}"), &provider.lacks);
            }
            let others: Vec<&str> = fills.iter().copied().filter(|key| !recommended.contains(key)).collect();
            let others = if others.is_empty() { String::new() } else { format!(" (it has no {})", others.join(", ")) };
            labelled(out, 2, "lacks", &format!("{lacks} of the {all} keys of the recommended format{others}"));
        }
    }
}

fn telemetry(out: &mut String, telemetry: &TelemetryReport) {
    let _ = writeln!(out, "\nTelemetry {}", visible(&telemetry.name));
    for RuleReport { says, filter, notes: of_rule } in &telemetry.rules {
        labelled(out, 2, "logs", &visible(says));
        if let Some(filter) = filter {
            labelled(out, 2, "filter", &visible(filter));
        }
        notes(out, 2, of_rule);
    }
    notes(out, 2, &telemetry.notes);
}

fn notes(out: &mut String, indent: usize, notes: &[Note]) {
    for note in notes {
        labelled(out, indent, note.weight.as_str(), &visible(&note.text));
    }
}

fn list(out: &mut String, label: &str, names: &[&str]) {
    items(out, &format!("  {label:<12}"), 14, names.iter().copied(), ", ");
}

fn eyes(out: &mut String, indent: usize, eyes: &[Eye]) {
    if eyes.is_empty() {
        return;
    }
    labelled(out, indent, "detections", &crate::render::tally(eyes.iter().map(|eye| eye.state)));
    for eye in eyes {
        labelled(out, indent + 2, eye.state, &eye.detection);
        for Unseen { without, what, lines, of, .. } in &eye.unseen {
            let part = if lines == of { String::new() } else { format!(" on {lines} of {of} lines") };
            let text = format!("without {without}{part}: {what}");
            let indent = indent + 14;
            items(out, &format!("{:indent$}- ", ""), indent + 2, text.split_whitespace(), " ");
        }
    }
}

/// Whole percent, but never 0 % of something and never 100 % of less than all.
fn percent(part: u64, whole: u64) -> String {
    let exact = u128::from(part) * 100 / u128::from(whole.max(1));
    match exact {
        0 if part > 0 => "<1 %".to_owned(),
        exact => format!("{exact} %"),
    }
}
