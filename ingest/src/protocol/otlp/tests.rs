#![allow(clippy::unwrap_used)]
use super::*;

/// A request that the protocol's own definitions encoded: records of every kind.
const REQUEST: &[u8] = include_bytes!("../../../fuzz/seeds/otlp/request");
/// The same request in JSON.
const JSON: &[u8] = include_bytes!("../../../fuzz/seeds/otlp_json/request");

fn of(read: impl FnOnce(&mut Lines)) -> String {
    let mut lines = Lines::new();
    read(&mut lines);
    let text = String::from_utf8(lines.bytes().to_vec()).unwrap();
    assert_eq!(text.lines().count() as u64, lines.count());
    text
}

#[test]
fn records_become_lines() {
    insta::assert_snapshot!("request", of(|lines| from_protobuf(REQUEST, lines).unwrap()));
}

#[test]
fn json_says_the_same() {
    let protobuf = of(|lines| from_protobuf(REQUEST, lines).unwrap());
    // bytes are base64 in JSON, and stay it
    let json = of(|lines| from_json(JSON, lines).unwrap()).replace("\"/wA=\"", "\"ff00\"");
    assert_eq!(json, protobuf);
}

#[test]
fn a_request_that_is_cut_gives_nothing() {
    for cut in 0..REQUEST.len() {
        let mut lines = Lines::new();
        lines.plain(b"before");
        let outcome = from_protobuf(REQUEST.get(..cut).unwrap(), &mut lines);
        // between two resources a request may end
        assert!(lines.bytes() == b"before\n" || outcome.is_ok(), "{cut}");
    }
    for wrong in [
        "",
        "[]",
        "{",
        r#"{"resourceLogs":1}"#,
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"x"}]}]}]}"#,
    ] {
        let mut lines = Lines::new();
        assert!(from_json(wrong.as_bytes(), &mut lines).is_err(), "{wrong}");
        assert!(lines.is_empty());
    }
}

#[test]
fn strings_of_envoy_s_become_what_they_were() {
    for (name, value, json) in [
        ("response_code", "200", "200"),
        ("response_code", "-", "null"),
        ("response_code", "0200", "\"0200\""),
        ("duration", "12345678901234567890", "\"12345678901234567890\""),
        ("user_agent", "12", "\"12\""),
        ("rbac", r#"{"a":1}"#, r#"{"a":1}"#),
        ("rbac", r#"{"a":1"#, r#""{\"a\":1""#),
        ("user_agent", r#"{"a":1}"#, r#""{\"a\":1}""#),
        ("audit", "true", "true"),
        ("user_agent", "true", "\"true\""),
    ] {
        let mut record = Record::default();
        record.attributes.push((b"response_flags", Any::Null));
        record.attributes.push((name.as_bytes(), Any::Text(value.as_bytes())));
        let line = of(|lines| record.write(&Resource::default(), lines));
        assert_eq!(line, format!("{{\"response_flags\":null,\"{name}\":{json}}}\n"));
    }
}
