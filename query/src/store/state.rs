//! What the store knows at one instant; everything in here changes under one lock.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use ingest::{Coverage, schema};

use super::coverage::{self, Sums};
use super::delta::Listing;
use super::hot::Pieces;
use super::snapshot::Snapshot;
use super::span;
use super::table::{Shape, Table};
use crate::edges;

/// All tables, and how far appending got.
#[derive(Debug)]
pub(crate) struct State {
    /// Decoded lines.
    pub(crate) access_logs: Table,
    /// Lines that could not be decoded.
    pub(crate) rejects: Table,
    /// Decoded lines, summed up by minute and edge.
    pub(crate) edges_1m: Table,
    /// Number of the last append (0: none yet). Never used twice, also across restarts.
    pub(crate) sequence: u64,
    /// Coverage of everything appended, by source.
    pub(crate) coverage: Sums,
    /// When the last commit that was found was made.
    pub(crate) as_of: Option<DateTime<Utc>>,
    /// Appends are refused.
    pub(crate) closed: bool,
}

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    AccessLogs,
    Rejects,
    Edges1m,
}

impl Which {
    /// All of them, in the order in which a flush commits them: what the last one covers, all do.
    pub(crate) const ALL: [Self; 3] = [Self::Rejects, Self::Edges1m, Self::AccessLogs];

    /// The table.
    pub(crate) fn of(self, state: &State) -> &Table {
        match self {
            Self::AccessLogs => &state.access_logs,
            Self::Rejects => &state.rejects,
            Self::Edges1m => &state.edges_1m,
        }
    }

    /// The table.
    pub(crate) fn of_mut(self, state: &mut State) -> &mut Table {
        match self {
            Self::AccessLogs => &mut state.access_logs,
            Self::Rejects => &mut state.rejects,
            Self::Edges1m => &mut state.edges_1m,
        }
    }

    /// What it is.
    pub(crate) fn shape(self) -> Arc<Shape> {
        Arc::new(match self {
            Self::AccessLogs => Shape::new("access_logs", schema::access_logs(), "time"),
            Self::Rejects => Shape::new("rejects", schema::rejects(), "received_at"),
            Self::Edges1m => Shape { merge: Some(edges::merge), ..Shape::new("edges_1m", schema::edges_1m(), "time") },
        })
    }
}

impl State {
    /// What was found on disk (or nothing).
    pub(crate) fn new(access_logs: Table, rejects: Table, edges_1m: Table, coverage: Sums) -> Self {
        // the others are committed first: a crash between two leaves them ahead, and what comes again is only new to the access logs
        let sequence = access_logs.flushed;
        Self { access_logs, rejects, edges_1m, sequence, coverage, as_of: None, closed: false }
    }

    /// Takes in what belongs to one sequence number.
    pub(crate) fn push(&mut self, ready: impl IntoIterator<Item = Ready>, sequence: u64) {
        for Ready { rows, rejects, edges, coverage } in ready {
            self.access_logs.hot.push(rows);
            for (table, rows) in [(&mut self.rejects, rejects), (&mut self.edges_1m, edges)] {
                if sequence > table.flushed {
                    table.hot.push(rows);
                }
            }
            if let Some((source, of_batch)) = coverage {
                coverage::add(&mut self.coverage, &source, &of_batch);
            }
        }
        self.sequence = sequence;
    }

    /// Nothing.
    pub(crate) fn empty() -> Self {
        let table = |which: Which| Table::new(which.shape(), Listing::default(), 0);
        Self::new(table(Which::AccessLogs), table(Which::Rejects), table(Which::Edges1m), Sums::new())
    }

    /// The next number that no append had, also not one whose rows only some tables have on disk.
    pub(crate) fn next(&self) -> u64 {
        Which::ALL.iter().map(|which| which.of(self).flushed).fold(self.sequence, u64::max) + 1
    }

    /// All tables as of now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            access_logs: self.access_logs.cut(),
            rejects: self.rejects.cut(),
            edges_1m: self.edges_1m.cut(),
            sequence: self.sequence,
        }
    }

    /// Memory held by rows of all tables, bytes.
    pub(crate) fn hot_bytes(&self) -> u64 {
        Which::ALL.iter().map(|which| which.of(self).hot_bytes()).sum()
    }

    /// Numbers for people and metrics.
    pub(crate) fn stats(&self) -> StoreStats {
        let span = self.access_logs.span();
        StoreStats {
            hot_rows: self.access_logs.hot_rows(),
            hot_bytes: self.hot_bytes(),
            cold_rows: self.access_logs.cold_rows(),
            cold_files: self.access_logs.cold.len() as u64,
            rejects: self.rejects.hot_rows() + self.rejects.cold_rows(),
            sequence: self.sequence,
            flushed_sequence: self.access_logs.flushed,
            earliest: span.map(|span| span.earliest),
            latest: span.map(|span| span.latest),
        }
    }
}

/// A batch, ready to be taken in.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) rows: Pieces,
    pub(crate) rejects: Pieces,
    pub(crate) edges: Pieces,
    /// By source.
    pub(crate) coverage: Option<(String, Coverage)>,
}

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct StoreStats {
    /// Access logs in memory.
    pub hot_rows: u64,
    /// Memory held by rows of all tables, bytes.
    pub hot_bytes: u64,
    /// Access logs on disk.
    pub cold_rows: u64,
    /// Parquet files of `access_logs`.
    pub cold_files: u64,
    /// Rejects, in memory and on disk.
    pub rejects: u64,
    /// The last append.
    pub sequence: u64,
    /// The last append that is on stable storage with all before it.
    pub flushed_sequence: u64,
    /// Time of the first access log, µs since the epoch (`None`: no rows).
    pub earliest: Option<i64>,
    /// Time of the last access log, µs since the epoch (`None`: no rows).
    pub latest: Option<i64>,
}

/// What a table has on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TableStats {
    /// Its name.
    pub table: &'static str,
    /// Parquet files.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their size, bytes.
    pub bytes: u64,
    /// Days (UTC) that they are of.
    pub days: u64,
    /// Time of the first row, µs since the epoch (`None`: no rows, or it is not known).
    pub earliest: Option<i64>,
    /// Time of the last row, µs since the epoch (`None`: no rows, or it is not known).
    pub latest: Option<i64>,
}

impl TableStats {
    pub(crate) fn of(table: &Table) -> Self {
        let files = &table.cold;
        let span = span::join_all(files.iter().filter_map(|file| file.span).map(Some));
        TableStats {
            table: table.shape.name,
            files: files.len() as u64,
            rows: table.cold_rows(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            days: files.iter().filter_map(|file| file.day).collect::<BTreeSet<_>>().len() as u64,
            earliest: span.map(|span| span.earliest),
            latest: span.map(|span| span.latest),
        }
    }
}
