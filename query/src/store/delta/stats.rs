//! What a commit says of a file: how many rows it has, and within which time they are.
//!
//! `numRecords`, and min/max and the number of nulls of the time column only, in UTC with microseconds; years outside 1..=9999 are left out (not every
//! reader of Delta can parse them, and the file is then simply always read).

use chrono::{DateTime, Datelike as _, SecondsFormat};
use serde_json::{Value, json};

use crate::store::cold::ColdFile;
use crate::store::span::Span;

/// The statistics of a file.
pub(super) fn of(file: &ColdFile, time_name: &str) -> Value {
    let mut stats = json!({ "numRecords": file.rows });
    if let Some((earliest, latest)) = file.span.and_then(|span| Some((text_of(span.earliest)?, text_of(span.latest)?)))
    {
        stats["minValues"] = json!({ time_name: earliest });
        stats["maxValues"] = json!({ time_name: latest });
        stats["nullCount"] = json!({ time_name: 0 });
    }
    stats
}

/// What all rows of a file are within, as its statistics say; `None`: it is not known, or some have no time. Delta lets others cut off what is below a millisecond.
pub(super) fn span(stats: &Value, time_name: &str, is_ours: bool) -> Option<Span> {
    let of_time = |kind: &str| stats.get(kind)?.get(time_name);
    let time = |side| Some(DateTime::parse_from_rfc3339(of_time(side)?.as_str()?).ok()?.timestamp_micros());
    if of_time("nullCount")?.as_u64() != Some(0) {
        return None;
    }
    let cut_off = if is_ours { 0 } else { 999 };
    Some(Span { earliest: time("minValues")?, latest: time("maxValues")?.saturating_add(cut_off) })
}

/// `2026-11-23T17:00:00.000001Z`, if every reader of Delta can parse it.
fn text_of(micros: i64) -> Option<String> {
    let time = DateTime::from_timestamp_micros(micros).filter(|time| (1..=9999).contains(&time.year()))?;
    Some(time.to_rfc3339_opts(SecondsFormat::Micros, true))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn statistics_of_others_are_taken_with_care() {
        let stats = |nulls: Value| {
            json!({
                "numRecords": 3,
                "minValues": {"time": "1970-01-01T00:00:00.001Z"},
                "maxValues": {"time": "1970-01-01T00:00:00.002Z"},
                "nullCount": nulls,
            })
        };
        let none = stats(json!({"time": 0}));
        assert_eq!(span(&none, "time", true), Some(Span { earliest: 1000, latest: 2000 }));
        assert_eq!(span(&none, "time", false), Some(Span { earliest: 1000, latest: 2999 }));
        assert_eq!(
            (span(&stats(json!({"time": 1})), "time", false), span(&stats(json!({})), "time", false)),
            (None, None)
        );
        assert_eq!(span(&none, "received_at", false), None);
    }
}
