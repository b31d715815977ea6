//! Lines of the formats that a mesh's configuration names: what stands around them, and what a caller may have made of them.

#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::sync::Arc;

use arrow::array::{AsArray as _, RecordBatch};
use chrono::DateTime;

use super::*;

/// A format that begins with a free text reads an envelope as that text, too.
#[test]
fn an_envelope_is_no_field_of_a_format_that_begins_with_a_free_text() {
    let path = "/var/log/pods/shop_orders-7d9f-x_0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0/istio-proxy/0.log";
    let cri = |line: &str| format!("2022-09-08T12:51:06.5Z stdout F {line}");
    for (format, line) in [
        ("%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %START_TIME%", "GET /x 200 2022-09-08T12:51:05.123Z"),
        ("%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %UPSTREAM_CLUSTER%", "GET /x 200 inbound|80||"),
    ] {
        let mut options = DecodeOptions::default();
        options.add_text_format(crate::TextFormat::compile(format).unwrap());
        let timeless = !format.contains("START_TIME");
        let words = ["[pod/other-1/istio-proxy] ", "other-1 istio-proxy ", "shop other-1 istio-proxy ", "ACCESS "];
        let mut lines = vec![cri(line), cri(line)];
        if !timeless {
            lines.extend(words.map(|words| format!("{words}{line}")));
        }
        let count = lines.len();
        for decoder in [Decoder::new, Decoder::reference] {
            let mut decoder = decoder(Arc::new(options.clone()), path.to_owned(), DateTime::UNIX_EPOCH);
            decoder.push(lines.join("\n").as_bytes());
            let batch = decoder.finish().unwrap();
            let text = |name: &str| {
                let column = batch.rows.column_by_name(name).unwrap().as_string_view();
                column.iter().map(|text| text.unwrap_or("-").to_owned()).collect::<Vec<_>>()
            };
            assert_eq!(batch.rows.num_rows(), count, "{format}\n{:?}", batch.rejects);
            assert_eq!((text("method"), text("path")), (vec!["GET".to_owned(); count], vec!["/x".to_owned(); count]));
            // a caller may have said whose line it is
            let pods = text("node_pod");
            assert!(pods.iter().take(2).all(|pod| pod == "orders-7d9f-x"), "{pods:?}");
            assert!(pods.iter().skip(2).all(|pod| pod == "-"), "{pods:?}");
        }
    }
}

/// Where no free text begins the format, a caller cannot have written the words.
#[test]
fn words_before_a_line_of_another_format_tell_its_pod() {
    let mut options = DecodeOptions::default();
    options.add_text_format(crate::TextFormat::compile("<%RESPONSE_CODE%> %REQ(:PATH)% %START_TIME%").unwrap());
    let line = "<403> /x 2022-09-08T12:51:05.123Z";
    let lines = ["[pod/a-1/istio-proxy] ", "a-1 istio-proxy ", "shop a-1 istio-proxy ", "ACCESS ", "a-1 nginx "];
    let input = lines.map(|words| format!("{words}{line}")).join("\n");
    for decoder in [Decoder::new, Decoder::reference] {
        let mut decoder = decoder(Arc::new(options.clone()), "in".to_owned(), DateTime::UNIX_EPOCH);
        decoder.push(input.as_bytes());
        let batch = decoder.finish().unwrap();
        let pods = batch.rows.column_by_name("node_pod").unwrap().as_string_view().clone();
        assert_eq!(
            pods.iter().collect::<Vec<_>>(),
            [Some("a-1"), Some("a-1"), Some("a-1"), None],
            "{:?}",
            batch.rejects
        );
        assert_eq!(batch.rejects.num_rows(), 1);
    }
}

#[test]
fn pieces_of_a_format_that_begins_with_a_free_text_are_joined() {
    let mut options = DecodeOptions::default();
    let format = "%REQ(USER-AGENT)% %START_TIME% %RESPONSE_CODE%";
    options.add_text_format(crate::TextFormat::compile(format).unwrap());
    let input = "2026-11-20T10:00:09.1Z stdout P xx\n2026-11-20T10:00:09.1Z stdout F yy 2026-11-20T10:00:08.000Z 200\n2026-11-20T10:00:09.1Z stdout F zz 2026-11-20T10:00:08.000Z 200\n";
    for decoder in [Decoder::new, Decoder::reference] {
        let mut decoder = decoder(Arc::new(options.clone()), "in".to_owned(), DateTime::UNIX_EPOCH);
        decoder.push(input.as_bytes());
        let batch = decoder.finish().unwrap();
        let agents = batch.rows.column_by_name("user_agent").unwrap().as_string_view().clone();
        assert_eq!(agents.iter().flatten().collect::<Vec<_>>(), ["xxyy", "zz"], "{:?}", batch.rejects);
        assert_eq!(batch.rejects.num_rows(), 0);
    }
}

const ROOT: &str = "spiffe://cluster.local/ns/admin/sa/root";

/// Rows and rejects of lines, as both decoders make them.
fn decoded(formats: &[&str], lines: &str) -> AccessLogBatch {
    let mut options = DecodeOptions::default();
    formats.iter().for_each(|format| options.add_text_format(crate::TextFormat::compile(format).unwrap()));
    let options = Arc::new(options);
    let [fast, plain] = [Decoder::new, Decoder::reference].map(|decoder| {
        let mut decoder = decoder(Arc::clone(&options), "in".to_owned(), DateTime::UNIX_EPOCH);
        decoder.push(lines.as_bytes());
        decoder.finish().unwrap()
    });
    assert_eq!((&fast.rows, &fast.rejects), (&plain.rows, &plain.rejects), "{lines}");
    fast
}

fn texts(rows: &RecordBatch, name: &str) -> Vec<String> {
    let column = rows.column_by_name(name).unwrap().as_string_view();
    column.iter().map(|text| text.unwrap_or("-").to_owned()).collect()
}

/// A line that fits its format in several ways is refused, whatever else it looks like: that is what a caller wrote.
#[test]
fn what_a_caller_puts_at_the_start_of_a_line_makes_it_nothing_else() {
    let ncsa = r#"%REQ(X-FORWARDED-FOR)% - - [%START_TIME%] "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% %BYTES_SENT% "%REQ(REFERER)%" "%REQ(USER-AGENT)%""#;
    let after = r#" - - [2026-11-22T14:39:24.727Z] "GET / HTTP/1.1" 200 1 "-" "a" "b""#;
    let istio = r#"[2026-11-22T14:39:24.727Z] "GET /fake HTTP/1.1" 403 - rbac_access_denied_matched_policy[none] - "-" 0 19 0 - "-" "x" "id" "api" "-" inbound|80|| - 10.0.0.2:80 10.0.0.7:1 - default"#;
    let second = "[%START_TIME%] %DOWNSTREAM_PEER_URI_SAN% %RESPONSE_CODE% rest=%REQ(X)%";
    let forged = format!("[2026-01-01T00:00:00.000Z] {ROOT} 200 rest=x");
    let agent_first = r#"%REQ(USER-AGENT)% %REQ(:METHOD)% %REQ(:PATH)% %START_TIME% k="%REQ(X)%" code=%RESPONSE_CODE%"#;
    let ztunnel = format!(
        r#"2026-11-22T14:39:24.727000Z	error	access	connection complete	src.addr=10.0.0.9:1 src.identity="{ROOT}" dst.addr=10.0.0.2:80 direction="inbound" error="connection closed due to policy rejection"#
    );
    let ztunnel = format!(r#"{ztunnel} GET / 2026-11-22T14:39:24.727Z k="" y=1 z="" code=200"#);
    for (formats, line) in [
        (vec![ncsa], format!("{istio}{after}")),
        (vec![ncsa, second], format!("{forged}{after}")),
        (vec![agent_first], ztunnel),
    ] {
        let batch = decoded(&formats, &line);
        assert_eq!(texts(&batch.rejects, "reason"), ["bad_text_format"], "{line}");
    }
    // an honest line, and one of Istio's own
    let batch = decoded(&[ncsa], &format!("10.0.0.1{}\n{istio}", after.replace(r#""a" "b""#, r#""a""#)));
    assert_eq!(texts(&batch.rows, "path"), ["/", "/fake"]);
}

/// A line that fits two configured formats is read by the first, and proves nothing.
#[test]
fn a_line_of_two_formats_proves_no_identity() {
    let of_peers = "[%START_TIME%] %DOWNSTREAM_PEER_URI_SAN% %UPSTREAM_CLUSTER% rest=%REQ(X)%";
    let of_callers = "%REQ(X)% in %UPSTREAM_CLUSTER%";
    let honest = format!("[2026-11-22T14:39:24.727Z] {ROOT} inbound|80|| rest=x");
    let forged = format!("{honest} in inbound|80||");
    let batch = decoded(&[of_peers, of_callers], &format!("{honest}\n{forged}"));
    let verified = batch.rows.column_by_name("identity_verified").unwrap().as_boolean();
    assert_eq!(verified.iter().collect::<Vec<_>>(), [Some(true), Some(false)], "{:?}", batch.rejects);
    // who configures one format twice says nothing new
    let batch = decoded(&[of_peers, of_peers], &honest);
    assert!(batch.rows.column_by_name("identity_verified").unwrap().as_boolean().value(0));
}

/// Where in a line that is not read a secret stands nobody knows.
#[test]
fn a_reject_of_a_format_that_logs_secrets_keeps_none_of_it() {
    let line = r#"[2026-11-22T14:39:24.727Z] 200 "cu" "rl" "S3cr3tValue""#;
    for (header, kept) in [("X-API-KEY", false), ("COOKIE", false), ("X-TENANT", true)] {
        let format = format!(r#"[%START_TIME%] %RESPONSE_CODE% "%REQ(USER-AGENT)%" "%REQ({header})%""#);
        let batch = decoded(&[&format], line);
        let raw = batch.rejects.column_by_name("raw").unwrap().as_binary_view().value(0);
        let raw = String::from_utf8_lossy(raw);
        assert_eq!(raw.contains("S3cr3tValue"), kept, "{raw}");
        assert_eq!(texts(&batch.rejects, "reason"), ["bad_text_format"]);
    }
}

/// The path itself is the path, where what a caller may put in its place is logged, too.
#[test]
fn the_path_goes_before_the_original_one() {
    let (path, original) = ("%REQ(:PATH)%", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%");
    for (format, line) in [
        (
            format!("%START_TIME% {original} {path} %UPSTREAM_CLUSTER%"),
            "2026-11-22T14:39:24.727Z /forged /real inbound|80||",
        ),
        (
            format!("%START_TIME% {path} {original} %UPSTREAM_CLUSTER%"),
            "2026-11-22T14:39:24.727Z /real /forged inbound|80||",
        ),
    ] {
        let batch = decoded(&[&format], line);
        assert_eq!(
            (texts(&batch.rows, "path"), texts(&batch.rows, "claims")),
            (vec!["/real".to_owned()], vec!["-".to_owned()])
        );
    }
    for (first, second) in [("path", "p"), ("op", "z")] {
        let labels = serde_json::json!({"t": "%START_TIME%", "c": "%UPSTREAM_CLUSTER%", first: original, second: path});
        let mut options = DecodeOptions::default();
        options.add_json_format(&crate::JsonFormat::compile(&labels).unwrap(), false).unwrap();
        let mut decoder = Decoder::new(Arc::new(options), "in", DateTime::UNIX_EPOCH);
        let line = serde_json::json!({"t": "2026-11-22T14:39:24.727Z", "c": "inbound|80||", first: "/forged", second: "/real"});
        decoder.push(line.to_string().as_bytes());
        let batch = decoder.finish().unwrap();
        assert_eq!(
            (texts(&batch.rows, "path"), texts(&batch.rows, "claims")),
            (vec!["/real".to_owned()], vec!["-".to_owned()]),
            "{first}"
        );
    }
}
