//! Which windows new rows touch: only those are evaluated again.
//!
//! Rows fall into cells of one second that remember which `signals` were seen. A row of time `t` changes the outcome of its own window and,
//! for a detection that looks back, of the windows up to `lookback` later.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use super::header::Header;
use crate::window::Window;

const SECOND: i64 = 1_000_000;

/// Cells of event time with the signals seen in them.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    /// Second since the epoch → signals of its rows, or-ed.
    cells: BTreeMap<i64, i64>,
}

impl Touched {
    /// Takes in the rows of a batch of `access_logs`.
    pub fn add(&mut self, rows: &RecordBatch) {
        let (Some(times), Some(signals)) = (rows.column_by_name("time"), rows.column_by_name("signals")) else {
            return;
        };
        let (Some(times), Some(signals)) =
            (times.as_primitive_opt::<TimestampMicrosecondType>(), signals.as_primitive_opt::<Int64Type>())
        else {
            return;
        };
        // lines of one file come roughly in order: most rows hit the cell of the row before
        let mut cell = (i64::MIN, 0);
        for (time, signals) in times.values().iter().zip(signals.values()) {
            let second = time.div_euclid(SECOND);
            if second == cell.0 {
                cell.1 |= signals;
            } else {
                self.put(cell);
                cell = (second, *signals);
            }
        }
        self.put(cell);
    }

    fn put(&mut self, (second, signals): (i64, i64)) {
        if second != i64::MIN {
            *self.cells.entry(second).or_default() |= signals;
        }
    }

    /// Seconds since the epoch with the signals seen in them.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (i64, i64)> {
        self.cells.iter().map(|(second, signals)| (*second, *signals))
    }

    pub(crate) fn from_cells(cells: Vec<(i64, i64)>) -> Self {
        Self { cells: cells.into_iter().collect() }
    }

    /// Everything of `other` too.
    pub fn merge(&mut self, other: &Self) {
        for (second, signals) in &other.cells {
            self.put((*second, *signals));
        }
    }

    /// Whether nothing was touched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The windows whose outcome for this detection may have changed, the earliest first. `latest` is the latest event time
    /// known (µs): later windows hold no rows.
    #[must_use]
    pub fn windows(&self, header: &Header, latest: i64) -> Vec<Window> {
        let length = header.window_micros();
        let wanted = |signals: i64| header.signals == 0 || signals & header.signals != 0;
        let own: BTreeSet<Window> = self
            .cells
            .iter()
            .filter(|(_, signals)| wanted(**signals))
            .map(|(second, _)| Window::holding(second.saturating_mul(SECOND), length))
            .collect();
        let mut windows = BTreeSet::new();
        for mut window in own {
            let until = window.start().saturating_add(header.lookback_micros()).min(latest);
            windows.insert(window);
            while window.end() <= until {
                window = Window::holding(window.end(), length);
                windows.insert(window);
            }
        }
        windows.into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
