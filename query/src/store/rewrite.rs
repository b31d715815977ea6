//! Reading files again, in the order of time: what compaction, retention and migration are made of.

use std::sync::Arc;

use arrow::compute::{SortOptions, filter_record_batch};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::{DataFusionError, Result as DataFusionResult};
use datafusion::datasource::file_format::FileFormat as _;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan as _;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt as _;
use tokio::runtime::Runtime;

use super::closing::Closing;
use super::cold::{ColdFile, Writer};
use super::error::StoreError;
use super::place::Place;
use super::provider::partitioned;
use super::retain::{Sieve, Sifted};
use super::span::{self, Span};
use super::table::Shape;
use crate::threads::giving_way;

/// Rows of each file that are decoded at a time: several files are read at once, and each row is wide.
const BATCH_ROWS: usize = 1024;

/// The rows of files that are sorted each, sorted as a whole. A column that a file does not have is null.
pub(super) async fn merged(shape: &Shape, files: &[ColdFile]) -> DataFusionResult<SendableRecordBatchStream> {
    let all: Vec<usize> = (0..shape.schema.fields().len()).collect();
    columns(shape, files, &all).await
}

/// The same, but only these columns, rising, the time among them.
pub(super) async fn columns(
    shape: &Shape,
    files: &[ColdFile],
    columns: &[usize],
) -> DataFusionResult<SendableRecordBatchStream> {
    let context =
        SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1).with_batch_size(BATCH_ROWS));
    let groups = files.iter().map(|file| Ok(FileGroup::new(vec![partitioned(file)?])));
    let source = Arc::new(ParquetSource::new(Arc::clone(&shape.schema)));
    let url = files.first().map_or(Ok(ObjectStoreUrl::local_filesystem()), |file| {
        file.place.register(&context.runtime_env());
        file.place.read_from()
    })?;
    let config = FileScanConfigBuilder::new(url, source)
        .with_file_groups(groups.collect::<DataFusionResult<Vec<_>>>()?)
        .with_projection_indices(Some(columns.to_vec()))?
        .build();
    let format = ParquetFormat::new().with_options(TableParquetOptions::default());
    let plan = format.create_physical_plan(&context.state(), config).await?;
    let name = shape.time().map(|time| time.name().as_str()).unwrap_or_default();
    let place = columns.iter().position(|column| *column == shape.time_column).unwrap_or_default();
    let by_time = PhysicalSortExpr {
        expr: Arc::new(Column::new(name, place)),
        options: SortOptions { descending: false, nulls_first: true },
    };
    let ordering = LexOrdering::new([by_time]).ok_or_else(|| DataFusionError::Internal("no order".to_owned()))?;
    SortPreservingMergeExec::new(ordering, plan).execute(0, context.task_ctx())
}

/// A new file, and what became of the rows that went into it.
#[derive(Debug)]
pub(super) struct Rewritten {
    /// `None`: no row was left.
    pub(super) file: Option<ColdFile>,
    /// Rows of the old files.
    pub(super) rows: u64,
    /// Rows that are only there because they are held.
    pub(super) held: u64,
}

/// Writes the rows of `files` that a sieve keeps (all, without one) into one new file of that day, on stable storage. Gives way, and up when the store
/// closes: then nothing is left of it.
pub(super) async fn into_one(
    shape: Arc<Shape>,
    table: &Place,
    sequence: u64,
    files: Vec<ColdFile>,
    sieve: Option<Sieve>,
    closing: &Closing,
) -> Result<Rewritten, StoreError> {
    let (table, closing) = (table.clone(), closing.clone());
    let write = move |own: &Runtime| {
        let failed = |source| StoreError::Rewrite { table: shape.name, source: Box::new(source) };
        let day = files.first().and_then(|file| file.day);
        let mut rows = own.block_on(merged(&shape, &files)).map_err(failed)?;
        let mut writer = Writer::kept(&table, day, &shape.schema, shape.time_column)?;
        let (mut found, mut held) = (0, 0);
        while let Some(batch) = own.block_on(rows.next()) {
            closing.check()?;
            let mut batch = batch.map_err(failed)?;
            found += batch.num_rows() as u64;
            if let Some(sieve) = &sieve {
                let (keep, only_held) = sieve.keep(&batch);
                batch = filter_record_batch(&batch, &keep)?;
                held += only_held;
            }
            if batch.num_rows() > 0 {
                let span = span::times(&batch, shape.time_column).and_then(Span::of);
                writer.append(&batch, span)?;
            }
        }
        let expected = files.iter().map(|file| file.rows).sum::<Option<u64>>();
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(StoreError::Miscounted { table: shape.name, expected, found });
        }
        if writer.is_empty() {
            return Ok(Rewritten { file: None, rows: found, held });
        }
        let file = writer.finish(sequence)?;
        table.sync(std::iter::once(file.name.as_str()))?;
        Ok(Rewritten { file: Some(file), rows: found, held })
    };
    giving_way(write).await.map_err(StoreError::Thread)?
}

/// What a sieve would do to a file: reads the columns that decide it, and writes nothing. Gives way, and up when the store closes.
pub(super) async fn sift(
    shape: Arc<Shape>,
    file: ColdFile,
    sieve: Sieve,
    closing: &Closing,
) -> Result<Sifted, StoreError> {
    let closing = closing.clone();
    let read = move |own: &Runtime| {
        let failed = |source| StoreError::Rewrite { table: shape.name, source: Box::new(source) };
        let (sieve, read) = sieve.narrow(&shape);
        let mut rows = own.block_on(columns(&shape, std::slice::from_ref(&file), &read)).map_err(failed)?;
        let mut sifted = Sifted::default();
        while let Some(rows) = own.block_on(rows.next()) {
            closing.check()?;
            let rows = rows.map_err(failed)?;
            let (keep, held) = sieve.keep(&rows);
            sifted.goes += (rows.num_rows() - keep.true_count()) as u64;
            sifted.held += held;
        }
        Ok(sifted)
    };
    giving_way(read).await.map_err(StoreError::Thread)?
}
