#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::field_map::FieldMap;

fn parse<'a>(line: &'a str, names: &FieldMap, max_nesting: usize) -> Result<Fields<'a>, Refusal> {
    let options = DecodeOptions { fields: names.clone(), max_nesting, ..DecodeOptions::default() };
    let mut fields = Fields::new();
    super::parse(line, &options, &mut fields).map(|_| fields)
}

fn left(fields: &Fields<'_>) -> String {
    crate::extra::extra(fields, &crate::redact::Redaction::none()).unwrap_or_default()
}

fn read<'a>(line: &'a str, names: &FieldMap) -> Fields<'a> {
    parse(line, names, 64).unwrap()
}

#[test]
fn values() {
    let names = FieldMap::default();
    let line = r#"{"method":"G\u0045T","path":null,"authority":"-","user_agent":"","response_code":200,
        "jwt_sub":18446744073709551616,"audit":true,"jwt_aud":["a","b"],"z":1e+30,"a\"b":{"x" : null}}"#;
    let fields = read(line, &names);
    assert_eq!(fields.get(Key::Method), Some("GET"));
    assert_eq!(fields.get(Key::JwtSub), Some("18446744073709551616"));
    assert_eq!(fields.get(Key::JwtAud), Some(r#"["a","b"]"#));
    assert_eq!(fields.get(Key::Audit), Some("true"));
    for null in [Key::Path, Key::Authority, Key::UserAgent] {
        assert_eq!(fields.get(null), None);
        assert!(fields.carries(null));
    }
    assert!(!fields.carries(Key::Duration));
    for key in [Key::Method, Key::JwtSub, Key::JwtAud, Key::Audit, Key::ResponseCode] {
        fields.take(key);
    }
    assert_eq!(left(&fields), r#"{"a\"b":{"x" : null},"z":1e+30}"#);
}

#[test]
fn the_first_of_a_repeated_key_counts() {
    let names = FieldMap::default();
    let fields = read(r#"{"method":"GET","method":"P\u0055T","x":1,"x":2,"x":"-","method":null}"#, &names);
    assert_eq!(fields.get(Key::Method), Some("GET"));
    assert_eq!(fields.further(Key::Method).collect::<Vec<_>>(), ["PUT", ""]);
    let duplicates = r#""duplicate_keys":{"method":["P\u0055T",null],"x":[2,"-"]}"#;
    assert_eq!(left(&fields), format!(r#"{{{duplicates},"method":"GET","x":1}}"#));
    // the key of that name is not ours to lose
    let fields = read(r#"{"duplicate_keys":1,"duplicate_keys":2,"x":1,"x":2}"#, &names);
    assert_eq!(left(&fields), r#"{"duplicate_keys":{"duplicate_keys":[1,2],"x":[2]},"x":1}"#);
    let fields = read(r#"{"duplicate_keys":1}"#, &names);
    assert_eq!(left(&fields), r#"{"duplicate_keys":1}"#);
}

#[test]
fn mapped_names() {
    let pairs = [("status", "response_code"), ("verb", "method")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    let names = FieldMap::from_pairs(pairs).unwrap();
    let fields = read(r#"{"status":"500","response_code":200,"verb":"GET"}"#, &names);
    assert_eq!(fields.get(Key::ResponseCode), Some("200"));
    assert_eq!(fields.take(Key::Method), Some("GET"));
    assert_eq!(left(&fields), r#"{"response_code":200,"status":"500"}"#);
    let fields = read(r#"{"status":"odd"}"#, &names);
    assert_eq!(left(&fields), r#"{"status":"odd"}"#);
}

#[test]
fn the_marker_carries_all_keys() {
    let names = FieldMap::default();
    let fields = read(r#"{"log_schema":"meshwarden/1"}"#, &names);
    assert_eq!((fields.carried(), left(&fields)), (KeySet::RECOMMENDED, String::new()));
    let fields = read(r#"{"log_schema":"other/1"}"#, &names);
    assert_eq!(left(&fields), r#"{"log_schema":"other/1"}"#);
}

#[test]
fn what_is_no_object() {
    for line in ["{", "{}x", "{\"a\"}", "{\"a\":}", "{\"a\":\"b\"c\"}", "{\"a\":1,}", "{'a':1}", "{\"\\ud800\":1}"] {
        assert_eq!(parse(line, &FieldMap::default(), 64).unwrap_err().reason, RejectReason::NotJson, "{line}");
    }
}
