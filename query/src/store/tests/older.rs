//! A data folder as format 1 was: one Parquet file per flush beside the log, no partitions.

use std::path::Path;

use ingest::AccessLogBatch;

use super::rows::ids;
use crate::store::cold::Writer;
use crate::store::delta::DeltaLog;
use crate::store::place::Place;
use crate::store::span::{self, Span};
use crate::store::state::Which;

/// Writes each batch as a flush of its own; collects the ids of its rows, sorted in the end.
pub(super) async fn write(dir: &Path, batches: &[AccessLogBatch], all: &mut Vec<String>) {
    std::fs::write(dir.join("meshwarden.json"), r#"{"format":1}"#).unwrap();
    for shape in [Which::Rejects, Which::AccessLogs].map(Which::shape) {
        let folder = dir.join(shape.name);
        let place = Place::folder(folder.clone());
        let mut log = DeltaLog::create_unpartitioned(&place, &shape).await;
        for (sequence, batch) in (1..).zip(batches) {
            let rows = if shape.name == "rejects" { &batch.rejects } else { &batch.rows };
            let mut writer = Writer::kept(&place, None, &shape.schema, shape.time_column).unwrap();
            writer.append(rows, span::times(rows, shape.time_column).and_then(Span::of)).unwrap();
            let mut file = writer.finish(1).unwrap();
            let name = format!("part-{sequence}.zstd.parquet");
            std::fs::rename(folder.join(&file.name), folder.join(&name)).unwrap();
            file.name = name;
            log.commit_unpartitioned(&file, sequence).await;
        }
    }
    all.extend(batches.iter().flat_map(|batch| ids(&batch.rows)));
    all.sort();
}
