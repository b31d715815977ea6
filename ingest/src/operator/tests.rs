#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn one(text: &str) -> Operator {
    match Operator::parse(text) {
        Some(Ok((operator, length))) if length == text.len() => operator,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn the_recommended_format_feeds_its_own_keys() {
    let format: BTreeMap<String, String> = serde_json::from_str(crate::format::recommended()).unwrap();
    for (key, operator) in format.iter().filter(|(key, _)| *key != "log_schema") {
        let operator = one(operator);
        assert_eq!(operator.feeds(), Some(key.as_str()), "{operator}");
        assert_eq!(operator.refused(), None, "{operator}");
        assert!(operator.is_known(), "{operator}");
    }
}

#[test]
fn operators_feed_keys_whatever_they_are_called() {
    for (text, key) in [
        // Istio's defaults, where they differ from the recommended format
        ("%START_TIME%", Some("start_time")),
        ("%START_TIME(%s.%3f)%", Some("start_time")),
        ("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", Some("path")),
        ("%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%", Some("upstream_service_time")),
        ("%REQ(x-forwarded-for)%", Some("x_forwarded_for")),
        ("%UPSTREAM_CLUSTER%", Some("upstream_cluster")),
        // others that say the same
        ("%REQ(:path)%", Some("path")),
        ("%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH):200%", Some("path")),
        ("%PATH%", Some("path")),
        ("%PATH(NQ)%", Some("path")),
        ("%PATH(NQ:PATH)%", Some("path")),
        ("%PATH(WQ:ORIG_OR_PATH)%", Some("path")),
        ("%PATH(WQ:ORIG)%", Some("original_path")),
        ("%REQ(HOST)%", Some("authority")),
        ("%REQ(:AUTHORITY?HOST)%", Some("authority")),
        ("%REQ(X-ENVOY-ORIGINAL-HOST?:AUTHORITY)%", Some("authority")),
        ("%GRPC_STATUS(NUMBER)%", Some("grpc_status")),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", Some("downstream_remote_address")),
        ("%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%", Some("downstream_direct_remote_address")),
        ("%UPSTREAM_REMOTE_ADDRESS%", Some("upstream_host")),
        ("%REQUESTED_SERVER_NAME(SNI_ONLY)%", Some("requested_server_name")),
        ("%FILTER_STATE(io.istio.peer_principal)%", Some("peer_principal")),
        ("%FILTER_STATE(wasm.downstream_peer:TYPED)%", Some("downstream_peer")),
        // near, but not the same
        ("%RESPONSE_FLAGS_LONG%", None),
        ("%GRPC_STATUS%", None),
        ("%RESPONSE_DURATION%", None),
        ("%COMMON_DURATION(DS_RX_BEG:DS_TX_END:ms)%", None),
        ("%START_TIME_LOCAL%", None),
        ("%EMIT_TIME%", None),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(24)%", None),
        ("%REQUESTED_SERVER_NAME(HOST_FIRST)%", None),
        ("%DOWNSTREAM_PEER_CERT_V_END(%s)%", None),
        ("%FILTER_STATE(downstream_peer:PLAIN)%", None),
        ("%RESP(CONTENT-TYPE)%", None),
        ("%RESP(USER-AGENT)%", None),
        ("%REQ(REFERER?ORIGIN)%", None),
        ("%REQ(X-TENANT)%", None),
        ("%DYNAMIC_METADATA(envoy.filters.http.jwt_authn)%", None),
        ("%NEVER_HEARD_OF%", None),
    ] {
        assert_eq!(one(text).feeds(), key, "{text}");
        assert_eq!(one(text).to_string(), text);
    }
}

#[test]
fn what_feeds_nothing_has_a_name_in_extra() {
    for (text, name) in [
        ("%REQ(X-Tenant):20%", "req(x-tenant)"),
        ("%REQ(A?B)%", "req(a?b)"),
        ("%ENVIRONMENT(Zone)%", "environment(Zone)"),
        ("%UPSTREAM_PROTOCOL()%", "upstream_protocol"),
        ("%CEL(request.headers['a'] == \"b(c)\")%", "cel(request.headers['a'] == \"b(c)\")"),
    ] {
        assert_eq!(one(text).extra_name(), name);
    }
}

#[test]
fn classes() {
    let time = |form: &str| ValueClass::Time(TimeFormat::compile(form).unwrap());
    for (text, class) in [
        ("%START_TIME(%s)%", time("%s")),
        ("%REQ(:METHOD)%", ValueClass::Word),
        ("%REQ(:PATH)%", ValueClass::Text),
        ("%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%", ValueClass::Number),
        ("%RESPONSE_CODE_DETAILS%", ValueClass::Details),
        ("%RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%", ValueClass::Text),
        ("%DYNAMIC_METADATA(envoy.filters.http.rbac)%", ValueClass::Json),
        ("%DYNAMIC_METADATA(envoy.filters.http.rbac):100%", ValueClass::Text),
        ("%DYNAMIC_METADATA(envoy.common:access_log_hint)%", ValueClass::Word),
        ("%DYNAMIC_METADATA(istio.mixer:status)%", ValueClass::Text),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", ValueClass::Address),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(24)%", ValueClass::Word),
        ("%DOWNSTREAM_PEER_CERT_V_END%", ValueClass::Word),
        ("%DOWNSTREAM_PEER_CERT_V_END(%s)%", ValueClass::Word),
        ("%EMIT_TIME(%d/%b/%Y %T)%", ValueClass::Text),
        ("%ENVIRONMENT(POD_NAME)%", ValueClass::Word),
        ("%ENVIRONMENT(X)%", ValueClass::Text),
        ("%NEVER_HEARD_OF%", ValueClass::Text),
    ] {
        assert_eq!(*one(text).class(), class, "{text}");
    }
}

#[test]
fn values_of_classes() {
    for (class, values, others) in [
        (
            ValueClass::Number,
            &["-", "0", "18446744073709551615"][..],
            &["", "--", "-1", "1.0", "x", "123456789012345678901"][..],
        ),
        (ValueClass::Word, &["-", "a", "inbound|80||", "é"], &["", "a b", "a\tb", "a\"b"]),
        (ValueClass::Flags, &["-", "UF", "UF,URX", "A_1"], &["", "UF,", ",", "UF URX", "U-F"]),
        (
            ValueClass::Address,
            &["-", "10.0.0.1:80", "[::1]:80", "10.0.0.1", "envoy://x/1", "/pipe", "@/pipe"],
            &["", "x", "10.0.0.1:80x", "envoy://x y"],
        ),
        (ValueClass::Protocol, &["-", "HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3"], &["", "HTTP/4", "http/2"]),
        (
            ValueClass::Details,
            &["-", "via_upstream", "a{b c}", "a{b}"],
            &["", "a b", "a b{c}", "a{b c", "a\"b", "a {b}"],
        ),
        (ValueClass::Json, &["-", "{}", r#"{"a":"b \" }"}"#, "[1]"], &["", "{", "{}{}", "{} ", "1", "\"a\""]),
        (ValueClass::Text, &["", "-", "a\" \"b"], &[]),
    ] {
        for value in values {
            assert!(class.accepts(value), "{class:?} {value}");
            assert!(value.bytes().all(|byte| class.may_hold(byte)) && value.len() <= class.longest());
            assert_eq!(value.is_empty(), value.is_empty() && class.may_be_empty());
        }
        for other in others {
            assert!(!class.accepts(other), "{class:?} {other}");
        }
    }
}

#[test]
fn what_envoy_refuses() {
    for (text, said) in [
        ("%JA3_FINGERPRINT%", Some("TLS_JA3_FINGERPRINT")),
        ("%VIRTUAL_HOST_NAME%", Some("no such operator")),
        ("%UPSTREAM_LOCAL_SUBJECT%", Some("no such operator")),
        ("%UPSTREAM_PEER_SERIAL%", Some("DOWNSTREAM_PEER only")),
        ("%UPSTREAM_PEER_FINGERPRINT_256%", Some("DOWNSTREAM_PEER only")),
        ("%REQ%", Some("wants an argument")),
        ("%REQ()%", Some("wants an argument")),
        ("%PROTOCOL(x)%", Some("takes no argument")),
        ("%PROTOCOL:10%", Some("takes no length")),
        ("%START_TIME(%s):5%", Some("takes no length")),
        ("%PROTOCOL()%", None),
        ("%REQ(A):5%", None),
        ("%NEVER_HEARD_OF%", None),
    ] {
        let refused = one(text).refused();
        assert_eq!(refused.is_some(), said.is_some(), "{text}: {refused:?}");
        assert!(refused.unwrap_or_default().contains(said.unwrap_or_default()), "{text}: {refused:?}");
    }
    assert!(one("%REQ_WITHOUT_QUERY(:PATH)%").needs_formatter().is_some());
    assert!(!one("%NEVER_HEARD_OF%").is_known());
}

#[test]
fn who_chooses_the_value() {
    for (text, caller) in [
        ("%REQ(USER-AGENT)%", true),
        ("%REQ(:METHOD)%", false),
        ("%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%", false),
        ("%RESP(SERVER)%", true),
        ("%REQUESTED_SERVER_NAME%", true),
        ("%DOWNSTREAM_PEER_URI_SAN%", true),
        ("%DOWNSTREAM_LOCAL_URI_SAN%", false),
        ("%ROUTE_NAME%", false),
        ("%NEVER_HEARD_OF%", true),
    ] {
        assert_eq!(one(text).caller_controlled(), caller, "{text}");
    }
}

#[test]
fn pieces_of_formats() {
    let shown = |format: &str| {
        let pieces = pieces(format)?;
        Ok(pieces
            .iter()
            .map(|piece| match piece {
                Piece::Literal(text) => format!("{text:?}"),
                Piece::Operator(operator) => operator.to_string(),
            })
            .collect::<Vec<_>>()
            .join(" "))
    };
    for (format, expected) in [
        ("", Ok("")),
        ("a", Ok(r#""a""#)),
        ("100%% %PROTOCOL%%%x", Ok(r#""100% " %PROTOCOL% "%x""#)),
        ("%REQ(A)%%REQ(B):5%é", Ok(r#"%REQ(A)% %REQ(B):5% "é""#)),
        ("%START_TIME(%d/%b/%Y:%T)%x", Ok(r#"%START_TIME(%d/%b/%Y:%T)% "x""#)),
        ("%CEL(a(b) + 'c)%", Ok("%CEL(a(b) + 'c)%")),
        ("100% %PROTOCOL%", Err("`% %PROTOCOL%` at byte 3")),
        ("%protocol%", Err("at byte 0")),
        ("%PROTOCOL", Err("at byte 0")),
        ("a%", Err("`%` at byte 1")),
        ("%REQ(A%", Err("at byte 0")),
        ("%REQ(A):x%", Err("at byte 0")),
        ("%REQ(A):%", Err("at byte 0")),
        ("%REQ(A):99999999999999999999999%", Err("at byte 0")),
        ("%START_TIME(%Q)%", Err("%START_TIME(%Q)%: `%Q` is not understood")),
    ] {
        match (shown(format), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{format}"),
            (Err(error), Err(said)) => {
                let error: OperatorError = error;
                assert!(error.to_string().contains(said), "{format}: {error}");
            }
            (found, _) => panic!("{format}: {found:?}"),
        }
    }
}

proptest! {
    #[test]
    fn any_format_is_taken_apart_or_refused(format in "(%[A-Z_]{0,8}|[()%:?]|REQ|[0-9]|.){0,40}") {
        if let Ok(pieces) = pieces(&format) {
            let text = pieces.iter().map(|piece| match piece {
                Piece::Literal(text) => text.replace('%', "%%"),
                Piece::Operator(operator) => operator.to_string(),
            });
            let again: String = text.collect();
            prop_assert_eq!(super::pieces(&again).unwrap(), pieces);
        }
    }
}
