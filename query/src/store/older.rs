//! Bringing up what an older version wrote.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::TryStreamExt as _;

use super::cold;
use super::delta::DeltaLog;
use super::error::StoreError;
use super::hot::Piece;
use super::rewrite;
use super::table::Shape;

/// Brings a table that an older version wrote into partitions by day.
pub(super) async fn partition(log: &mut DeltaLog, shape: &Arc<Shape>, covered: u64) -> Result<(), StoreError> {
    tracing::info!(table = shape.name, "bringing the table into partitions by day: this is done once");
    let mut new = Vec::new();
    // a file is what one flush had in memory
    for file in log.files()? {
        let failed = |source| StoreError::Rewrite { table: shape.name, source: Box::new(source) };
        let rows = rewrite::merged(shape, std::slice::from_ref(&file)).await.map_err(failed)?;
        let rows: Vec<RecordBatch> = rows.try_collect().await.map_err(failed)?;
        let piece = |rows: RecordBatch| Arc::new(Piece { rows, span: None, bytes: 0 });
        let pieces: Vec<Arc<Piece>> = rows.into_iter().map(piece).collect();
        let (of, folder) = (Arc::clone(shape), log.folder().to_owned());
        let written = tokio::task::spawn_blocking(move || {
            cold::write_days(&folder, covered, &of.schema, of.time_column, &pieces)
        });
        let written = written.await.map_err(StoreError::Interrupted)??;
        let found = written.iter().filter_map(|file| file.rows).sum();
        if let Some(expected) = file.rows.filter(|expected| *expected != found) {
            return Err(StoreError::Miscounted { table: shape.name, expected, found });
        }
        new.extend(written);
    }
    log.partition(&shape.schema, &new).await
}
