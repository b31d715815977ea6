//! A table for DataFusion: rows in memory and rows on disk, read as one.
//!
//! ```text
//!              UnionExec
//!              ├─ DataSourceExec (memory)    pieces whose span can match
//!              └─ DataSourceExec (parquet)   files whose span can match; row groups, pages and rows are skipped inside
//! ```
//! Filters are used to skip, and stay in the plan (`Inexact`), but for those of a time that all rows are of which are left: pieces and files are skipped here by their time, row groups by their bloom filters; what
//! DataFusion then pushes through the union, Parquet skips by statistics, bloom filters and while decoding. Files are plain Parquet to
//! DataFusion: a column that a file does not have is null, one that the table does not have is ignored.

mod bloom;
mod skip;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::stats::Precision;
use datafusion::common::{DataFusionError, Result, Statistics};
use datafusion::datasource::file_format::FileFormat as _;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;

use super::cold::ColdFile;
use super::hot::Piece;
use super::table::Cut;

/// One table of a snapshot.
#[derive(Debug)]
pub(crate) struct HotCold(pub(crate) Cut);

impl HotCold {
    async fn plan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Self(Cut { shape, pieces, files }) = self;
        let keep = skip::keep(shape, &self.0.spans(), filters);
        let (keep_pieces, keep_files) = keep.split_at(pieces.len().min(keep.len()));
        let pieces: Vec<_> = pieces.iter().zip(keep_pieces).filter_map(|(piece, keep)| keep.then_some(piece)).collect();
        let files: Vec<_> = files.iter().zip(keep_files).filter_map(|(file, keep)| keep.then_some(file)).collect();
        let mut inputs: Vec<Arc<dyn ExecutionPlan>> = Vec::with_capacity(2);
        if !pieces.is_empty() {
            inputs.push(self.memory(state, &pieces, projection, limit)?);
        }
        if !files.is_empty() {
            inputs.push(self.parquet(state, &files, projection, filters, limit).await?);
        }
        match (inputs.pop(), inputs.pop()) {
            (Some(cold), Some(hot)) => UnionExec::try_new(vec![hot, cold]),
            (Some(only), None) => Ok(only),
            (None, _) => Ok(Arc::new(EmptyExec::new(datafusion::common::project_schema(&shape.schema, projection)?))),
        }
    }

    fn memory(
        &self,
        state: &dyn Session,
        pieces: &[&Arc<Piece>],
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let share = pieces.len().div_ceil(state.config().target_partitions().max(1));
        let partitions: Vec<Vec<_>> =
            pieces.chunks(share).map(|pieces| pieces.iter().map(|piece| piece.rows.clone()).collect()).collect();
        let source = MemorySourceConfig::try_new(&partitions, Arc::clone(&self.0.shape.schema), projection.cloned())?;
        Ok(DataSourceExec::from_data_source(source.with_limit(limit)))
    }

    async fn parquet(
        &self,
        state: &dyn Session,
        files: &[&ColdFile],
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = &self.0.shape.schema;
        let mut group = Vec::with_capacity(files.len());
        for (file, plan) in files.iter().zip(bloom::plans(state, files, filters).await?) {
            let file = partitioned(file)?;
            match plan {
                None => group.push(file),
                Some(plan) if plan.row_group_indexes().is_empty() => {}
                Some(plan) => group.push(file.with_extension(plan)),
            }
        }
        if group.is_empty() {
            return Ok(Arc::new(EmptyExec::new(datafusion::common::project_schema(schema, projection)?)));
        }
        let group = FileGroup::from(group);
        let mut statistics = Statistics::new_unknown(schema);
        // bloom filters leave out rows only where a filter is left in the plan, which knows that it does
        if let Some(rows) =
            files.iter().map(|file| file.rows).sum::<Option<u64>>().and_then(|rows| usize::try_from(rows).ok())
        {
            statistics.num_rows = Precision::Exact(rows);
        }
        let source = Arc::new(ParquetSource::new(Arc::clone(schema)));
        // all files of a table are in one place
        let url = files.first().map_or(Ok(ObjectStoreUrl::local_filesystem()), |file| {
            file.place.register(state.runtime_env());
            file.place.read_from()
        })?;
        let config = FileScanConfigBuilder::new(url, source)
            .with_file_groups(group.split_files(state.config().target_partitions().max(1)))
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        let mut options =
            TableParquetOptions { global: state.config_options().execution.parquet.clone(), ..Default::default() };
        options.global.pushdown_filters = true;
        options.global.reorder_filters = true;
        ParquetFormat::new().with_options(options).create_physical_plan(state, config).await
    }
}

/// A file as DataFusion reads it.
pub(super) fn partitioned(file: &ColdFile) -> Result<PartitionedFile> {
    let path = file.place.object(&file.name).map_err(|error| DataFusionError::External(error.into()))?;
    let mut partitioned = PartitionedFile::new(String::new(), file.bytes);
    partitioned.object_meta.location = path;
    Ok(partitioned)
}

// Written out because `async_trait`, which the trait is declared with, is not a dependency of this crate.
impl TableProvider for HotCold {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.shape.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let exact = skip::exact(&self.0.shape, &self.0.spans(), filters);
        Ok(exact
            .into_iter()
            .map(|exact| match exact {
                true => TableProviderFilterPushDown::Exact,
                false => TableProviderFilterPushDown::Inexact,
            })
            .collect())
    }

    fn scan<'this, 'state, 'projection, 'filters, 'all>(
        &'this self,
        state: &'state dyn Session,
        projection: Option<&'projection Vec<usize>>,
        filters: &'filters [Expr],
        limit: Option<usize>,
    ) -> Pin<Box<dyn Future<Output = Result<Arc<dyn ExecutionPlan>>> + Send + 'all>>
    where
        'this: 'all,
        'state: 'all,
        'projection: 'all,
        'filters: 'all,
        Self: 'all,
    {
        Box::pin(self.plan(state, projection, filters, limit))
    }
}
