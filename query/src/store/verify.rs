//! Reading everything that is on disk, and telling what is not as it was written.

use std::path::PathBuf;
use std::sync::Arc;

use futures::TryStreamExt as _;

use super::cold::ColdFile;
use super::error::StoreError;
use super::rewrite;
use super::span::{self, Span};
use super::table::{Cut, Shape};

/// What reading all files of a table said.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    /// The table.
    pub table: &'static str,
    /// Files that it names.
    pub files: u64,
    /// Rows that were read.
    pub rows: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Files that are not as they were written, and why.
    pub flaws: Vec<Flaw>,
}

/// A file that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Flaw {
    /// Its path.
    pub file: PathBuf,
    /// What is wrong.
    pub reason: String,
}

/// Reads all files of a table.
pub(super) async fn verify(cut: &Cut) -> Result<Verified, StoreError> {
    let Cut { shape, files, .. } = cut;
    let mut verified = Verified { table: shape.name, files: 0, rows: 0, bytes: 0, flaws: Vec::new() };
    for file in files.iter() {
        verified.files += 1;
        verified.bytes += file.bytes;
        match check(shape, file).await {
            Ok(rows) => verified.rows += rows,
            Err(reason) => verified.flaws.push(Flaw { file: file.shown(), reason }),
        }
    }
    Ok(verified)
}

/// Its rows, or what is wrong with it.
async fn check(shape: &Arc<Shape>, file: &ColdFile) -> Result<u64, String> {
    let (bytes, digest) = file.place.digest(&file.name).await.map_err(with_cause)?;
    if bytes != file.bytes {
        return Err(format!("it has {bytes} bytes where the table's log says {}", file.bytes));
    }
    if file.digest() != Some(digest.as_str()) {
        return Err("its SHA-256 is not the one in its name".to_owned());
    }
    let unreadable = |error| format!("it cannot be read: {error}");
    let mut batches = rewrite::merged(shape, std::slice::from_ref(file)).await.map_err(unreadable)?;
    let (mut rows, mut found): (u64, Option<Option<Span>>) = (0, None);
    while let Some(batch) = batches.try_next().await.map_err(unreadable)? {
        rows += batch.num_rows() as u64;
        let span = span::times(&batch, shape.time_column).and_then(Span::of);
        found = Some(found.map_or(span, |found| span::join_all([found, span])));
    }
    if let Some(expected) = file.rows.filter(|expected| *expected != rows) {
        return Err(format!("it has {rows} rows where the table's log says {expected}"));
    }
    // a query that looks for a time outside of it would not read it
    match (file.span, found.flatten()) {
        (Some(said), Some(found)) if said.join(found) != said => {
            Err("it has rows of times that the table's log does not say".to_owned())
        }
        _ => Ok(rows),
    }
}

fn with_cause(error: StoreError) -> String {
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}
