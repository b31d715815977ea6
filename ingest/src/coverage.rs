//! What the logs carried: for each column, on how many rows' lines a key that feeds it was present, even with a null
//! value. A detection whose columns were not carried is *blind*, which is not the same as having found nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::format_string::TextFormat;
use crate::json_format::JsonFormat;
use crate::key::KeySet;
use crate::reporter::Reporter;
use crate::schema::{self, ACCESS_LOGS};

/// Counts, per column of `access_logs`, the rows whose lines carried what feeds it. Columns that no key feeds
/// (`log_id`, `signals`, ...) are carried by every line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    rows: u64,
    /// One count per column, in the order of the columns.
    carried: Vec<u64>,
    /// Rows by who logged them, in the order of [`Reporter::ALL`], then those of whom nobody knows. All 0 where no line was seen.
    reporters: [u64; Reporter::ALL.len() + 1],
}

/// The values of the column `reporter`.
pub fn reporters() -> impl Iterator<Item = &'static str> {
    Reporter::ALL.into_iter().map(Reporter::as_str)
}

impl Coverage {
    /// How many rows that reporter logged, or of how many it is not known (`None`). No answer where rows were counted that nobody has seen: those of
    /// a format that has not logged a line yet.
    #[must_use]
    pub fn logged_by(&self, reporter: Option<&str>) -> Option<u64> {
        let seen = self.reporters.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
        let place = match reporter {
            Some(name) => reporters().position(|known| known == name)?,
            None => Reporter::ALL.len(),
        };
        self.reporters.get(place).copied().filter(|_| seen == self.rows)
    }

    /// How many rows' lines carried a key that feeds `column`; 0 for a name that is no column.
    #[must_use]
    pub fn get(&self, column: &str) -> u64 {
        schema::index(column).and_then(|at| self.carried.get(at)).copied().unwrap_or(0)
    }

    /// How many rows were counted.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds the counts of other rows.
    pub fn merge(&mut self, other: &Coverage) {
        self.rows = self.rows.saturating_add(other.rows);
        let mine = self.carried.iter_mut().chain(&mut self.reporters);
        for (mine, theirs) in mine.zip(other.carried.iter().chain(&other.reporters)) {
            *mine = mine.saturating_add(*theirs);
        }
    }

    /// What a text format carries that has not logged a line yet: one row.
    #[must_use]
    pub fn of_text_format(format: &TextFormat) -> Coverage {
        Coverage::of(format.carries())
    }

    /// What a JSON format carries that has not logged a line yet, by its operators, whatever its labels are called: one row. `omits_empty`: its
    /// lines leave out what is null.
    #[must_use]
    pub fn of_json_format(format: &JsonFormat, omits_empty: bool) -> Coverage {
        Coverage::of(if omits_empty { format.carries_omitting() } else { format.carries() })
    }

    fn of(keys: KeySet) -> Coverage {
        let mut coverage = Coverage::default();
        coverage.count(keys, 1);
        coverage
    }

    /// Counts who logged a row.
    #[inline]
    pub(crate) fn logged(&mut self, reporter: Option<Reporter>) {
        let place = reporter.map_or(Reporter::ALL.len(), |reporter| reporter as usize);
        if let Some(count) = self.reporters.get_mut(place) {
            *count = count.saturating_add(1);
        }
    }

    /// Counts rows whose lines carried `keys`.
    pub(crate) fn count(&mut self, keys: KeySet, rows: u64) {
        self.rows += rows;
        for (count, feeding) in self.carried.iter_mut().zip(schema::feeding_keys()) {
            *count += rows * u64::from(feeding.is_empty() || feeding.meets(keys));
        }
    }
}

impl Default for Coverage {
    fn default() -> Self {
        Coverage { rows: 0, carried: vec![0; ACCESS_LOGS.len()], reporters: Default::default() }
    }
}

/// How a coverage is written: by column name, so that it outlives a change of the columns.
#[derive(Serialize, Deserialize)]
struct Wire {
    rows: u64,
    columns: BTreeMap<String, u64>,
    /// By the column `reporter`; of whom nobody knows under the empty name.
    #[serde(default)]
    reporters: BTreeMap<String, u64>,
}

impl Serialize for Coverage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let columns = ACCESS_LOGS.iter().zip(&self.carried).map(|(column, count)| (column.name.to_owned(), *count));
        let names = reporters().chain([""]).map(str::to_owned);
        let reporters = names.zip(self.reporters).filter(|(_, count)| *count > 0).collect();
        Wire { rows: self.rows, columns: columns.collect(), reporters }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Coverage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { rows, columns, reporters: by } = Wire::deserialize(deserializer)?;
        let carried = ACCESS_LOGS.iter().map(|column| columns.get(column.name).copied().unwrap_or(0));
        let mut counts = [0; Reporter::ALL.len() + 1];
        for (count, name) in counts.iter_mut().zip(reporters().chain([""])) {
            *count = by.get(name).copied().unwrap_or(0);
        }
        Ok(Coverage { rows, carried: carried.collect(), reporters: counts })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::key::Key;

    #[test]
    fn formats_carry_what_their_lines_will() {
        let text = Coverage::of_text_format(&TextFormat::compile(crate::format_string::known::ISTIO).unwrap());
        let istio = Coverage::of_json_format(&JsonFormat::istio(), false);
        assert_eq!(text, istio, "Istio's defaults differ in form only");
        let recommended: serde_json::Value = serde_json::from_str(crate::format::recommended()).unwrap();
        let recommended = Coverage::of_json_format(&JsonFormat::compile(&recommended).unwrap(), true);
        assert_eq!(recommended, Coverage::of(KeySet::RECOMMENDED));
        for (column, in_istio, in_recommended) in [
            ("time", 1, 1),
            ("signals", 1, 1),
            ("response_code_details", 1, 1),
            ("source_principal", 0, 1),
            ("transport_security", 0, 1),
            ("upstream_service_time_ms", 1, 0),
        ] {
            assert_eq!((istio.get(column), recommended.get(column)), (in_istio, in_recommended), "{column}");
        }
        assert_eq!((text.rows(), recommended.rows()), (1, 1));
        // the schema alone promises nothing here: the format is at hand
        let lie =
            JsonFormat::compile(&serde_json::json!({ "log_schema": "meshwarden/1", "s": "%RESPONSE_CODE%" })).unwrap();
        let lie = Coverage::of_json_format(&lie, false);
        assert_eq!((lie.get("response_code"), lie.get("source_principal")), (1, 0));
    }

    #[test]
    fn counts_what_was_carried() {
        let mut coverage = Coverage::default();
        coverage.count(KeySet::EMPTY.with(Key::StartTime).with(Key::ResponseCodeDetails), 1);
        coverage.logged(None);
        coverage.count(KeySet::RECOMMENDED, 1);
        coverage.logged(Some(Reporter::Waypoint));
        let logged_by = |coverage: &Coverage| {
            [None, Some("source"), Some("waypoint"), Some("?")].map(|reporter| coverage.logged_by(reporter))
        };
        assert_eq!(logged_by(&coverage), [Some(1), Some(0), Some(1), None]);
        for (column, count) in [
            ("time", 2),
            ("log_id", 2),
            ("signals", 2),
            ("rbac_decision", 2),
            ("jwt_failure", 2),
            ("transport_security", 1),
            ("source_principal", 1),
            ("upstream_service_time_ms", 0),
            ("no_such_column", 0),
        ] {
            assert_eq!(coverage.get(column), count, "{column}");
        }
        let text = serde_json::to_string(&coverage).unwrap();
        let mut back: Coverage = serde_json::from_str(&text).unwrap();
        assert_eq!(back, coverage);
        back.merge(&coverage);
        assert_eq!((back.rows(), back.get("time")), (4, 4));
        assert_eq!(logged_by(&back), [Some(2), Some(0), Some(2), None]);
        back.merge(&Coverage::of(KeySet::RECOMMENDED));
        assert_eq!(logged_by(&back), [None; 4], "nobody has seen a line of that format");
    }
}
