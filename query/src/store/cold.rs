//! Rows on disk: the list of Parquet files that the Delta log of a table names, and the writing of a new one.
//!
//! ```text
//!  pieces (any order) ─▶ sort by time ─▶ chunks of 32 Ki rows ─▶ row groups of 128 Ki rows ─▶ sync ─▶ one file
//! ```
//! Layout for the questions asked of it: sorted by time (so row-group and page statistics cut windows out), zstd, dictionary pages
//! where values repeat, bloom filters on what investigations start from. Text is plain Parquet strings and times are UTC
//! microseconds: no Arrow-only metadata, so that Spark, DuckDB and pandas read the same table.
//!
//! A file becomes part of the table only by the Delta commit that names it; a file without one is litter that a vacuum removes.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::error::StoreError;
use super::hot::Piece;
use super::span::{self, Span};

/// Rows per row group: the unit that statistics skip.
const ROW_GROUP_ROWS: usize = 128 * 1024;
/// Rows gathered at a time while writing.
const CHUNK_ROWS: usize = 32 * 1024;
/// What investigations start from: equality on these skips row groups.
const BLOOM_FILTERS: [&str; 4] = ["request_id", "source_principal", "destination_principal", "source_ip"];
/// Text that hardly ever repeats: a dictionary of it is written only to be thrown away.
const DISTINCT_TEXT: [&str; 4] = ["log_id", "request_id", "stream_id", "trace_id"];
/// Times that rise slowly: a few bits each as deltas.
const TIMES: [&str; 3] = ["time", "ended_at", "received_at"];

/// One committed data file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColdFile {
    /// Where it is, absolute.
    pub(crate) path: PathBuf,
    /// Its size, bytes.
    pub(crate) bytes: u64,
    /// Its rows, if its commit said so.
    pub(crate) rows: Option<u64>,
    /// What it covers, if its commit said so.
    pub(crate) span: Option<Span>,
}

/// How long what is written must last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// For good: on stable storage, small, made for questions of any kind.
    Kept,
    /// As long as this process: quick to write, made to be read once by time.
    Passing,
}

/// Writes rows into the new file `path`, sorted by time; if they are kept, on stable storage (the file; not yet its folder).
/// Blocking.
pub(crate) fn write(
    path: &Path,
    schema: &SchemaRef,
    time_column: usize,
    pieces: &[Arc<Piece>],
    durability: Durability,
) -> Result<ColdFile, StoreError> {
    let written = write_rows(path, schema, time_column, pieces, durability);
    if written.is_err() {
        // Never committed, so nothing refers to it. If it cannot be removed either, a vacuum will.
        let _ = std::fs::remove_file(path);
    }
    written
}

fn write_rows(
    path: &Path,
    schema: &SchemaRef,
    time_column: usize,
    pieces: &[Arc<Piece>],
    durability: Durability,
) -> Result<ColdFile, StoreError> {
    let parquet = |source: ParquetError| StoreError::Parquet { path: path.to_owned(), source };
    let file = private(path).map_err(StoreError::io("create", path))?;
    let properties = match durability {
        Durability::Kept => properties(schema, time_column),
        Durability::Passing => passing_properties(schema, time_column),
    };
    let options =
        ArrowWriterOptions::new().with_properties(properties.map_err(parquet)?).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(
        std::io::BufWriter::with_capacity(1 << 20, file),
        Arc::clone(schema),
        options,
    )
    .map_err(parquet)?;
    let batches: Vec<&RecordBatch> = pieces.iter().map(|piece| &piece.rows).collect();
    let order = order_by_time(&batches, time_column);
    for chunk in order.chunks(CHUNK_ROWS) {
        writer.write(&interleave_record_batch(&batches, chunk)?).map_err(parquet)?;
    }
    let mut buffered = writer.into_inner().map_err(parquet)?;
    buffered.flush().map_err(StoreError::io("write", path))?;
    let file = buffered.get_ref();
    if durability == Durability::Kept {
        file.sync_all().map_err(StoreError::io("sync", path))?;
    }
    let bytes = file.metadata().map_err(StoreError::io("look at", path))?.len();
    Ok(ColdFile {
        path: path.to_owned(),
        bytes,
        rows: Some(order.len() as u64),
        span: span::join_all(pieces.iter().map(|piece| piece.span)),
    })
}

/// A new file that only its owner reads: rows name people, and rejects hold lines as they came.
fn private(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// (batch, row) of every row, ascending by time; rows without a time first; rows of one instant in the order of arrival.
fn order_by_time(batches: &[&RecordBatch], time_column: usize) -> Vec<(usize, usize)> {
    let mut order = Vec::with_capacity(batches.iter().map(|rows| rows.num_rows()).sum());
    for (batch, rows) in batches.iter().enumerate() {
        match span::times(rows, time_column) {
            Some(times) => order.extend(times.iter().enumerate().map(|(row, time)| (time, batch, row))),
            None => order.extend((0..rows.num_rows()).map(|row| (None, batch, row))),
        }
    }
    order.sort_by_key(|(time, ..)| *time);
    order.into_iter().map(|(_, batch, row)| (batch, row)).collect()
}

fn properties(schema: &SchemaRef, time_column: usize) -> Result<WriterProperties, ParquetError> {
    let sorted_by =
        i32::try_from(time_column).map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: true });
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("meshwarden ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_dictionary_enabled(true)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_sorting_columns(sorted_by.ok().map(|column| vec![column]));
    for name in schema.fields().iter().map(|field| field.name().as_str()) {
        let column = || ColumnPath::from(name);
        if BLOOM_FILTERS.contains(&name) {
            properties =
                properties.set_column_bloom_filter_enabled(column(), true).set_column_bloom_filter_fpp(column(), 0.01);
        }
        if DISTINCT_TEXT.contains(&name) {
            properties = properties.set_column_dictionary_enabled(column(), false);
        }
        if TIMES.contains(&name) {
            properties = properties
                .set_column_dictionary_enabled(column(), false)
                .set_column_encoding(column(), Encoding::DELTA_BINARY_PACKED);
        }
    }
    Ok(properties.build())
}

/// What is read once, by time: no statistics but those of the time, no bloom filters.
fn passing_properties(schema: &SchemaRef, time_column: usize) -> Result<WriterProperties, ParquetError> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS));
    if let Some(time) = schema.fields().get(time_column) {
        let time = ColumnPath::from(time.name().as_str());
        properties = properties.set_column_statistics_enabled(time, EnabledStatistics::Page);
    }
    for name in DISTINCT_TEXT {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
    }
    Ok(properties.build())
}
