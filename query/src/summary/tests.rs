#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::*;

fn summary(lines: &[&str]) -> Summary {
    let options = Arc::new(ingest::DecodeOptions::default());
    let mut decoder = ingest::Decoder::new(options, "test", chrono::DateTime::<chrono::Utc>::UNIX_EPOCH);
    decoder.push(lines.join("\n").as_bytes());
    let batch = decoder.finish().unwrap();
    assert_eq!(batch.rows.num_rows(), lines.len());
    let mut summary = Summary::default();
    summary.add(&batch.rows, true);
    summary
}

#[test]
fn a_claimed_principal_names_nobody() {
    let proved = r#"{"start_time":"2026-11-23T12:00:00Z","upstream_cluster":"inbound|80||","method":"GET","response_code":200,"downstream_remote_address":"10.0.0.1:5000","downstream_peer_uri_san":"spiffe://td/ns/n/sa/admin","downstream_local_uri_san":"spiffe://td/ns/n/sa/api"}"#;
    // the same edge, of JSON whose keys a caller may have written
    let claimed = proved.replace("200", r#""200""#).replace("10.0.0.1", "10.6.6.6");
    let summary = summary(&[proved, &claimed, proved, &claimed, &claimed]);
    let edges: Vec<(String, u64)> =
        summary.edges().into_iter().map(|(edge, stats)| (edge.source, stats.requests)).collect();
    assert_eq!(edges, [("10.6.6.6".to_owned(), 3), ("td/ns/n/sa/admin".to_owned(), 2)]);
}

#[test]
fn invented_sources_are_told_apart_up_to_a_bound() {
    let mut summary = Summary::default();
    for n in 0..EDGES {
        assert_eq!(summary.place(true, &n.to_string(), "api"), n);
    }
    let others = summary.place(true, "one more", "api");
    assert_eq!(summary.place(true, "and another", "elsewhere"), others);
    assert_eq!(summary.place(true, "7", "api"), 7);
    assert_eq!(summary.edges().len(), EDGES + 1);
}

#[test]
fn a_few_durations_have_the_quantiles_of_many() {
    let durations: Vec<u64> = (0..50).map(|n| n * n * 7 % 4001).collect();
    for count in 1..durations.len() {
        let mut latency = Latency::Few(Vec::new());
        durations.iter().take(count).for_each(|duration| latency.record(*duration));
        let judge = histogram(&durations[..count]).unwrap();
        for quantile in [0.0, 0.5, 0.9, 0.99, 1.0] {
            assert_eq!(latency.quantile(quantile), judge.value_at_quantile(quantile), "{count} {quantile}");
        }
    }
}

#[test]
fn long_durations_keep_their_quantiles() {
    for count in [1, FEW, FEW + 1, 100] {
        let mut latency = Latency::Few(Vec::new());
        (0..count).for_each(|_| latency.record(1));
        let quantile = |latency: &Latency, quantile| latency.quantile(quantile);
        assert_eq!(quantile(&latency, 0.99), 1, "{count}");
        // two significant digits: a bucket is at most 0.8 % wide
        for (duration, most) in [(300, 301), (30_000, 30_240), (86_400_000, 87_100_000)] {
            (0..count * 200).for_each(|_| latency.record(duration));
            assert!((duration..=most).contains(&quantile(&latency, 0.99)), "{duration}: {}", latency.quantile(0.99));
        }
        // what is longer than the bound saturates there, and takes no more room
        (0..count * 200_000).step_by(count).for_each(|_| latency.record(u64::MAX));
        assert!((LONGEST..LONGEST + LONGEST / 100).contains(&quantile(&latency, 0.999)), "{count}");
    }
}
