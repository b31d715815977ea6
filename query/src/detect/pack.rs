//! The detections that are loaded: the product's own and a user's folder. A bad one is refused by name, the others keep running.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::sql::parser::Statement;
use ingest::Coverage;

use super::Prepared;
use super::engine::dry_run;
use super::header::{Header, parse};
use super::sight::Sight;
use crate::sql::Sql;

/// The product's own detections: file name and text. A test holds this list against the folder.
const BUILT_IN: [(&str, &str); 4] = [
    ("authz.denied-spike.sql", include_str!("../../detections/authz.denied-spike.sql")),
    ("egress.unknown-host.sql", include_str!("../../detections/egress.unknown-host.sql")),
    ("http.403-spike.sql", include_str!("../../detections/http.403-spike.sql")),
    ("mtls.plaintext-attempt.sql", include_str!("../../detections/mtls.plaintext-attempt.sql")),
];

/// A detection ready to run.
#[derive(Clone, Debug)]
pub struct Detection {
    /// Its header.
    pub header: Arc<Header>,
    /// File it came from.
    pub file: String,
    /// Its SQL as written.
    pub sql: String,
    pub(super) statement: Statement,
    /// Its plan, or why it has none; a detection that reads every row is planned for each window.
    prepared: Option<Result<Arc<Prepared>, Arc<DataFusionError>>>,
}

impl Detection {
    /// Its plan.
    ///
    /// # Errors
    /// If it could not be planned, or reads every row.
    pub(crate) fn prepared(&self) -> Result<&Arc<Prepared>, DataFusionError> {
        match &self.prepared {
            Some(Ok(prepared)) => Ok(prepared),
            Some(Err(error)) => Err(DataFusionError::Shared(Arc::clone(error))),
            None => Err(DataFusionError::Internal(format!("{} is planned for each window", self.header.id))),
        }
    }
}

/// A file that is no detection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The file.
    pub file: String,
    /// Why.
    pub reason: String,
}

/// The loaded detections, by id.
#[derive(Clone, Debug, Default)]
pub struct Pack {
    detections: Vec<Arc<Detection>>,
    refused: Vec<Refused>,
}

/// A folder of detections that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the detections in {folder} cannot be read: {source}")]
pub struct PackError {
    folder: String,
    source: std::io::Error,
}

impl Pack {
    /// The product's own detections.
    pub async fn built_in(sql: &Sql) -> Self {
        let mut pack = Self::default();
        for (file, text) in BUILT_IN {
            pack.add(sql, file, text).await;
        }
        pack
    }

    /// The product's own detections and every `.sql` file of `folder`, by name.
    ///
    /// # Errors
    /// If the folder cannot be read; a bad file in it is refused, which is no error.
    pub async fn with_folder(sql: &Sql, folder: &Path) -> Result<Self, PackError> {
        let mut pack = Self::built_in(sql).await;
        let failed = |source| PackError { folder: folder.display().to_string(), source };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "sql") {
                files.push(path);
            }
        }
        files.sort();
        for path in files {
            let file = path.display().to_string();
            match std::fs::read_to_string(&path) {
                Ok(text) => pack.add(sql, &file, &text).await,
                Err(error) => pack.refused.push(Refused { file, reason: format!("it cannot be read: {error}") }),
            }
        }
        Ok(pack)
    }

    /// Adds one detection from the text of its file, or refuses it.
    pub async fn add(&mut self, sql: &Sql, file: &str, text: &str) {
        let outcome = match parse(text) {
            Err(error) => Err(error.to_string()),
            Ok((header, body)) => match self.detections.iter().find(|known| known.header.id == header.id) {
                Some(known) => Err(format!("its id '{}' is taken by {}", header.id, known.file)),
                None => match dry_run(sql, &header, body).await {
                    Ok(statement) => {
                        let header = Arc::new(header);
                        let prepared = if header.signals == 0 {
                            None
                        } else {
                            let prepared = Prepared::new(sql, Arc::clone(&header), statement.clone()).await;
                            Some(prepared.map(Arc::new).map_err(Arc::new))
                        };
                        let (file, sql) = (file.to_owned(), body.trim().to_owned());
                        Ok(Detection { header, file, sql, statement, prepared })
                    }
                    Err(error) => Err(error.to_string()),
                },
            },
        };
        match outcome {
            Ok(detection) => {
                self.detections.push(Arc::new(detection));
                self.detections.sort_by(|one, other| one.header.id.cmp(&other.header.id));
            }
            Err(reason) => self.refused.push(Refused { file: file.to_owned(), reason }),
        }
    }

    /// The detections, by id.
    #[must_use]
    pub fn detections(&self) -> &[Arc<Detection>] {
        &self.detections
    }

    /// What each detection sees in logs of this coverage.
    #[must_use]
    pub fn sights(&self, coverage: &Coverage) -> Vec<(Arc<Detection>, Sight)> {
        let sight = |detection: &Arc<Detection>| (Arc::clone(detection), Sight::of(&detection.header, coverage));
        self.detections.iter().map(sight).collect()
    }

    /// The detections that read query strings: blind where paths are logged without.
    pub fn reading_queries(&self) -> impl Iterator<Item = &Arc<Detection>> {
        self.detections.iter().filter(|detection| detection.header.reads_query)
    }

    /// The files that are none.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Rows that some detection could want: a mask over the `signals` column, or `None` when one of them reads every row.
    #[must_use]
    pub fn signals(&self) -> Option<i64> {
        self.detections.iter().try_fold(0, |mask, detection| match detection.header.signals {
            0 => None,
            signals => Some(mask | signals),
        })
    }

    /// Columns of `access_logs` that a round of detection reads: those of any detection, `time` and `signals`. `None` if it may be all of them:
    /// a detection reads every row, or could not be planned.
    #[must_use]
    pub fn columns(&self) -> Option<BTreeSet<&'static str>> {
        let mut columns = BTreeSet::from(["time", "signals"]);
        for detection in &self.detections {
            columns.extend(detection.prepared().ok()?.columns());
        }
        Some(columns)
    }
}

#[cfg(test)]
mod tests;
