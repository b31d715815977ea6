#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;

fn parse(line: &str) -> Result<Fields<'_>, Refusal> {
    let mut fields = Fields::new();
    super::parse(line, &mut fields).map(|()| fields)
}

/// Istio's current format with the given request, middle, user agent and tail.
fn line(request: &str, middle: &str, agent: &str, tail: &str) -> String {
    format!(
        r#"[2026-11-22T14:39:24.727Z] "{request}" {middle} 3 19 5 4 "1.2.3.4" "{agent}" "id-1" "api:80" "10.0.0.9:8080"{tail}"#
    )
}

const REQUEST: &str = "GET /a HTTP/1.1";
const MIDDLE: &str = r#"403 - rbac_access_denied_matched_policy[ns[foo]-policy[p]-rule[0]] - "-""#;
const TAIL: &str = " inbound|8080|| 127.0.0.6:47889 10.0.0.9:8080 10.0.0.1:5000 outbound_.80_._.api default";

/// `key=value` pairs of what is set, in the order of the keys.
fn set(line: &str) -> Result<String, String> {
    let fields = parse(line).map_err(|refusal| refusal.detail)?;
    let pairs = Key::ALL.iter().filter_map(|key| Some(format!("{}={}", key.name(), fields.get(*key)?)));
    Ok(pairs
        .chain(crate::extra::extra(&fields, &crate::redact::Redaction::none()).filter(|extra| extra.contains("mixer")))
        .collect::<Vec<_>>()
        .join("; "))
}

fn value(line: &str, key: Key) -> Option<String> {
    parse(line).unwrap_or_else(|refusal| panic!("{}: {line}", refusal.detail)).get(key).map(str::to_owned)
}

#[test]
fn the_current_format() {
    insta::assert_snapshot!("current", set(&line(REQUEST, MIDDLE, "curl/8", TAIL)).unwrap());
    let tcp = r#"[2026-11-22T14:39:24.727Z] "- - -" 0 NR filter_chain_not_found - "-" 0 0 4995 - "-" "-" "-" "-" "-" - - 10.1.2.188:50000 [2a02::1]:50001 - -"#;
    insta::assert_snapshot!("listener", set(tcp).unwrap());
}

#[test]
fn older_formats() {
    for (middle, tail, details, failure) in [
        (r#"418 - "fail""#, TAIL, None, Some("fail")),
        (r#"418 - "-" "fail""#, TAIL, None, Some("fail")),
        (r#"418 - "-""#, " inbound|80|http|x - 10.0.0.9:8080 10.0.0.1:5000 sni", None, None),
        ("418 -", " inbound|80|http|x - 10.0.0.9:8080 10.0.0.1:5000 sni", None, None),
        ("418 -", "", None, None),
        (
            r#"503 UF upstream_reset_before_response_started{connection failure,TLS error: 2:SSL routines} - "TLS error: 2:SSL routines""#,
            TAIL,
            Some("upstream_reset_before_response_started{connection failure,TLS error: 2:SSL routines}"),
            Some("TLS error: 2:SSL routines"),
        ),
    ] {
        let line = line(REQUEST, middle, "curl/8", tail);
        assert_eq!(value(&line, Key::ResponseCodeDetails).as_deref(), details, "{line}");
        assert_eq!(value(&line, Key::UpstreamTransportFailureReason).as_deref(), failure, "{line}");
        assert_eq!(value(&line, Key::BytesSent).as_deref(), Some("19"), "{line}");
        assert_eq!(value(&line, Key::UpstreamHost).as_deref(), Some("10.0.0.9:8080"), "{line}");
        let fields = parse(&line).unwrap();
        assert_eq!(fields.carries(Key::ResponseCodeDetails), details.is_some());
        assert_eq!(fields.carries(Key::RouteName), tail.ends_with("default"));
    }
    let mixer = line(REQUEST, r#"418 - "mixer said no""#, "x", " inbound|80|http|x - 10.0.0.9:8080 10.0.0.1:5000 sni");
    assert!(set(&mixer).unwrap().ends_with("; {\"authority\":\"api:80\",\"bytes_received\":\"3\",\"bytes_sent\":\"19\",\"downstream_local_address\":\"10.0.0.9:8080\",\"downstream_remote_address\":\"10.0.0.1:5000\",\"duration\":\"5\",\"istio_policy_status\":\"mixer said no\",\"method\":\"GET\",\"path\":\"/a\",\"protocol\":\"HTTP/1.1\",\"request_id\":\"id-1\",\"requested_server_name\":\"sni\",\"response_code\":\"418\",\"start_time\":\"2026-11-22T14:39:24.727Z\",\"upstream_cluster\":\"inbound|80|http|x\",\"upstream_host\":\"10.0.0.9:8080\",\"upstream_service_time\":\"4\",\"user_agent\":\"x\",\"x_forwarded_for\":\"1.2.3.4\"}"));
}

#[test]
fn quotes_in_a_header_are_kept_where_they_are_harmless() {
    for agent in [r#"my "quoted" agent"#, r#""""#, r#"ends""#, r#""starts"#, "", r#"a"b"c"#, r#"" 200 -"#] {
        let line = line(REQUEST, MIDDLE, agent, TAIL);
        let expected = Some(agent.to_owned()).filter(|agent| !agent.is_empty());
        assert_eq!(value(&line, Key::UserAgent), expected, "{line}");
        assert_eq!(value(&line, Key::RequestId).as_deref(), Some("id-1"), "{line}");
        assert_eq!(value(&line, Key::UpstreamCluster).as_deref(), Some("inbound|8080||"), "{line}");
    }
    for path in ["/a b", r#"/a"b"#, r#"/a" b"#, r#"/a" 200 - x"#] {
        let line = line(&format!("GET {path} HTTP/1.1"), MIDDLE, "curl", TAIL);
        assert_eq!(value(&line, Key::Path).as_deref(), Some(path), "{line}");
        assert_eq!(value(&line, Key::ResponseCode).as_deref(), Some("403"), "{line}");
    }
}

#[test]
fn quotes_that_make_headers_ambiguous_cost_these_only() {
    let left = |line: &str, name: &str| {
        let fields = parse(line).unwrap_or_else(|refusal| panic!("{}: {line}", refusal.detail));
        let found = fields
            .left_over(&crate::Redaction::none())
            .find(|(key, _)| *key == name)
            .map(|(_, json)| json.into_owned());
        found.map(|json| serde_json::from_str::<String>(&json).unwrap())
    };
    for agent in [
        r#"a" "b"#,
        r#"a" "#,
        r#"" "b"#,
        r#"x" "y" "z" "10.0.0.9:1"#,
        r#"x" "y" "10.0.0.9:1" inbound|1|| - - "#,
        r#"a" " "b"#,
    ] {
        let line = line(REQUEST, MIDDLE, agent, TAIL);
        for key in [Key::XForwardedFor, Key::UserAgent, Key::RequestId, Key::Authority] {
            assert_eq!(value(&line, key), None, "{line}");
            assert!(parse(&line).unwrap().carries(key));
        }
        let raw = format!(r#"1.2.3.4" "{agent}" "id-1" "api:80"#);
        assert_eq!(left(&line, "ambiguous_quoted"), Some(raw), "{line}");
        for (key, expected) in [
            (Key::Path, "/a"),
            (Key::ResponseCode, "403"),
            (Key::UpstreamHost, "10.0.0.9:8080"),
            (Key::UpstreamCluster, "inbound|8080||"),
            (Key::DownstreamRemoteAddress, "10.0.0.1:5000"),
            (Key::RouteName, "default"),
        ] {
            assert_eq!(value(&line, key).as_deref(), Some(expected), "{line}");
        }
    }
    // a blank and a quote before the host
    let host = line(REQUEST, MIDDLE, "curl", TAIL).replace("api:80", "api\" ");
    assert_eq!(value(&host, Key::UpstreamHost).as_deref(), Some("10.0.0.9:8080"));
    assert_eq!(value(&host, Key::Authority), None);
    // a whole tail in the user agent: the head alone is sure
    for (agent, tail) in
        [(r#"x" "y" "z" "10.0.0.9:1" inbound|1|| - - - - -"#, TAIL), (r#"x" "-" inbound|1|| - - - x"#, "")]
    {
        let line = line(REQUEST, MIDDLE, agent, tail);
        assert_eq!(value(&line, Key::ResponseCode).as_deref(), Some("403"));
        assert_eq!(value(&line, Key::UpstreamCluster), None);
        assert!(!parse(&line).unwrap().carries(Key::UpstreamCluster));
        assert!(left(&line, "ambiguous_quoted").unwrap().contains("inbound|1||"));
    }
}

#[test]
fn an_empty_path_is_null() {
    let empty = line("GET  HTTP/1.1", MIDDLE, "curl", TAIL);
    assert_eq!((value(&empty, Key::Method).as_deref(), value(&empty, Key::Path)), (Some("GET"), None));
    // nor does it let a head in the user agent pass for the line's own
    let forged = line("GET  HTTP/1.1", MIDDLE, r#"x HTTP/1.1" 200 - via_upstream - "-" 0 0 0 - "-" "x"#, TAIL);
    assert_eq!((value(&forged, Key::Path), value(&forged, Key::ResponseCode)), (None, None));
    assert_eq!(value(&forged, Key::UpstreamCluster).as_deref(), Some("inbound|8080||"));
}

#[test]
fn a_second_head_costs_what_the_readings_do_not_agree_on() {
    let fake = r#"x HTTP/1.1" 200 - via_upstream - "-" 0 0 5 - "x"#;
    for (line, path) in [
        (line(REQUEST, MIDDLE, fake, TAIL), None),
        (line(&format!("GET /{fake} HTTP/1.1"), MIDDLE, "curl", TAIL), None),
        // a third one, and one that says the same
        (line(&format!("GET /{fake} HTTP/1.1"), MIDDLE, &format!("a {fake}"), TAIL), None),
    ] {
        let fields = parse(&line).unwrap();
        assert!(fields.is_ambiguous());
        let known = |key| fields.get(key);
        assert_eq!(known(Key::Path), path, "{line}");
        assert_eq!(known(Key::Method), Some("GET"));
        assert_eq!((known(Key::Protocol), known(Key::ResponseCode)), (Some("HTTP/1.1"), None));
        assert_eq!((known(Key::Duration), known(Key::BytesSent)), (Some("5"), None));
        assert_eq!((known(Key::UserAgent), known(Key::RequestId), known(Key::Authority)), (None, None, None));
        assert_eq!(known(Key::UpstreamHost), Some("10.0.0.9:8080"));
        assert_eq!(known(Key::DownstreamRemoteAddress), Some("10.0.0.1:5000"));
        assert_eq!(known(Key::RouteName), Some("default"));
        assert!(fields.further(Key::ResponseCodeDetails).any(|details| details.starts_with("rbac_access_denied")));
        let (_, kept) =
            fields.left_over(&crate::Redaction::none()).find(|(name, _)| *name == "ambiguous_request").unwrap();
        let kept: String = serde_json::from_str(&kept).unwrap();
        assert!(kept.starts_with("GET /") && kept.ends_with("\"api:80\" "), "{kept}");
    }
    // both in one: the tail is not sure either
    let tail = format!(r#"{fake}" "y" "z" "10.0.0.9:1" inbound|1|| - - - - -"#);
    let line = line(REQUEST, MIDDLE, &tail, TAIL);
    let fields = parse(&line).unwrap();
    assert_eq!((fields.get(Key::UpstreamCluster), fields.get(Key::Method)), (None, Some("GET")));
    let (_, kept) = fields.left_over(&crate::Redaction::none()).find(|(name, _)| *name == "ambiguous_request").unwrap();
    assert!(kept.ends_with("default\""), "{kept}");
}

#[test]
fn a_server_name_shifts_nothing() {
    for names in [r#"x" inbound|1|| - - - s default"#, "s n i default", r#"a"b default"#, " default"] {
        let line = line(REQUEST, MIDDLE, "curl", &format!(" inbound|8080|| - - - {names}"));
        assert_eq!(value(&line, Key::UpstreamCluster).as_deref(), Some("inbound|8080||"), "{line}");
        assert_eq!(value(&line, Key::UserAgent).as_deref(), Some("curl"), "{line}");
        assert_eq!((value(&line, Key::RequestedServerName), value(&line, Key::RouteName)), (None, None), "{line}");
        let extra = crate::extra::extra(&parse(&line).unwrap(), &crate::redact::Redaction::none()).unwrap();
        assert!(extra.contains("\"ambiguous_server_name\":"), "{extra}");
    }
    // one that forges the end of the quoted fields, too
    let forged = line(REQUEST, MIDDLE, "curl", r#" inbound|8080|| - - - x" "10.0.0.9:1" inbound|1|| - - - s default"#);
    assert_eq!(value(&forged, Key::UpstreamCluster), None);
}

#[test]
fn what_envoy_does_not_write_is_a_reject() {
    for line in [
        // the wrong number of words, or words of the wrong kind
        line(REQUEST, MIDDLE, "curl", " inbound|8080|| - - -"),
        line(REQUEST, MIDDLE, "curl", " inbound|8080|| x 10.0.0.9:8080 10.0.0.1:5000 - default"),
        line(REQUEST, MIDDLE, "curl", "x"),
        line(REQUEST, "403", "curl", TAIL),
        line(REQUEST, "4o3 - via_upstream - \"-\"", "curl", TAIL),
        line("GET /a SPDY", MIDDLE, "curl", TAIL),
        "[".to_owned(),
        "[]".to_owned(),
        "[2026-11-22T14:39:24.727Z] \"".to_owned(),
    ] {
        assert!(set(&line).is_err(), "{line}\n{:?}", set(&line));
    }
}

#[test]
fn hostile_lines_cost_little() {
    // would be quadratic if every place where a head may start were tried on the whole line
    let agent = "\" 200 - x - \"-\" 0 0 0 - ".repeat(20_000);
    assert_eq!(value(&line(REQUEST, MIDDLE, agent.trim(), TAIL), Key::UserAgent).as_deref(), Some(agent.trim()));
    let heads = "x HTTP/1.1\" 200 - x - \"-\" 0 0 0 - \"".repeat(20_000);
    assert_eq!(value(&line(REQUEST, MIDDLE, &heads, TAIL), Key::Method).as_deref(), Some("GET"));
}
