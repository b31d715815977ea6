//! Other engines that read the tables: Python's deltalake, polars, and DuckDB by the Parquet files.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{ReceiverError, cache};

/// The releases that are asked.
const RELEASES: [&str; 4] = ["deltalake==1.6.6", "polars==2.1.0", "duckdb==2.0.1", "pyarrow==26.0.1"];

/// The installed engines.
#[derive(Clone, Debug)]
pub struct Engines {
    packages: PathBuf,
}

impl Engines {
    /// Installs them into the cache folder if they are not there.
    ///
    /// # Errors
    /// If Python or pip fails.
    pub fn install() -> Result<Self, ReceiverError> {
        Ok(Self { packages: cache::pip(&cache::folder("receivers")?, &RELEASES)? })
    }

    /// What each reads in a Delta table: `{"deltalake": [rows, distinct values of a column, sum of another, {day: rows}], "polars": …, "duckdb": …}`.
    ///
    /// # Errors
    /// If one of them cannot read it, or what it says is no JSON; the error holds its words.
    pub fn read(&self, table: &Path, distinct: &str, summed: &str) -> Result<Value, ReceiverError> {
        let mut python = Command::new("python3");
        python
            .env("PYTHONPATH", &self.packages)
            .args(["-c", include_str!("engines.py")])
            .arg(table)
            .args([distinct, summed]);
        let said = cache::run(&mut python, b"")?;
        Ok(serde_json::from_str(&said).unwrap_or(Value::String(said)))
    }
}
