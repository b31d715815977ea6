//! One table's rows, each in exactly one of three places.
//!
//! ```text
//!  append ─▶ hot ──freeze──▶ frozen ──written and committed──▶ cold
//!                              ▲  └── a flush that failed leaves them here; the next one takes them along
//!                              └ still in memory, still queryable
//! ```
//! All of it sits under the store's one lock, so the step from frozen to cold is seen whole or not at all.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;

use super::cold::ColdFile;
use super::delta::Listing;
use super::error::StoreError;
use super::hot::{Hot, Piece};
use super::span::{Span, join_all};

/// What a table is, apart from its rows.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Its name in SQL, and its folder.
    pub(crate) name: &'static str,
    /// Its columns.
    pub(crate) schema: SchemaRef,
    /// Which of them is the time that rows are found by.
    pub(crate) time_column: usize,
    /// How rows become fewer when they are written, if they can.
    pub(crate) merge: Option<Merge>,
}

/// Makes fewer rows of many.
pub(crate) type Merge = fn(&[&RecordBatch]) -> Result<RecordBatch, ArrowError>;

impl Shape {
    /// A table found by the column `time`, µs UTC (a test holds that all tables have theirs; without one all rows are always read).
    pub(crate) fn new(name: &'static str, schema: SchemaRef, time: &str) -> Self {
        let time_column = schema.index_of(time).unwrap_or(usize::MAX);
        Self { name, schema, time_column, merge: None }
    }

    /// The time column.
    pub(crate) fn time(&self) -> Option<&FieldRef> {
        self.schema.fields().get(self.time_column)
    }

    /// Rows of exactly these columns (names and types), under this very schema.
    pub(crate) fn fit(&self, rows: &RecordBatch) -> Result<RecordBatch, StoreError> {
        let not_fit = |reason| StoreError::Schema { table: self.name, reason };
        let (want, have) = (self.schema.fields(), rows.schema_ref().fields());
        if let Some((want, have)) = want.iter().zip(have).find(|(want, have)| want.name() != have.name()) {
            return Err(not_fit(format!("column {} where {} belongs", have.name(), want.name())));
        }
        if want.len() != have.len() {
            return Err(not_fit(format!("{} columns instead of {}", have.len(), want.len())));
        }
        RecordBatch::try_new(Arc::clone(&self.schema), rows.columns().to_vec())
            .map_err(|error| not_fit(error.to_string()))
    }
}

/// Rows set aside by one flush. A commit covers whole ones, so what the log covers says which are on disk.
#[derive(Debug)]
pub(crate) struct Frozen {
    /// Sequence number of the last append that it has rows of.
    pub(crate) up_to: u64,
    /// The rows.
    pub(crate) rows: Hot,
}

/// The rows of one table.
#[derive(Debug)]
pub(crate) struct Table {
    /// What it is.
    pub(crate) shape: Arc<Shape>,
    /// Appended since the last freeze.
    pub(crate) hot: Hot,
    /// On their way to disk, oldest first. More than one if a flush failed.
    pub(crate) frozen: Vec<Frozen>,
    /// On disk.
    pub(crate) cold: Arc<Vec<ColdFile>>,
    /// The version of the Delta log that `cold` is of.
    pub(crate) version: Option<u64>,
    /// Last sequence number that `cold` covers, as the Delta log has it.
    pub(crate) flushed: u64,
}

/// A table at one instant: immutable, cheap to make and to keep.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    /// What it is.
    pub(crate) shape: Arc<Shape>,
    /// Rows in memory.
    pub(crate) pieces: Vec<Arc<Piece>>,
    /// Rows on disk.
    pub(crate) files: Arc<Vec<ColdFile>>,
}

impl Cut {
    /// What the pieces cover, and then the files.
    pub(crate) fn spans(&self) -> Vec<Option<Span>> {
        self.pieces.iter().map(|piece| piece.span).chain(self.files.iter().map(|file| file.span)).collect()
    }
}

impl Table {
    /// A table that has these files, and they cover appends up to `flushed`.
    pub(crate) fn new(shape: Arc<Shape>, listing: Listing, flushed: u64) -> Self {
        let Listing { files, version } = listing;
        Self { shape, hot: Hot::default(), frozen: Vec::new(), cold: Arc::new(files), version, flushed }
    }

    /// Everything, as of now.
    pub(crate) fn cut(&self) -> Cut {
        let pieces = self.in_memory().flat_map(Hot::pieces).cloned().collect();
        Cut { shape: Arc::clone(&self.shape), pieces, files: Arc::clone(&self.cold) }
    }

    /// Sets aside the hot rows, appended up to `sequence`, and answers all that wait to be written.
    pub(crate) fn freeze(&mut self, sequence: u64) -> Vec<Arc<Piece>> {
        // also without rows: a commit of an unknown outcome may cover it
        if sequence > self.frozen.last().map_or(self.flushed, |last| last.up_to) {
            self.frozen.push(Frozen { up_to: sequence, rows: std::mem::take(&mut self.hot) });
        }
        self.frozen.iter().flat_map(|frozen| frozen.rows.pieces()).cloned().collect()
    }

    /// Forgets what was set aside, as there are no rows in it: nothing will be committed that could cover it.
    pub(crate) fn unfreeze(&mut self) {
        self.frozen.clear();
    }

    /// Rows frozen up to `sequence` are on disk: the files listed have them.
    pub(crate) fn settle(&mut self, listing: Listing, sequence: u64) {
        self.frozen.retain(|frozen| frozen.up_to > sequence);
        self.cold = Arc::new(listing.files);
        self.version = listing.version;
        self.flushed = sequence;
    }

    /// Rows that wait to be written, and those appended since.
    fn in_memory(&self) -> impl Iterator<Item = &Hot> {
        self.frozen.iter().map(|frozen| &frozen.rows).chain([&self.hot])
    }

    /// Rows in memory.
    pub(crate) fn hot_rows(&self) -> u64 {
        self.in_memory().map(|hot| hot.rows() as u64).sum()
    }

    /// Memory that they hold, bytes.
    pub(crate) fn hot_bytes(&self) -> u64 {
        self.in_memory().map(|hot| hot.bytes() as u64).sum()
    }

    /// Rows on disk, as far as commits say so.
    pub(crate) fn cold_rows(&self) -> u64 {
        self.cold.iter().filter_map(|file| file.rows).sum()
    }

    /// What all rows cover, as far as it is known.
    pub(crate) fn span(&self) -> Option<Span> {
        let known = self.in_memory().flat_map(Hot::pieces).filter_map(|piece| piece.span);
        join_all(known.chain(self.cold.iter().filter_map(|file| file.span)).map(Some))
    }
}
