//! The numbers of a report, apart from how they look.

use std::collections::HashMap;

use chrono::DateTime;
use query::finding::json::time_text;
use serde::Serialize;

use crate::scan::Scanned;

/// Edges and principals shown.
const EDGES: usize = 50;
const PRINCIPALS: usize = 15;

/// Every number on the page.
#[derive(Debug, Serialize)]
pub(super) struct Numbers {
    pub(super) findings: usize,
    pub(super) lines: u64,
    pub(super) rows: u64,
    pub(super) rejected: u64,
    pub(super) requests: u64,
    mutual_tls: u64,
    transport_known: u64,
    first: Option<String>,
    last: Option<String>,
    pub(super) timeline: Vec<Minute>,
    pub(super) principals: Vec<Bar>,
    pub(super) edges: Vec<Edge>,
    pub(super) edges_in_all: usize,
}

/// One minute.
#[derive(Debug, Serialize)]
pub(super) struct Minute {
    pub(super) start: String,
    pub(super) requests: u64,
    pub(super) denied: u64,
}

/// One source.
#[derive(Debug, Serialize)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) requests: u64,
    pub(super) denied: u64,
}

/// One edge.
#[derive(Debug, Serialize)]
pub(super) struct Edge {
    pub(super) source: String,
    pub(super) destination: String,
    pub(super) requests: u64,
    pub(super) denied: u64,
    pub(super) mutual_tls: u64,
    pub(super) p50_ms: u64,
    pub(super) p99_ms: u64,
}

impl Numbers {
    pub(super) fn of(scanned: &Scanned) -> Self {
        let summary = &scanned.summary;
        let text = |micros: i64| DateTime::from_timestamp_micros(micros).map(time_text).unwrap_or_default();
        let (mutual_tls, transport_known) = summary.mutual_tls();
        let edges = summary.edges();
        let mut sources: HashMap<&str, (u64, u64)> = HashMap::new();
        for (edge, stats) in &edges {
            let (requests, denied) = sources.entry(&edge.source).or_default();
            *requests += stats.requests;
            *denied += stats.denied;
        }
        let bar = |(name, (requests, denied)): (&str, _)| Bar { name: name.to_owned(), requests, denied };
        let mut principals: Vec<Bar> = sources.into_iter().map(bar).collect();
        principals.sort_by(|one, other| other.requests.cmp(&one.requests).then_with(|| one.name.cmp(&other.name)));
        principals.truncate(PRINCIPALS);
        Self {
            findings: scanned.findings.len(),
            lines: scanned.lines(),
            rows: scanned.rows,
            rejected: scanned.rejected,
            requests: summary.requests(),
            mutual_tls,
            transport_known,
            first: summary.times().map(|(first, _)| text(first)),
            last: summary.times().map(|(_, last)| text(last)),
            timeline: summary
                .minutes()
                .iter()
                .map(|(start, minute)| Minute { start: text(*start), requests: minute.lines, denied: minute.denied })
                .collect(),
            principals,
            edges_in_all: edges.len(),
            edges: edges
                .into_iter()
                .take(EDGES)
                .map(|(edge, stats)| Edge {
                    source: edge.source.clone(),
                    destination: edge.destination.clone(),
                    requests: stats.requests,
                    denied: stats.denied,
                    mutual_tls: stats.mutual_tls,
                    p50_ms: stats.quantile(0.5),
                    p99_ms: stats.quantile(0.99),
                })
                .collect(),
        }
    }

    pub(super) fn period(&self) -> String {
        match (&self.first, &self.last) {
            (Some(first), Some(last)) => format!("Event time from {first} to {last}"),
            _ => "No access log was read.".to_owned(),
        }
    }

    pub(super) fn mutual_tls_share(&self) -> String {
        if self.transport_known == 0 {
            return "unknown".to_owned();
        }
        #[allow(clippy::cast_precision_loss)] // shown with one decimal
        let share = self.mutual_tls as f64 * 100.0 / self.transport_known as f64;
        format!("{share:.1} %")
    }

    /// As JSON that may stand inside an HTML element: `<` is written as an escape, so no text can close it.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default().replace('<', "\\u003c")
    }
}
