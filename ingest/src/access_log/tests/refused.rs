//! Lines that are no rows, and what is said about them.

use super::*;
use crate::reject::RejectReason;

fn refusal(line: &str) -> RejectReason {
    columns_with(line, &DecodeOptions::default()).unwrap_err().reason
}

#[test]
fn refusals() {
    use RejectReason::{BadTextFormat, BadTime, NestingTooDeep, NotAnAccessLog, NotJson};
    let deep = |depth: usize| format!(r#"{{"start_time":"0","a":{}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1));
    for (line, reason) in [
        (r#"{"a":1}"#, NotAnAccessLog),
        (r#"{"start_time":null}"#, NotAnAccessLog),
        (r#"{"start_time":"-"}"#, NotAnAccessLog),
        ("2026-08-10T08:19:58Z\tinfo\taccess\tconnection complete", NotAnAccessLog),
        ("\"text\"", NotAnAccessLog),
        (r#"{"start_time":"yesterday"}"#, BadTime),
        (r#"{"start_time":1795358539895}"#, BadTime),
        (r#"{"start_time":true}"#, BadTime),
        (r#"{"start_time":{}}"#, BadTime),
        (r#"[yesterday] "- - -" 0 - 0 0 0 - "-" "-" "-" "-" "-""#, BadTime),
        ("[1,2]", NotAnAccessLog),
        ("[2026-11-22 14:39:24.727][1][info][main] starting", NotAnAccessLog),
        ("[2026-11-22T14:39:24.727Z] \"GET / HTTP/1.1\" 200", BadTextFormat),
        ("{", NotJson),
        (&deep(65), NestingTooDeep),
    ] {
        assert_eq!(refusal(line), reason, "{line}");
    }
    check(&deep(64), &["time=0"]);
}

#[test]
fn where_a_configured_format_does_not_fit_its_misfit_is_the_reason() {
    let mut options = DecodeOptions::default();
    options.add_text_format(crate::TextFormat::compile("[%START_TIME%] %RESPONSE_CODE%").unwrap());
    let refusal = |options: &DecodeOptions, line: &str| columns_with(line, options).unwrap_err().detail;
    let line = "[2026-11-22T14:39:24.727Z] two hundred";
    assert!(refusal(&options, line).contains("RESPONSE_CODE"), "{}", refusal(&options, line));
    for line in [line, "200 GET /", "[2026-11-22T14:39:24.727Z] \"GET / HTTP/1.1\" two hundred"] {
        assert!(refusal(&DecodeOptions::default(), line).contains("--format-string"), "{line}");
    }
}

/// Another key than the start time's hides the record, so mapping one helps nobody.
#[test]
fn a_record_that_is_not_opened_is_named() {
    let inner = r#"[2026-11-22T14:39:24.727Z] \"GET /a HTTP/1.1\" 200 -"#;
    let refused = |line: &str| columns_with(line, &DecodeOptions::default()).unwrap_err().detail;
    let detail = refused(&format!(r#"{{"date":1,"my_key":"x","log":"{inner}"}}"#));
    assert!(detail.contains("its `log` begins like a line") && !detail.contains("map that key"), "{detail}");
    assert!(refused(r#"{"my_key":"x","log":"hello"}"#).contains("map that key to start_time"));
}
