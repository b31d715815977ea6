#![allow(clippy::unwrap_used)]
use super::*;
use crate::{DecodeOptions, Decoder};

/// Messages that Envoy's own definitions encoded: an HTTP entry with every field that is read, and an empty one; a listener's.
const HTTP: &[u8] = include_bytes!("../../../fuzz/seeds/als/http");
const LISTENER: &[u8] = include_bytes!("../../../fuzz/seeds/als/tcp");

fn lines(stream: &mut Stream, message: &[u8]) -> String {
    let mut lines = Lines::new();
    stream.message(message, &mut lines).unwrap();
    let text = String::from_utf8(lines.bytes().to_vec()).unwrap();
    assert_eq!(text.lines().count() as u64, lines.count());
    text
}

#[test]
fn entries_become_lines() {
    insta::assert_snapshot!("http", lines(&mut Stream::new(), HTTP));
    insta::assert_snapshot!("listener", lines(&mut Stream::new(), LISTENER));
}

#[test]
fn every_key_is_one_of_the_recommended_format_or_named_here() {
    let others = ["upstream_service_time", "request_headers", "custom_tags", "metadata", "ja3_fingerprint"];
    for line in lines(&mut Stream::new(), HTTP).lines().chain(lines(&mut Stream::new(), LISTENER).lines()) {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        for key in object.keys() {
            assert!(crate::key::Key::from_name(key).is_some() || others.contains(&key.as_str()), "{key}");
        }
        // no key stands twice
        assert_eq!(object.to_owned().len(), line.matches("\":").count() - inner_keys(&object), "{line}");
    }
}

/// Keys below the top.
fn inner_keys(object: &serde_json::Map<String, serde_json::Value>) -> usize {
    fn keys(value: &serde_json::Value) -> usize {
        match value {
            serde_json::Value::Object(object) => object.len() + object.values().map(keys).sum::<usize>(),
            serde_json::Value::Array(items) => items.iter().map(keys).sum(),
            _ => 0,
        }
    }
    object.values().map(keys).sum()
}

#[test]
fn who_logs_is_kept_by_the_stream() {
    let mut stream = Stream::new();
    let first = lines(&mut stream, HTTP);
    assert!(
        first.contains(r#""pod_name":"pay.ments-1","pod_namespace":"bank","pod_service_account":"payments""#),
        "{first}"
    );
    // the same message without its identifier: field 1, and its length in two bytes
    let length = usize::from(HTTP[1] & 0x7f) | usize::from(HTTP[2]) << 7;
    let (identifier, entries) = HTTP.split_at(3 + length);
    assert_eq!((identifier[0], entries[0]), (0x0a, 0x12));
    assert_eq!(lines(&mut stream, entries), first);
    assert!(lines(&mut Stream::new(), entries).contains(r#""stream_id":"s-1","route_name""#));
}

#[test]
fn a_message_that_is_cut_gives_nothing() {
    for message in [HTTP, LISTENER] {
        for cut in 0..message.len() {
            let mut lines = Lines::new();
            lines.plain(b"before");
            let outcome = Stream::new().message(message.get(..cut).unwrap(), &mut lines);
            assert_eq!(lines.bytes(), b"before\n", "{cut}: {outcome:?}");
        }
    }
}

#[test]
fn lines_become_rows_without_their_secrets() {
    let mut lines = Lines::new();
    Stream::new().message(HTTP, &mut lines).unwrap();
    let mut decoder = Decoder::new(std::sync::Arc::new(DecodeOptions::default()), "als", chrono::DateTime::UNIX_EPOCH);
    decoder.push(lines.bytes());
    let batch = decoder.finish().unwrap();
    // the empty entry has no time
    assert_eq!((batch.rows.num_rows(), batch.rejects.num_rows()), (1, 1));
    let text = |name: &str| {
        let column = batch.rows.column_by_name(name).unwrap();
        arrow::util::display::array_value_to_string(column, 0).unwrap()
    };
    assert!(!text("path").contains("secret"), "{}", text("path"));
    assert!(!text("extra").contains("private@example.com"), "{}", text("extra"));
    for (column, value) in [
        ("source_principal", "cluster.local/ns/shop/sa/web"),
        ("destination_principal", "cluster.local/ns/bank/sa/payments"),
        ("identity_verified", "true"),
        ("transport_security", "mutual_tls"),
        ("rbac_decision", "deny"),
        ("rbac_policy", "p"),
        ("reporter", "destination"),
        ("audit", "true"),
        ("jwt_subject", "u1"),
        ("duration_ms", "1004"),
        ("upstream_service_time_ms", "3"),
        ("grpc_status", "7"),
        ("claimed_client_ip", "203.0.113.9"),
        ("source_port", "41000"),
    ] {
        assert_eq!(text(column), value, "{column}");
    }
}
