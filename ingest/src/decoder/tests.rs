#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::schema;
use crate::{Coverage, LineFormats};

const JSON: &str = r#"{"start_time":"2026-11-22T14:39:24.727Z","method":"GET","path":"/a","response_code":200,"upstream_cluster":"inbound|8080||","rbac":{"enforced_engine_result":"allowed"},"other":[1,{"x":"é"}]}"#;
const TEXT: &str = r#"[2026-11-22T14:39:24.727Z] "GET /a HTTP/1.1" 200 - via_upstream - "-" 0 178 2 1 "-" "curl/8" "id" "api:80" "10.0.0.9:80" inbound|80|| 127.0.0.6:4 10.0.0.9:80 10.0.0.1:5 - default"#;

fn decoder(options: DecodeOptions) -> Decoder {
    Decoder::new(Arc::new(options), "input", DateTime::from_timestamp_micros(1_000_000).unwrap())
}

/// Everything that came out, batch by batch, the last by `finish`.
fn decode(options: DecodeOptions, pieces: &[&[u8]]) -> Vec<AccessLogBatch> {
    let mut decoder = decoder(options);
    let mut batches = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        batches.extend(std::iter::from_fn(|| decoder.next_batch()));
    }
    batches.extend(decoder.finish());
    batches
}

/// One text per row: the columns that are not null.
fn shown(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_display_error(true);
    let schema = batch.schema();
    // times as microseconds: arrow's own text of them needs a database of time zones
    let numbers = |array: &ArrayRef| match array.data_type() {
        DataType::Timestamp(..) => arrow::compute::cast(array, &DataType::Int64).unwrap(),
        _ => Arc::clone(array),
    };
    let arrays: Vec<ArrayRef> = batch.columns().iter().map(numbers).collect();
    let columns: Vec<_> = (schema.fields().iter().zip(&arrays))
        .map(|(field, array)| (field.name(), array, ArrayFormatter::try_new(array.as_ref(), &options).unwrap()))
        .collect();
    let row = |row: usize| {
        let set = columns.iter().filter(|(_, array, _)| !array.is_null(row));
        set.map(|(name, _, text)| format!("{name}={}\n", text.value(row))).collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

/// Rows, rejects, lines, bytes, coverage and formats of one batch.
type Shown = (Vec<String>, Vec<String>, u64, u64, Coverage, LineFormats);

fn everything(batches: &[AccessLogBatch]) -> Vec<Shown> {
    let all = batches
        .iter()
        .map(|b| (shown(&b.rows), shown(&b.rejects), b.lines, b.bytes, b.coverage.clone(), b.formats.clone()));
    all.collect()
}

#[test]
fn rows_and_rejects() {
    let input = format!("\u{feff}{JSON}\r\n\n  \nnot a log\n{TEXT}\n{{\n");
    let mut bytes = input.clone().into_bytes();
    bytes.extend_from_slice(b"{\"start_time\":\"\xff\"}");
    let batches = decode(DecodeOptions::default(), &[&bytes]);
    let [batch] = batches.as_slice() else { panic!("{}", batches.len()) };
    assert_eq!(batch.rows.schema(), schema::access_logs());
    assert_eq!(batch.rejects.schema(), schema::rejects());
    assert_eq!((batch.lines, batch.bytes, batch.coverage.rows()), (5, bytes.len() as u64, 2));
    assert_eq!(batch.coverage.get("response_code_details"), 1);
    assert_eq!(batch.coverage.get("transport_security"), 0);
    insta::assert_snapshot!("rows", shown(&batch.rows).join("\n"));
    let rejects: Vec<String> = shown(&batch.rejects);
    insta::assert_snapshot!("rejects", rejects.join("\n"));
    let offsets = batch.rejects.column(3).as_primitive::<Int64Type>();
    let raw = batch.rejects.column(8).as_binary_view();
    for row in 0..batch.rejects.num_rows() {
        let at = usize::try_from(offsets.value(row)).unwrap();
        assert!(bytes[at..].starts_with(raw.value(row)));
    }
    assert_eq!(raw.value(2), b"{\"start_time\":\"\xff\"}");
}

#[test]
fn lines_over_the_bound() {
    let options = DecodeOptions { max_line_bytes: JSON.len(), ..DecodeOptions::default() };
    let long = "x".repeat(200_000);
    let input = format!("{JSON}\n{JSON}x\r\n{long}\n{JSON}");
    let batches = decode(options, &input.as_bytes().chunks(999).collect::<Vec<_>>());
    let [batch] = batches.as_slice() else { panic!("{}", batches.len()) };
    assert_eq!((batch.rows.num_rows(), batch.rejects.num_rows()), (2, 2));
    let column = |name: &str| batch.rejects.column_by_name(name).unwrap();
    let lengths = column("length").as_primitive::<Int64Type>();
    assert_eq!(lengths.values().as_ref(), [JSON.len() as i64 + 1, 200_000]);
    assert_eq!(column("raw").as_binary_view().value(1).len(), 64 << 10);
    assert_eq!(column("sha256").as_string_view().value(1), hex(&Sha256::digest(long.as_bytes())));
    assert_eq!(column("reason").as_string_view().value(1), "line_too_long");
}

#[test]
fn batches_fill_up_and_untaken_ones_are_in_the_rest() {
    let options = DecodeOptions { batch_rows: 2, ..DecodeOptions::default() };
    let input = format!("{JSON}\nx\n{JSON}\n{JSON}\n{JSON}\n");
    let mut untaken = decoder(options.clone());
    untaken.push(input.as_bytes());
    let rest = untaken.finish().unwrap();
    assert_eq!((rest.rows.num_rows(), rest.rejects.num_rows(), rest.lines), (4, 1, 5));
    assert_eq!((rest.bytes, rest.coverage.rows()), (input.len() as u64, 4));
    let taken = decode(options, &[input.as_bytes()]);
    // what a block holds is decoded in one go, so the last one's full batches are in the rest, too
    assert_eq!(taken.iter().map(|batch| batch.lines).collect::<Vec<_>>(), [5]);
    let rows: Vec<String> = taken.iter().flat_map(|batch| shown(&batch.rows)).collect();
    assert_eq!(rows, shown(&rest.rows));
}

#[test]
fn nothing_yields_nothing() {
    for input in ["", "\n\n", " \r\n", "\u{feff}"] {
        assert!(decode(DecodeOptions::default(), &[input.as_bytes()]).is_empty(), "{input:?}");
    }
}

/// Lines of all kinds, good and bad.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just(JSON.as_bytes().to_vec()),
        Just(TEXT.as_bytes().to_vec()),
        Just(b"\r".to_vec()),
        Just(b"{\"start_time\":\"\xc3\"}".to_vec()),
        Just("x".repeat(700).into_bytes()),
        "[{}\\[\\]\":, é\r]{0,20}".prop_map(String::into_bytes),
        mutated(),
    ];
    (prop::collection::vec(line, 0..8), any::<bool>()).prop_map(|(lines, end)| {
        let mut bytes = lines.join(&b'\n');
        if end {
            bytes.push(b'\n');
        }
        bytes
    })
}

/// A good line with a few bytes changed, removed or doubled.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0u8..4);
    (any::<bool>(), prop::collection::vec(change, 1..4)).prop_map(|(json, changes)| {
        let mut line = if json { JSON } else { TEXT }.as_bytes().to_vec();
        for (at, byte, kind) in changes {
            let at = at.index(line.len());
            match kind {
                0 => line[at] = byte,
                1 => line.insert(at, byte),
                2 => line.insert(at, b"\"{}[],\\ "[usize::from(byte) % 8]),
                _ => drop(line.remove(at)),
            }
        }
        line
    })
}

proptest! {
    #[test]
    fn any_cutting_yields_the_same_batches(input in lines(), size in 1usize..400) {
        let options = DecodeOptions { batch_rows: 3, max_line_bytes: 600, ..DecodeOptions::default() };
        let whole = decode(options.clone(), &[&input]);
        let pieces = decode(options, &input.chunks(size).collect::<Vec<_>>());
        prop_assert_eq!(everything(&pieces), everything(&whole));
        let lines: u64 = whole.iter().map(|batch| batch.lines).sum();
        let rows: usize = whole.iter().map(|batch| batch.rows.num_rows() + batch.rejects.num_rows()).sum();
        prop_assert_eq!(lines, rows as u64);
    }

    #[test]
    fn any_bytes_are_rows_and_rejects(input in prop::collection::vec(any::<u8>(), 0..500)) {
        decode(DecodeOptions::default(), &[&input]);
    }

    #[test]
    fn any_mutation_is_a_row_or_a_reject(line in mutated()) {
        let batches = decode(DecodeOptions::default(), &[&line]);
        for batch in &batches {
            let extras = batch.rows.column(schema::index("extra").unwrap()).as_string_view();
            for extra in extras.iter().flatten() {
                // values as they are: a number may be out of any type's range
                let object: BTreeMap<String, &RawValue> = serde_json::from_str(extra).unwrap();
                prop_assert!(!object.is_empty());
            }
        }
    }

    #[test]
    fn every_value_of_an_unknown_key_is_in_extra(name in "[a-z\"\\\\]{1,6}", value in "\\PC{1,12}") {
        prop_assume!(crate::key::Key::from_name(&name).is_none() && value != "-");
        let line = serde_json::json!({ "start_time": 5, (name.as_str()): value.as_str() }).to_string();
        // some names are those of secrets
        let options = DecodeOptions { redaction: crate::Redaction::none(), ..DecodeOptions::default() };
        let batches = decode(options, &[line.as_bytes()]);
        let extra = batches[0].rows.column(schema::index("extra").unwrap()).as_string_view().value(0).to_owned();
        let extra: serde_json::Value = serde_json::from_str(&extra).unwrap();
        prop_assert_eq!(extra, serde_json::json!({ (name.as_str()): value.as_str() }));
    }
}

#[test]
fn formats_and_envelopes_are_counted() {
    let istio = format!(
        r#"{{"start_time":"2026-11-22T14:39:24.727Z","response_code":200,"bytes_received":0,"bytes_sent":1,"duration":2,"downstream_local_address":"10.0.0.9:80","downstream_remote_address":"10.0.0.1:5","method":{}}}"#,
        r#""GET""#
    );
    let older =
        r#"[2026-11-22T14:39:24.727Z] "GET /a HTTP/1.1" 200 - 0 178 2 1 "-" "curl/8" "id" "api:80" "10.0.0.9:80""#;
    let ztunnel = "2026-11-22T14:39:24.727123Z\tinfo\taccess\tconnection complete\tsrc.addr=10.0.0.1:5 dst.addr=10.0.0.2:80 direction=\"inbound\" bytes_sent=1 bytes_recv=2 duration=\"5ms\"";
    let with_query = r#"{"log_schema":"meshwarden/1+query","start_time":"2026-11-22T14:39:24.727Z","path":"/a?b=c"}"#;
    let lines = [
        JSON.to_owned(),
        JSON.to_owned(),
        TEXT.to_owned(),
        older.to_owned(),
        with_query.to_owned(),
        with_query.replace("+query", ""),
        istio.clone(),
        istio.replace("\"method\"", "\"verb\""),
        ztunnel.to_owned(),
        "200;2026-11-22T14:39:24.727Z".to_owned(),
        format!("2026-11-22T14:39:24.727123456Z stdout F {TEXT}"),
        format!("[pod/orders-0/istio-proxy] {TEXT}"),
        format!(r#"{{"log":{},"stream":"stdout","time":"2026-11-22T14:39:24Z"}}"#, quoted(&format!("{TEXT}\n"))),
        format!(r#"{{"message":{},"kubernetes":{{"pod_name":"a"}}}}"#, quoted(TEXT)),
        format!(r#"{{"MESSAGE":{},"_HOSTNAME":"a"}}"#, quoted(&istio)),
        istio.replace('}', r#","kubernetes":{"pod_name":"a"}}"#),
        format!("__CURSOR=s=1;i=1\n_HOSTNAME=a\nMESSAGE={ztunnel}\n"),
        "hello".to_owned(),
    ];
    let mut options = DecodeOptions::default();
    options.add_text_format(crate::TextFormat::compile("%RESPONSE_CODE%;%START_TIME%").unwrap());
    let input = lines.join("\n");
    for mut decoder in [
        Decoder::new(Arc::new(options.clone()), "input", DateTime::UNIX_EPOCH),
        Decoder::reference(Arc::new(options.clone()), "input", DateTime::UNIX_EPOCH),
    ] {
        decoder.push(input.as_bytes());
        let batch = decoder.finish().unwrap();
        let shown: Vec<String> = batch
            .formats
            .iter()
            .map(|(format, envelope, lines)| {
                format!("{lines} {format}{}", envelope.as_str().map_or(String::new(), |name| format!(" in {name}")))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "1 recommended JSON",
                "1 recommended JSON with query",
                "1 Istio's default JSON",
                "1 Istio's default JSON in journald",
                "3 other JSON",
                // the shipper's keys stand beside the record's
                "1 other JSON in shipper's JSON",
                "1 Istio's default text",
                "1 Istio's default text in CRI",
                "1 Istio's default text in docker",
                "1 Istio's default text in shipper's JSON",
                "1 Istio's default text in kubectl/stern prefix",
                "1 older text of Istio or Envoy",
                "1 configured text without query",
                "1 ztunnel text",
                "1 ztunnel text in journald",
            ]
        );
        let counted: u64 = batch.formats.iter().map(|(.., lines)| lines).sum();
        assert_eq!((counted, batch.rejects.num_rows()), (batch.rows.num_rows() as u64, 1));
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A format that says no instant: what the line came in says when it was written.
#[test]
fn what_a_line_came_in_dates_it() {
    let clock = r#"[%START_TIME(%H:%M:%S)%] "%REQ(:METHOD)%" %DURATION%"#;
    let timeless = r#"%RESPONSE_CODE% "%REQ(:METHOD)%" %DURATION%"#;
    let cri = |line: &str| format!("2026-11-25T00:00:02.5+00:00 stdout F {line}");
    let docker = |line: &str| {
        format!(r#"{{"log":{},"stream":"stdout","time":"2026-11-25T00:00:02.5Z"}}"#, quoted(&format!("{line}\n")))
    };
    let bit = |line: &str| format!(r#"{{"date":1795564802.5,"log":{},"kubernetes":{{"pod_name":"a"}}}}"#, quoted(line));
    let vector = |line: &str| {
        format!(r#"{{"timestamp":"2026-11-25T00:00:02.5Z","message":{},"source_type":"file"}}"#, quoted(line))
    };
    let beat = |line: &str| {
        format!(r#"{{"@timestamp":"2026-11-25T00:00:02.5Z","message":{},"log":{{"offset":1}}}}"#, quoted(line))
    };
    let journal = |line: &str| format!("__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795564802500000\nMESSAGE={line}\n");
    let json = |line: &str| {
        format!(r#"{{"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1795564802500000","MESSAGE":{}}}"#, quoted(line))
    };
    let kubectl = |line: &str| format!("2026-11-25T00:00:02.5Z {line}");
    let pieces = |line: &str| {
        let (head, rest) = line.split_at(5);
        format!("2026-11-25T00:00:01Z stdout P {head}\n2026-11-25T00:00:02.5Z stdout F {rest}")
    };
    type Envelope<'e> = &'e dyn Fn(&str) -> String;
    let all: [Envelope<'_>; 9] = [&cri, &docker, &bit, &vector, &beat, &journal, &json, &kubectl, &pieces];
    let (said, ended) = ("2026-11-24T23:59:58", "2026-11-25T00:00:02.500");
    for (format, line, envelopes, time, end) in [
        (clock, r#"[23:59:58] "GET" 3000"#, &all[..], said, "2026-11-25T00:00:01"),
        // a connection of a day and an hour
        (clock, r#"[23:00:00] "-" 90002500"#, &all[..], "2026-11-23T23:00:00", "2026-11-25T00:00:02.500"),
        // kubectl's time stands before anything
        (timeless, r#"200 "GET" 3000"#, &all[..7], "2026-11-24T23:59:59.500", ended),
        (timeless, r#"200 "GET" -"#, &all[..7], ended, ended),
    ] {
        let mut options = DecodeOptions::default();
        options.add_text_format(crate::TextFormat::compile(format).unwrap());
        let options = Arc::new(options);
        for envelope in envelopes {
            let input = [envelope(line), String::new(), line.to_owned()].join("\n");
            for decoder in [Decoder::new, Decoder::reference] {
                let mut decoder = decoder(Arc::clone(&options), "input".to_owned(), DateTime::UNIX_EPOCH);
                decoder.push(input.as_bytes());
                let batch = decoder.finish().unwrap();
                let micros = |name: &str| {
                    let column = batch.rows.column_by_name(name).unwrap();
                    column.as_primitive::<arrow::datatypes::TimestampMicrosecondType>().value(0)
                };
                assert_eq!(batch.rows.num_rows(), 1, "{input}\n{:?}", batch.rejects);
                let expected = [time, end].map(|time| crate::time::parse(&format!("{time}Z")).unwrap());
                assert_eq!(["time", "ended_at"].map(micros), expected, "{input}");
                let reason = batch.rejects.column_by_name("reason").unwrap();
                assert_eq!(arrow::util::display::array_value_to_string(reason, 0).unwrap(), "bad_time", "{input}");
            }
        }
    }
}

#[test]
fn an_empty_name_of_an_envelope_does_not_hide_the_record() {
    let line = r#"{"start_time":"2026-11-22T14:39:24.727Z","method":"GET"}"#;
    for (envelope, rows) in [
        (format!(r#"{{"log":"","message":{},"stream":"stdout"}}"#, quoted(line)), 1),
        (format!(r#"{{"log":{},"message":"","stream":"stdout"}}"#, quoted(line)), 1),
        (r#"{"log":"","message":"","stream":"stdout"}"#.to_owned(), 0),
    ] {
        let mut decoder = Decoder::new(Arc::default(), "in", DateTime::UNIX_EPOCH);
        decoder.push(envelope.as_bytes());
        assert_eq!(decoder.finish().map_or(0, |batch| batch.rows.num_rows()), rows, "{envelope}");
    }
}

/// A configured JSON format without a time: what a line came in dates it, and where that says none it is an access log that cannot be read.
#[test]
fn json_without_a_time_is_dated_by_what_it_came_in() {
    let format = serde_json::json!({"p": "%REQ(:PATH)%", "c": "%RESPONSE_CODE%"});
    let mut options = DecodeOptions::default();
    options.add_json_format(&crate::JsonFormat::compile(&format).unwrap(), false).unwrap();
    let line = r#"{"p":"/x","c":200}"#;
    let lines = [
        format!("2022-09-08T12:51:06.5Z stdout F {line}"),
        format!(r#"{{"log":{},"stream":"stdout","time":"2022-09-08T12:51:06.5Z"}}"#, quoted(&format!("{line}\n"))),
        format!(r#"{{"@timestamp":"2022-09-08T12:51:06.5Z","message":{},"log":{{"offset":1}}}}"#, quoted(line)),
        line.to_owned(),
        r#"{"p":"/x"}"#.to_owned(),
    ];
    for decoder in [Decoder::new, Decoder::reference] {
        let mut decoder = decoder(Arc::new(options.clone()), "in".to_owned(), DateTime::UNIX_EPOCH);
        decoder.push(lines.join("\n").as_bytes());
        let batch = decoder.finish().unwrap();
        let times = batch.rows.column_by_name("time").unwrap();
        let times = times.as_primitive::<arrow::datatypes::TimestampMicrosecondType>().values().to_vec();
        assert_eq!(times, vec![crate::time::parse("2022-09-08T12:51:06.5Z").unwrap(); 3], "{:?}", batch.rejects);
        let reasons = batch.rejects.column_by_name("reason").unwrap().as_string_view().clone();
        assert_eq!(reasons.iter().flatten().collect::<Vec<_>>(), ["bad_time", "not_an_access_log"]);
    }
}

#[test]
fn a_containers_file_says_by_its_path_who_logged() {
    let path = "/var/log/pods/shop_orders-7d9f-x_0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0/istio-proxy/0.log";
    let record = r#"{"start_time":"2026-11-22T14:39:24.727Z","method":"GET"}"#;
    let named = r#"{"start_time":"2026-11-22T14:39:24.727Z","method":"GET","pod_name":"own"}"#;
    let cri = |record: &str| format!("2026-11-22T14:39:24.727123456Z stdout F {record}\n");
    let input = [cri(record), cri(record), cri(named), format!("{record}\n")].concat();
    for decoder in [Decoder::new, Decoder::reference] {
        let mut decoder = decoder(Arc::new(DecodeOptions::default()), path.to_owned(), DateTime::UNIX_EPOCH);
        decoder.push(input.as_bytes());
        let rows = decoder.finish().unwrap().rows;
        let text = |name: &str| {
            let column = rows.column_by_name(name).unwrap().as_string_view();
            column.iter().map(|text| text.unwrap_or("-").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(text("node_pod"), ["orders-7d9f-x", "orders-7d9f-x", "own", "-"]);
        assert_eq!(text("node_namespace"), ["shop", "shop", "shop", "-"]);
    }
}

/// Lines of a configured format that begin with what a caller says: whatever that looks like, each is a row or a reject, and nobody else's.
#[test]
fn a_callers_words_are_no_envelope() {
    let mut options = DecodeOptions::default();
    let format = r#"%REQ(X-FORWARDED-FOR)% [%START_TIME%] "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% "%REQ(USER-AGENT)%""#;
    options.add_text_format(crate::TextFormat::compile(format).unwrap());
    let line = |forwarded: &str, agent: &str| {
        format!(
            "{forwarded} [2026-11-22T14:39:24.727Z] \"GET / HTTP/1.1\" 403 rbac_access_denied_matched_policy[none] \"{agent}\"\n"
        )
    };
    for forwarded in [
        "__CURSOR=a",
        "2026-11-22T14:39:24.727123456Z stdout P",
        "2026-11-22T14:39:24.727123456Z stderr F",
        "[pod/web-1/istio-proxy]",
        "web-1 istio-proxy",
        "shop.example.com 10.0.0.1",
    ] {
        for agent in ["curl", "cu\"rl"] {
            for (other, lines) in [(String::new(), 3), (line("a", "b").replace("b\"", "\u{ff}\""), 4)] {
                // that other is Latin-1
                let bytes: Vec<u8> =
                    [line(forwarded, agent).repeat(3), other].concat().chars().map(|c| c as u8).collect();
                let mut decoder = Decoder::new(Arc::new(options.clone()), "in", DateTime::UNIX_EPOCH);
                decoder.push(&bytes);
                let batch = decoder.finish().unwrap();
                assert_eq!(batch.rows.num_rows(), lines, "{forwarded} {agent}\n{:?}", batch.rejects);
                let decisions = batch.rows.column_by_name("rbac_decision").unwrap().as_string_view().clone();
                assert!(decisions.iter().all(|decision| decision == Some("deny")), "{forwarded} {agent}");
            }
        }
    }
}

/// Whether the names in a line are believed depends on all of it, so no shape of an earlier line may decide.
#[test]
fn who_logged_is_told_line_by_line() {
    let line = |code: &str, kubernetes: &str| {
        format!(
            r#"{{"start_time":"2026-11-22T14:39:24.727Z","response_code":{code},"user_agent":"x","kubernetes":{kubernetes},"method":"GET"}}"#
        )
    };
    let named = r#"{"pod_name":"web-1"}"#;
    let lines = [line("200", "{}"), line("200", named), line(r#""200""#, named), line("200", named)].join("\n");
    for decoder in [Decoder::new, Decoder::reference] {
        let mut decoder = decoder(Arc::new(DecodeOptions::default()), "in".to_owned(), DateTime::UNIX_EPOCH);
        decoder.push(lines.as_bytes());
        let rows = decoder.finish().unwrap().rows;
        let pods = rows.column_by_name("node_pod").unwrap().as_string_view().clone();
        assert_eq!(pods.iter().collect::<Vec<_>>(), [None, Some("web-1"), None, Some("web-1")]);
    }
}
