//! Days (UTC): the partitions of a table, and their folders.
//!
//! ```text
//!  DIR/access_logs/day=2026-11-24/part-….zstd.parquet
//!  DIR/access_logs/day=__HIVE_DEFAULT_PARTITION__/…       rows of no day, or of days of which a flush has only a few
//! ```

use chrono::{DateTime, Datelike as _, NaiveDate};
use std::collections::BTreeMap;

use super::Spot;

/// The partition column. It is in the folders' names, not in the files.
pub(crate) const COLUMN: &str = "day";
/// What Hive calls the partition of rows that have none.
const NONE: &str = "__HIVE_DEFAULT_PARTITION__";
/// Files that one flush makes at most: a caller cannot choose the time of a line, but a log can be wrong in any way.
const MOST: usize = 32;

/// The rows by day. Where there are very many days, those with the fewest rows share a file that is of no day.
pub(super) fn split(order: Vec<Spot>) -> BTreeMap<Option<NaiveDate>, Vec<Spot>> {
    let mut days: BTreeMap<Option<NaiveDate>, Vec<Spot>> = BTreeMap::new();
    for place in order {
        days.entry(place.time.and_then(of)).or_default().push(place);
    }
    if days.len() > MOST {
        let mut sizes: Vec<(usize, Option<NaiveDate>)> = days.iter().map(|(day, rows)| (rows.len(), *day)).collect();
        sizes.sort_unstable();
        let few = sizes.len() + 1 - MOST;
        let mut rest = days.remove(&None).unwrap_or_default();
        for (_, day) in sizes.into_iter().take(few) {
            rest.extend(days.remove(&day).unwrap_or_default());
        }
        rest.sort_by_key(|place| (place.time, place.batch, place.row));
        days.insert(None, rest);
    }
    days
}

/// The day of an instant, µs; `None`: not of the years 1 to 9999, which not every reader of a date knows.
pub(crate) fn of(micros: i64) -> Option<NaiveDate> {
    let day = DateTime::from_timestamp_micros(micros)?.date_naive();
    (1..=9999).contains(&day.year()).then_some(day)
}

/// The value of the partition column.
pub(crate) fn value(day: Option<NaiveDate>) -> Option<String> {
    day.map(|day| day.format("%Y-%m-%d").to_string())
}

/// The day that a file's path inside the table says.
pub(crate) fn of_path(path: &str) -> Option<NaiveDate> {
    let (folder, _) = path.split_once('/')?;
    NaiveDate::parse_from_str(folder.strip_prefix("day=")?, "%Y-%m-%d").ok()
}

/// The day's folder in that of the table.
pub(crate) fn folder(day: Option<NaiveDate>) -> String {
    format!("{COLUMN}={}", value(day).as_deref().unwrap_or(NONE))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn places(times: &[Option<i64>]) -> Vec<Spot> {
        times.iter().enumerate().map(|(row, time)| Spot { time: *time, batch: 0, row }).collect()
    }

    #[test]
    fn rows_go_by_their_day() {
        let split = split(places(&[None, Some(-1), Some(0), Some(DAY - 1), Some(DAY), Some(i64::MAX)]));
        let shown: Vec<_> = split
            .iter()
            .map(|(day, rows)| (value(*day), rows.iter().map(|place| place.row).collect::<Vec<_>>()))
            .collect();
        let day = |text: &str| Some(text.to_owned());
        assert_eq!(
            shown,
            [
                (None, vec![0, 5]),
                (day("1969-12-31"), vec![1]),
                (day("1970-01-01"), vec![2, 3]),
                (day("1970-01-02"), vec![4])
            ]
        );
    }

    #[test]
    fn very_many_days_are_few_files() {
        let mut times: Vec<Option<i64>> = (0..1000).map(|day| Some(day * DAY)).collect();
        times.extend([Some(7 * DAY + 1), Some(9 * DAY + 1)]);
        times.sort();
        let split = split(places(&times));
        assert_eq!((split.len(), split.values().map(Vec::len).sum::<usize>()), (MOST, 1002));
        for day in [7, 9] {
            assert_eq!(split[&of(day * DAY)].len(), 2);
        }
        assert!(split[&None].windows(2).all(|pair| pair[0].time <= pair[1].time));
    }

    #[test]
    fn a_path_says_its_day() {
        for (path, day) in [
            ("day=2026-11-24/part-1.parquet", of(1_795_563_113_000_000)),
            ("day=__HIVE_DEFAULT_PARTITION__/part-1.parquet", None),
            ("part-1.parquet", None),
        ] {
            assert_eq!(of_path(path), day, "{path}");
        }
    }
}
