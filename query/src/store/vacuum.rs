//! Removing files that no table names any more: what compaction and retention replaced, and what a crash left behind.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use ingest::crash;
use object_store::{ObjectStore as _, ObjectStoreExt as _};

use super::bucket::Bucket;
use super::cold::{DATA, UNFINISHED};
use super::error::StoreError;
use super::place::Place;

/// Files of a bucket stay at least so long: another writer may be about to name them.
const OTHERS: Duration = Duration::from_secs(3600);

/// Files that no table names, and since when.
#[derive(Debug, Default)]
pub(super) struct Litter(HashMap<PathBuf, Instant>);

impl Litter {
    /// Looks at a table's place, and removes what was named by nobody for `grace`: a query may still read it, and another process may have read
    /// an older log. Answers how many files it removed. Nothing may be about to be named meanwhile.
    pub(super) async fn sweep(
        &mut self,
        table: &Place,
        named: &HashSet<String>,
        grace: Duration,
    ) -> Result<u64, StoreError> {
        match (table.as_folder(), table.as_bucket()) {
            (Some(folder), _) => {
                let named = named.iter().map(|name| folder.join(name)).collect();
                self.sweep_folder(folder, &named, grace)
            }
            (_, Some(bucket)) => self.sweep_bucket(table, bucket, named, grace.max(OTHERS)).await,
            (None, None) => Ok(0),
        }
    }

    async fn sweep_bucket(
        &mut self,
        table: &Place,
        bucket: &Bucket,
        named: &HashSet<String>,
        grace: Duration,
    ) -> Result<u64, StoreError> {
        let now = Instant::now();
        let mut found = HashMap::new();
        let failed = |action| bucket.failed(action);
        let mut objects = bucket.store.list(Some(&bucket.prefix));
        while let Some(object) = objects.next().await {
            let object = object.map_err(failed("list"))?;
            let Some(parts) = object.location.prefix_match(&bucket.prefix) else { continue };
            let name = parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
            if name.ends_with(DATA) && !name.starts_with("_delta_log") && !named.contains(&name) {
                found.insert(table.shown(&name), object.location);
            }
        }
        let mut removed = 0;
        self.0.retain(|path, _| !path.starts_with(table.shown("")) || found.contains_key(path));
        for (path, location) in found {
            if now.duration_since(*self.0.entry(path).or_insert(now)) >= grace {
                match bucket.store.delete(&location).await {
                    Ok(()) => removed += 1,
                    // another writer was first
                    Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(failed("remove a file of")(error)),
                }
            }
        }
        Ok(removed)
    }

    fn sweep_folder(&mut self, table: &Path, named: &HashSet<PathBuf>, grace: Duration) -> Result<u64, StoreError> {
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
