//! Rows of a query as a table, NDJSON or CSV.

use arrow::util::display::FormatOptions;
use query::json::{JsonRowsError, rows_as_json};
use query::sql::Rowset;

use super::visible;

/// Rows that cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RowsError {
    /// A type without that form.
    #[error("{0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A type without a JSON form.
    #[error("{0}")]
    Json(#[from] JsonRowsError),
    /// A value that JSON cannot hold.
    #[error("{0}")]
    Value(#[from] serde_json::Error),
    /// Arrow wrote what is no UTF-8.
    #[error("{0}")]
    Utf8(#[from] std::string::FromUtf8Error),
}

/// A table with the column names on top, null as nothing.
pub(crate) fn rows_table(rowset: &Rowset) -> Result<String, RowsError> {
    let options = FormatOptions::default().with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.6fZ"));
    let table = arrow::util::pretty::pretty_format_batches_with_schema(rowset.schema.clone(), &rowset.batches)
        .and_then(|_| arrow::util::pretty::pretty_format_batches_with_options(&with_header(rowset), &options))?;
    let lines: Vec<String> = table.to_string().lines().map(visible).collect();
    Ok(format!("{}\n", lines.join("\n")))
}

/// A result without rows still shows its columns.
fn with_header(rowset: &Rowset) -> Vec<arrow::array::RecordBatch> {
    if rowset.batches.is_empty() {
        return vec![arrow::array::RecordBatch::new_empty(rowset.schema.clone())];
    }
    rowset.batches.clone()
}

/// One JSON object a row.
pub(crate) fn rows_ndjson(rowset: &Rowset) -> Result<String, RowsError> {
    let mut text = String::new();
    for row in rows_as_json(&rowset.batches)? {
        text.push_str(&serde_json::to_string(&row)?);
        text.push('\n');
    }
    Ok(text)
}

/// Comma-separated values with a header line, also when there is no row.
pub(crate) fn rows_csv(rowset: &Rowset) -> Result<String, RowsError> {
    let mut out = Vec::new();
    let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(&mut out);
    for batch in with_header(rowset) {
        writer.write(&batch)?;
    }
    drop(writer);
    Ok(String::from_utf8(out)?)
}
