//! The peers that are Python packages: installed once into the cache folder, asked by small scripts.
//!
//! A script takes one argument, `{"file", "way", "columns": {key: "int" | "bool" | "time" | "json" | "text"}}`, and says `{"seconds", "rows"}`.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::error::PeersError;
use super::files::{self, LogFile};
use crate::receivers::cache;

/// The releases that are measured.
pub(super) const RELEASES: [&str; 5] =
    ["duckdb==2.0.1", "chdb==4.4.0", "polars==2.1.0", "datafusion==55.0.0", "pyarrow==26.0.1"];

/// What reads a file in full width, and the ways in which it can.
pub(super) struct Reader {
    pub(super) peer: &'static str,
    pub(super) script: &'static str,
    pub(super) ways: &'static [&'static str],
}

/// The readers.
pub(super) const READERS: [Reader; 4] = [
    Reader {
        peer: "duckdb",
        script: include_str!("read_duckdb.py"),
        ways: &["table", "table, inferred types", "arrow", "arrow, batches"],
    },
    Reader { peer: "polars", script: include_str!("read_polars.py"), ways: &["read_ndjson", "scan_ndjson"] },
    Reader { peer: "chdb", script: include_str!("read_chdb.py"), ways: &["Memory table", "Null table"] },
    Reader { peer: "datafusion", script: include_str!("read_datafusion.py"), ways: &["collect", "stream"] },
];

/// DuckDB writing a file's columns into Parquet.
pub(super) const COPIER: Reader = Reader { peer: "duckdb", script: include_str!("copy_duckdb.py"), ways: &["zstd"] };

/// DuckDB doing what `meshwarden scan` does.
pub(super) const SCAN_SCRIPT: &str = include_str!("scan_duckdb.py");
/// Its SQL.
pub(super) const SCAN_SQL: &str = include_str!("scan_duckdb.sql");

/// The installed packages.
#[derive(Clone, Debug)]
pub(super) struct Python {
    library: PathBuf,
}

impl Python {
    /// Installs the packages if they are not there.
    pub(super) fn install() -> Result<Self, PeersError> {
        Ok(Self { library: cache::pip(&files::folder()?, &RELEASES)? })
    }

    /// Where Python finds the packages; one thread for whoever asks the environment.
    pub(super) fn env(&self, threads: usize) -> Vec<(String, String)> {
        let threads = threads.to_string();
        let variables = ["POLARS_MAX_THREADS", "OMP_NUM_THREADS", "TOKIO_WORKER_THREADS", "RAYON_NUM_THREADS"];
        let mut env: Vec<_> = variables.iter().map(|name| ((*name).to_owned(), threads.clone())).collect();
        env.push(("PYTHONPATH".to_owned(), self.library.display().to_string()));
        env
    }
}

/// The command line of a reader.
pub(super) fn read(script: &str, file: &LogFile, way: &str, columns: &Map<String, Value>) -> Vec<String> {
    let asked = json!({"file": file.path, "way": way, "columns": columns}).to_string();
    ["python3", "-c", script, &asked].map(str::to_owned).into()
}

/// The command line of DuckDB's scan.
pub(super) fn scan(file: &LogFile, threads: usize) -> Vec<String> {
    let asked = json!({"file": file.path, "sql": SCAN_SQL, "threads": threads}).to_string();
    ["python3", "-c", SCAN_SCRIPT, &asked].map(str::to_owned).into()
}
