//! Which columns of `access_logs` somebody wants: who reads few of them is spared the making of the others.
//!
//! ```text
//!            on every row          on rows with one of these signals, too
//!  Wanted    time, edge, ...       log_id, source_ip, path, ...              anything else: null (or empty, where the column has no null)
//! ```
//! `source` and `received_at`, which are the same on every row, are so if any row wants them.
//!
//! Rows, rejects, their order and the coverage are the same whatever is wanted. What a column holds where it is wanted is what it always holds.

use thiserror::Error;

use crate::key::KeySet;
use crate::schema::{self, COLUMN_COUNT, Col};

/// Which columns are decoded, and on which rows. By default all of them, on all rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    everywhere: Level,
    /// Of rows with one of the signals.
    signalled: Level,
    signals: i64,
}

/// A name that is no column.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no column of access_logs")]
pub struct UnknownColumn(pub String);

/// What is wanted of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    columns: ColumnSet,
    /// Keys that feed one of the columns, and all where `extra` is one: it holds what no column took.
    pub(crate) keys: KeySet,
    /// An address or a port.
    pub(crate) ends: bool,
}

/// A set of columns of `access_logs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ColumnSet(u128);

const _: () = assert!(COLUMN_COUNT <= 128);

const ENDS: [Col; 5] = [Col::SourceIp, Col::SourcePort, Col::ClaimedClientIp, Col::DestinationIp, Col::DestinationPort];

impl Wanted {
    /// Every column on every row.
    #[must_use]
    pub fn everything() -> Self {
        Wanted { everywhere: Level::WHOLE, signalled: Level::WHOLE, signals: 0 }
    }

    /// These columns on every row, and no others. A row of which `extra` is wanted is decoded whole.
    ///
    /// # Errors
    /// If a name is no column.
    pub fn columns<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Result<Self, UnknownColumn> {
        let everywhere = Level::of(named(names)?);
        Ok(Wanted { everywhere, signalled: everywhere, signals: 0 })
    }

    /// Beside those, these columns on rows that carry one of the `signals` (bits of [`schema::signals`]).
    ///
    /// # Errors
    /// If a name is no column.
    pub fn and_with_signals<N: AsRef<str>>(
        self,
        signals: i64,
        names: impl IntoIterator<Item = N>,
    ) -> Result<Self, UnknownColumn> {
        let columns = self.everywhere.columns.union(named(names)?);
        Ok(Wanted { signalled: Level::of(columns), signals, ..self })
    }

    /// What is wanted of a row with these signals.
    #[inline]
    pub(crate) fn of(&self, signals: i64) -> &Level {
        if signals & self.signals == 0 { &self.everywhere } else { &self.signalled }
    }

    /// Whether a column is wanted of some rows.
    pub(crate) fn anywhere(&self, column: Col) -> bool {
        self.everywhere.has(column) || self.signalled.has(column)
    }
}

impl Default for Wanted {
    fn default() -> Self {
        Wanted::everything()
    }
}

impl Level {
    const WHOLE: Level = Level { columns: ColumnSet::ALL, keys: KeySet::ALL, ends: true };

    fn of(columns: ColumnSet) -> Self {
        if columns.has(Col::Extra) {
            return Level::WHOLE;
        }
        let mut keys = KeySet::EMPTY;
        for (column, feeding) in schema::feeding_keys().iter().enumerate() {
            if columns.has_number(column) {
                keys = keys.union(*feeding);
            }
        }
        Level { columns, keys, ends: ENDS.into_iter().any(|column| columns.has(column)) }
    }

    #[inline]
    pub(crate) fn has(&self, column: Col) -> bool {
        self.columns.has(column)
    }

    /// Whether the column of that number is wanted.
    #[inline]
    pub(crate) fn has_number(&self, column: usize) -> bool {
        self.columns.has_number(column)
    }
}

impl ColumnSet {
    const ALL: ColumnSet = ColumnSet(u128::MAX);

    fn union(self, other: Self) -> Self {
        ColumnSet(self.0 | other.0)
    }

    #[inline]
    fn has(self, column: Col) -> bool {
        self.has_number(column as usize)
    }

    #[inline]
    fn has_number(self, column: usize) -> bool {
        self.0 >> column & 1 == 1
    }
}

fn named<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Result<ColumnSet, UnknownColumn> {
    names.into_iter().try_fold(ColumnSet(0), |set, name| {
        let name = name.as_ref();
        let column = schema::index(name).ok_or_else(|| UnknownColumn(name.to_owned()))?;
        Ok(ColumnSet(set.0 | 1 << column))
    })
}
