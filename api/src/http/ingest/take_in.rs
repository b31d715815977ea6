//! From a complete body to rows: decoding on a thread of its own, appending here, a few batches in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewBuilder};
use arrow::datatypes::Int64Type;
use chrono::{DateTime, Utc};
use ingest::{AccessLogBatch, Decoder};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{Accepted, Reason};
use crate::http::problem::Problem;
use crate::http::state::AppState;

/// Rejects that the answer names.
const REASONS: usize = 1000;

/// Batches between the decoder and the store.
const AHEAD: usize = 2;

/// What rows are named after.
pub(super) struct Names {
    /// The column `source`: few different ones, what a column's coverage is counted by.
    pub(super) source: String,
    /// What `log_id` begins with: no other request's.
    pub(super) id: String,
}

/// Decodes and appends. When this returns, all lines are queryable.
pub(super) async fn take_in(
    state: AppState,
    place: OwnedSemaphorePermit,
    pieces: Vec<Vec<u8>>,
    names: Names,
    received_at: DateTime<Utc>,
) -> Result<Accepted, Problem> {
    let _place = place;
    let bytes: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
    let mut decoder = Decoder::new(Arc::clone(state.decode()), names.id, received_at);
    let source = names.source;
    let (sender, mut batches) = mpsc::channel::<AccessLogBatch>(AHEAD);
    let decoding = tokio::task::spawn_blocking(move || {
        for piece in pieces {
            decoder.push(&piece);
            drop(piece);
            while let Some(batch) = decoder.next_batch() {
                if sender.blocking_send(renamed(batch, &source)).is_err() {
                    return;
                }
            }
        }
        if let Some(batch) = decoder.finish() {
            // the receiver is gone when appending failed, which is told there
            let _ = sender.blocking_send(renamed(batch, &source));
        }
    });
    let mut tally = Tally::default();
    while let Some(batch) = batches.recv().await {
        state.core().append(&batch).await.map_err(|error| Problem::internal("taking the lines in", &error))?;
        tally.add(&batch);
        if state.core().store().wants_flush() {
            state.detector().flush().await;
        }
    }
    decoding.await.map_err(|error| Problem::internal("decoding", &error))?;
    state.detector().wake();
    state.metrics().ingested(
        tally.accepted,
        tally.by_reason.iter().map(|(reason, lines)| (reason.as_str(), *lines)),
        bytes,
    );
    Ok(Accepted { accepted: tally.accepted, rejected: tally.rejected, reasons: tally.reasons })
}

#[derive(Default)]
struct Tally {
    accepted: u64,
    rejected: u64,
    reasons: Vec<Reason>,
    by_reason: BTreeMap<String, u64>,
}

impl Tally {
    fn add(&mut self, batch: &AccessLogBatch) {
        self.accepted += batch.rows.num_rows() as u64;
        self.rejected += batch.rejects.num_rows() as u64;
        let column = |name| batch.rejects.column_by_name(name).map(AsRef::as_ref);
        let lines = column("line").and_then(|column: &dyn Array| column.as_primitive_opt::<Int64Type>());
        let reasons = column("reason").and_then(|column: &dyn Array| column.as_string_view_opt());
        let (Some(lines), Some(reasons)) = (lines, reasons) else { return };
        for (line, reason) in lines.values().iter().zip(reasons.iter().flatten()) {
            if self.reasons.len() < REASONS {
                self.reasons.push(Reason { line: u64::try_from(*line).unwrap_or(0), reason: reason.to_owned() });
            }
            match self.by_reason.get_mut(reason) {
                Some(lines) => *lines += 1,
                None => {
                    self.by_reason.insert(reason.to_owned(), 1);
                }
            }
        }
    }
}

/// The same batch from `source`: the decoder names source and `log_id` after one text, but only the latter is the request's own.
fn renamed(mut batch: AccessLogBatch, source: &str) -> AccessLogBatch {
    batch.rows = with_source(&batch.rows, source);
    batch.rejects = with_source(&batch.rejects, source);
    batch
}

fn with_source(rows: &RecordBatch, source: &str) -> RecordBatch {
    let Ok(place) = rows.schema().index_of("source") else { return rows.clone() };
    let mut column = StringViewBuilder::with_capacity(rows.num_rows()).with_deduplicate_strings();
    for _ in 0..rows.num_rows() {
        column.append_value(source);
    }
    let mut columns = rows.columns().to_vec();
    if let Some(old) = columns.get_mut(place) {
        *old = Arc::new(column.finish()) as ArrayRef;
    }
    // same types, same lengths: this cannot fail; if it did, the rows as they are would be right as well
    RecordBatch::try_new(rows.schema(), columns).unwrap_or_else(|_| rows.clone())
}
