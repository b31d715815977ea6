//! The nasty lines, and what each becomes.

use super::{Case, Is};
use crate::reject::RejectReason;

const TEXT: &str = r#"[2026-11-22T14:39:24.727Z] "GET /t HTTP/1.1" 200 - via_upstream - "-" 0 178 2 1 "-" "curl/8" "id" "api:80" "10.0.0.9:80" inbound|80|| 127.0.0.6:4 10.0.0.9:80 10.0.0.1:5 - default"#;
/// The default of `max_line_bytes`.
pub(super) const BOUND: usize = 1 << 20;

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    [strings(), values(), objects(), others()].into_iter().flatten().collect()
}

fn row(name: &'static str, bytes: impl Into<Vec<u8>>, columns: &[&str]) -> Case {
    let lines = vec![Is::Row(columns.iter().map(|column| (*column).to_owned()).collect())];
    Case { name, bytes: bytes.into(), lines }
}

pub(super) fn reject(name: &'static str, bytes: impl Into<Vec<u8>>, reason: RejectReason) -> Case {
    Case { name, bytes: bytes.into(), lines: vec![Is::Reject(reason)] }
}

fn lines(name: &'static str, bytes: impl Into<Vec<u8>>, lines: &[Is]) -> Case {
    Case { name, bytes: bytes.into(), lines: lines.to_vec() }
}

/// A line with further members.
fn with(members: &str) -> String {
    format!(r#"{{"start_time":5,"path":"/x",{members}}}"#)
}

/// A line whose path has these bytes.
pub(super) fn path(bytes: &[u8]) -> Vec<u8> {
    [br#"{"start_time":5,"path":"/"#, bytes, br#""}"#].concat()
}

fn nested(open: &str, close: &str, depth: usize) -> String {
    with(&format!(r#""a":{}0{}"#, open.repeat(depth), close.repeat(depth)))
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

const X: &str = "path=/x";

/// Strings, their escapes and their bytes.
fn strings() -> Vec<Case> {
    use RejectReason::{NotAnAccessLog, NotJson, NotUtf8};
    vec![
        row("escaped NUL", path(br"\u0000"), &["path=/\0"]),
        row("all short escapes", path(br#"\"\\\/\b\f\n\r\t"#), &["path=/\"\\/\u{8}\u{c}\n\r\t"]),
        row("escaped text", path(br"\u00e9\u4E2d"), &["path=/é中"]),
        row("escaped pair", path(br"\ud83d\ude00"), &["path=/😀"]),
        row("escaped noncharacter", path(br"\uffff"), &["path=/\u{ffff}"]),
        row("escaped separator", path(br"\u2028"), &["path=/\u{2028}"]),
        row("U+2028 and U+2029", path("\u{2028}\u{2029}".as_bytes()), &["path=/\u{2028}\u{2029}"]),
        row("U+FEFF in a string", path("\u{feff}".as_bytes()), &["path=/\u{feff}"]),
        row("DEL", path(b"\x7f"), &["path=/\u{7f}"]),
        row("C1 controls", path("\u{80}\u{85}\u{9f}".as_bytes()), &["path=/\u{80}\u{85}\u{9f}"]),
        row("four bytes a character", path("😀\u{10ffff}".as_bytes()), &["path=/😀\u{10ffff}"]),
        row("right to left", path("\u{202e}".as_bytes()), &["path=/\u{202e}"]),
        row("brackets in a string", path(&b"[{".repeat(500)), &[&format!("path=/{}", "[{".repeat(500))]),
        row("a line in a string", path(br#"{\"start_time\":6}"#), &["path=/{\"start_time\":6}", "time=5000000"]),
        reject("NUL", path(b"\0"), NotJson),
        reject("tab", path(b"\t"), NotJson),
        reject("control 1", path(b"\x01"), NotJson),
        reject("control 31", path(b"\x1f"), NotJson),
        reject("carriage return", path(b"\r"), NotJson),
        reject("control in a value of extra", with("\"a\":\"\x02\""), NotJson),
        reject("control in a key", with("\"a\x02\":1"), NotJson),
        lines("line break", path(b"\n"), &[Is::Reject(NotJson), Is::Reject(NotAnAccessLog)]),
        reject("high half", path(br"\ud83d"), NotJson),
        reject("low half", path(br"\ude00"), NotJson),
        reject("halves swapped", path(br"\ude00\ud83d"), NotJson),
        reject("two high halves", path(br"\ud83d\ud83d"), NotJson),
        reject("high half before a letter", path(br"\ud83dx\ude00"), NotJson),
        reject("high half before another escape", path(br"\ud83d\n"), NotJson),
        reject("half in a key", with(r#""\ud83d":1"#), NotJson),
        reject("half in a value of extra", with(r#""a":["\ude00"]"#), NotJson),
        reject("escape of no digits", path(br"\u"), NotJson),
        reject("escape of three digits", path(br"\u12\"), NotJson),
        reject("escape of a letter", path(br"\u00g0"), NotJson),
        reject("escape of a sign", path(br"\u+123"), NotJson),
        reject("long escape", path(br"\U0001F600"), NotJson),
        reject("hex escape", path(br"\x41"), NotJson),
        reject("octal escape", path(br"\101"), NotJson),
        reject("escaped quote of C", path(br"\'"), NotJson),
        reject("escape of NUL", path(b"\\\0"), NotJson),
        reject("escaped end", path(br"\"), NotJson),
        reject("bad escape in a value of extra", with(r#""a":{"b":"\q"}"#), NotJson),
        reject("byte ff", path(b"\xff"), NotUtf8),
        reject("byte fe", path(b"\xfe\xfe\xff\xff"), NotUtf8),
        reject("continuation alone", path(b"\x80"), NotUtf8),
        reject("character cut", path(b"\xe2\x82"), NotUtf8),
        reject("overlong slash", path(b"\xc0\xaf"), NotUtf8),
        reject("overlong NUL", path(b"\xc0\x80"), NotUtf8),
        reject("overlong slash of three", path(b"\xe0\x80\xaf"), NotUtf8),
        reject("overlong slash of four", path(b"\xf0\x80\x80\xaf"), NotUtf8),
        reject("encoded half", path(b"\xed\xa0\x80"), NotUtf8),
        reject("encoded pair", path(b"\xed\xa0\xbd\xed\xb8\x80"), NotUtf8),
        reject("beyond Unicode", path(b"\xf4\x90\x80\x80"), NotUtf8),
        reject("five bytes a character", path(b"\xf8\x88\x80\x80\x80"), NotUtf8),
        reject("Latin-1", path(b"caf\xe9"), NotUtf8),
        reject("bad bytes in a key", [br#"{"start_time":5,"a"#.as_slice(), b"\xff", br#"":1}"#].concat(), NotUtf8),
        reject("bad bytes behind the object", b"{\"start_time\":5}\xff".as_slice(), NotUtf8),
    ]
}

/// Numbers and other values.
fn values() -> Vec<Case> {
    use RejectReason::NotJson;
    let left = |member: &str| row("a value that no column takes", with(member), &[X, &format!("extra={{{member}}}")]);
    let wrong = |value: &str| reject("no value of JSON", with(&format!(r#""a":{value}"#)), NotJson);
    let mut cases = vec![
        row("response code in quotes", with(r#""response_code":"403""#), &[X, "response_code=403"]),
        row("largest integer", with(r#""bytes_sent":9223372036854775807"#), &["bytes_sent=9223372036854775807"]),
        row("smallest integer", with(r#""bytes_sent":-9223372036854775808"#), &["bytes_sent=-9223372036854775808"]),
        row("minus zero", with(r#""bytes_sent":-0"#), &["bytes_sent=0"]),
        row("an integer as a double", with(r#""duration":3.0"#), &["duration_ms=3", "ended_at=5003000"]),
        row("a duration beyond time", with(r#""duration":9223372036854775807"#), &["duration_ms=9223372036854775807"]),
        row("null", with(r#""method":null,"a":null"#), &[X, "method="]),
        row("dash and nothing", with(r#""method":"-","authority":"","a":"-","b":"""#), &[X, "method=", "authority="]),
        row("a truth value for a text", with(r#""method":true"#), &["method=true"]),
        row("a number for a text", with(r#""method":1e400"#), &["method=1e400"]),
        row("an object for a text", with(r#""method":{"a":[1]}"#), &[r#"method={"a":[1]}"#]),
    ];
    cases.extend(
        [
            r#""a":1e400"#,
            r#""a":-1e-400"#,
            r#""a":18446744073709551616"#,
            r#""a":-0"#,
            r#""a":-0.0E+00"#,
            r#""a":0.1e-7"#,
            r#""response_code":1e400"#,
            r#""response_code":4294967496"#,
            r#""response_code":200.5"#,
            r#""response_code":2e2"#,
            r#""response_code":[200]"#,
            r#""response_code":"200 ""#,
            r#""response_code":"٢٠٠""#,
            r#""bytes_sent":18446744073709551616"#,
            r#""bytes_sent":9223372036854775808"#,
            r#""duration":true"#,
            r#""a":[[],{},"",0,null,[null]]"#,
            r#""a":{"a":{"a":"\u0061"}}"#,
            r#""a":true"#,
        ]
        .map(left),
    );
    cases.extend(
        [
            "01",
            "-01",
            "00",
            "+1",
            ".5",
            "5.",
            "1.e1",
            "1e",
            "1e+",
            "1E-",
            "-",
            "--1",
            "0x10",
            "1_000",
            "1,000",
            "1 000",
            "NaN",
            "nan",
            "-NaN",
            "Infinity",
            "-Infinity",
            "inf",
            "undefined",
            "None",
            "True",
            "TRUE",
            "tru",
            "truee",
            "nul",
            "nulll",
            "null0",
            "'x'",
            "`x`",
            "x",
            "\"x",
            "x\"",
            "\"x\"\"y\"",
            "\"x\" \"y\"",
            "[1",
            "1]",
            "[1}",
            "{1]",
            "[1 2]",
            "[,1]",
            "[1,]",
            "[1,,2]",
            "[,]",
            "{,}",
            r#"{"b"}"#,
            r#"{"b":}"#,
            r#"{"b",1}"#,
            r#"{"b"::1}"#,
            r#"{"b":1,}"#,
            "{1:2}",
            "{null:1}",
            "{b:1}",
            "{'b':1}",
            "",
            ":",
            "(1)",
            "１",
            "\u{a0}1",
            "1\u{a0}",
            "1\u{2028}",
            "1\u{0}",
            "1\u{c}",
            "\u{feff}1",
            "1//",
            "1/**/",
            "1#",
            "\\u0031",
            "@1",
            "1;",
            "\\",
        ]
        .map(wrong),
    );
    cases
}

/// The object itself: keys, commas, depth, what stands around it.
fn objects() -> Vec<Case> {
    use RejectReason::{NestingTooDeep, NotAnAccessLog, NotJson};
    let huge_key = "k".repeat(100_000);
    let many = (0..20_000).map(|n| format!(r#""k{n:05}":{n}"#)).collect::<Vec<_>>().join(",");
    let repeated = r#""a":1,"#.repeat(10_000) + r#""a":1"#;
    let further = vec!["1"; 10_000].join(",");
    vec![
        row("blanks everywhere", " \t{ \"start_time\" : 5 ,\t\"path\" :\r\"/x\" } \t ", &[X]),
        row("CRLF", with(r#""a":1"#) + "\r", &[X, r#"extra={"a":1}"#]),
        row("two carriage returns", with(r#""a":1"#) + "\r\r", &[X, r#"extra={"a":1}"#]),
        row("empty key", with(r#""":1"#), &[X, r#"extra={"":1}"#]),
        row("key of a NUL", with(r#""\u0000":1"#), &[X, r#"extra={"\u0000":1}"#]),
        row("key of quotes", with(r#""\"\\":1"#), &[X, r#"extra={"\"\\":1}"#]),
        row("key of a line break", with(r#""\n":1"#), &[X, r#"extra={"\n":1}"#]),
        row("escapes in a key", r#"{"\u0073tart_time":5,"p\u0061th":"/x"}"#, &[X, "time=5000000"]),
        row("a key in capitals", with(r#""Path":"/y""#), &[X, r#"extra={"Path":"/y"}"#]),
        row("a key with a blank", with(r#""path ":"/y""#), &[X, r#"extra={"path ":"/y"}"#]),
        row("a key that looks alike", with("\"pаth\":\"/y\""), &[X, "extra={\"pаth\":\"/y\"}"]),
        row("huge key", with(&format!(r#""{huge_key}":1"#)), &[X, &format!(r#"extra={{"{huge_key}":1}}"#)]),
        row("many keys", with(&many), &[X, &format!("extra={{{many}}}")]),
        row("two of a key", with(r#""path":"/y""#), &[X, r#"extra={"duplicate_keys":{"path":["/y"]}}"#]),
        row("a key again, escaped", with(r#""\u0070ath":"/y""#), &[X, r#"extra={"duplicate_keys":{"path":["/y"]}}"#]),
        row("a key again, null", with(r#""path":null"#), &[X, r#"extra={"duplicate_keys":{"path":[null]}}"#]),
        row(
            "start time again",
            with(r#""start_time":6"#),
            &["time=5000000", r#"extra={"duplicate_keys":{"start_time":[6]}}"#],
        ),
        row(
            "a key ten thousand times",
            with(&repeated),
            &[X, &format!(r#"extra={{"a":1,"duplicate_keys":{{"a":[{further}]}}}}"#)],
        ),
        row("a key of a repetition's name", with(r#""duplicate_keys":1"#), &[X, r#"extra={"duplicate_keys":1}"#]),
        row(
            "lists at the bound",
            nested("[", "]", 63),
            &[X, &format!(r#"extra={{"a":{}0{}}}"#, "[".repeat(63), "]".repeat(63))],
        ),
        row(
            "objects at the bound",
            nested(r#"{"a":"#, "}", 63),
            &[X, &format!(r#"extra={{"a":{}0{}}}"#, r#"{"a":"#.repeat(63), "}".repeat(63))],
        ),
        reject("lists over the bound", nested("[", "]", 64), NestingTooDeep),
        reject("objects over the bound", nested(r#"{"a":"#, "}", 64), NestingTooDeep),
        reject("lists far over the bound", nested("[", "]", 100_000), NestingTooDeep),
        reject("objects far over the bound", nested(r#"{"a":"#, "}", 100_000), NestingTooDeep),
        reject("lists that never end", with(&format!(r#""a":{}"#, "[".repeat(100_000))), NestingTooDeep),
        reject("a hundred thousand braces", "{".repeat(100_000), NestingTooDeep),
        reject("closing brackets", r#"{"start_time":5,"a":1]]]]}"#, NotJson),
        reject("closing braces", r#"{"start_time":5}}}}"#, NotJson),
        reject("trailing comma", r#"{"start_time":5,}"#, NotJson),
        reject("leading comma", r#"{,"start_time":5}"#, NotJson),
        reject("two commas", r#"{"start_time":5,,"path":"/x"}"#, NotJson),
        reject("no comma", r#"{"start_time":5 "path":"/x"}"#, NotJson),
        reject("semicolon", r#"{"start_time":5;"path":"/x"}"#, NotJson),
        reject("no colon", r#"{"start_time" 5}"#, NotJson),
        reject("equals sign", r#"{"start_time"=5}"#, NotJson),
        reject("no value", r#"{"start_time"}"#, NotJson),
        reject("key without quotes", "{start_time:5}", NotJson),
        reject("single quotes", "{'start_time':5}", NotJson),
        reject("curly quotes", "{“start_time”:5}", NotJson),
        reject("list of pairs", r#"{["start_time",5]}"#, NotJson),
        reject("comment before", r#"{/*c*/"start_time":5}"#, NotJson),
        reject("comment behind", r#"{"start_time":5} // c"#, NotJson),
        reject("comment of a script", r#"{"start_time":5 # c"#, NotJson),
        reject("garbage behind", r#"{"start_time":5}x"#, NotJson),
        reject("NUL between tokens", "{\"start_time\":\0 5}", NotJson),
        reject("comma behind", r#"{"start_time":5},"#, NotJson),
        reject("two objects", r#"{"start_time":5}{"start_time":6}"#, NotJson),
        reject("two objects, a blank between", r#"{"start_time":5} {"start_time":6}"#, NotJson),
        reject("U+2028 between tokens", "{\u{2028}\"start_time\":5}", NotJson),
        reject("no-break space between tokens", "{\"start_time\":\u{a0}5}", NotJson),
        reject("form feed between tokens", "{\"start_time\":\x0c5}", NotJson),
        reject("BOM within", "{\u{feff}\"start_time\":5}", NotJson),
        reject("cut behind the brace", "{", NotJson),
        reject("cut in a key", r#"{"start_ti"#, NotJson),
        reject("cut behind a key", r#"{"start_time""#, NotJson),
        reject("cut behind the colon", r#"{"start_time":"#, NotJson),
        reject("cut in a number", r#"{"start_time":5"#, NotJson),
        reject("cut in a string", r#"{"start_time":5,"path":"/x"#, NotJson),
        reject("cut in an escape", r#"{"start_time":5,"path":"/x\u00"#, NotJson),
        reject("cut before the brace", r#"{"start_time":5,"path":"/x""#, NotJson),
        reject("the second half", r#"_time":5,"path":"/x"}"#, NotAnAccessLog),
        lines(
            "a pretty object",
            "{\n\"start_time\":5\n}",
            &[Is::Reject(NotJson), Is::Reject(NotAnAccessLog), Is::Reject(NotAnAccessLog)],
        ),
        lines(
            "a line break between objects",
            with(r#""a":1"#) + "\n\n" + &with(r#""a":2"#),
            &[Is::Row(vec![r#"extra={"a":1}"#.to_owned()]), Is::Nothing, Is::Row(vec![r#"extra={"a":2}"#.to_owned()])],
        ),
    ]
}

/// What is no object, times, text, and sizes.
fn others() -> Vec<Case> {
    use RejectReason::{BadTextFormat, BadTime, LineTooLong, NotAnAccessLog, NotJson, NotUtf8, UnknownFormat};
    let line = with(r#""a":1"#);
    let no_log = |bytes: &[u8]| reject("no access log", bytes, NotAnAccessLog);
    let bad_time = |time: &str| reject("no time", format!(r#"{{"start_time":{time}}}"#), BadTime);
    let no_time = |time: &str| reject("null for a time", format!(r#"{{"start_time":{time}}}"#), NotAnAccessLog);
    let sized = |size: usize| path("x".repeat(size - path(b"").len()).as_bytes());
    let agent = |agent: &[u8]| {
        let (before, after) = TEXT.split_once("curl/8").unwrap();
        [before.as_bytes(), agent, after.as_bytes()].concat()
    };
    let secret = br#"{"start_time":5,"authorization":"Bearer abc.def","#.as_slice();
    let redacted = br#"{"start_time":5,"authorization":"[redacted]","#.as_slice();
    let mut cases = vec![
        row("a BOM on a later line", "\u{feff}".to_owned() + &line, &[X, r#"extra={"a":1}"#]),
        reject("UTF-16, big end first", utf16(&line, u16::to_be_bytes), NotAnAccessLog),
        reject("UTF-16, little end first", utf16(&line, u16::to_le_bytes), NotJson),
        reject("UTF-16 with a BOM", utf16(&format!("\u{feff}{line}"), u16::to_le_bytes), NotUtf8),
        reject("UTF-16 with a BOM, big end first", utf16(&format!("\u{feff}{line}"), u16::to_be_bytes), NotUtf8),
        reject("UTF-32", line.chars().flat_map(|c| (c as u32).to_be_bytes()).collect::<Vec<_>>(), NotAnAccessLog),
        reject("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03".as_slice(), NotUtf8),
        reject("a hundred thousand brackets", "[".repeat(100_000), NotAnAccessLog),
        reject("an empty list", "[]", NotAnAccessLog),
        reject("a list of a line", format!("[{line}]"), NotAnAccessLog),
        lines("blank", " \t ", &[Is::Nothing]),
        lines("a carriage return", "\r", &[Is::Nothing]),
        lines("empty", "", &[Is::Nothing]),
        lines("NULs", "\0\0\0\0", &[Is::Nothing]),
        row("NULs around, as copytruncate leaves them", "\0\0\0\0{\"start_time\":5}\0", &["time=5000000"]),
        row("text with NULs before", format!("\0\0\0\0\0{TEXT}"), &["path=/t", "user_agent=curl/8"]),
        row("a time beside the year 9999", r#"{"start_time":253402300799}"#, &["time=253402300799000000"]),
        row("the first time", r#"{"start_time":"1970-01-01T00:00:00Z"}"#, &["time=0"]),
        row("text", TEXT, &["path=/t", "user_agent=curl/8"]),
        row("text, CRLF", TEXT.to_owned() + "\r", &["path=/t", "route_name=default"]),
        row("text with a NUL", agent(b"a\0b"), &["path=/t", "user_agent=a\0b"]),
        row("text with a tab", agent(b"a\tb"), &["path=/t", "user_agent=a\tb"]),
        row("text with backslashes", agent(br"\n\"), &["path=/t", r"user_agent=\n\"]),
        row("text in Latin-1", agent(b"caf\xe9"), &["path=/t", "user_agent=café"]),
        row("text of bad bytes", agent(b"\xff\xc0\xaf"), &["path=/t", "user_agent=ÿÀ¯"]),
        row("text with U+2028", agent("\u{2028}".as_bytes()), &["path=/t", "user_agent=\u{2028}"]),
        row(
            "text with a head in the user agent",
            agent(br#"x HTTP/1.1" 200 - via_upstream - "-" 0 0 0 - "x"#),
            &[
                "path=",
                "user_agent=",
                "method=GET",
                "signals=16",
                r#"extra={"ambiguous_request":"GET /t HTTP/1.1\" 200 - via_upstream - \"-\" 0 178 2 1 \"-\" \"x HTTP/1.1\" 200 - via_upstream - \"-\" 0 0 0 - \"x\" \"id\" \"api:80\" "}"#,
            ],
        ),
        row("text with a quote", agent(b"a\"b"), &["path=/t", "user_agent=a\"b"]),
        lines("text with a line break", agent(b"a\nb"), &[Is::Reject(BadTextFormat), Is::Reject(UnknownFormat)]),
        reject("text cut in the head", TEXT.get(..60).unwrap(), BadTextFormat),
        reject("text cut in the headers", TEXT.get(..90).unwrap(), BadTextFormat),
        reject("text with a bad time", TEXT.replace("2026-11-22", "2026-02-30"), BadTime),
        reject("a time and no more", "[2026-11-22T14:39:24.727Z]", BadTextFormat),
        reject("a bracket", "[", NotAnAccessLog),
        lines("a secret in half a line", secret, &[Is::Redacted(NotJson, redacted.to_vec())]),
        row("a line at the bound", sized(BOUND), &[&format!("path=/{}", "x".repeat(BOUND - path(b"").len()))]),
        reject("a line over the bound", sized(BOUND + 1), LineTooLong),
        reject(
            "a string that never ends",
            path(b"").get(..24).unwrap().iter().copied().chain([b'x'; 70_000]).collect::<Vec<_>>(),
            NotJson,
        ),
    ];
    let words: [&[u8]; 16] = [
        b"null", b"true", b"1", b"-1", b"1e400", b"\"x\"", b"\"", b"'", b"x", b"NaN", b"}", b"]", b",", b"{}", b"# c",
        b"<a/>",
    ];
    cases.extend(words.map(no_log));
    let times = [
        "-5",
        "1e10",
        "1e400",
        "true",
        "{}",
        "[]",
        r#""x""#,
        "253402300800",
        "18446744073709551616",
        r#""1969-12-31T23:59:59Z""#,
        r#""2026-02-30T00:00:00Z""#,
        r#""2026-11-22""#,
        r#""2026-11-22T14:39:24""#,
        r#""2026-11-22T25:00:00Z""#,
        r#"" ""#,
        r#""2026-11-22T14:39:24.727Z\u0000""#,
        r#""٢٠٢٦-11-22T14:39:24Z""#,
    ];
    cases.extend(times.map(bad_time));
    cases.extend(["null", r#""-""#, r#""""#].map(no_time));
    cases
}
