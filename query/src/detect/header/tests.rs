#![allow(clippy::unwrap_used)]

use super::*;

const GOOD: &str = r#"/* ---
id = "test.one"
version = 1
title = "a test"
severity = "low"
window = "5m"
lookback = "1h"
entity = ["source"]
summary = "{source}"
requires = ["rbac_decision"]
signals = ["denied"]
attack = ["T1071.001"]
false_positives = ""
runbook = ""
[params]
floor = 20
--- */
SELECT 1"#;

#[test]
fn a_right_header_is_read_and_the_sql_follows() {
    let (header, sql) = parse(GOOD).unwrap();
    assert_eq!((header.window_micros(), header.lookback_micros()), (300_000_000, 3_600_000_000));
    assert_eq!(header.signals, ingest::schema::signals::DENIED);
    assert_eq!(header.params["floor"], 20);
    assert!(!header.reads_query, "only who says so reads query strings");
    let payloads = GOOD.replace("signals", "reads_query = true\nsignals");
    assert!(parse(&payloads).unwrap().0.reads_query);
    assert_eq!(sql.trim(), "SELECT 1");
}

#[test]
fn everything_else_is_refused_and_the_error_names_it() {
    for (from, to, named) in [
        ("/* ---", "/*", "/* ---"),
        ("--- */", "*/", "--- */"),
        ("title = \"a test\"\n", "", "title"),
        ("title = \"a test\"", "title = \"a\"\nsuppress = true", "suppress"),
        ("\"test.one\"", "\"Test One\"", "Test One"),
        ("\"low\"", "\"bad\"", "bad"),
        ("\"5m\"", "\"5 minutes\"", "5 minutes"),
        ("\"5m\"", "\"0m\"", "0m"),
        ("\"5m\"", "\"2d\"", "2d"),
        ("\"1h\"", "\"7m\"", "7m"),
        ("[\"rbac_decision\"]", "[\"principal\"]", "principal"),
        ("[\"denied\"]", "[\"evil\"]", "evil"),
        ("T1071.001", "attack", "attack"),
        ("[\"source\"]", "[]", "entity"),
        ("version = 1", "version = 0", "version"),
        ("signals", "reads_query = \"yes\"\nsignals", "reads_query"),
        ("floor = 20", "floor = 2.5", "floor"),
        ("floor = 20", "window_end = 1", "window_end"),
    ] {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "{from}");
        let error = parse(&text).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(named), "{from} → {to}: {error}");
    }
}
