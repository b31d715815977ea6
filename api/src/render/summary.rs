//! The summary under the findings: how much came in, how fast the edges are, and what the detections could not see.

use std::fmt::Write;

use query::detect::Missing;

use super::{short, tally, visible};
use crate::scan::Scanned;

/// Edges shown.
const EDGES: usize = 12;

/// The summary as plain text.
pub(crate) fn summary(scanned: &Scanned) -> String {
    let mut out = String::new();
    // writing to a String cannot fail
    let _ = write_all(&mut out, scanned);
    out
}

fn write_all(out: &mut String, scanned: &Scanned) -> std::fmt::Result {
    lines(out, scanned)?;
    edges(out, scanned)?;
    let (mutual, known) = scanned.summary.mutual_tls();
    match known {
        0 => writeln!(out, "\nmutual TLS    unknown: the logs do not say how connections were secured")?,
        _ => writeln!(
            out,
            "\nmutual TLS    {} of {known} requests ({:.1} %), as the servers saw them",
            mutual,
            percent(mutual, known)
        )?,
    }
    detections(out, scanned)
}

fn lines(out: &mut String, scanned: &Scanned) -> std::fmt::Result {
    let seconds = scanned.took.as_secs_f64().max(1e-9);
    #[allow(clippy::cast_precision_loss)] // shown with one decimal
    let (megabytes, lines) = (scanned.bytes as f64 / 1e6, scanned.lines() as f64);
    writeln!(
        out,
        "read          {} lines, {megabytes:.1} MB in {seconds:.2} s ({:.1} MB/s, {:.0} lines/s)",
        scanned.lines(),
        megabytes / seconds,
        lines / seconds
    )?;
    writeln!(out, "rejected      {} lines", scanned.rejected)?;
    rejects(out, scanned)?;
    inputs(out, scanned)
}

/// What was rejected, passed over or not readable, if anything was.
pub(crate) fn left_out(scanned: &Scanned) -> String {
    let mut out = String::new();
    if scanned.rejected > 0 {
        let _ = writeln!(out, "rejected      {} lines", scanned.rejected);
    }
    // writing to a String cannot fail
    let _ = rejects(&mut out, scanned).and_then(|()| inputs(&mut out, scanned));
    out
}

fn rejects(out: &mut String, scanned: &Scanned) -> std::fmt::Result {
    for (reason, rejects) in &scanned.reasons {
        writeln!(
            out,
            "              {:>8} {reason}, first at {}: {}",
            rejects.count,
            visible(&rejects.first),
            visible(&rejects.detail)
        )?;
    }
    Ok(())
}

fn inputs(out: &mut String, scanned: &Scanned) -> std::fmt::Result {
    for (input, reason) in &scanned.passed_over {
        writeln!(out, "passed over   {}: {reason}", visible(input))?;
    }
    for (input, reason) in &scanned.unreadable {
        writeln!(out, "not readable  {}: {reason}", visible(input))?;
    }
    Ok(())
}

fn edges(out: &mut String, scanned: &Scanned) -> std::fmt::Result {
    let edges = scanned.summary.edges();
    if edges.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{:>9} {:>7} {:>9} {:>9}  edge", "requests", "denied", "p50 ms", "p99 ms")?;
    for (edge, stats) in edges.iter().take(EDGES) {
        writeln!(
            out,
            "{:>9} {:>7} {:>9} {:>9}  {} → {}",
            stats.requests,
            stats.denied,
            stats.quantile(0.5),
            stats.quantile(0.99),
            visible(&short(&edge.source)),
            visible(&short(&edge.destination))
        )?;
    }
    if edges.len() > EDGES {
        writeln!(out, "              … and {} more edges", edges.len() - EDGES)?;
    }
    Ok(())
}

fn detections(out: &mut String, scanned: &Scanned) -> std::fmt::Result {
    write!(out, "detections    {}", tally(scanned.sights.iter().map(|(_, sight)| sight.as_str())))?;
    match scanned.failures.len() {
        0 => writeln!(out)?,
        failed => writeln!(out, ", FAILED on {failed} windows: what happened in them is not known")?,
    }
    let mut labels: Vec<&str> = Vec::new();
    for (detection, sight) in &scanned.sights {
        for missing in sight.missing() {
            let Missing { column, unseen, lines, of, add } = missing;
            let part = if lines == of { String::new() } else { format!(" in {lines} of {of} lines") };
            writeln!(out, "  {:<9} {}: without {column}{part}: {unseen}", sight.as_str(), detection.header.id)?;
            labels.extend(add.iter().map(String::as_str));
        }
    }
    labels.sort_unstable();
    labels.dedup();
    if !labels.is_empty() {
        writeln!(
            out,
            "\nKeys that would open their eyes ('meshwarden format istio' prints the whole format, ready to apply):"
        )?;
        for label in labels {
            writeln!(out, "  {label}")?;
        }
    }
    for refused in &scanned.refused {
        writeln!(out, "  refused   {}: {}", refused.file, refused.reason)?;
    }
    for failure in &scanned.failures {
        writeln!(out, "  failed    {failure}")?;
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)] // shown with one decimal
fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}
