//! The report of a scan: one HTML page that needs nothing but itself.
//!
//! It makes no request: styles and pictures (SVG) are inline and there is no script. Every text from a log line is escaped by the
//! template engine. Its numbers are in the page a second time, as JSON in `<script type="application/json" id="numbers">`, which no
//! browser runs: a test holds them against SQL over the same lines.

mod charts;
mod numbers;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use query::finding::Finding;

use crate::render::{nothing_found, visible, who};
use crate::scan::Scanned;
use numbers::Numbers;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c2733;--dim:#5b6b7b;--line:#d7dee6;--paper:#fff;--card:#f6f8fa;--calm:#3b78b8;--bad:#c2402f;--warn:#b7791f}
@media(prefers-color-scheme:dark){:root{--ink:#e4e9ee;--dim:#93a1b0;--line:#33404d;--paper:#14191f;--card:#1c232b;--calm:#6ba5df;--bad:#ef7a69;--warn:#e0b058}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1100px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}p.dim,td.dim,.dim{color:var(--dim)}
table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.cards{display:flex;flex-wrap:wrap;gap:.8rem;margin:1rem 0}.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.6rem 1rem;min-width:8rem}
.card b{display:block;font-size:1.4rem;font-variant-numeric:tabular-nums}.sev{font-weight:600}.critical,.high{color:var(--bad)}.medium{color:var(--warn)}
svg{width:100%;height:auto;display:block}svg text{fill:var(--dim);font:12px system-ui,sans-serif}.bar{fill:var(--calm)}.denied{fill:var(--bad)}.axis{stroke:var(--line)}
details{margin:.3rem 0}summary{cursor:pointer}code{font-size:.85rem;overflow-wrap:anywhere}";

/// The page.
#[must_use]
pub fn html(scanned: &Scanned) -> String {
    let numbers = Numbers::of(scanned);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { "meshwarden report" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "meshwarden report" }
                p.dim { (numbers.period()) }
                (cards(&numbers))
                h2 { "Findings" }
                (findings(scanned))
                h2 { "Requests a minute" }
                (charts::timeline(scanned.summary.minutes()))
                h2 { "Top principals" }
                p.dim { "Sources by requests, the denied ones marked." }
                (charts::bars(&numbers.principals))
                h2 { "Edges" }
                (edges(&numbers))
                h2 { "What the detections could see" }
                (sights(scanned))
                script type="application/json" id="numbers" { (PreEscaped(numbers.json())) }
            }
        }
    };
    page.into_string()
}

fn cards(numbers: &Numbers) -> Markup {
    html! {
        div.cards {
            div.card { b { (numbers.findings) } "findings" }
            div.card { b { (numbers.lines) } "lines" }
            div.card { b { (numbers.rejected) } "rejected" }
            div.card { b { (numbers.requests) } "lines that count (a call is logged by both sides)" }
            div.card { b { (numbers.mutual_tls_share()) } "mutual TLS" }
        }
    }
}

fn findings(scanned: &Scanned) -> Markup {
    let (findings, incomplete): (&[Finding], _) = (&scanned.findings, scanned.doubt());
    if findings.is_empty() {
        return html! { p { (nothing_found(incomplete.as_deref())) } };
    }
    html! {
        @if let Some(reason) = incomplete { p.high { "Not everything was looked at: " (visible(&reason)) } }
        table {
            thead { tr { th { "severity" } th { "what" } th { "who → whom" } th.n { "count" } th { "in one sentence" } } }
            tbody {
                @for finding in findings {
                    tr {
                        td { span class={ "sev " (finding.severity) } { (finding.severity) } }
                        td { (finding.title) br; code.dim { (finding.detection) } }
                        td { (who(&finding.entity)) }
                        td.n { (finding.count) }
                        td {
                            (visible(&finding.summary))
                            details {
                                summary.dim { "evidence and what to do" }
                                p { (finding.runbook) }
                                p.dim { (finding.window.start_time().format("%Y-%m-%d %H:%M:%S")) " – " (finding.window.end_time().format("%H:%M:%S")) " UTC · " (finding.attack.join(", ")) " · " (finding.id) }
                                @for log_id in &finding.evidence { code { (visible(log_id)) } br; }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn edges(numbers: &Numbers) -> Markup {
    html! {
        table {
            thead { tr { th { "source" } th { "destination" } th.n { "requests" } th.n { "denied" } th.n { "mTLS" } th.n { "p50 ms" } th.n { "p99 ms" } } }
            tbody {
                @for edge in &numbers.edges {
                    tr {
                        td { (visible(&edge.source)) } td { (visible(&edge.destination)) }
                        td.n { (edge.requests) } td.n { (edge.denied) } td.n { (edge.mutual_tls) } td.n { (edge.p50_ms) } td.n { (edge.p99_ms) }
                    }
                }
            }
        }
        @if numbers.edges_in_all > numbers.edges.len() { p.dim { (numbers.edges.len()) " of " (numbers.edges_in_all) " edges, the busiest first." } }
    }
}

fn sights(scanned: &Scanned) -> Markup {
    html! {
        table {
            tbody {
                @for (detection, sight) in &scanned.sights {
                    tr {
                        td { code { (detection.header.id) } }
                        td { (sight.as_str()) }
                        td {
                            @for missing in sight.missing() {
                                "without " code { (missing.column) } @if missing.lines < missing.of { " in " (missing.lines) " of " (missing.of) " lines" } ": " (missing.unseen)
                                @for label in &missing.add { br; code { (label) } }
                                br;
                            }
                        }
                    }
                }
                @for failure in &scanned.failures {
                    tr { td { code { (failure.detection()) } } td.high { "failed" } td { (visible(&failure.to_string())) } }
                }
            }
        }
    }
}
