#![allow(clippy::unwrap_used, clippy::expect_used)]
use crate::options::DecodeOptions;
use crate::{Decoder, JsonFormat};
use chrono::DateTime;

const FORMAT: &str = r#"{
    "t": "%START_TIME%", "req": "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%", "code": "%RESPONSE_CODE%",
    "tls": {"v": "%DOWNSTREAM_TLS_VERSION%", "who": ["%DOWNSTREAM_PEER_URI_SAN%", "%REQ(X-TENANT)%"]},
    "why": "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%", "keys": {"a": "%REQ(AUTHORIZATION)%", "sni": "%REQUESTED_SERVER_NAME%"}
}"#;

/// The columns of the first row that have these names, by the fast reader if the line fits it.
fn row(line: &str, columns: &[&str]) -> Vec<String> {
    let mut options = DecodeOptions::default();
    options.add_json_format(&JsonFormat::compile(&serde_json::from_str(FORMAT).unwrap()).unwrap(), false).unwrap();
    let mut decoder = Decoder::new(options.into(), "in", DateTime::UNIX_EPOCH);
    decoder.push(format!("{line}\n").repeat(2).as_bytes());
    let rows = decoder.finish().unwrap().rows;
    assert_eq!(rows.num_rows(), 2, "{line}");
    let shown = columns.iter().map(|name| {
        let column = rows.column_by_name(name).unwrap_or_else(|| panic!("{name}"));
        let cell = |row| arrow::util::display::array_value_to_string(column, row).unwrap();
        assert_eq!(cell(0), cell(1), "{name}");
        cell(1)
    });
    shown.collect()
}

fn line(from: &str, to: &str) -> String {
    let line = r#"{"code":403,"keys":{"a":"Basic eHg=","sni":"a.b"},"req":"GET /a?token=x HTTP/1.1","t":"2026-11-22T14:39:24.727Z","tls":{"v":"TLSv1.3","who":["spiffe://cluster.local/ns/a/sa/b","blue"]},"why":"- rbac_access_denied_matched_policy[none]"}"#;
    assert!(line.contains(from), "{from}");
    line.replace(from, to)
}

const COLUMNS: [&str; 7] = ["method", "path", "response_code", "rbac_decision", "source_principal", "sni", "extra"];

#[test]
fn objects_lists_and_texts_fill_columns() {
    assert_eq!(
        row(&line("GET", "GET"), &COLUMNS),
        [
            "GET",
            "/a?token=[redacted]",
            "403",
            "deny",
            "cluster.local/ns/a/sa/b",
            "a.b",
            r#"{"keys.a":"[redacted]","tls.who.1":"blue"}"#
        ]
    );
}

#[test]
fn what_is_not_as_the_format_has_it_stays() {
    let extra = |from: &str, to: &str| row(&line(from, to), &["extra"]).remove(0);
    for (from, to, stays) in [
        (r#""GET /a?token=x HTTP/1.1""#, r#""GET /a b HTTP/1.1 x""#, r#""req":"GET /a b HTTP/1.1 x""#),
        (r#""GET /a?token=x HTTP/1.1""#, "7", r#""req":7"#),
        (r#","blue"]"#, "]", r#""tls.who":["spiffe://cluster.local/ns/a/sa/b"]"#),
        (r#""v":"TLSv1.3""#, r#""v":"TLSv1.3","new":{"a":1}"#, r#""tls.new":{"a":1}"#),
        (r#"{"a":"Basic eHg=","sni":"a.b"}"#, r#"["Basic eHg="]"#, r#""keys":["[redacted]"]"#),
        (r#"{"a":"Basic eHg=","sni":"a.b"}"#, r#"{"a":{"b":["x"]},"sni":"a.b"}"#, r#""keys.a":{"b":["[redacted]"]}"#),
        (
            r#"{"a":"Basic eHg=","sni":"a.b"}"#,
            r#"{"b":"Bearer 8f14e45fceea167a","sni":"a.b"}"#,
            r#""keys.b":"Bearer [redacted]""#,
        ),
    ] {
        let extra = extra(from, to);
        assert!(extra.contains(stays), "{to}: {extra}");
    }
}

#[test]
fn doubt_is_told_and_a_denial_stays_one() {
    for (from, to) in [
        // as a caller writes it into a template
        (r#""sni":"a.b""#, r#""sni":"a.b","sni":"c.d""#),
        (r#""code":403"#, r#""code":403,"req":"PUT /b HTTP/1.1""#),
        (r#""code":403"#, r#""code":403,"why":"- via_upstream""#),
        (r#""code":403"#, r#""why":"- via_upstream","code":403"#),
        (r#""req":"GET /a?token=x HTTP/1.1""#, r#""req":"GET /a b HTTP/1.1 x""#),
        (r#""why":"- rbac"#, r#""why":"- x rbac"#),
        (r#"policy[none]"}"#, r#"policy[none] x"}"#),
    ] {
        let row = row(&line(from, to), &["rbac_decision", "signals"]);
        assert_eq!(row[0], "deny", "{to}");
        let ambiguous = crate::schema::signals::AMBIGUOUS;
        assert!(row[1].parse::<i64>().unwrap() & ambiguous != 0, "{to}: {}", row[1]);
    }
    // an identity that was said twice is none
    let twice = line(r#""tls":{"#, r#""tls":{"who":["spiffe://cluster.local/ns/x/sa/y",null],"#);
    assert_eq!(row(&twice, &["identity_verified"]), ["false"]);
}
