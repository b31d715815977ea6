//! What SQL means here, as text: every `.slt` file under `tests/slt`, run three times – all rows hot, all rows in Parquet, half and half.
//!
//! Beside SQL a file may say
//! ```text
//! RAW                                                                                                access-log lines, as they stand below it
//! LINES <kind> <source> <destination> <count> <HH:MM:SS> <seconds between> [{"key": value, …}]    access-log lines (see tests/src/lines.rs)
//! DETECT                                                                                            run the detections
//! ```
//! and ask the table `findings`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod database;

use std::path::{Path, PathBuf};

use database::{Database, Stored};
use sqllogictest::{Runner, strict_column_validator};

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            files(&entry, into);
        } else if entry.extension().is_some_and(|ending| ending == "slt") {
            into.push(entry);
        }
    }
}

async fn run(stored: Stored) {
    let mut scripts = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("slt"), &mut scripts);
    assert!(scripts.len() >= 5, "the scripts are gone: {scripts:?}");
    let mut failures = Vec::new();
    for script in &scripts {
        let mut runner = Runner::new(move || async move { Ok(Database::new(stored).await) });
        runner.with_column_validator(strict_column_validator);
        if let Err(error) = runner.run_file_async(script).await {
            failures.push(error.display(false).to_string());
        }
    }
    assert!(failures.is_empty(), "{} of {} scripts fail:\n{}", failures.len(), scripts.len(), failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hot() {
    run(Stored::Hot).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cold() {
    run(Stored::Cold).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_and_half() {
    run(Stored::Half).await;
}
