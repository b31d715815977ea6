//! Bringing up what an older version wrote.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::TryStreamExt as _;

use super::cold;
use super::delta::DeltaLog;
use super::error::StoreError;
use super::rewrite;
use super::state::Which;
use super::table::{Shape, Table};
use crate::edges;

/// Brings a table that an older version wrote into partitions by day.
pub(super) async fn partition(log: &mut DeltaLog, shape: &Arc<Shape>) -> Result<(), StoreError> {
    tracing::info!(table = shape.name, "bringing the table into partitions by day: this is done once");
    let (covered, mut new) = (log.covered(), Vec::new());
    // a file is what one flush had in memory
    for file in log.list()?.files {
        let failed = |source| StoreError::Rewrite { table: shape.name, source: Box::new(source) };
        let rows = rewrite::merged(shape, std::slice::from_ref(&file)).await.map_err(failed)?;
        let rows: Vec<RecordBatch> = rows.try_collect().await.map_err(failed)?;
        let (of, place) = (Arc::clone(shape), log.place().clone());
        let written = tokio::task::spawn_blocking(move || {
            cold::write_days(&place, covered, &of.schema, of.time_column, &rows.iter().collect::<Vec<_>>())
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

/// Rolls up the access logs that an older version wrote; answers the table `edges_1m`, which covers what they do.
pub(super) async fn roll_up(log: &mut DeltaLog, access_logs: &Table) -> Result<Table, StoreError> {
    let (shape, mut new) = (Which::Edges1m.shape(), Vec::new());
    let read = edges::columns();
    if !access_logs.cold.is_empty() {
        tracing::info!(
            files = access_logs.cold.len(),
            "rolling up the access logs by minute and edge: this is done once"
        );
    }
    for file in access_logs.cold.iter() {
        let failed = |source| StoreError::Rewrite { table: access_logs.shape.name, source: Box::new(source) };
        let rows = rewrite::columns(&access_logs.shape, std::slice::from_ref(file), &read);
        let mut rows = rows.await.map_err(failed)?;
        let mut rolled = Vec::new();
        while let Some(rows) = rows.try_next().await.map_err(failed)? {
            rolled.push(edges::roll_up(&rows)?);
        }
        let (of, place, covered) = (Arc::clone(&shape), log.place().clone(), access_logs.flushed);
        let written = tokio::task::spawn_blocking(move || {
            let merged = edges::merge(&rolled.iter().collect::<Vec<_>>())?;
            cold::write_days(&place, covered, &of.schema, of.time_column, &[&merged])
        });
        new.extend(written.await.map_err(StoreError::Interrupted)??);
    }
    log.commit(&new, access_logs.flushed).await?;
    Ok(Table::new(shape, log.list()?, access_logs.flushed))
}
