//! Which small files become one: flushes make many, and each costs every query a little.
//!
//! ```text
//!  of one day:  < 1 MiB  ▪▪▪▪▪▪▪▪ ─▶ ▬       eight of a size become one of the next,
//!               < 8 MiB  ▬▬▬▬▬▬▬▬ ─▶ ██      so that a row is written again but a few times
//!              < 64 MiB  ████████ ─▶ a file
//! ```
//! A file is sorted by time, and so is the one that several become. Delta's own optimize does not sort.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::cold::ColdFile;

/// Files that become one at a time: as many are read at once.
const AT_ONCE: usize = 8;
/// Sizes from which on a file is of the next kind, bytes. What is larger than the last is left alone.
const SIZES: [u64; 3] = [1 << 20, 8 << 20, 64 << 20];

/// How eager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eagerness {
    /// Where there are eight of a size: what goes on beside ingest.
    Steady,
    /// Wherever there are two small ones: for a table that is at rest.
    Full,
}

/// What one compaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Compacted {
    /// The table.
    pub table: &'static str,
    /// The day of the files (UTC).
    pub day: Option<NaiveDate>,
    /// Files that became one.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes_before: u64,
    /// Bytes of the new one.
    pub bytes_after: u64,
}

/// The files that should become one next, oldest first; empty: none.
pub(super) fn next(files: &[ColdFile], eagerness: Eagerness) -> Vec<ColdFile> {
    let mut groups: BTreeMap<(Option<NaiveDate>, usize), Vec<&ColdFile>> = BTreeMap::new();
    for file in files {
        let Some(size) = SIZES.iter().position(|size| file.bytes < *size) else { continue };
        let size = if eagerness == Eagerness::Full { 0 } else { size };
        groups.entry((file.day, size)).or_default().push(file);
    }
    let enough = if eagerness == Eagerness::Full { 2 } else { AT_ONCE };
    // the newest day first: it is what is asked most
    let group = groups.into_values().rev().find(|group| group.len() >= enough);
    let mut group = group.unwrap_or_default();
    // by size where all of them may be taken, or the small ones would be written again with each large one
    group.sort_by(|a, b| match eagerness {
        Eagerness::Full => (a.bytes, &a.name).cmp(&(b.bytes, &b.name)),
        Eagerness::Steady => a.name.cmp(&b.name),
    });
    group.into_iter().take(AT_ONCE).cloned().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::store::place::Place;

    fn file(day: u32, number: u32, bytes: u64) -> ColdFile {
        let day = NaiveDate::from_ymd_opt(2026, 11, day);
        let name = format!("day={day:?}/part-{number:03}");
        ColdFile { place: Place::folder("/t".into()), name, bytes, rows: Some(1), span: None, day }
    }

    fn sizes(files: &[ColdFile]) -> Vec<u64> {
        files.iter().map(|file| file.bytes).collect()
    }

    #[test]
    fn eight_of_a_size_and_a_day_become_one() {
        let mut files: Vec<ColdFile> = (0..7).map(|n| file(1, n, 10 + u64::from(n))).collect();
        files.push(file(2, 7, 10));
        files.push(file(1, 8, 2 << 20));
        assert_eq!(next(&files, Eagerness::Steady), []);
        files.extend([file(1, 9, 99), file(1, 10, 100)]);
        assert_eq!(sizes(&next(&files, Eagerness::Steady)), [10, 11, 12, 13, 14, 15, 16, 99]);
        // at rest: of the newest day that has two
        assert_eq!(sizes(&next(&files, Eagerness::Full)), [10, 11, 12, 13, 14, 15, 16, 99]);
        files.push(file(2, 11, 5 << 20));
        assert_eq!(sizes(&next(&files, Eagerness::Full)), [10, 5 << 20]);
        assert_eq!(next(&[file(1, 1, 64 << 20), file(1, 2, 65 << 20)], Eagerness::Full), []);
    }

    /// A flush each 30 s for a day, each of 1 MB: how often a row is written, and how many files there are.
    #[test]
    fn a_row_is_written_again_but_a_few_times() {
        for eagerness in [Eagerness::Steady, Eagerness::Full] {
            let (mut files, mut written, mut most) = (Vec::new(), 0, 0);
            for number in 0..2880 {
                files.push(file(1, number, 1_000_000));
                if eagerness == Eagerness::Full && number < 2879 {
                    continue;
                }
                loop {
                    let old = next(&files, eagerness);
                    if old.is_empty() {
                        break;
                    }
                    files.retain(|file| !old.contains(file));
                    let bytes = sizes(&old).iter().sum();
                    written += bytes;
                    files.push(file(1, number, bytes));
                }
                most = most.max(files.len());
            }
            assert!(written <= 3 * 2_880_000_000, "{eagerness:?}: {written}");
            assert!(files.len() <= 64, "{eagerness:?}: {}", files.len());
            assert!(most <= 70, "{eagerness:?}: {most}");
        }
    }
}
