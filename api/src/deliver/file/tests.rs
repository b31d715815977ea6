//! The archive against crashes at every byte, rotation and meddling hands.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use query::finding::Severity;
use serde_json::Value;

use super::{Settings, Sink};
use crate::deliver::sink::Verdict;
use crate::deliver::testing::{change, noon};

fn settings(folder: &tempfile::TempDir, max_bytes: u64, keep: u32) -> Settings {
    Settings { path: folder.path().join("findings.ndjson"), max_bytes, keep }
}

/// The `id`s of a file's lines, every one of which is whole.
fn ids(path: impl AsRef<Path>) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "torn: {text}");
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    text.lines().map(id).collect()
}

fn id(seq: i64) -> String {
    change(seq, Severity::High).id
}

async fn deliver(sink: &Sink, seq: i64) {
    assert_eq!(sink.deliver(&change(seq, Severity::High), noon()).await, Verdict::Delivered);
}

fn append(path: &PathBuf, bytes: &[u8]) {
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[tokio::test]
async fn a_line_per_change() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder, 1 << 20, 3);
    let sink = Sink::open(&settings);
    for seq in 1..=3 {
        deliver(&sink, seq).await;
    }
    assert_eq!(ids(&settings.path), [id(1), id(2), id(3)]);
    let text = fs::read_to_string(&settings.path).unwrap();
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(line["kind"], "opened");
    assert_eq!(line["at"], "2026-11-23T17:00:00.000000Z");
    assert_eq!(line["finding"]["detection"], "authz.denied-spike");
}

#[tokio::test]
async fn files_are_rotated_and_the_oldest_goes() {
    let folder = tempfile::tempdir().unwrap();
    let line = fs::metadata({
        let settings = Settings { path: folder.path().join("one"), max_bytes: 1 << 20, keep: 1 };
        deliver(&Sink::open(&settings), 1).await;
        settings.path
    })
    .unwrap()
    .len();
    let settings = settings(&folder, line * 2, 2);
    let sink = Sink::open(&settings);
    for seq in 1..=7 {
        deliver(&sink, seq).await;
    }
    assert_eq!(ids(&settings.path), [id(7)]);
    assert_eq!(ids(folder.path().join("findings.ndjson.1")), [id(5), id(6)]);
    assert_eq!(ids(folder.path().join("findings.ndjson.2")), [id(3), id(4)]);
    assert!(!folder.path().join("findings.ndjson.3").exists());
}

#[tokio::test]
async fn a_torn_line_is_cut_off_wherever_it_was_torn() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder, 1 << 20, 3);
    deliver(&Sink::open(&settings), 1).await;
    let whole = fs::read(&settings.path).unwrap();
    deliver(&Sink::open(&settings), 2).await;
    let both = fs::read(&settings.path).unwrap();
    for cut in
        (0..both.len()).step_by(3).chain([whole.len() - 1, whole.len(), whole.len() + 1, both.len() - 1, both.len()])
    {
        fs::write(&settings.path, &both[..cut]).unwrap();
        deliver(&Sink::open(&settings), 2).await;
        let expected = if cut < whole.len() { vec![id(2)] } else { vec![id(1), id(2)] };
        assert_eq!(ids(&settings.path), expected, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_torn_line_longer_than_a_block_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder, 1 << 20, 3);
    deliver(&Sink::open(&settings), 1).await;
    append(&settings.path, &[b'x'; 200_000]);
    deliver(&Sink::open(&settings), 2).await;
    assert_eq!(ids(&settings.path), [id(1), id(2)]);
}

#[tokio::test]
async fn a_line_that_the_outbox_did_not_learn_of_stands_once() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder, 1 << 20, 3);
    for _ in 0..3 {
        deliver(&Sink::open(&settings), 1).await;
    }
    // killed between rotation and the first line of the new file
    fs::rename(&settings.path, folder.path().join("findings.ndjson.1")).unwrap();
    deliver(&Sink::open(&settings), 1).await;
    assert_eq!(ids(&settings.path), [] as [&str; 0]);
    deliver(&Sink::open(&settings), 2).await;
    assert_eq!(ids(&settings.path), [id(2)]);
}

#[tokio::test]
async fn a_file_that_was_moved_removed_or_touched_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder, 1 << 20, 3);
    let sink = Sink::open(&settings);
    deliver(&sink, 1).await;
    fs::rename(&settings.path, folder.path().join("moved")).unwrap();
    deliver(&sink, 2).await;
    assert_eq!(ids(&settings.path), [id(2)]);
    fs::remove_file(&settings.path).unwrap();
    deliver(&sink, 3).await;
    append(&settings.path, b"half a li");
    deliver(&sink, 4).await;
    assert_eq!(ids(&settings.path), [id(3), id(4)]);
    assert_eq!(ids(folder.path().join("moved")), [id(1)]);
}

#[tokio::test]
async fn a_missing_folder_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::open(&Settings { path: folder.path().join("none/findings.ndjson"), max_bytes: 1 << 20, keep: 1 });
    let Verdict::Retry { after: None, reason } = sink.deliver(&change(1, Severity::High), noon()).await else {
        panic!("not tried again")
    };
    assert!(reason.contains("could not be opened") && reason.contains("does its folder exist"), "{reason}");
    fs::create_dir(folder.path().join("none")).unwrap();
    deliver(&sink, 1).await;
}
