//! How fast a file is scanned with every detection, as `meshwarden scan` does it: `cargo bench -p api`. The file is the sample logs, repeated
//! to about 64 MB.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use ingest::DecodeOptions;
use query::{Core, CoreOptions, Keep};

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

const BYTES: usize = 64 << 20;

fn clock() -> DateTime<Utc> {
    DateTime::<Utc>::UNIX_EPOCH
}

#[divan::bench(sample_count = 5)]
fn scan(bencher: Bencher) {
    let lines = include_str!("../../sample-logs/mesh.jsonl");
    let times = BYTES.div_ceil(lines.len());
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("access.jsonl");
    let mut file = std::fs::File::create(&path).unwrap();
    for _ in 0..times {
        file.write_all(lines.as_bytes()).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    bencher
        .counter(BytesCount::new(lines.len() * times))
        .counter(ItemsCount::new(lines.lines().count() * times))
        .bench_local(|| {
            runtime.block_on(async {
                let folder = tempfile::tempdir().unwrap();
                let core = Core::in_passing(folder.path(), Keep::Suspicious, CoreOptions::default()).await.unwrap();
                let scanned =
                    api::scan::scan(&core, std::slice::from_ref(&path), Arc::new(DecodeOptions::default()), &clock)
                        .await
                        .unwrap();
                assert!(!scanned.findings.is_empty());
            });
        });
}
