#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;

const TEXT: &str = "2026-11-22T14:39:24.727123Z\tinfo\taccess\tconnection complete\tsrc.addr=10.0.0.1:41000 src.workload=\"client-1\" bytes_sent=16 duration=\"5ms\"";
const JSON: &str = r#"{"level":"info","time":"2026-11-22T14:39:24.727123Z","scope":"access","message":"connection complete","src.addr":"10.0.0.1:41000","src.workload":"client-1","bytes_sent":16,"duration":"5ms"}"#;

fn parse(line: &str) -> Result<Connection<'_>, Refusal> {
    Connection::parse(line, 8)
}

/// All values, as JSON.
fn values(line: &str) -> String {
    let connection = parse(line).unwrap_or_else(|refusal| panic!("{refusal:?} {line}"));
    let (left, further) = connection.left_over();
    format!("{} {}", crate::extra::object(left).unwrap(), crate::extra::object(further).unwrap_or_default())
}

fn refused(line: &str) -> (RejectReason, String) {
    let Refusal { reason, detail } = parse(line).unwrap_err();
    (reason, detail)
}

#[test]
fn text_and_json_say_the_same() {
    let expected = r#"{"bytes_sent":16,"duration":"5ms","level":"info","message":"connection complete","scope":"access","src.addr":"10.0.0.1:41000","src.workload":"client-1","time":"2026-11-22T14:39:24.727123Z"} "#;
    let blanks = TEXT.replace('\t', "     ");
    for line in [TEXT, JSON, &blanks, &format!("{TEXT} "), &TEXT.replace("complete\t", "complete \t  ")] {
        assert_eq!(values(line), expected, "{line}");
        assert!(looks_like(line), "{line}");
    }
}

#[test]
fn lines_of_ztunnel_look_like_it() {
    for line in [
        r#"{"level":"info","time":"2026-11-22T14:39:24Z","scope":"ztunnel::state","message":"dry-run: no allow policies match","proxy":{"wl":"a/b"}}"#,
        r#"{"stream":"stdout","src.addr":"10.0.0.1:5","scope" : "access","message":"x"}"#,
        "2026-11-22T14:39:24.727123Z\tinfo\tapp\tready",
        "2026-11-22T14:39:24.727123Z warn access connection failed",
        "error   access  connection complete     src.addr=10.0.0.1:5",
        "src.addr=10.0.0.1:5 direction=\"inbound\"",
    ] {
        assert!(looks_like(line), "{line}");
    }
    for line in [
        "",
        "{}",
        r#"[2026-11-22T14:39:24.727Z] "GET /a HTTP/1.1" 200"#,
        r#"{"start_time":"2026","method":"GET"}"#,
        r#"{"start_time":"2026","user_agent":"\"scope\":\"access\",\"src.addr\":"}"#,
        r#"{"start_time":"2026","user_agent":"","scope":"access","src.addr":"10.0.0.1:5"}"#,
        r#"{"level":"info","message":"hello"}"#,
        r#"{"level":"info","a":"b"}"#,
        r#"{"scope":"access","message":"hello"}"#,
        "2026-11-22T14:39:24.727123Z stdout F x",
        "2026-11-22 14:39:24 info access",
        "1234 info",
        "error: no such file",
        "error accessed",
        "hello world",
        "é",
    ] {
        assert!(!looks_like(line), "{line}");
    }
}

#[test]
fn rust_debug_escapes() {
    let of = |written: &str| format!("{TEXT} error={written}");
    for text in [
        "",
        "a",
        "a\"b",
        "\\",
        "\\\\n",
        "\n\r\t\0",
        "it's",
        "é😀",
        "\u{7f}\u{200b}\u{1}",
        "}",
        "a=b c=\"d\"",
        "\u{301}x",
    ] {
        let line = of(&format!("{text:?}"));
        let expected = Some(text).filter(|text| !text.is_empty());
        assert_eq!(parse(&line).unwrap().text(Name::Error), expected, "{line}");
    }
    for (written, text) in [(r#""\u{0000e9}\'""#, "é'"), (r#""\u{E9}""#, "é")] {
        assert_eq!(parse(&of(written)).unwrap().text(Name::Error), Some(text), "{written}");
    }
    for written in [
        r#"""#,
        r#""a"#,
        r#""a\""#,
        r#""\"#,
        r#""\x41""#,
        r#""\u""#,
        r#""\u{}""#,
        r#""\u{110000}""#,
        r#""\u{d83d}""#,
        r#""\u{0000041}""#,
        r#""\u{41""#,
        r#""\u{+41}""#,
        r#""a"b"#,
        r#""a",b=1"#,
    ] {
        assert_eq!(refused(&of(written)).0, RejectReason::BadTextFormat, "{written}");
    }
}

#[test]
fn what_a_caller_may_write_is_no_key() {
    let line = format!("{TEXT} error={:?}", "x\" src.identity=\"spiffe://a/ns/b/sa/c\" y=\"");
    let connection = parse(&line).unwrap();
    assert_eq!(connection.text(Name::SourceIdentity), None);
    assert!(connection.text(Name::Error).unwrap().contains("src.identity"));
}

#[test]
fn absent_and_repeated_values() {
    let line = JSON.replace(
        "}",
        r#","error":null,"dst.service":"","direction":"-","src.addr":"10.0.0.2:1","n":{"a":[1.50]},"time":1}"#,
    );
    assert_eq!(
        values(&line),
        r#"{"bytes_sent":16,"duration":"5ms","level":"info","message":"connection complete","n":{"a":[1.50]},"scope":"access","src.addr":"10.0.0.1:41000","src.workload":"client-1","time":"2026-11-22T14:39:24.727123Z"} {"src.addr":"10.0.0.2:1","time":1}"#
    );
    let mut connection = parse(&line).unwrap();
    assert_eq!(connection.further(Name::SourceAddr).collect::<Vec<_>>(), ["10.0.0.2:1"]);
    assert_eq!(connection.further(Name::Duration).count(), 0);
    assert_eq!(connection.look(Name::Duration).as_deref(), Some("5ms"));
    assert_eq!(connection.take(Name::Duration).as_deref(), Some("5ms"));
    assert_eq!(connection.take(Name::Duration), None);
    let bare = values(&format!("{TEXT} a=007 b=0 c=-1 d= e=x\"y"));
    assert!(bare.contains(r#""a":"007","b":0,"bytes_sent":16,"#) && bare.contains(r#""e":"x\"y""#), "{bare}");
    assert!(!bare.contains(r#""d""#), "{bare}");
}

#[test]
fn other_lines_are_refused_with_their_scope() {
    for (line, named) in [
        ("2026-11-22T14:39:24.727123Z\tinfo\tapp\tready", "`app`"),
        (
            "2026-11-22T14:39:24.727123Z\tdebug\tstate:proxy{wl=shop/web-1}:inbound{id=1 peer=10.0.0.1:5}\tdeny policy match\t",
            "`state`",
        ),
        ("2026-11-22T14:39:24.727123Z\tinfo\tproxy::inbound:conn\tlistener established", "`proxy::inbound`"),
        ("2026-11-22T14:39:24.727123Z info xds{a=1} x", "`xds`"),
        ("2026-11-22T14:39:24.727123Z\tinfo", "``"),
        (
            r#"{"level":"info","time":"2026-11-22T14:39:24Z","scope":"ztunnel::state","message":"deny policy match"}"#,
            "`ztunnel::state`",
        ),
        (r#"{"level":"info","time":"2026-11-22T14:39:24Z"}"#, "`none`"),
        ("2026-11-22T14:39:24.727123Z\tinfo\taccess\tserving metrics\tport=1", "`serving metrics`"),
        (r#"{"level":"info","scope":"access","message":["a"]}"#, r#"`["a"]`"#),
    ] {
        let (reason, detail) = refused(line);
        assert_eq!(reason, RejectReason::NotAnAccessLog, "{line}");
        assert!(detail.contains(named), "{detail}");
    }
}

#[test]
fn broken_lines_are_refused() {
    for (line, expected) in [
        ("error access connection complete src.addr=10.0.0.1:5", RejectReason::BadTime),
        ("src.addr=10.0.0.1:5", RejectReason::BadTime),
        ("", RejectReason::BadTime),
        (&format!("{TEXT} x"), RejectReason::BadTextFormat),
        (&format!("{TEXT} =x"), RejectReason::BadTextFormat),
        (&format!("{TEXT} \"a\"=x"), RejectReason::BadTextFormat),
        (r#"{"level":"info""#, RejectReason::NotJson),
        (r#"{"level":"\ud83d"}"#, RejectReason::NotJson),
        (r#"{"level":[[[[[[[[1]]]]]]]]}"#, RejectReason::NestingTooDeep),
    ] {
        assert_eq!(refused(line).0, expected, "{line}");
    }
}

#[test]
fn hostile_lines_cost_little() {
    let mb = 1 << 20;
    for line in [
        format!("{TEXT} error=\"{}", "\\u{".repeat(mb / 3)),
        format!("{TEXT} error=\"{}\"", "\\u{41}".repeat(mb / 6)),
        format!("{TEXT} {}", "a=\"\" ".repeat(mb / 5)),
        format!("{TEXT} {}", "a".repeat(mb)),
        format!("{TEXT} {}", " \t".repeat(mb / 2)),
        format!("2026-11-22T14:39:24Z\tinfo\t{}", ":".repeat(mb)),
        "src.addr=".repeat(mb / 9),
    ] {
        let _ = (looks_like(&line), parse(&line).is_ok());
    }
}
