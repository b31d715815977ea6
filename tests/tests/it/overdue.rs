//! A detection that fails on a window: the window is kept over restarts, tried again a bounded number of times, and forgotten once it works.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use ingest::{DecodeOptions, Decoder};
use query::{Core, CoreOptions};
use tests::lines::Line;

/// 2026-11-23T12:00:00Z
const NOON: i64 = 1_795_435_200_000_000;
const NONE: [bool; 0] = [];

/// Fails on a window with exactly two rows.
const DISLIKES_TWO: &str = r#"/* ---
id = "dislikes-two"
version = 1
title = "a test"
severity = "low"
window = "5m"
entity = ["source"]
summary = "{source} {count}"
requires = []
attack = []
false_positives = ""
runbook = ""
--- */
SELECT 'all' AS source, count(*) AS count, min(time) AS first_seen, max(time) AS last_seen, array_agg(log_id) AS evidence
FROM requests
WHERE time >= $window_start AND time < $window_end
HAVING count(*) > 0 AND 1 / (count(*) - 2) < 5"#;

async fn append(core: &Core, source: &str, lines: impl Iterator<Item = Line>) {
    let mut decoder = Decoder::new(Arc::new(DecodeOptions::default()), source, DateTime::<Utc>::UNIX_EPOCH);
    for line in lines {
        decoder.push(format!("{line}\n").as_bytes());
    }
    core.append(&decoder.finish().unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_failed_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let detections = tempfile::tempdir().unwrap();
    std::fs::write(detections.path().join("dislikes-two.sql"), DISLIKES_TWO).unwrap();
    let options = || CoreOptions { detections: Some(detections.path().to_owned()), ..CoreOptions::default() };
    let start = DateTime::<Utc>::UNIX_EPOCH;
    let failures = async |core: &Core, second: i64| {
        let round = core.detect(start + TimeDelta::seconds(second)).await.unwrap();
        round.failures.iter().map(|failure| failure.again).collect::<Vec<_>>()
    };

    let core = Core::open(folder.path(), options()).await.unwrap();
    assert_eq!(core.pack().refused(), []);
    append(&core, "a", (0..2).map(|n| Line::inbound(NOON + n * 1_000_000, "web", "orders"))).await;
    assert_eq!(failures(&core, 0).await, [true]);
    assert!(!core.is_up_to_date());
    assert_eq!(failures(&core, 9).await, NONE, "not due yet");
    assert_eq!(failures(&core, 10).await, [true]);
    core.close().await.unwrap();
    drop(core);

    let core = Core::open(folder.path(), options()).await.unwrap();
    assert!(!core.is_up_to_date(), "it is kept over a restart");
    assert_eq!(failures(&core, 29).await, NONE);
    assert_eq!(failures(&core, 30).await, [true]);
    assert_eq!(failures(&core, 70).await, [true]);
    assert_eq!(failures(&core, 150).await, [true]);
    assert_eq!(failures(&core, 310).await, [false], "given up");
    assert!(core.is_up_to_date());
    assert_eq!(failures(&core, 10_000).await, NONE);

    // a third row makes it work
    append(&core, "b", std::iter::once(Line::inbound(NOON + 2_000_000, "web", "orders"))).await;
    let round = core.detect(start).await.unwrap();
    assert!(round.failures.is_empty());
    assert_eq!(round.changes.iter().map(|(finding, _)| finding.count).collect::<Vec<_>>(), [3]);
    assert!(core.is_up_to_date());
}
