//! Rows of a query as a table, NDJSON or CSV.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::FormatOptions;
use query::json::{JsonRowsError, rows_as_json};
use query::sql::Rowset;
use serde_json::Value;

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
fn with_header(rowset: &Rowset) -> Vec<RecordBatch> {
    if rowset.batches.is_empty() {
        return vec![RecordBatch::new_empty(rowset.schema.clone())];
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

/// Comma-separated values with a header line, also when there is no row; lists and structs as JSON.
pub(crate) fn rows_csv(rowset: &Rowset) -> Result<String, RowsError> {
    let mut out = Vec::new();
    let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(&mut out);
    for batch in with_header(rowset) {
        writer.write(&flat(&batch)?)?;
    }
    drop(writer);
    Ok(String::from_utf8(out)?)
}

/// The batch with lists and structs as JSON text.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, RowsError> {
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (at, (field, column)) in batch.schema_ref().fields().iter().zip(batch.columns()).enumerate() {
        if !field.data_type().is_nested() {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
            continue;
        }
        let values = rows_as_json(&[batch.project(&[at])?])?;
        let texts =
            values.iter().map(|row| row.get(field.name()).filter(|value| !value.is_null()).map(Value::to_string));
        fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
        columns.push(Arc::new(texts.collect::<StringArray>()));
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
