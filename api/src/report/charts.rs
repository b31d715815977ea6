//! The pictures: plain SVG, drawn in units of a 1000 wide canvas.

use std::collections::BTreeMap;

use maud::{Markup, html};
use query::Minute;

use super::numbers::Bar;
use crate::render::visible;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 160.0;
const COLUMNS: i64 = 240;
const MINUTE: i64 = 60_000_000;

/// Requests over time, the denied share on top of each column in another colour. A column is a minute, or several where there are many.
pub(super) fn timeline(minutes: &BTreeMap<i64, Minute>) -> Markup {
    let first = minutes.keys().next().copied().unwrap_or(0);
    let span = minutes.keys().next_back().map_or(0, |last| (last - first) / MINUTE + 1);
    let per_column = span.div_euclid(COLUMNS) + 1;
    let mut columns: Vec<(u64, u64)> = Vec::new();
    for (start, minute) in minutes {
        let place = usize::try_from((start - first) / MINUTE / per_column).unwrap_or(0);
        columns.resize(columns.len().max(place + 1), (0, 0));
        if let Some((requests, denied)) = columns.get_mut(place) {
            *requests += minute.lines;
            *denied += minute.denied;
        }
    }
    let highest = columns.iter().map(|(requests, _)| *requests).max().unwrap_or(0).max(1);
    let step = WIDTH / count(columns.len().max(1));
    let label = |micros: i64| {
        chrono::DateTime::from_timestamp_micros(micros).map(|time| time.format("%Y-%m-%d %H:%M").to_string())
    };
    let last = first + (span - 1).max(0) * MINUTE;
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT + 24.0) } role="img" aria-label="requests a minute" {
            @for (place, (requests, denied)) in columns.iter().enumerate() {
                @let tall = share(*requests, highest) * HEIGHT;
                @let red = share(*denied, highest) * HEIGHT;
                rect.bar x=(count(place) * step) y=(HEIGHT - tall) width=((step - 1.0).max(1.0)) height=(tall) {}
                rect.denied x=(count(place) * step) y=(HEIGHT - red) width=((step - 1.0).max(1.0)) height=(red) {}
            }
            line.axis x1="0" y1=(HEIGHT) x2=(WIDTH) y2=(HEIGHT) {}
            text x="0" y=(HEIGHT + 16.0) { (label(first).unwrap_or_default()) }
            text x=(WIDTH) y=(HEIGHT + 16.0) text-anchor="end" { (label(last).unwrap_or_default()) }
            text x="0" y="12" { "up to " (highest) @if per_column > 1 { " in " (per_column) " minutes" } }
        }
    }
}

/// One bar a source.
pub(super) fn bars(bars: &[Bar]) -> Markup {
    let highest = bars.iter().map(|bar| bar.requests).max().unwrap_or(0).max(1);
    let row = 26.0;
    let left = 420.0;
    let room = WIDTH - left - 120.0;
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (row * count(bars.len().max(1))) } role="img" aria-label="top principals" {
            @for (place, bar) in bars.iter().enumerate() {
                @let y = count(place) * row;
                text x=(left - 8.0) y=(y + 17.0) text-anchor="end" { (visible(&bar.name)) }
                rect.bar x=(left) y=(y + 4.0) width=(share(bar.requests, highest) * room) height="18" {}
                rect.denied x=(left) y=(y + 4.0) width=(share(bar.denied, highest) * room) height="18" {}
                text x=(left + share(bar.requests, highest) * room + 6.0) y=(y + 17.0) {
                    (bar.requests) @if bar.denied > 0 { ", " (bar.denied) " denied" }
                }
            }
        }
    }
}

#[allow(clippy::cast_precision_loss)] // pixels
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[allow(clippy::cast_precision_loss)] // pixels
fn count(number: usize) -> f64 {
    number as f64
}
