#![allow(clippy::unwrap_used, clippy::expect_used)]
use proptest::prelude::*;

use super::*;

mod added;
mod journal;

const TEXT: &str = r#"[2026-11-22T14:39:24.727Z] "GET /a HTTP/1.1" 200 - via_upstream - "-" 0 178 2 1 "-" "curl/8" "id" "api:80" "10.0.0.9:80" inbound|80|| 127.0.0.6:4 10.0.0.9:80 10.0.0.1:5 - default"#;
const JSON: &str =
    r#"{"start_time":"2026-11-22T14:39:24.727Z","method":"GET","path":"/a \"b\" \\n","message":"[2026"}"#;
const TIME: &str = "2026-11-22T14:39:24.727123456Z";

/// All lines of an input, and its end.
fn run(lines: &[impl AsRef<[u8]>], max: usize) -> Vec<String> {
    let mut envelopes = Envelopes::new(max);
    let names = FieldMap::default();
    let mut out = Vec::new();
    let mut offset = 0;
    for (line, number) in lines.iter().zip(1..) {
        let line = line.as_ref();
        let unwrapped = envelopes.open(line, At { line: number, offset }, &names);
        out.push(shown(&unwrapped, number));
        offset += line.len() as u64 + 1;
    }
    let last = lines.len() as u64;
    out.extend(envelopes.finish(&names).iter().map(|left| format!("end {}", shown(left, last))));
    out
}

/// `bare`, `record TEXT`, `nothing`, `REASON`; then `@LINE` where it is not the line given, and the node.
fn shown(unwrapped: &Unwrapped<'_>, number: u64) -> String {
    let at = |at: At| if at.line == number { String::new() } else { format!(" @{}", at.line) };
    match unwrapped {
        Unwrapped::Bare(node) => format!("bare{}", shown_node(node)),
        Unwrapped::Record(Record { text, node, begun_at, .. }) => {
            format!("record {}{}{}", String::from_utf8_lossy(text), at(*begun_at), shown_node(node))
        }
        Unwrapped::Nothing => "nothing".to_owned(),
        Unwrapped::Wrong(Wrong { refusal, cut }) => {
            let cut = cut.as_ref().map(|cut| format!("{} {} bytes", at(cut.begun_at), cut.length));
            format!("{}{}", refusal.reason, cut.unwrap_or_default())
        }
    }
}

fn shown_node(node: &Node<'_>) -> String {
    let Node { pod, namespace, container, host, .. } = node;
    let names = [("pod", pod), ("namespace", namespace), ("container", container), ("host", host)];
    names.iter().filter_map(|(kind, name)| Some(format!(" {kind}={}", name.as_deref()?))).collect()
}

fn one(line: &str) -> String {
    run(&[line], 1 << 20).remove(0)
}

/// A text as a JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[test]
fn bare_lines_stay() {
    for line in [
        TEXT,
        JSON,
        "[2026-11-22T14:39:24.727Z] x",
        "[pod/a b] [2026",
        "[pod/a] [2026",
        "[pod/A/b] [2026",
        "[pod/a/b][2026",
        r#"{"start_time":"2026","log":"[2026"}"#,
        r#"{"response_code":200,"message":"{\"start_time\":\"forged\"}","stream":"stdout"}"#,
        r#"{"level":"info","time":"2026-11-22T14:39:24.727123Z","scope":"access","message":"connection complete","src.addr":"10.0.0.1:5"}"#,
        r#"{"level":"info","message":"hello"}"#,
        r#"{"my_header":"x","message":"{\"start_time\":\"forged\"}"}"#,
        r#"{"message":1}"#,
        r#"{"message":{"a":1}}"#,
        r#"{"log":{"file":"x"}}"#,
        r#"{"log":"a"#,
        r#"{"a":"\"log\""}"#,
        "{",
        "A",
        "ACCESS x",
        "2026-11-22T14:39:24.727123Z\tinfo\taccess\tconnection complete\tsrc.addr=10.0.0.1:5",
        "2026-11-22T14:39:24.727123Z info access connection complete src.addr=10.0.0.1:5",
        "2026-11-22T14:39:24.727123Z stdout X [2026",
        "2026-11-22T14:39:24.727123Z stdoutF [2026",
        "2026-11-22T14:39:24.727123Z",
        "2026-11-22 14:39:24 stdout F x",
        "error access connection complete src.addr=10.0.0.1:5",
        "info access {",
        "hello world",
        "MESSAGE=[2026",
        "_HOSTNAME=x",
        "é",
    ] {
        assert_eq!(one(line), "bare", "{line}");
    }
}

#[test]
fn words_before_the_line() {
    for (line, expected) in [
        (format!("{TIME} stdout F {TEXT}"), format!("record {TEXT}")),
        (format!("{TIME} stderr F {JSON}"), format!("record {JSON}")),
        (format!("2026-11-22T14:39:24+01:00 stdout F:x:y {JSON}"), format!("record {JSON}")),
        (format!("2026-11-22T14:39:24.1-07:30 stdout F {JSON}"), format!("record {JSON}")),
        (format!("{TIME} stdout F  a"), "record  a".to_owned()),
        (format!("{TIME} stdout F "), "nothing".to_owned()),
        (format!("{TIME} stdout F"), "nothing".to_owned()),
        (format!("{TIME} stdout F:tag"), "nothing".to_owned()),
        (format!("{TIME} {TEXT}"), format!("record {TEXT}")),
        (format!("{TIME} {JSON}"), format!("record {JSON}")),
        (format!("{TIME} {TIME}\tinfo\taccess\tx"), format!("record {TIME}\tinfo\taccess\tx")),
        (format!("ACCESS {TEXT}"), format!("record {TEXT}")),
        (format!("{TIME} stdout F ACCESS {TEXT}"), format!("record {TEXT}")),
        (format!("{TIME} ACCESS {TEXT}"), format!("record {TEXT}")),
        (format!("[pod/web-1/istio-proxy] {TEXT}"), format!("record {TEXT} pod=web-1 container=istio-proxy")),
        (format!("[pod/web-1/istio-proxy] {TIME} {JSON}"), format!("record {JSON} pod=web-1 container=istio-proxy")),
        ("[pod/web-1/istio-proxy] anything".to_owned(), "record anything pod=web-1 container=istio-proxy".to_owned()),
        (format!("web-1 istio-proxy {TEXT}"), format!("record {TEXT} pod=web-1 container=istio-proxy")),
        (format!("1web istio-proxy {JSON}"), format!("record {JSON} pod=1web container=istio-proxy")),
        (
            format!("shop web-1 istio-proxy {JSON}"),
            format!("record {JSON} pod=web-1 namespace=shop container=istio-proxy"),
        ),
        (
            format!("ztunnel-x7 istio-proxy {TIME}\terror\taccess\tconnection complete\t"),
            format!("record {TIME}\terror\taccess\tconnection complete\t pod=ztunnel-x7 container=istio-proxy"),
        ),
        (format!("  {TIME} stdout F {TEXT}"), format!("record {TEXT}")),
    ] {
        assert_eq!(one(&line), expected, "{line}");
    }
}

#[test]
fn json_around_the_line() {
    let text = quoted(TEXT);
    let with_newline = quoted(&format!("{JSON}\r\n"));
    for (line, expected) in [
        (format!(r#"{{"log":{with_newline},"stream":"stdout","time":"{TIME}"}}"#), format!("record {JSON}")),
        (format!(r#"{{"stream":"stderr","attrs":{{"a":"b"}},"log":{text}}}"#), format!("record {TEXT}")),
        (format!(r#"{{"message":{text}}}"#), format!("record {TEXT}")),
        (
            format!(r#"{{"log":{text},"stream":"stdout","kubernetes":{{"pod_name":"p","namespace_name":"n","container_name":"c","host":"h","labels":{{"pod_name":"x"}}}}}}"#),
            format!("record {TEXT} pod=p namespace=n container=c host=h"),
        ),
        (
            format!(r#"{{"@timestamp":"{TIME}","log":{{"file":{{"path":"/x"}},"offset":1}},"message":{text},"kubernetes":{{"pod":{{"name":"p","uid":"1"}},"namespace":"n","container":{{"name":"c"}},"node":{{"name":"h"}}}}}}"#),
            format!("record {TEXT} pod=p namespace=n container=c host=h"),
        ),
        (
            format!(r#"{{"message":{text},"host":{{"name":"x"}},"kubernetes.pod.name":"p","kubernetes.namespace":"n","kubernetes.node.name":"h"}}"#),
            format!("record {TEXT} pod=p namespace=n host=h"),
        ),
        (
            format!(r#"{{"file":"/x","kubernetes":{{"container_name":"c","pod_name":"p","pod_namespace":"n","pod_node_name":"h"}},"message":{text},"source_type":"kubernetes_logs","stream":"stdout","timestamp":"{TIME}"}}"#),
            format!("record {TEXT} pod=p namespace=n container=c host=h"),
        ),
        (
            format!(r#"{{"__CURSOR":"s=1","_PID":"1","MESSAGE":{text},"_HOSTNAME":"h","CONTAINER_NAME":"k8s_c_p_n_0a-1_0"}}"#),
            format!("record {TEXT} pod=p namespace=n container=c host=h"),
        ),
        (
            format!(r#"{{"log":{text},"container_name":"/my_envoy","source":"stdout"}}"#),
            format!("record {TEXT} container=/my_envoy"),
        ),
        (r#"{"MESSAGE":[91,50,48,255],"_HOSTNAME":"h"}"#.to_owned(), "record [20\u{fffd} host=h".to_owned()),
        (r#"{"MESSAGE":null,"_HOSTNAME":"h"}"#.to_owned(), "line_too_long".to_owned()),
        (r#"{"MESSAGE":["a","b"],"_HOSTNAME":"h"}"#.to_owned(), "not_an_access_log".to_owned()),
        (r#"{"MESSAGE":[256],"_HOSTNAME":"h"}"#.to_owned(), "not_an_access_log".to_owned()),
        // the record as an object: byte for byte, and only if it is one
        (
            r#"{"log_processed": {"start_time":"2026", "n":1.50},"kubernetes":{"pod_name":"p"}}"#.to_owned(),
            r#"record {"start_time":"2026", "n":1.50} pod=p"#.to_owned(),
        ),
        (r#"{"stream":"stdout","log":{"start_time":"2026"}}"#.to_owned(), r#"record {"start_time":"2026"}"#.to_owned()),
        (
            r#"{"@timestamp":"x","message":{"level":"info","scope":"access"}}"#.to_owned(),
            r#"record {"level":"info","scope":"access"}"#.to_owned(),
        ),
        (
            r#"{"@timestamp":"x","log":{"offset":1},"json":{"response_code":200}}"#.to_owned(),
            r#"record {"response_code":200}"#.to_owned(),
        ),
        (r#"{"stream":"stdout","log":{"a":1}}"#.to_owned(), "bare".to_owned()),
        (
            format!(r#"{{"log":{text},"log_processed":{{"start_time":"2026"}},"stream":"stdout"}}"#),
            format!("record {TEXT}"),
        ),
        // Merge_Log: the line is the record
        (
            r#"{"start_time":"2026","log":"{\"start_time\":\"2026\"}","kubernetes":{"pod_name":"p","namespace_name":"n"}}"#.to_owned(),
            "bare pod=p namespace=n".to_owned(),
        ),
        (
            r#"{"level":"info","scope":"access","message":"connection complete","kubernetes":{"pod_name":"p"}}"#.to_owned(),
            "bare pod=p".to_owned(),
        ),
        (r#"{"a":1,"kubernetes":{"pod_name":"p"}}"#.to_owned(), "bare pod=p".to_owned()),
        // two of one, and names that are none
        (r#"{"start_time":"2026","kubernetes":{"pod_name":"p"},"kubernetes":{"pod_name":"q"}}"#.to_owned(), "bare".to_owned()),
        (r#"{"log":"a","log":"b"}"#.to_owned(), "not_an_access_log".to_owned()),
        (format!(r#"{{"log":"a","kubernetes":{{"pod_name":"{}"}}}}"#, "x".repeat(254)), "record a".to_owned()),
        (r#"{"log":"a","kubernetes":["pod_name"]}"#.to_owned(), "record a".to_owned()),
        (r#"{"log":"a","kubernetes":{"pod_name":7,"namespace":{"name":"n"}}}"#.to_owned(), "record a namespace=n".to_owned()),
        (r#"{"log":"\ud83d","stream":"stdout"}"#.to_owned(), "not_json".to_owned()),
        (r#"{"log":"\n","stream":"stdout"}"#.to_owned(), "nothing".to_owned()),
        (r#"{"log":"","stream":"stdout"}"#.to_owned(), "nothing".to_owned()),
    ] {
        assert_eq!(one(&line), expected, "{line}");
    }
}

#[test]
fn a_mapped_name_makes_a_record() {
    let pairs = [("ts", "start_time"), ("time", "start_time"), ("message", "path")];
    let names = FieldMap::from_pairs(pairs.map(|(logged, key)| (logged.to_owned(), key.to_owned()))).unwrap();
    let at = At { line: 1, offset: 0 };
    for (line, bare) in [
        (r#"{"ts":"2026","message":"forged","stream":"stdout"}"#, true),
        (r#"{"time":"2026","log":"forged"}"#, true),
        (r#"{"message":"/forged"}"#, true),
        // docker has a time, too
        (r#"{"log":"[2026","stream":"stdout","time":"2026"}"#, false),
    ] {
        let unwrapped = Envelopes::new(99).open(line.as_bytes(), at, &names);
        assert_eq!(unwrapped == Unwrapped::Bare(Node::default()), bare, "{line}");
    }
}

#[test]
fn envelopes_in_envelopes() {
    let docker = format!(r#"{{"log":{},"stream":"stdout","time":"{TIME}"}}"#, quoted(&format!("{TEXT}\n")));
    let filebeat = format!(r#"{{"message":{},"kubernetes":{{"pod":{{"name":"p"}}}}}}"#, quoted(&docker));
    assert_eq!(one(&filebeat), format!("record {TEXT} pod=p"));
    let three = format!("{TIME} stdout F {filebeat}");
    assert_eq!(one(&three), format!("record {TEXT} pod=p"));
    // the outer names win, and no more than three layers are opened
    let outer = format!(r#"{{"message":{},"kubernetes":{{"pod":{{"name":"q"}},"namespace":"n"}}}}"#, quoted(&filebeat));
    assert_eq!(one(&outer), format!("record {TEXT} pod=q namespace=n"));
    let four = format!("{TIME} stdout F {outer}");
    assert_eq!(one(&four), format!("record {docker} pod=q namespace=n"));
}

#[test]
fn zero_copy_where_it_can_be() {
    let names = FieldMap::default();
    for line in [
        format!("{TIME} stdout F {TEXT}"),
        format!("[pod/a/b] {TIME} {TEXT}"),
        r#"{"log_processed":{"start_time":"2026"},"stream":"stdout"}"#.to_owned(),
        r#"{"log":"[2026","stream":"stdout"}"#.to_owned(),
    ] {
        let unwrapped = Envelopes::new(1 << 20).open(line.as_bytes(), At { line: 1, offset: 0 }, &names);
        assert!(matches!(unwrapped, Unwrapped::Record(Record { text: Cow::Borrowed(_), .. })), "{line}");
    }
}

#[test]
fn pieces_are_joined_per_stream() {
    let lines = [
        format!("{TIME} stdout P [2026"),
        format!("{TIME} stderr P {{\"start"),
        format!("{TIME} stdout P:tag -11"),
        format!("{TIME} stderr F _time\":1}}"),
        format!("{TIME} stdout F -22]"),
        format!("{TIME} stdout F {TEXT}"),
        format!("{TIME} stdout P cut"),
    ];
    assert_eq!(
        run(&lines, 1 << 20),
        [
            "nothing",
            "nothing",
            "nothing",
            r#"record {"start_time":1} @2"#,
            "record [2026-11-22] @1",
            &format!("record {TEXT}"),
            "nothing",
            "end not_an_access_log 3 bytes",
        ]
    );
}

#[test]
fn pieces_of_other_envelopes() {
    let docker = |text: &str| format!(r#"{{"log":{},"stream":"stdout","time":"{TIME}"}}"#, quoted(text));
    let big = "é".repeat(8192);
    let lines = [docker(&big), docker(&big), docker("end\n"), docker("short"), docker(&format!("{big}12345678901234"))];
    let out = run(&lines, 1 << 20);
    assert_eq!(out[..2], ["nothing", "nothing"]);
    assert_eq!(out[2], format!("record {big}{big}end @1"));
    // lost its newline, but is no piece: not 16 KiB
    assert_eq!(out[3], "record short");
    assert_eq!(out[4], format!("record {big}12345678901234"));

    let fluent = |flag: &str, text: &str, pod: &str| {
        format!(r#"{{"stream":"stdout","{flag},"log":"{text}","kubernetes":{{"pod_name":"{pod}"}}}}"#)
    };
    let lines = [
        fluent(r#"_p":"P""#, "a", "p"),
        fluent(r#"logtag":"P""#, "x", "q"),
        fluent(r#"_p":"F""#, "b", "p"),
        fluent(r#"logtag":"F""#, "y", "q"),
        fluent(r#"logtag":"F""#, "z", "q"),
    ];
    assert_eq!(run(&lines, 99), ["nothing", "nothing", "record ab @1 pod=p", "record xy @2 pod=q", "record z pod=q"]);

    let driver = |last: &str, text: &str| {
        format!(
            r#"{{"container_name":"/c","source":"stdout","partial_message":"true",{last}"partial_id":"1","log":"{text}"}}"#
        )
    };
    let lines = [driver(r#""partial_last":"false","#, "a"), driver(r#""partial_last":"true","#, "b")];
    assert_eq!(run(&lines, 99), ["nothing", "record ab @1 container=/c"]);

    let journal = |more: &str, text: &str| format!(r#"{{"MESSAGE":"{text}","_HOSTNAME":"h"{more}}}"#);
    let lines = [journal(r#","CONTAINER_PARTIAL_MESSAGE":"true""#, "a"), journal("", "c")];
    // an entry without the mark is not known to be a last piece
    assert_eq!(run(&lines, 99), ["nothing", "record c host=h", "end not_an_access_log @1 1 bytes"]);
    let lines =
        [journal(r#","CONTAINER_PARTIAL_MESSAGE":"true""#, "a"), journal(r#","CONTAINER_PARTIAL_LAST":"true""#, "b")];
    assert_eq!(run(&lines, 99), ["nothing", "record ab @1 host=h"]);
}

#[test]
fn a_broken_record_in_pieces_belongs_to_its_first_line() {
    let lines = [format!(r#"{TIME} stdout P {{"log":"\ud8"#), format!(r#"{TIME} stdout F 3d","stream":"stdout"}}"#)];
    assert_eq!(run(&lines, 1 << 20), ["nothing", "not_json @1 34 bytes"]);
}

fn hex(text: &str) -> String {
    use sha2::Digest;
    crate::reject::hex(&sha2::Sha256::digest(text))
}

#[test]
fn memory_is_bounded() {
    let piece = "x".repeat(1000);
    let mut lines = vec![format!("{TIME} stdout P {piece}"); 200];
    lines.push(format!("{TIME} stdout F {piece}"));
    lines.push(format!("{TIME} stdout F {TEXT}"));
    let out = run(&lines, 100_000);
    assert_eq!(out[200], "line_too_long @1 201000 bytes");
    assert_eq!(out[201], format!("record {TEXT}"));
    assert_eq!(run(&lines[100..], 101_000)[100], format!("record {} @1", piece.repeat(101)));

    let mut envelopes = Envelopes::new(100_000);
    let names = FieldMap::default();
    for line in &lines[..200] {
        envelopes.open(line.as_bytes(), At { line: 1, offset: 0 }, &names);
    }
    let [Unwrapped::Wrong(Wrong { cut: Some(cut), .. })] = &envelopes.finish(&names)[..] else { panic!() };
    assert_eq!((cut.length, cut.sample.len()), (200_000, 64 << 10));
    assert_eq!(cut.sha256, hex(&piece.repeat(200)));

    // no more than so many at once: the next one is told
    let line = |pod: usize, flag: &str| {
        format!(r#"{{"stream":"stdout","_p":"{flag}","log":"a","kubernetes":{{"pod_name":"p{pod}"}}}}"#)
    };
    let lines: Vec<_> = (0..18).map(|pod| line(pod, "P")).chain([line(3, "F"), line(16, "P")]).collect();
    let out = run(&lines, 99);
    assert_eq!(out[15..20], ["nothing", "not_an_access_log", "not_an_access_log", "record aa @4 pod=p3", "nothing"]);
    let left = (1..=3).chain(5..=16).map(|line| format!("end not_an_access_log @{line} 1 bytes"));
    assert_eq!(out[20..35], left.collect::<Vec<_>>());
    assert_eq!(out.len(), 20 + 16);
}

#[test]
fn hostile_lines_cost_little() {
    let names = FieldMap::default();
    let mut envelopes = Envelopes::new(4 << 20);
    let mb = 1 << 20;
    for line in [
        format!("{{\"log\":{}", "[".repeat(mb)),
        format!("{{\"log\":\"{}\",\"kubernetes\":{}{}}}", "a", "{\"pod\":".repeat(100_000), "}".repeat(100_000)),
        format!("{{\"log\":{}}}", quoted(&quoted(&quoted(&"\"\\".repeat(mb / 16))))),
        format!("{{{}\"log\":\"a\"}}", "\"kubernetes.pod\":{},".repeat(50_000)),
        format!("{{{}}}", vec!["\"log\":1"; 100_000].join(",")),
        format!("{TIME} stdout F:{}", ":".repeat(mb)),
        "a".repeat(mb),
        format!("[pod/{}", "a/".repeat(mb)),
        format!("__CURSOR={}", "=".repeat(mb)),
        "A".repeat(mb),
    ] {
        envelopes.open(line.as_bytes(), At { line: 1, offset: 0 }, &names);
    }
}

/// How the lines of an envelope begin.
const STARTS: [&str; 8] = [
    "",
    "__CURSOR=",
    "MESSAGE",
    "2026-11-22T14:39:24Z stdout P ",
    "{\"log\":\"",
    "[pod/",
    "a b [20",
    "{\"log\":\"a\",\"stream\":\"",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_was_put_in_comes_out(
        record in "[ -~é😀\u{1}]{1,60}",
        shipper in 0..7_usize,
        cuts in prop::collection::vec(0..60_usize, 0..4),
    ) {
        let quoted = quoted(&record);
        let lines = match shipper {
            0 => vec![format!("{{\"log\":{quoted},\"stream\":\"stdout\"}}")],
            1 => vec![format!("{{\"message\":{quoted},\"kubernetes\":{{}}}}")],
            2 => vec![format!("{{\"MESSAGE\":{:?},\"_HOSTNAME\":\"h\"}}", record.as_bytes())],
            3 => vec!["__CURSOR=1".to_owned(), format!("MESSAGE={record}"), String::new()],
            4 => vec![format!("[pod/a/b] {record}")],
            _ => {
                let mut cuts: Vec<_> = cuts.into_iter().map(|cut| record.floor_char_boundary(cut)).collect();
                cuts.extend([0, record.len()]);
                cuts.sort_unstable();
                let pieces = cuts.windows(2).map(|cut| record.get(cut[0]..cut[1]).unwrap());
                let count = cuts.len() - 1;
                let flag = |n: usize| if n == count { "F" } else { "P" };
                pieces.zip(1..).map(|(piece, n)| format!("{TIME} stdout {} {piece}", flag(n))).collect()
            }
        };
        let mut envelopes = Envelopes::new(1 << 20);
        let names = FieldMap::default();
        let mut out = Vec::new();
        for line in &lines {
            match envelopes.open(line.as_bytes(), At { line: 1, offset: 0 }, &names) {
                Unwrapped::Nothing => {}
                Unwrapped::Record(Record { text, .. }) => out.push(text.into_owned()),
                other => prop_assert!(false, "{other:?}"),
            }
        }
        let blank = record.trim_ascii().is_empty();
        prop_assert_eq!(out, if blank { vec![] } else { vec![record.into_bytes()] });
        prop_assert_eq!(envelopes.finish(&names), vec![]);
    }

    #[test]
    fn any_bytes_do(
        lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
        starts in prop::collection::vec(0..STARTS.len(), 6),
    ) {
        let starts = starts.into_iter().map(|start| STARTS[start].as_bytes());
        let lines: Vec<Vec<u8>> = lines.iter().zip(starts).map(|(line, start)| [start, line].concat()).collect();
        run(&lines, 50);
    }
}
