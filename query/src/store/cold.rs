//! Rows on disk: the list of Parquet files that the Delta log of a table names, and the writing of new ones.
//!
//! ```text
//!  pieces (any order) ─▶ sort by time ─▶ days ─▶ chunks of 32 Ki rows ─▶ row groups of 128 Ki rows ─▶ sync ─▶ a file per day
//! ```
//! Layout for the questions asked of it: by day (UTC), in it sorted by time (so statistics of row groups and pages cut windows out), zstd, dictionary pages
//! where values repeat, bloom filters on what investigations start from. Text is plain Parquet strings and times are UTC
//! microseconds: no Arrow-only metadata, so that Spark, DuckDB and pandas read the same table.
//!
//! A file becomes part of the table only by the Delta commit that names it; a file without one is litter that a vacuum removes. Its name holds the
//! SHA-256 of its bytes, so that the log says what is in it: `part-<sequence>-<random>-<first 32 digits>.zstd.parquet`.

pub(crate) mod day;

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::datatypes::SchemaRef;
use chrono::NaiveDate;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::error::StoreError;
use super::hot::Piece;
use super::place::{self, Place};
use super::span::{self, Span};

/// How a file's name ends.
pub(super) const DATA: &str = "zstd.parquet";
/// The same while it is written.
pub(super) const UNFINISHED: &str = "unfinished";
/// Rows per row group: the unit that statistics skip.
const ROW_GROUP_ROWS: usize = 128 * 1024;
/// Rows gathered at a time while writing.
const CHUNK_ROWS: usize = 32 * 1024;
/// What investigations start from: equality on these skips row groups.
pub(super) const BLOOM_FILTERS: [&str; 4] = ["request_id", "source_principal", "destination_principal", "source_ip"];
/// Text that hardly ever repeats: a dictionary of it is written only to be thrown away.
const DISTINCT_TEXT: [&str; 4] = ["log_id", "request_id", "stream_id", "trace_id"];
/// Text that begins as the row before does.
const RISING_TEXT: [&str; 1] = ["log_id"];
/// Text whose smallest and largest value say nothing of a group of rows: what is looked for may stand in any.
const SCATTERED_TEXT: [&str; 7] = ["log_id", "request_id", "stream_id", "trace_id", "path", "user_agent", "extra"];
/// Numbers that hardly ever repeat, likewise.
const DISTINCT_NUMBERS: [&str; 2] = ["connection_id", "source_port"];
/// Times that rise slowly: a few bits each as deltas.
const TIMES: [&str; 3] = ["time", "ended_at", "received_at"];

/// One committed data file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColdFile {
    /// The table's place, which it is in.
    pub(crate) place: Place,
    /// Its path there: `day=2026-11-24/part-….zstd.parquet`.
    pub(crate) name: String,
    /// Its size, bytes.
    pub(crate) bytes: u64,
    /// Its rows, if its commit said so.
    pub(crate) rows: Option<u64>,
    /// What it covers, if its commit said so.
    pub(crate) span: Option<Span>,
    /// The day (UTC) that all of its rows are of; `None`: of several, or of none.
    pub(crate) day: Option<NaiveDate>,
}

/// Writes rows, on stable storage, into new files in `place`, one for each day, sorted by time. Blocking.
pub(crate) fn write_days(
    place: &Place,
    sequence: u64,
    schema: &SchemaRef,
    time_column: usize,
    batches: &[&RecordBatch],
) -> Result<Vec<ColdFile>, StoreError> {
    let mut files = Vec::new();
    let mut write = || {
        for (day, rows) in day::split(order_by_time(batches, time_column)) {
            let mut writer = Writer::kept(place, day, schema, time_column)?;
            writer.write(batches, &rows)?;
            files.push(writer.finish(sequence)?);
        }
        place.sync(files.iter().map(|file: &ColdFile| file.name.as_str()))
    };
    match write() {
        Ok(()) => Ok(files),
        Err(error) => {
            // Never committed, so nothing refers to them. If they cannot be removed either, a vacuum will.
            files.iter().for_each(|file| place.discard(&file.name));
            Err(error)
        }
    }
}

/// Writes rows into the new file of that name in a folder, sorted by time: quick to write, made to be read once by time, not on stable storage. Blocking.
pub(crate) fn write_passing(
    folder: &Path,
    name: &str,
    schema: &SchemaRef,
    time_column: usize,
    pieces: &[Arc<Piece>],
) -> Result<ColdFile, StoreError> {
    let batches: Vec<&RecordBatch> = pieces.iter().map(|piece| &piece.rows).collect();
    let place = Place::folder(folder.to_owned());
    let mut writer = Writer::create(&place, &folder.join(name), schema, &passing_properties(schema, time_column))?;
    writer.write(&batches, &order_by_time(&batches, time_column))?;
    let (_, file) = writer.end()?;
    Ok(ColdFile { name: name.to_owned(), ..file })
}

/// A file that is being written, rows in the order of their time. Dropping it unfinished removes it.
pub(crate) struct Writer {
    /// Where it is written.
    path: PathBuf,
    /// Where it will be.
    place: Place,
    day: Option<NaiveDate>,
    /// `None`: finished.
    rows: Option<ArrowWriter<BufWriter<File>>>,
    count: u64,
    /// Of the rows so far; `None` inside: one of them has no time.
    span: Option<Option<Span>>,
}

impl Writer {
    /// Begins a file of the table in that place, of that day, that is kept.
    pub(crate) fn kept(
        place: &Place,
        day: Option<NaiveDate>,
        schema: &SchemaRef,
        time_column: usize,
    ) -> Result<Self, StoreError> {
        let mut writer = Self::create(place, &place.begin(day)?, schema, &properties(schema, time_column))?;
        writer.day = day;
        Ok(writer)
    }

    fn create(
        place: &Place,
        path: &Path,
        schema: &SchemaRef,
        properties: &Result<WriterProperties, ParquetError>,
    ) -> Result<Self, StoreError> {
        let parquet = |source: ParquetError| StoreError::Parquet { path: path.to_owned(), source };
        let properties = match properties {
            Ok(properties) => properties.clone(),
            Err(error) => return Err(parquet(ParquetError::General(error.to_string()))),
        };
        let file = private(path).map_err(StoreError::io("create", path))?;
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let file = BufWriter::with_capacity(1 << 20, file);
        let rows = ArrowWriter::try_new_with_options(file, Arc::clone(schema), options).map_err(parquet)?;
        Ok(Self { path: path.to_owned(), place: place.clone(), day: None, rows: Some(rows), count: 0, span: None })
    }

    fn write(&mut self, batches: &[&RecordBatch], rows: &[Spot]) -> Result<(), StoreError> {
        for chunk in rows.chunks(CHUNK_ROWS) {
            let places: Vec<(usize, usize)> = chunk.iter().map(|place| (place.batch, place.row)).collect();
            let span = |place: &Spot| place.time.map(|time| Span { earliest: time, latest: time });
            let ends = [chunk.first(), chunk.last()].into_iter().flatten().map(span);
            self.append(&interleave_record_batch(batches, &places)?, span::join_all(ends))?;
        }
        Ok(())
    }

    /// Appends rows, in the order of their time; `span` is theirs.
    pub(crate) fn append(&mut self, rows: &RecordBatch, span: Option<Span>) -> Result<(), StoreError> {
        let parquet = |source: ParquetError| StoreError::Parquet { path: self.path.clone(), source };
        let Some(writer) = &mut self.rows else { return Ok(()) };
        writer.write(rows).map_err(parquet)?;
        self.count += rows.num_rows() as u64;
        self.span = Some(match self.span {
            None => span,
            Some(before) => span::join_all([before, span]),
        });
        Ok(())
    }

    /// Whether it has no rows yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Ends the file, of rows up to that sequence, and puts it on stable storage (not yet its name).
    pub(crate) fn finish(self, sequence: u64) -> Result<ColdFile, StoreError> {
        let path = self.path.clone();
        let (file, mut cold) = self.end()?;
        let keep = || {
            // its own also if the same rows are written twice
            let id = path.file_stem().and_then(|id| id.to_str()?.get(..12)).unwrap_or_default();
            let digest = place::digest_of(&path)?;
            let name = format!("{}/part-{sequence:020}-{id}-{digest}.{DATA}", day::folder(cold.day));
            cold.place.keep(&path, &file, &name)?;
            Ok::<_, StoreError>(name)
        };
        cold.name = keep().inspect_err(|_| drop(std::fs::remove_file(&path)))?;
        Ok(cold)
    }

    fn end(mut self) -> Result<(File, ColdFile), StoreError> {
        let (path, place, day) = (self.path.clone(), self.place.clone(), self.day);
        let parquet = |source: ParquetError| StoreError::Parquet { path: path.clone(), source };
        let Some(writer) = self.rows.take() else {
            return Err(parquet(ParquetError::General("it was ended before".to_owned())));
        };
        let ended = writer.into_inner().map_err(parquet).and_then(|buffered| {
            let file = buffered.into_inner().map_err(|error| StoreError::io("write", &path)(error.into_error()))?;
            let bytes = file.metadata().map_err(StoreError::io("look at", &path))?.len();
            Ok((file, bytes))
        });
        let (file, bytes) = ended.inspect_err(|_| drop(std::fs::remove_file(&path)))?;
        let (rows, span) = (Some(self.count), self.span.flatten());
        Ok((file, ColdFile { place, name: String::new(), bytes, rows, span, day }))
    }
}

impl ColdFile {
    /// The first 32 hexadecimal digits of the SHA-256 that its name says; `None`: its name is not ours.
    pub(crate) fn digest(&self) -> Option<&str> {
        digest(&self.name)
    }

    /// Where it is, for messages.
    pub(crate) fn shown(&self) -> PathBuf {
        self.place.shown(&self.name)
    }
}

fn digest(name: &str) -> Option<&str> {
    let name = name.strip_suffix(DATA)?.strip_suffix('.')?;
    name.rsplit_once('-').map(|(_, digest)| digest).filter(|digest| digest.len() == 32)
}

/// Whether a file of that name was written here.
pub(crate) fn is_ours(name: &str) -> bool {
    digest(name).is_some()
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.rows.take().is_some() {
            // Never committed, so nothing refers to it. If it cannot be removed either, a vacuum will.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A new file that only its owner reads: rows name people, and rejects hold lines as they came.
fn private(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Where a row is.
#[derive(Clone, Copy, Debug)]
struct Spot {
    /// µs; `None`: it has none.
    time: Option<i64>,
    batch: usize,
    row: usize,
}

/// The place of every row, ascending by time; rows without a time first; rows of one instant in the order of arrival.
fn order_by_time(batches: &[&RecordBatch], time_column: usize) -> Vec<Spot> {
    let mut order = Vec::with_capacity(batches.iter().map(|rows| rows.num_rows()).sum());
    for (batch, rows) in batches.iter().enumerate() {
        match span::times(rows, time_column) {
            Some(times) => order.extend(times.iter().enumerate().map(|(row, time)| Spot { time, batch, row })),
            None => order.extend((0..rows.num_rows()).map(|row| Spot { time: None, batch, row })),
        }
    }
    order.sort_by_key(|place| place.time);
    order
}

fn properties(schema: &SchemaRef, time_column: usize) -> Result<WriterProperties, ParquetError> {
    let sorted_by =
        i32::try_from(time_column).map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: true });
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("meshwarden ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_dictionary_enabled(true)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_sorting_columns(sorted_by.ok().map(|column| vec![column]));
    for name in schema.fields().iter().map(|field| field.name().as_str()) {
        let column = || ColumnPath::from(name);
        if BLOOM_FILTERS.contains(&name) {
            properties =
                properties.set_column_bloom_filter_enabled(column(), true).set_column_bloom_filter_fpp(column(), 0.01);
        }
        if DISTINCT_TEXT.contains(&name) {
            // random digits: there is nothing to find for a slower search
            properties = properties
                .set_column_dictionary_enabled(column(), false)
                .set_column_compression(column(), Compression::ZSTD(ZstdLevel::try_new(1)?));
        }
        if DISTINCT_NUMBERS.contains(&name) {
            properties = properties.set_column_dictionary_enabled(column(), false);
        }
        if RISING_TEXT.contains(&name) {
            properties = properties.set_column_encoding(column(), Encoding::DELTA_BYTE_ARRAY);
        }
        if SCATTERED_TEXT.contains(&name) {
            properties = properties.set_column_statistics_enabled(column(), EnabledStatistics::None);
        }
        if TIMES.contains(&name) {
            properties = properties
                .set_column_statistics_enabled(column(), EnabledStatistics::Page)
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
