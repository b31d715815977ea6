//! Many of everything: entities that an attacker invents, and windows far apart, neither switch a detection off nor take for ever.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use ingest::{DecodeOptions, Decoder};
use query::{Core, CoreOptions, Keep};
use tests::lines::Line;

/// 2026-11-23T12:00:00Z
const NOON: i64 = 1_795_435_200_000_000;

async fn look(lines: impl Iterator<Item = Line>) -> Vec<(String, i64)> {
    look_with(CoreOptions::default(), lines).await
}

async fn look_with(options: CoreOptions, lines: impl Iterator<Item = Line>) -> Vec<(String, i64)> {
    let core = Core::in_memory(Keep::Suspicious, options).await.unwrap();
    let mut decoder = Decoder::new(Arc::new(DecodeOptions::default()), "many", DateTime::<Utc>::UNIX_EPOCH);
    for line in lines {
        decoder.push(format!("{line}\n").as_bytes());
        while let Some(batch) = decoder.next_batch() {
            core.append(&batch).await.unwrap();
        }
    }
    if let Some(batch) = decoder.finish() {
        core.append(&batch).await.unwrap();
    }
    let round = core.detect(DateTime::<Utc>::UNIX_EPOCH).await.unwrap();
    assert!(round.failures.is_empty(), "{:?}", round.failures);
    assert!(!round.cut_short);
    round.changes.into_iter().map(|(finding, _)| (finding.detection, finding.count)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invented_paths_do_not_hide_an_attack() {
    // letters only: digits would be taken for an id, and all paths for one route
    let word = |n: i64| n.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect::<String>();
    let invented =
        (0..20_000).map(|n| Line::refused(NOON + n * 1000, "web", "orders").with("path", format!("/{}", word(n))));
    let attack = (0..60).map(|n| Line::refused(NOON + n * 1_000_000, "reports", "payments").with("path", "/admin"));
    assert_eq!(look(invented.chain(attack)).await, [("http.403-spike".to_owned(), 60)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_over_years_are_looked_at_in_one_go() {
    let scattered = (0..3_000).map(|n| Line::denied(NOON - n * 86_400_000_000, "web", "orders"));
    let attack = (0..25).map(|n| Line::denied(NOON + n * 1_000_000, "reports", "payments"));
    assert_eq!(look(scattered.chain(attack)).await, [("authz.denied-spike".to_owned(), 25)]);
}

/// A burst of one caller and one kind, so many rows in one window that sorting them, or counting their memory wrongly, takes more than there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_does_not_silence_its_own_detection() {
    const LINES: i64 = 30_000;
    let floods = [
        ("authz.denied-spike", (|time| Line::denied(time, "reports", "payments")) as fn(i64) -> Line),
        ("http.403-spike", |time| Line::refused(time, "reports", "payments")),
        ("egress.unknown-host", |time| Line::passthrough(time, "reports", "drop.example")),
        ("mtls.plaintext-attempt", |time| Line::plaintext_rejected(time, "10.9.9.1", "payments")),
    ];
    for (detection, line) in floods {
        for suspicious_memory in [CoreOptions::default().suspicious_memory, 1 << 20] {
            let options = CoreOptions { sql_memory: 24 << 20, suspicious_memory, ..CoreOptions::default() };
            let found = look_with(options, (0..LINES).map(|n| line(NOON + n * 5_000))).await;
            assert_eq!(found, [(detection.to_owned(), LINES)], "{suspicious_memory} bytes");
        }
    }
}
