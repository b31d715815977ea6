//! The fast decoder against the plain one: whatever the lines and however they are cut, rows, rejects, coverage and formats are the same.

#![allow(clippy::unwrap_used, clippy::expect_used)]
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use proptest::prelude::*;

use super::*;
use crate::Wanted;
use crate::schema::{ACCESS_LOGS, ColumnType};

const SAMPLES: &str = include_str!("../../../sample-logs/mesh.jsonl");
const TEXT: &str = r#"[2026-11-22T14:39:24.727Z] "GET /a HTTP/1.1" 200 - via_upstream - "-" 0 178 2 1 "-" "curl/8" "id" "api:80" "10.0.0.9:80" inbound|80|| 127.0.0.6:4 10.0.0.9:80 10.0.0.1:5 - default"#;

/// What is done to a line before it is decoded.
#[derive(Debug, Clone)]
enum Harm {
    None,
    /// Bytes at a place are replaced.
    Splice(prop::sample::Index, Vec<u8>),
    Truncate(prop::sample::Index),
    /// Keys in another order.
    Reorder(u64),
    /// Keys are left out: those whose hash has one of these bits.
    LeaveOut(u64),
    OmitNulls,
    /// A value is replaced by this JSON.
    Value(prop::sample::Index, String),
    /// The value of that key is replaced.
    Put(String, String),
    /// Another key.
    Key(String, String),
    Repeat(prop::sample::Index, String),
    /// Blanks after colons and commas.
    Blanks,
    Text,
    /// A line of text with something put into it, or something replaced.
    HostileText(usize, prop::sample::Index, usize, String),
    /// An envelope around the line.
    Envelope(String, String),
}

/// Lines of text: of the defaults, and of a configured format.
const TEXTS: [&str; 5] = [
    TEXT,
    r#"[2026-11-22T14:39:24.727Z] "GET /a HTTP/1.1" 200 - "-" 0 178 2 1 "-" "curl/8" "id" "api:80" "10.0.0.9:80" inbound|80|| 127.0.0.6:4 10.0.0.9:80 10.0.0.1:5 - default"#,
    r#"[2026-11-22T14:39:24.727Z] "GET /a HTTP/1.1" 200 UF,URX 0 178 2 1 "-" "curl/8" "id" "api:80" "10.0.0.9:80""#,
    r#"[2026-11-22T14:39:24.727Z] "- - -" 0 NR filter_chain_not_found - "-" 0 0 0 - "-" "-" "-" "-" "-" - - 10.0.0.9:80 10.0.0.1:5 - -"#,
    r#"22/Nov/2026:14:39:24 +0000|GET|/a?code=1|"curl/8"|200|outbound|80||api.shop.svc.cluster.local|{"tenant":"a"}"#,
];

/// A JSON format whose labels say several things, and lines of it.
const SEVERAL: &str = r#"{"t":"%START_TIME%","session":"%CONNECTION_ID%","tls.env":"%REQ(X-ENV)%","auth":"%FILTER_STATE(downstream_peer)%","req":"%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%","code":"%RESPONSE_CODE%",
    "tls":{"v":"%DOWNSTREAM_TLS_VERSION%","who":["%DOWNSTREAM_PEER_URI_SAN%","%REQ(X-TENANT)%"],"env":"prod","in":{"a":"%DYNAMIC_METADATA(envoy.filters.http.rbac)%"}},
    "to":"%REQ(:AUTHORITY)%|%REQ(USER-AGENT)%|%REQ(X-TOKEN)%","path":"%REQ(X-PATH)% %DURATION%","ends":"%DOWNSTREAM_REMOTE_ADDRESS%>%DOWNSTREAM_LOCAL_ADDRESS%"}"#;
const OF_SEVERAL: [&str; 3] = [
    r#"{"auth":{"x":"see token=a"},"code":200,"ends":"10.0.0.1:5>10.0.0.9:80","path":"- 12","req":"GET /a?code=1 HTTP/1.1","session":17,"t":"2026-11-22T14:39:24.727Z","tls.env":"top","tls":{"env":"prod","in":{"a":{"x":[1]}},"v":"TLSv1.3","who":["spiffe://cluster.local/ns/a/sa/b","blue"]},"to":"api:80|curl/8|s3cret"}"#,
    r#"{"code":0,"ends":"10.0.0.1:5>10.0.0.9:80","path":"/x y 12","req":"- - -","t":"2026-11-22T14:39:24.727Z","tls":{"env":"prod","in":{"a":null},"v":null,"who":[null,"-"]},"to":"-|-|-"}"#,
    r#"{"code":403,"ends":"10.0.0.1:5>10.0.0.9:80","path":"/x y","req":"GET /a b HTTP/1.1","t":"2026-11-22T14:39:24.727Z","tls":{"env":"prod","in":{},"v":"TLSv1.2","who":["spiffe://cluster.local/ns/a/sa/b"],"who":7},"to":"api|80|curl/8|"}"#,
];

/// The format of the last one.
const CONFIGURED: &str = r#"%START_TIME(%d/%b/%Y:%H:%M:%S %z)%|%REQ(:METHOD)%|%REQ(:PATH)%|"%REQ(USER-AGENT)%"|%RESPONSE_CODE%|%UPSTREAM_CLUSTER%|%DYNAMIC_METADATA(my.filter)%"#;

fn json() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        "[a-z0-9 /.:|-]{0,40}",
        "\\PC{0,20}",
        any::<String>(),
        Just("-".to_owned()),
        Just("10.0.0.1:80".to_owned()),
        Just("[::ffff:1.2.3.4]:0".to_owned()),
        Just("spiffe://cluster.local/ns/a/sa/b".to_owned()),
        Just("outbound|80||x.shop.svc.cluster.local".to_owned()),
        Just("rbac_access_denied_matched_policy[ns[a]-policy[b]-rule[0]]".to_owned()),
        Just("meshwarden/1+query".to_owned()),
        Just("/cb?state=7&code=4711#x".to_owned()),
        Just("see token=abc".to_owned()),
        Just("X-Api-Key: abc, x".to_owned()),
        Just("/a?d=Authorization: Bearer abc".to_owned()),
        Just("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln".to_owned()),
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| serde_json::Value::from(n).to_string()),
        text.prop_map(|text| serde_json::Value::from(text).to_string()),
        Just(r#""\ud83d\ude00 \u00e9 \n""#.to_owned()),
        Just(r#""\ud83d""#.to_owned()),
        Just("01".to_owned()),
        Just("tru".to_owned()),
        Just("1e400".to_owned()),
        Just("\"\t\"".to_owned()),
        Just("\"\u{7f}\"".to_owned()),
    ];
    leaf.prop_recursive(6, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::vec(("[a-z\"\\\\]{0,3}", inner), 0..4).prop_map(|pairs| {
                let pairs = pairs.into_iter().map(|(key, value)| format!("{}:{value}", serde_json::Value::from(key)));
                format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

/// Values as the labels of [`SEVERAL`] have them, more or less.
fn several() -> impl Strategy<Value = String> {
    let member = (prop::sample::select(vec!["v", "who", "env", "in", "a", "x"]), json());
    let object = prop::collection::vec(member, 0..5).prop_map(|members| {
        let members = members.iter().map(|(key, value)| format!("\"{key}\":{value}"));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    });
    let list = prop::collection::vec(json(), 0..4).prop_map(|list| format!("{{\"who\":[{}]}}", list.join(",")));
    let text = "([a-z/.:-]{0,3}[ |>]){0,4}[a-z0-9\"]{0,2}".prop_map(|text| serde_json::Value::from(text).to_string());
    prop_oneof![object, list, text]
}

fn harm() -> impl Strategy<Value = Harm> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        6 => Just(Harm::None),
        2 => (place(), prop::collection::vec(any::<u8>(), 0..4)).prop_map(|(at, bytes)| Harm::Splice(at, bytes)),
        2 => (place(), "[\"\\\\{}\\[\\],:]{1,2}").prop_map(|(at, text)| Harm::Splice(at, text.into_bytes())),
        1 => place().prop_map(Harm::Truncate),
        2 => any::<u64>().prop_map(Harm::Reorder),
        2 => any::<u64>().prop_map(Harm::LeaveOut),
        1 => Just(Harm::OmitNulls),
        4 => (place(), json()).prop_map(|(at, json)| Harm::Value(at, json)),
        2 => (place(), several()).prop_map(|(at, json)| Harm::Value(at, json)),
        2 => ("fapi_customer_ip|traceparent|local_principal|connection_id|jwt_realm_access|downstream_peer_subject", json())
            .prop_map(|(name, json)| Harm::Put(name, json)),
        2 => ("[a-z_]{1,8}|rbac|path|log_schema|duplicate_keys|authorization|token", json()).prop_map(|(name, json)| Harm::Key(name, json)),
        1 => (place(), json()).prop_map(|(at, json)| Harm::Repeat(at, json)),
        1 => Just(Harm::Blanks),
        1 => Just(Harm::Text),
        3 => (0..TEXTS.len(), place(), 0..4_usize, "[a-z\"|/ \\[\\]{}%-]{0,6}")
            .prop_map(|(text, at, cut, put)| Harm::HostileText(text, at, cut, put)),
        1 => (0..TEXTS.len(), place()).prop_map(|(text, at)| Harm::HostileText(text, at, 0, String::new())),
        1 => prop_oneof![
            Just(("2026-11-22T14:39:24.727123456Z stdout F ".to_owned(), String::new())),
            Just(("2026-11-22T14:39:24.727123456Z stdout P ".to_owned(), "\n2026-11-22T14:39:24.727123456Z stdout F ".to_owned())),
            Just(("[pod/web-1/istio-proxy] ".to_owned(), String::new())),
            Just(("__CURSOR=s=1;i=2\nMESSAGE=".to_owned(), String::new())),
            Just(("__CURSOR=s=1;i=3\n_HOSTNAME=node-1\nMESSAGE=".to_owned(), "\n".to_owned())),
        ].prop_map(|(before, after)| Harm::Envelope(before, after)),
    ]
}

/// Keys and JSON texts of a sample.
fn pairs(line: &str) -> Vec<(String, String)> {
    let object: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> =
        serde_json::from_str(line).unwrap();
    object.into_iter().map(|(key, raw)| (key, raw.get().to_owned())).collect()
}

fn written(pairs: &[(String, String)], colon: &str, comma: &str) -> Vec<u8> {
    let pairs: Vec<String> = pairs.iter().map(|(key, json)| format!("\"{key}\"{colon}{json}")).collect();
    format!("{{{}}}", pairs.join(comma)).into_bytes()
}

fn harmed(line: &str, harm: &Harm) -> Vec<u8> {
    let mut pairs = pairs(line);
    let mut bytes = line.as_bytes().to_vec();
    match harm {
        Harm::None => {}
        Harm::Splice(at, new) => {
            let at = at.index(bytes.len());
            let end = (at + new.len()).min(bytes.len());
            bytes.splice(at..end, new.iter().copied());
        }
        Harm::Truncate(at) => bytes.truncate(at.index(bytes.len())),
        Harm::Reorder(seed) => {
            pairs.sort_by_key(|(key, _)| {
                key.bytes().fold(*seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
            });
            bytes = written(&pairs, ":", ",");
        }
        Harm::LeaveOut(seed) => {
            let keep = |key: &str| seed >> (key.bytes().map(u32::from).sum::<u32>() % 64) & 1 == 0;
            pairs.retain(|(key, _)| keep(key) || key == "start_time");
            bytes = written(&pairs, ":", ",");
        }
        Harm::OmitNulls => {
            pairs.retain(|(_, json)| json != "null");
            bytes = written(&pairs, ":", ",");
        }
        Harm::Value(at, json) => {
            let at = at.index(pairs.len());
            pairs[at].1.clone_from(json);
            bytes = written(&pairs, ":", ",");
        }
        Harm::Put(name, json) => {
            for (_, value) in pairs.iter_mut().filter(|(key, _)| key == name) {
                value.clone_from(json);
            }
            bytes = written(&pairs, ":", ",");
        }
        Harm::Key(name, json) => {
            pairs.push((name.clone(), json.clone()));
            bytes = written(&pairs, ":", ",");
        }
        Harm::Repeat(at, json) => {
            let key = pairs[at.index(pairs.len())].0.clone();
            pairs.insert(at.index(pairs.len()), (key, json.clone()));
            bytes = written(&pairs, ":", ",");
        }
        Harm::Blanks => bytes = written(&pairs, ": ", " , "),
        Harm::Text => bytes = TEXT.as_bytes().to_vec(),
        Harm::HostileText(text, at, cut, put) => {
            bytes = TEXTS[*text].as_bytes().to_vec();
            let at = at.index(bytes.len());
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, put.bytes());
        }
        Harm::Envelope(before, after) => bytes = [before.as_bytes(), &bytes, after.as_bytes()].concat(),
    }
    bytes
}

fn run(mut decoder: Decoder, input: &[u8], piece: usize) -> Vec<AccessLogBatch> {
    let mut batches = Vec::new();
    for piece in input.chunks(piece) {
        decoder.push(piece);
        batches.extend(std::iter::from_fn(|| decoder.next_batch()));
    }
    batches.extend(decoder.finish());
    batches
}

/// Equal values, whatever the buffers behind them; and each text is UTF-8, which a view does not promise.
fn assert_same(fast: &RecordBatch, plain: &RecordBatch) {
    for ((fast, plain), field) in fast.columns().iter().zip(plain.columns()).zip(fast.schema().fields()) {
        fast.to_data().validate_full().unwrap();
        if let (Some(fast), Some(plain)) = (fast.as_string_view_opt(), plain.as_string_view_opt()) {
            for (row, (fast, plain)) in fast.iter().zip(plain.iter()).enumerate() {
                assert_eq!(fast, plain, "{} of row {row}", field.name());
            }
        }
        assert_eq!(fast.as_ref(), plain.as_ref(), "{}", field.name());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_fast_decoder_yields_what_the_plain_one_yields(
        lines in prop::collection::vec((any::<prop::sample::Index>(), harm()), 1..12),
        batch_rows in 1..9_usize,
        configured in 0..4_u8,
        piece in prop_oneof![1..100_usize, Just(1 << 20)],
        columns in prop::collection::vec(0..crate::schema::COLUMN_COUNT, 0..12),
        signals in 0..16_i64,
        end in prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n")],
    ) {
        let samples: Vec<&str> = match configured {
            2.. => OF_SEVERAL.into_iter().chain(SAMPLES.lines().take(3)).collect(),
            _ => SAMPLES.lines().collect(),
        };
        let mut input = Vec::new();
        for (sample, harm) in &lines {
            input.extend(harmed(samples[sample.index(samples.len())], harm));
            input.extend(end.bytes());
        }
        let mut options = DecodeOptions { batch_rows, max_nesting: 5, ..DecodeOptions::default() };
        if configured >= 2 {
            let format = crate::JsonFormat::compile(&serde_json::from_str(SEVERAL).unwrap()).unwrap();
            options.add_json_format(&format, configured == 3).unwrap();
        }
        if configured == 1 {
            options.add_text_format(crate::TextFormat::compile(CONFIGURED).unwrap());
        }
        assert_judged(&Arc::new(options.clone()), &input, piece);
        let names = columns.iter().map(|column| ACCESS_LOGS[*column].name).collect::<Vec<_>>();
        let (everywhere, signalled) = names.split_at(names.len() / 2);
        assert_narrow(&options, everywhere, (signals, signalled), &input);
    }
}

/// What is wanted is what it always is, and nothing else is there.
fn assert_narrow(options: &DecodeOptions, everywhere: &[&str], (mask, signalled): (i64, &[&str]), input: &[u8]) {
    let now = DateTime::from_timestamp_micros(1).unwrap();
    let wanted = Wanted::columns(everywhere).unwrap().and_with_signals(mask, signalled).unwrap();
    let narrow = Arc::new(DecodeOptions { wanted: wanted.clone(), ..options.clone() });
    let whole = run(Decoder::reference(Arc::new(options.clone()), "in", now), input, 1 << 20);
    for decoder in [Decoder::new(narrow.clone(), "in", now), Decoder::reference(narrow, "in", now)] {
        let narrow = run(decoder, input, 1 << 20);
        assert_eq!(narrow.len(), whole.len());
        for (narrow, whole) in narrow.iter().zip(&whole) {
            assert_same(&narrow.rejects, &whole.rejects);
            assert_eq!((&narrow.coverage, &narrow.formats), (&whole.coverage, &whole.formats));
            assert_eq!((narrow.lines, narrow.bytes), (whole.lines, whole.bytes));
            assert_eq!(narrow.rows.num_rows(), whole.rows.num_rows());
            let signals = whole.rows.column_by_name("signals").unwrap().as_primitive::<Int64Type>().values();
            for ((column, narrow), whole) in ACCESS_LOGS.iter().zip(narrow.rows.columns()).zip(whole.rows.columns()) {
                narrow.to_data().validate_full().unwrap();
                let name = column.name;
                for (row, signals) in signals.iter().enumerate() {
                    let on_this = everywhere.contains(&name) || (signals & mask != 0 && signalled.contains(&name));
                    let (narrow, whole) = (narrow.slice(row, 1), whole.slice(row, 1));
                    let wanted_whole =
                        everywhere.contains(&"extra") || (signals & mask != 0 && signalled.contains(&"extra"));
                    // the same on every row
                    let of_input = matches!(name, "source" | "received_at")
                        && [name, "extra"].iter().any(|name| everywhere.contains(name) || signalled.contains(name));
                    match (on_this || wanted_whole || of_input, column.nullable, column.data_type) {
                        (true, ..) => assert_eq!(narrow.as_ref(), whole.as_ref(), "{name} of row {row}"),
                        (_, true, _) => assert_eq!(narrow.null_count(), 1, "{name} of row {row}"),
                        (_, _, ColumnType::Text) => assert_eq!(narrow.as_string_view().value(0), "", "{name}"),
                        (_, _, ColumnType::Timestamp) => {
                            assert_eq!(narrow.as_primitive::<TimestampMicrosecondType>().value(0), 0, "{name}");
                        }
                        _ => assert_eq!(narrow.as_primitive::<Int64Type>().value(0), 0, "{name}"),
                    }
                }
            }
        }
    }
}

fn assert_judged(options: &Arc<DecodeOptions>, input: &[u8], piece: usize) {
    let now = DateTime::from_timestamp_micros(1).unwrap();
    let fast = run(Decoder::new(options.clone(), "in", now), input, piece);
    let plain = run(Decoder::reference(options.clone(), "in", now), input, 1 << 20);
    assert_eq!(fast.len(), plain.len());
    for (fast, plain) in fast.iter().zip(&plain) {
        assert_same(&fast.rows, &plain.rows);
        assert_same(&fast.compact().rows, &plain.rows);
        assert_same(&fast.rejects, &plain.rejects);
        assert_eq!(fast.coverage, plain.coverage);
        assert_eq!(fast.formats, plain.formats);
        assert_eq!((fast.lines, fast.bytes), (plain.lines, plain.bytes));
    }
}

/// Lines that several readers would take: the first of them in the plain order must have them.
#[test]
fn lines_of_more_than_one_format() {
    let tail = r#"200 - 0 178 2 1 "-" "curl/8" "id" "api:80" "10.0.0.9:80""#;
    let ztunnel = r#""scope":"access","src.addr":"10.0.0.1:5","direction":"inbound","message":"connection complete""#;
    for (formats, map, lines) in [
        // the server name's place is empty
        (vec![], None, vec![TEXT.replace(" - default", "  default"), TEXT.replace(" - default", "  ")]),
        // the second format fits the first line, both fit the second
        (
            vec!["%START_TIME% %RESPONSE_CODE%", "%START_TIME% %REQ(X-B)%"],
            None,
            vec!["2026-11-22T14:39:24.000Z x".to_owned(), "2026-11-22T14:39:24.000Z 200".to_owned()],
        ),
        // the configured format is that of a default line, but takes the judge to read
        (
            vec![r#"[%START_TIME%] "%REQ(A)%, %REQ(B)%; %REQ(C)%"#],
            None,
            vec![TEXT.to_owned(), format!(r#"[2026-11-22T14:39:24.000Z] "GET /a, b; c HTTP/1.1" {tail}"#)],
        ),
        // JSON by its looks
        (
            vec![r#"{"start_time":"%START_TIME%","path":"%REQ(A)%,%REQ(B)%;%REQ(C)%"}"#],
            None,
            vec![
                r#"{"start_time":"2026-11-22T14:39:24.000Z","path":"x"}"#.to_owned(),
                r#"{"start_time":"2026-11-22T14:39:24.000Z","path":"a,b;c"}"#.to_owned(),
            ],
        ),
        // a template's, whatever was written into it, after a line of real JSON
        (
            vec![
                r#"{"start_time":"%START_TIME%","path":"%REQ(:PATH)%","code":%RESPONSE_CODE%,"method":"%REQ(:METHOD)%"}"#,
            ],
            None,
            vec![
                r#"{"start_time":"2026-11-22T14:39:24.000Z","path":"/","code":1,"method":"x","code":2,"method":"GET"}"#
                    .to_owned(),
                r#"{"start_time":"2026-11-22T14:39:24.000Z","path":"/","code":2,"method":"GET"}"#.to_owned(),
                r#"{"path":"/","start_time":"2026-11-22T14:39:24.000Z","code":2,"method":"GET"}"#.to_owned(),
                r#"{"start_time":"2026-11-22T14:39:24.000Z","path":"/","code":null,"method":"GET"}"#.to_owned(),
            ],
        ),
        // ztunnel's by their looks
        (
            vec!["%START_TIME% %REQ(X-A)%"],
            None,
            vec!["2026-11-22T14:39:24.000Z info access connection complete src.addr=10.0.0.1:5".to_owned()],
        ),
        (
            vec![],
            Some("ts"),
            vec![
                format!(
                    r#"{{"ts":"2026-11-22T14:39:24.000Z","time":"2026-11-22T14:39:24.000Z",{}}}"#,
                    ztunnel.replace("access", "a")
                ),
                format!(r#"{{"ts":"2026-11-22T14:39:24.000Z","time":"2026-11-22T14:39:24.000Z",{ztunnel}}}"#),
            ],
        ),
        (
            vec![],
            None,
            vec![
                format!(r#"{{"a":"b","start_time":"2026-11-22T14:39:24.000Z",{ztunnel}}}"#),
                format!(r#"{{"a":"start_time","start_time":"2026-11-22T14:39:24.000Z",{ztunnel}}}"#),
            ],
        ),
    ] {
        let mut options = DecodeOptions::default();
        for format in formats {
            options.add_text_format(crate::TextFormat::compile(format).unwrap());
        }
        if let Some(name) = map {
            options.fields = crate::FieldMap::from_pairs([(name.to_owned(), "start_time".to_owned())]).unwrap();
        }
        let options = Arc::new(options);
        // each line after each other one
        for lines in [lines.clone(), lines.iter().rev().cloned().collect(), [lines.clone(), lines].concat()] {
            assert_judged(&options, lines.join("\n").as_bytes(), 1 << 20);
        }
    }
}

#[test]
fn every_sample_line_in_one_go() {
    assert_judged(&Arc::new(DecodeOptions::default()), SAMPLES.as_bytes(), 777);
    let names: Vec<&str> = ACCESS_LOGS.iter().map(|column| column.name).filter(|name| *name != "extra").collect();
    let some = SAMPLES.lines().step_by(5).collect::<Vec<_>>().join("\n");
    for (number, columns) in names.chunks(16).enumerate() {
        let (everywhere, signalled) = columns.split_at(columns.len() / 2);
        assert_narrow(&DecodeOptions::default(), everywhere, (1 << (number % 4), signalled), some.as_bytes());
    }
}

/// Each place of a text line, with a byte less or more.
#[test]
fn every_place_of_a_text_line() {
    let options = Arc::new(DecodeOptions::default());
    for text in TEXTS {
        for at in 0..text.len() {
            for (cut, put) in [(1, ""), (2, ""), (0, " "), (1, " "), (2, " "), (0, "\""), (1, "\""), (0, "-"), (2, "-")]
            {
                let end = (at + cut).min(text.len());
                let line = [&text.as_bytes()[..at], put.as_bytes(), &text.as_bytes()[end..]].concat();
                assert_judged(&options, &line, 1 << 20);
            }
        }
    }
}
