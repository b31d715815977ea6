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
