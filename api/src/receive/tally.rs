//! What became of lines.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use ingest::AccessLogBatch;

/// Rejects that are named one by one.
const REASONS: usize = 1000;

/// What became of lines.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Rows.
    pub(crate) accepted: u64,
    /// Of these, rows with an `extra`.
    pub(crate) with_extra: u64,
    /// Lines that could not be decoded.
    pub(crate) rejected: u64,
    /// Line and reason, of the first of these.
    pub(crate) reasons: Vec<(u64, String)>,
    /// How many, of all of these.
    pub(crate) by_reason: BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, batch: &AccessLogBatch) {
        self.accepted += batch.rows.num_rows() as u64;
        let extra = batch.rows.column_by_name("extra");
        self.with_extra += extra.map_or(0, |extra| (extra.len() - extra.null_count()) as u64);
        self.rejected += batch.rejects.num_rows() as u64;
        let column = |name| batch.rejects.column_by_name(name).map(AsRef::as_ref);
        let lines = column("line").and_then(|column: &dyn Array| column.as_primitive_opt::<Int64Type>());
        let reasons = column("reason").and_then(|column: &dyn Array| column.as_string_view_opt());
        let (Some(lines), Some(reasons)) = (lines, reasons) else { return };
        for (line, reason) in lines.values().iter().zip(reasons.iter().flatten()) {
            if self.reasons.len() < REASONS {
                self.reasons.push((u64::try_from(*line).unwrap_or(0), reason.to_owned()));
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
