//! Arrow rows as JSON objects, nulls included: what the API, NDJSON output and findings' facts are made of.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use serde_json::{Map, Value};

/// Rows that cannot be written as JSON.
#[derive(Debug, thiserror::Error)]
pub enum JsonRowsError {
    /// A type without a JSON form.
    #[error("{0}")]
    Arrow(#[from] ArrowError),
    /// The writer wrote what the reader does not read.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
}

/// One object a row, every column a key, null where it is null. Timestamps become RFC 3339 text.
///
/// # Errors
/// If a column has a type without a JSON form.
pub fn rows_as_json(batches: &[RecordBatch]) -> Result<Vec<Map<String, Value>>, JsonRowsError> {
    let mut writer =
        WriterBuilder::new().with_explicit_nulls(true).build::<_, arrow::json::writer::JsonArray>(Vec::new());
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()?;
    let text = writer.into_inner();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    Ok(serde_json::from_slice(&text)?)
}
