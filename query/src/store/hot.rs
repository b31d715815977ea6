//! Rows in memory: appended, queryable, not yet on disk.
//!
//! ```text
//!  batch ─▶ split at multiples of 5 min of event time ─▶ bucket 10:00 [piece piece]
//!                                                         bucket 10:05 [piece]
//!                                                         loose        [piece]   (spans too many buckets, or rows without a time)
//! ```
//! Buckets make a window read only its slices. They are an aid, not a promise: what a piece really covers is its [`Span`], and
//! a batch whose rows are scattered over more than [`MAX_PIECES`] buckets is kept whole (hostile timestamps must not turn one batch
//! into a hundred thousand). Small pieces of one bucket are joined, so that a tail that sends line by line stays cheap to scan.
//!
//! Units: times µs since the epoch, sizes in bytes of memory that is really held. Pieces are immutable and shared with snapshots.

mod memory;
mod split;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::error::ArrowError;

use super::span::{self, Span};

/// Length of a bucket: 5 minutes in µs.
pub(crate) const BUCKET: i64 = 5 * 60 * 1_000_000;
/// A batch that would fall into more pieces is kept whole.
pub(crate) const MAX_PIECES: usize = 64;
/// Pieces up to this many rows are joined with their neighbour.
const JOIN_ROWS: usize = 8192;
/// Joined pieces up to this many rows get buffers of their own; appended batches have such already.
const GATHER_ROWS: usize = 1024;

/// A piece of an appended batch (or several, joined).
#[derive(Debug)]
pub(crate) struct Piece {
    /// The rows, in the table's schema.
    pub(crate) rows: RecordBatch,
    /// What they cover; `None` if a row has no time.
    pub(crate) span: Option<Span>,
    /// Memory held by the rows, bytes; memory shared by pieces of one batch is divided between them.
    pub(crate) bytes: usize,
}

/// The bucket of a piece: its start in µs, or `None` for loose ones.
type Bucket = Option<i64>;

/// Pieces of one batch, and which buckets they belong to.
pub(crate) type Pieces = Vec<(Bucket, Piece)>;

/// All rows in memory of one table.
#[derive(Debug, Default)]
pub(crate) struct Hot {
    buckets: BTreeMap<Bucket, Vec<Arc<Piece>>>,
    rows: usize,
    bytes: usize,
}

/// Splits a batch into pieces, ready to be pushed. Done outside of any lock.
pub(crate) fn split(rows: &RecordBatch, time_column: usize) -> Result<Pieces, ArrowError> {
    let bytes = memory::held(rows);
    let total = rows.num_rows();
    let mut left = bytes;
    let mut pieces = Vec::new();
    for (bucket, rows) in split::split(rows, time_column)? {
        let share = if total == 0 { 0 } else { (bytes as u128 * rows.num_rows() as u128 / total as u128) as usize };
        left = left.saturating_sub(share);
        let span = span::times(&rows, time_column).and_then(Span::of);
        pieces.push((bucket, Piece { rows, span, bytes: share }));
    }
    if let Some((_, last)) = pieces.last_mut() {
        last.bytes += left;
    }
    Ok(pieces)
}

impl Hot {
    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Memory held, bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Every piece, in the order of buckets.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &Arc<Piece>> {
        self.buckets.values().flatten()
    }

    /// Adds pieces that [`split`] made.
    pub(crate) fn push(&mut self, pieces: Pieces) {
        for (bucket, piece) in pieces {
            let neighbours = self.buckets.entry(bucket).or_default();
            self.rows += piece.rows.num_rows();
            self.bytes += piece.bytes;
            neighbours.push(Arc::new(piece));
            if bucket.is_some() {
                self.bytes -= join_small(neighbours);
            }
        }
    }
}

/// Joins the newest pieces as long as the one before is not much larger (so a row is copied at most log n times) and both are
/// small. Returns how many bytes of memory that saved.
fn join_small(pieces: &mut Vec<Arc<Piece>>) -> usize {
    let mut saved: usize = 0;
    while let [.., before, last] = pieces.as_slice() {
        let (older, newer) = (before.rows.num_rows(), last.rows.num_rows());
        if older > 2 * newer || older + newer > JOIN_ROWS {
            break;
        }
        // Rows of one schema always join; should they not, two pieces are as good as one.
        let Ok(rows) = concat_batches(before.rows.schema_ref(), [&before.rows, &last.rows]) else { break };
        // many tiny buffers become one; a few large ones stay as they are
        let rows = if rows.num_rows() <= GATHER_ROWS { memory::compact(&rows) } else { rows };
        let span = span::join_all([before.span, last.span]);
        let held = before.bytes + last.bytes;
        let bytes = memory::held(&rows).min(held);
        saved += held - bytes;
        pieces.truncate(pieces.len() - 2);
        pieces.push(Arc::new(Piece { rows, span, bytes }));
    }
    saved
}
