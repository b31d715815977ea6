//! What is deleted because its time is over, and what is held all the same.
//!
//! ```text
//!  a file, all of it older than the day ── held? ── no ─▶ removed
//!  a file, some of it older                └─ some ─▶ written again: rows that are younger, or held
//! ```
//! The cutoff is the start of a day (UTC), so that with files of one day nothing has to be written again but what is held.

use std::collections::BTreeSet;

use arrow::array::AsArray as _;
use arrow::array::{Array as _, BooleanArray, RecordBatch};
use chrono::{DateTime, Days, NaiveTime, Utc};

use super::cold::ColdFile;
use super::span;
use super::table::Shape;
use crate::window::Window;

/// Columns that an entity of a hold may stand in.
const ENTITY_COLUMNS: [&str; 8] = [
    "source_principal",
    "destination_principal",
    "source_ip",
    "destination_ip",
    "claimed_client_ip",
    "destination_service",
    "jwt_subject",
    "request_id",
];

/// How long rows are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days that access logs are kept, by their time; `None`: for ever.
    pub access_logs_days: Option<u32>,
    /// Days that rejects are kept, by when they came; `None`: for ever.
    pub rejects_days: Option<u32>,
    /// Days that roll-ups are kept, by their time; `None`: for ever.
    pub edges_1m_days: Option<u32>,
    /// What is kept longer.
    pub holds: Vec<Hold>,
}

/// Rows that must not be deleted, however old they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// What people call it.
    pub name: String,
    /// Of which time.
    pub window: Window,
    /// A principal, address, service, JWT subject or request id; `None`: everything of that time. Of a reject nobody knows whose it is: it is held in
    /// any case. A roll-up is held if it names the entity.
    pub entity: Option<String>,
}

/// What one retention did to one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Retained {
    /// The table.
    pub table: &'static str,
    /// Everything before it is gone, but what is held.
    pub before: DateTime<Utc>,
    /// Rows that were deleted.
    pub deleted_rows: u64,
    /// Files that are gone.
    pub deleted_files: u64,
    /// Rows before that time that holds keep, in files that this retention looked at.
    pub held_rows: u64,
}

/// One year and a bit, so that a year of compliance is always whole.
pub const DEFAULT_DAYS: u32 = 400;

impl Default for Retention {
    fn default() -> Self {
        let days = Some(DEFAULT_DAYS);
        Self { access_logs_days: days, rejects_days: days, edges_1m_days: days, holds: Vec::new() }
    }
}

/// What a retention does to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    Goes,
    /// Some rows may go.
    Sifted,
}

/// A retention of one table, ready to be applied.
#[derive(Clone, Debug)]
pub(super) struct Sieve {
    /// µs.
    pub(super) cutoff: i64,
    holds: Vec<Hold>,
    time_column: usize,
}

impl Sieve {
    /// `None`: nothing is ever too old.
    pub(super) fn new(days: Option<u32>, holds: &[Hold], time_column: usize, now: DateTime<Utc>) -> Option<Self> {
        let day = now.date_naive().checked_sub_days(Days::new(u64::from(days?)))?;
        let cutoff = day.and_time(NaiveTime::MIN).and_utc().timestamp_micros();
        Some(Self { cutoff, holds: holds.to_vec(), time_column })
    }

    /// What is deleted, for the log.
    pub(super) fn predicate(&self, shape: &Shape, before: DateTime<Utc>) -> String {
        let time = shape.time().map(|time| time.name().as_str()).unwrap_or_default();
        let holds: Vec<&str> = self.holds.iter().map(|hold| hold.name.as_str()).collect();
        let unless = if holds.is_empty() { String::new() } else { format!(", unless held by {}", holds.join(", ")) };
        format!("{time} < {}{unless}", before.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
    }

    pub(super) fn fate(&self, file: &ColdFile) -> Fate {
        let Some(span) = file.span else { return Fate::Sifted };
        if span.earliest >= self.cutoff {
            return Fate::Stays;
        }
        let whole = |hold: &&Hold| {
            hold.entity.is_none() && hold.window.start() <= span.earliest && span.latest < hold.window.end()
        };
        if self.holds.iter().any(|hold| whole(&hold)) {
            return Fate::Stays;
        }
        let held = self.holds.iter().any(|hold| span.overlaps(hold.window));
        if span.latest < self.cutoff && !held { Fate::Goes } else { Fate::Sifted }
    }

    /// Which rows stay, and how many of them only because they are held. Rows without a time stay.
    pub(super) fn keep(&self, rows: &RecordBatch) -> (BooleanArray, u64) {
        let all = || (BooleanArray::from(vec![true; rows.num_rows()]), 0);
        let Some(times) = span::times(rows, self.time_column) else { return all() };
        let columns = ENTITY_COLUMNS.iter().filter_map(|name| rows.column_by_name(name)?.as_string_view_opt());
        let columns: Vec<_> = columns.collect();
        // of rejects nobody knows whose they are
        let nobodys = rows.column_by_name("source_principal").is_none();
        let mut held_rows = 0;
        let keep = times.iter().enumerate().map(|(row, time)| {
            let Some(time) = time.filter(|time| *time < self.cutoff) else { return true };
            let held = self.holds.iter().any(|hold| {
                let of =
                    |entity: &String| columns.iter().any(|column| column.is_valid(row) && column.value(row) == entity);
                hold.window.start() <= time
                    && time < hold.window.end()
                    && (nobodys || hold.entity.as_ref().is_none_or(of))
            });
            held_rows += u64::from(held);
            held
        });
        (keep.collect::<Vec<bool>>().into(), held_rows)
    }
}

/// What a sieve would do to a file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sifted {
    /// Rows that would go.
    pub(super) goes: u64,
    /// Rows that would stay because they are held.
    pub(super) held: u64,
}

impl Sieve {
    /// A sieve for the columns that decide, and which of the table's those are, rising.
    pub(super) fn narrow(&self, shape: &Shape) -> (Self, Vec<usize>) {
        let entities = ENTITY_COLUMNS.iter().filter_map(|name| shape.schema.index_of(name).ok());
        let read: BTreeSet<usize> = entities.chain([self.time_column]).collect();
        let read: Vec<usize> = read.into_iter().collect();
        let time_column = read.iter().position(|column| *column == self.time_column).unwrap_or(usize::MAX);
        (Self { time_column, ..self.clone() }, read)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::store::place::Place;
    use crate::store::span::Span;

    const DAY: i64 = 86_400_000_000;

    fn hold(from: i64, to: i64, entity: Option<&str>) -> Hold {
        Hold { name: "case".to_owned(), window: Window::new(from, to).unwrap(), entity: entity.map(str::to_owned) }
    }

    fn sieve(days: u32, holds: &[Hold]) -> Sieve {
        // noon of day 100
        let now = DateTime::from_timestamp_micros(100 * DAY + DAY / 2).unwrap();
        Sieve::new(Some(days), holds, 0, now).unwrap()
    }

    #[test]
    fn the_cutoff_is_the_start_of_a_day() {
        assert_eq!(sieve(0, &[]).cutoff, 100 * DAY);
        assert_eq!(sieve(30, &[]).cutoff, 70 * DAY);
        assert!(Sieve::new(None, &[], 0, DateTime::UNIX_EPOCH).is_none());
        assert!(Sieve::new(Some(u32::MAX), &[], 0, DateTime::UNIX_EPOCH).is_none());
    }

    #[test]
    fn a_file_goes_if_all_of_it_is_too_old_and_nothing_held() {
        let file = |earliest, latest| ColdFile {
            place: Place::folder("/t".into()),
            name: "f".to_owned(),
            bytes: 1,
            rows: Some(1),
            span: Some(Span { earliest, latest }),
            day: None,
        };
        let cutoff = 70 * DAY;
        for (holds, earliest, latest, fate) in [
            (vec![], cutoff, cutoff + 5, Fate::Stays),
            (vec![], 0, cutoff - 1, Fate::Goes),
            (vec![], 0, cutoff, Fate::Sifted),
            (vec![hold(5, 6, None)], 0, 4, Fate::Goes),
            (vec![hold(5, 6, None)], 6, 9, Fate::Goes),
            (vec![hold(5, 6, None)], 0, 5, Fate::Sifted),
            (vec![hold(0, 10, None)], 0, 9, Fate::Stays),
            (vec![hold(0, 10, None)], 0, 10, Fate::Sifted),
            (vec![hold(0, 10, Some("a"))], 0, 9, Fate::Sifted),
        ] {
            assert_eq!(sieve(30, &holds).fate(&file(earliest, latest)), fate, "{holds:?} {earliest} {latest}");
        }
        let unknown = ColdFile { span: None, ..file(0, 0) };
        assert_eq!(sieve(30, &[]).fate(&unknown), Fate::Sifted);
    }
}
