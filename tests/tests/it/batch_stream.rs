//! *Batch = stream*: the findings after all data has arrived do not depend on the order or the pieces in which it arrived.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use ingest::{AccessLogBatch, DecodeOptions, Decoder};
use proptest::prelude::*;
use query::finding::{Finding, Status};
use query::findings::Filter;
use query::{Core, CoreOptions, Keep};
use tests::lines::Line;

/// 2026-11-23T12:00:00Z
const NOON: i64 = 1_795_435_200_000_000;
const SECOND: i64 = 1_000_000;

/// Many lines of one kind: enough of them in one window make a finding.
#[derive(Clone, Debug)]
struct Burst {
    kind: u8,
    source: usize,
    destination: usize,
    /// Seconds after noon.
    start: i64,
    lines: usize,
    every: i64,
}

fn burst() -> impl Strategy<Value = Burst> {
    (0..5_u8, 0..2_usize, 0..2_usize, 0..4000_i64, 1..70_usize, 1..12_i64).prop_map(
        |(kind, source, destination, start, lines, every)| Burst { kind, source, destination, start, lines, every },
    )
}

fn lines(burst: &Burst) -> Vec<String> {
    let (source, destination) = (["reports", "web"][burst.source], ["payments", "orders"][burst.destination]);
    let address = ["10.9.9.1", "10.9.9.2"][burst.source];
    (0..burst.lines)
        .map(|n| {
            let time = NOON + (burst.start + i64::try_from(n).unwrap() * burst.every) * SECOND;
            match burst.kind {
                0 => Line::denied(time, source, destination),
                1 => Line::refused(time, source, destination),
                2 => Line::plaintext_rejected(time, address, destination),
                3 => Line::passthrough(time, source, ["a.example", "b.example"][burst.destination]),
                _ => Line::inbound(time, source, destination),
            }
            .to_string()
        })
        .collect()
}

fn decode(lines: &[String], source: &str) -> Vec<AccessLogBatch> {
    let mut decoder = Decoder::new(Arc::new(DecodeOptions::default()), source, DateTime::<Utc>::UNIX_EPOCH);
    for line in lines {
        decoder.push(line.as_bytes());
        decoder.push(b"\n");
    }
    let mut batches: Vec<_> = std::iter::from_fn(|| decoder.next_batch()).collect();
    batches.extend(decoder.finish());
    batches
}

/// What must agree: id → count, window, facts, incident and the sentence made of them.
type Outcome = BTreeMap<String, (i64, query::window::Window, BTreeMap<String, serde_json::Value>, String, String)>;

async fn outcome(core: &Core) -> Outcome {
    let mut filter = Filter { limit: 1000, ..Filter::default() };
    let mut findings: Vec<Finding> = Vec::new();
    loop {
        let page = core.findings().list(&filter).await.unwrap();
        findings.extend(page.findings);
        filter.after = page.next;
        if filter.after.is_none() {
            break;
        }
    }
    let standing = findings.into_iter().filter(|finding| finding.status != Status::Retracted);
    standing
        .map(|finding| (finding.id, (finding.count, finding.window, finding.facts, finding.incident, finding.summary)))
        .collect()
}

/// Feeds pieces one after the other, detecting after each, as a stream does.
async fn feed(pieces: &[Vec<String>], keep: Keep) -> Outcome {
    feed_with(pieces, keep, CoreOptions::default()).await
}

async fn feed_with(pieces: &[Vec<String>], keep: Keep, options: CoreOptions) -> Outcome {
    let core = Core::in_memory(keep, options).await.unwrap();
    for (place, piece) in pieces.iter().enumerate() {
        for batch in decode(piece, &format!("piece-{place}")) {
            assert_eq!(batch.rejects.num_rows(), 0);
            core.append(&batch).await.unwrap();
        }
        let round = core.detect(DateTime::<Utc>::UNIX_EPOCH).await.unwrap();
        assert!(round.failures.is_empty(), "{:?}", round.failures);
    }
    outcome(&core).await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn findings_do_not_depend_on_order_or_pieces(
        bursts in prop::collection::vec(burst(), 1..6),
        order in any::<prop::sample::Index>(),
        seed in any::<u64>(),
        cuts in 1..5_usize,
    ) {
        let all: Vec<String> = bursts.iter().flat_map(lines).collect();
        let mut shuffled = all.clone();
        // Fisher–Yates with a small generator: proptest's own shuffle keeps no order across shrinking
        let mut state = seed | 1;
        for place in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(place, usize::try_from(state >> 33).unwrap() % (place + 1));
        }
        let start = order.index(shuffled.len());
        shuffled.rotate_left(start);
        let pieces: Vec<Vec<String>> = shuffled.chunks(shuffled.len().div_ceil(cuts)).map(<[String]>::to_vec).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let batch = runtime.block_on(feed(std::slice::from_ref(&all), Keep::All));
        let stream = runtime.block_on(feed(&pieces, Keep::All));
        prop_assert_eq!(&batch, &stream);
        let suspicious_only = runtime.block_on(feed(std::slice::from_ref(&all), Keep::Suspicious));
        prop_assert_eq!(&batch, &suspicious_only);
        // as in a flood: every window's plan reads the store
        let options = CoreOptions { suspicious_memory: 0, ..CoreOptions::default() };
        let stored = runtime.block_on(feed_with(std::slice::from_ref(&all), Keep::Suspicious, options));
        prop_assert_eq!(&batch, &stored);
    }
}

/// The property above would hold for an engine that finds nothing.
#[tokio::test]
async fn bursts_are_found_and_late_data_retracts() {
    let spike: Vec<String> =
        (0..30).map(|n| Line::denied(NOON + (3600 + n) * SECOND, "reports", "payments").to_string()).collect();
    let found = feed(std::slice::from_ref(&spike), Keep::All).await;
    assert_eq!(found.values().map(|(count, ..)| *count).collect::<Vec<_>>(), [30]);
    // twelve a window in the hour before, arriving late: 30 is no longer 5 × the baseline
    let before: Vec<String> =
        (0..144).map(|n| Line::denied(NOON + n * 25 * SECOND, "reports", "payments").to_string()).collect();
    assert!(feed(&[spike.clone(), before.clone()], Keep::All).await.is_empty());
    assert!(feed(&[before, spike], Keep::All).await.is_empty());
}
