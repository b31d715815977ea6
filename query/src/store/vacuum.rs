//! Removing files that no table names any more: what compaction and retention replaced, and what a crash left behind.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ingest::crash;

use super::cold::UNFINISHED;
use super::error::StoreError;

/// Files that no table names, and since when.
#[derive(Debug, Default)]
pub(super) struct Litter(HashMap<PathBuf, Instant>);

impl Litter {
    /// Looks at a table's folder, and removes what was named by nobody for `grace`: a query may still read it, and another process may have read
    /// an older log. Answers how many files it removed. Nothing may be about to be named meanwhile.
    pub(super) fn sweep(&mut self, table: &Path, named: &HashSet<PathBuf>, grace: Duration) -> Result<u64, StoreError> {
        let now = Instant::now();
        let mut removed = 0;
        let mut found = HashSet::new();
        for folder in days(table)? {
            let entries = std::fs::read_dir(&folder).map_err(StoreError::io("list", &folder))?;
            let paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            let litter = paths.iter().filter(|path| is_data(path) && !named.contains(*path));
            let mut left = paths.len();
            for path in litter {
                let since = *self.0.entry(path.clone()).or_insert(now);
                if now.duration_since(since) < grace {
                    found.insert(path.clone());
                    continue;
                }
                crash::at("vacuum", "begin");
                std::fs::remove_file(path).map_err(StoreError::io("remove", path))?;
                crash::at("vacuum", "removed");
                removed += 1;
                left -= 1;
            }
            if left == 0 {
                // if something came into it just now it stays
                let _ = std::fs::remove_dir(&folder);
            }
        }
        self.0.retain(|path, _| !path.starts_with(table) || found.contains(path));
        Ok(removed)
    }
}

fn days(table: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = std::fs::read_dir(table).map_err(StoreError::io("list", table))?;
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_day = |path: &PathBuf| {
        path.is_dir() && path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("day="))
    };
    // what was written before there were days lies beside their folders
    Ok(folders.filter(is_day).chain([table.to_owned()]).collect())
}

fn is_data(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "parquet" || extension == UNFINISHED) && path.is_file()
}
