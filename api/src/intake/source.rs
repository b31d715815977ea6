//! The column `source`: the decoder names it and `log_id` after one text, but only the latter is the payload's own.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewBuilder};
use ingest::AccessLogBatch;

/// The same batch from `source`.
pub(super) fn named(mut batch: AccessLogBatch, source: &str) -> AccessLogBatch {
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
