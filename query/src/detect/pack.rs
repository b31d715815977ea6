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
use crate::sql::{Sql, parse_read_only};

/// The product's own detections: file name and text. A test holds this list against the folder.
const BUILT_IN: [(&str, &str); 5] = [
    ("authz.denied-spike.sql", include_str!("../../detections/authz.denied-spike.sql")),
    ("egress.unknown-host.sql", include_str!("../../detections/egress.unknown-host.sql")),
    ("http.403-spike.sql", include_str!("../../detections/http.403-spike.sql")),
    ("log.ambiguous-line.sql", include_str!("../../detections/log.ambiguous-line.sql")),
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
        let files = BUILT_IN.map(|(file, text)| (file.to_owned(), Ok(text.to_owned())));
        pack.add_all(sql, files.into_iter().collect(), Trust::Ours).await;
        pack
    }

    /// The product's own detections and every `.sql` file of `folder`, by name.
    ///
    /// # Errors
    /// If the folder cannot be read; a bad file in it is refused, which is no error.
    pub async fn with_folder(sql: &Sql, folder: &Path) -> Result<Self, PackError> {
        let failed = |source| PackError { folder: folder.display().to_string(), source };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "sql") {
                paths.push(path);
            }
        }
        paths.sort();
        let read = |path: &std::path::PathBuf| {
            let text = std::fs::read_to_string(path).map_err(|error| format!("it cannot be read: {error}"));
            (path.display().to_string(), text)
        };
        let mut pack = Self::built_in(sql).await;
        pack.add_all(sql, paths.iter().map(read).collect(), Trust::Nobody).await;
        Ok(pack)
    }

    /// Adds one detection from the text of its file, or refuses it.
    pub async fn add(&mut self, sql: &Sql, file: &str, text: &str) {
        self.add_all(sql, vec![(file.to_owned(), Ok(text.to_owned()))], Trust::Nobody).await;
    }

    /// Adds detections in this order, planned beside each other on the threads for queries, which have the stack for it.
    async fn add_all(&mut self, sql: &Sql, files: Vec<(String, Result<String, String>)>, trust: Trust) {
        let plan = |(file, text): (String, Result<String, String>)| {
            let (name, own) = (file.clone(), sql.clone());
            let work = sql.spawn(async move { Read::file(&own, file, text?, trust).await });
            async move { (name, work.await.unwrap_or_else(|error| Err(error.to_string()))) }
        };
        let planned: Vec<_> = files.into_iter().map(plan).collect();
        for planned in planned {
            let (file, read) = planned.await;
            if let Err(reason) = read.and_then(|read| self.take(read)) {
                self.refused.push(Refused { file, reason });
            }
        }
    }

    fn take(&mut self, read: Read) -> Result<(), String> {
        let id = &read.header.id;
        if let Some(known) = self.detections.iter().find(|known| known.header.id == *id) {
            return Err(format!("its id '{id}' is taken by {}", known.file));
        }
        self.detections.push(Arc::new(read.detection?));
        self.detections.sort_by(|one, other| one.header.id.cmp(&other.header.id));
        Ok(())
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

/// Whether a detection's SQL has been held against its header before.
#[derive(Clone, Copy)]
enum Trust {
    /// It is the product's own: a test did.
    Ours,
    /// It is anybody's.
    Nobody,
}

/// A file with a header, and what became of its SQL.
struct Read {
    header: Arc<Header>,
    detection: Result<Detection, String>,
}

impl Read {
    async fn file(sql: &Sql, file: String, text: String, trust: Trust) -> Result<Self, String> {
        let (header, body) = parse(&text).map_err(|error| error.to_string())?;
        let header = Arc::new(header);
        let detection = Self::detection(sql, Arc::clone(&header), file, body, trust).await;
        Ok(Self { header, detection })
    }

    async fn detection(
        sql: &Sql,
        header: Arc<Header>,
        file: String,
        body: &str,
        trust: Trust,
    ) -> Result<Detection, String> {
        let statement = match trust {
            Trust::Ours => parse_read_only(body).map_err(|error| error.to_string())?,
            Trust::Nobody => dry_run(sql, &header, body).await.map_err(|error| error.to_string())?,
        };
        let prepared = if header.signals == 0 {
            None
        } else {
            let prepared = Prepared::new(sql, Arc::clone(&header), statement.clone()).await;
            Some(prepared.map(Arc::new).map_err(Arc::new))
        };
        Ok(Detection { header, file, sql: body.trim().to_owned(), statement, prepared })
    }
}

#[cfg(test)]
mod tests;
