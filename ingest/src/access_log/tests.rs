#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::collections::BTreeMap;

use super::*;
use crate::schema::{ACCESS_LOGS, signals};

mod forged;
mod refused;

/// The columns of a line that are not null, as text.
pub(crate) fn columns(line: &str) -> BTreeMap<&'static str, String> {
    columns_with(line, &DecodeOptions::default()).unwrap()
}

fn columns_with(line: &str, options: &DecodeOptions) -> Result<BTreeMap<&'static str, String>, Refusal> {
    columns_of(line.as_bytes(), options)
}

fn columns_of(line: &[u8], options: &DecodeOptions) -> Result<BTreeMap<&'static str, String>, Refusal> {
    let received_at = DateTime::from_timestamp_micros(1_795_000_000_000_000).unwrap();
    let context = Context { options, source: "test", line: 7, received_at, written: None };
    let mut columns = BTreeMap::new();
    decode(line, &Node::default(), &context, None, |row, _| {
        for (column, value) in ACCESS_LOGS.iter().zip(row.values()) {
            let text = match value {
                Value::Null => {
                    assert!(column.nullable, "{}", column.name);
                    continue;
                }
                Value::Text(text) => text.to_string(),
                Value::Int64(number) | Value::Timestamp(number) => number.to_string(),
                Value::Int32(number) => number.to_string(),
                Value::Boolean(truth) => truth.to_string(),
                Value::Binary(_) => unreachable!(),
            };
            columns.insert(column.name, text);
        }
    })?;
    Ok(columns)
}

/// A line of the recommended format: `keys` (JSON members) and, as `omit_empty_values` leaves it, nothing else.
fn recommended(keys: &str) -> String {
    format!(r#"{{"log_schema":"meshwarden/1","start_time":"2026-11-22T14:39:24.727123Z",{keys}}}"#)
}

/// Checks columns of one line: `name=value`, or `name=` for null.
fn check(line: &str, expected: &[&str]) {
    let columns = columns(line);
    for pair in expected {
        let (name, value) = pair.split_once('=').unwrap();
        assert!(ACCESS_LOGS.iter().any(|column| column.name == name), "{name}");
        assert_eq!(columns.get(name).map_or("", String::as_str), value, "{name} of {line}\n{columns:#?}");
    }
}

const INBOUND: &str = r#""upstream_cluster":"inbound|8080||","access_log_type":"DownstreamEnd","protocol":"HTTP/2","method":"GET","path":"/a","pod_name":"server-1-2","pod_namespace":"foo","pod_service_account":"server","downstream_local_address":"10.0.0.2:8080""#;
const MTLS: &str = r#""downstream_peer_uri_san":"spiffe://td.example/ns/bar/sa/client","downstream_local_uri_san":"spiffe://cluster.local/ns/foo/sa/server","downstream_tls_version":"TLSv1.3","downstream_tls_cipher":"TLS_AES_256_GCM_SHA384","downstream_peer_cert_v_end":"2026-11-23T14:39:24.000Z""#;
const OUTBOUND: &str = r#""upstream_cluster":"outbound|80||api.foo.svc.cluster.local","access_log_type":"DownstreamEnd","protocol":"HTTP/1.1","method":"GET","upstream_host":"10.0.0.9:8080","upstream_local_address":"10.0.0.1:41000","downstream_direct_remote_address":"10.0.0.1:50000","downstream_remote_address":"10.0.0.1:50000","downstream_local_address":"10.96.0.1:80","pod_name":"client-1-2","pod_namespace":"bar","pod_service_account":"client""#;

#[test]
fn a_denied_request_at_the_destination() {
    let line = recommended(&format!(
        r#"{INBOUND},{MTLS},"response_code":403,"response_flags":"-","duration":5,
        "response_code_details":"rbac_access_denied_matched_policy[ns[foo]-policy[deny-admin]-rule[2]]",
        "rbac":{{"enforced_engine_result":"denied","enforced_effective_policy_id":"ns[foo]-policy[deny-admin]-rule[2]"}},
        "downstream_direct_remote_address":"[::ffff:10.0.0.1]:41000","downstream_remote_address":"8.8.8.8:0",
        "traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","connection_id":12,
        "requested_server_name":"outbound_.80_._.api.foo.svc.cluster.local","authority":"evil""#
    ));
    check(
        &line,
        &[
            "time=1795358364727123",
            "ended_at=1795358364732123",
            "received_at=1795000000000000",
            "log_id=test:7",
            "source=test",
            "reporter=destination",
            "direction=inbound",
            "log_type=http",
            "source_principal=td.example/ns/bar/sa/client",
            "source_namespace=bar",
            "source_service_account=client",
            "source_trust_domain=td.example",
            "destination_principal=cluster.local/ns/foo/sa/server",
            "identity_verified=true",
            "source_ip=10.0.0.1",
            "source_port=41000",
            "claimed_client_ip=8.8.8.8",
            "destination_ip=10.0.0.2",
            "destination_port=8080",
            "destination_service=api.foo.svc.cluster.local",
            "rbac_decision=deny",
            "rbac_policy_namespace=foo",
            "rbac_policy=deny-admin",
            "rbac_rule=2",
            "transport_security=mutual_tls",
            "tls_version=TLSv1.3",
            "peer_cert_end=1795444764000000",
            "response_flags=",
            "trace_id=0af7651916cd43dd8448eb211c80319c",
            "egress=",
            "signals=1",
            "connection_id=12",
            "extra=",
        ],
    );
}

#[test]
fn a_client_line() {
    let mtls = r#""upstream_local_uri_san":"spiffe://cluster.local/ns/bar/sa/client","upstream_peer_uri_san":"spiffe://cluster.local/ns/foo/sa/server","upstream_tls_version":"TLSv1.3","upstream_tls_cipher":"C""#;
    check(
        &recommended(&format!("{OUTBOUND},{mtls},\"response_code\":403,\"response_code_details\":\"via_upstream\"")),
        &[
            "reporter=source",
            "direction=outbound",
            "source_principal=cluster.local/ns/bar/sa/client",
            "destination_principal=cluster.local/ns/foo/sa/server",
            "identity_verified=true",
            "source_ip=10.0.0.1",
            "claimed_client_ip=",
            "destination_ip=10.0.0.9",
            "destination_port=8080",
            "destination_service=api.foo.svc.cluster.local",
            "transport_security=mutual_tls",
            "tls_version=TLSv1.3",
            "tls_cipher=C",
            "rbac_decision=unknown",
            "egress=in_mesh",
            "egress_host=",
            "signals=0",
            r#"extra={"downstream_local_address":"10.96.0.1:80"}"#,
        ],
    );
    // without certificates on the line: who the pod is, inferred
    check(
        &recommended(OUTBOUND),
        &[
            "source_principal=cluster.local/ns/bar/sa/client",
            "source_namespace=bar",
            "identity_verified=false",
            "destination_principal=",
            "transport_security=plaintext",
        ],
    );
    // the handshake failed: nothing is known of the transport
    let failed = r#""upstream_transport_failure_reason":"TLS_error:|268436504:...","response_flags":"URX,UF""#;
    check(&recommended(&format!("{OUTBOUND},{failed}")), &["transport_security=unknown", "response_flags=URX,UF"]);
}

#[test]
fn plaintext() {
    check(
        &recommended(&format!(r#"{INBOUND},"response_code":200,"response_code_details":"via_upstream""#)),
        &[
            "transport_security=plaintext",
            "source_principal=",
            "identity_verified=",
            "destination_principal=cluster.local/ns/foo/sa/server",
            "signals=4",
        ],
    );
    // the default format does not carry TLS: unknown
    let default = r#"{"start_time":"2026-11-22T14:39:24Z","upstream_cluster":"inbound|8080||","method":"GET"}"#;
    check(default, &["transport_security=unknown", "signals=0"]);
    // strict: the listener turned it away
    let listener = r#""access_log_type":"NotSet","response_code":0,"response_flags":"NR","response_code_details":"filter_chain_not_found","downstream_local_address":"10.0.0.2:8080","downstream_remote_address":"10.0.0.66:5""#;
    check(
        &recommended(&format!(
            r#"{listener},"downstream_transport_failure_reason":"TLS_error|error:1000009c:SSL_routines:OPENSSL_internal:HTTP_REQUEST:TLS_error_end""#
        )),
        &[
            "log_type=listener",
            "reporter=destination",
            "direction=inbound",
            "destination_port=8080",
            "source_ip=10.0.0.66",
            "transport_security=plaintext",
            "signals=4",
        ],
    );
    // older Envoys carry the reason and leave it null
    check(&recommended(listener), &["transport_security=plaintext", "signals=4"]);
    check(
        &recommended(&format!(r#"{listener},"pod_name":"istio-ingressgateway-1-2","requested_server_name":"x.com""#)),
        &["reporter=gateway", "transport_security=tls", "signals=0"],
    );
}

#[test]
fn an_identity_of_a_failed_handshake_is_a_claim() {
    let line = r#""access_log_type":"NotSet","downstream_peer_uri_san":"spiffe://cluster.local/ns/a/sa/b","downstream_tls_version":"TLSv1.3","downstream_transport_failure_reason":"TLS_error:...""#;
    check(
        &recommended(line),
        &[
            "log_type=listener",
            "reporter=",
            "source_principal=cluster.local/ns/a/sa/b",
            "identity_verified=false",
            "transport_security=tls",
        ],
    );
}

/// Both defaults that wrote such lines, Istio's JSON before 1.8 and a template of its text, log `%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%`.
#[test]
fn the_path_of_old_json_is_a_claim() {
    let line = |status: &str| {
        format!(
            r#"{{"start_time":"2020-12-08T03:24:22.162Z","response_code":"200","method":"GET","path":"/a","upstream_cluster":"inbound|80|http|a.b.svc.cluster.local","route_name":"default","downstream_remote_address":"10.0.1.38:41142"{status}}}"#
        )
    };
    check(&line(r#","istio_policy_status":"-""#), &["path=/a", "claims=path"]);
    check(&line(""), &["claims=path"]);
    check(&line("").replace(r#""200""#, "200").replace("default", "d"), &["claims="]);
}

/// A format without the keys that tell a listener's line from a connection's.
#[test]
fn an_identity_that_no_proxy_dealt_with_is_a_claim() {
    let peer = r#""downstream_peer_uri_san":"spiffe://cluster.local/ns/a/sa/b","downstream_tls_version":"TLSv1.3""#;
    let line = |more: &str| format!(r#"{{"start_time":5,{peer},"upstream_cluster":null,"upstream_host":null{more}}}"#);
    check(&line(""), &["log_type=tcp", "identity_verified=false", "claims=source_principal", "transport_security=tls"]);
    let verified = ["identity_verified=true", "claims=", "transport_security=mutual_tls"];
    for dealt_with in [
        r#","upstream_cluster":"inbound|9000||""#,
        r#","upstream_host":"10.0.0.9:9000""#,
        r#","connection_termination_details":"rbac_access_denied_matched_policy[none]""#,
        r#","access_log_type":"TcpConnectionEnd""#,
        r#","downstream_transport_failure_reason":null"#,
        r#","method":"GET""#,
    ] {
        let line = line(dealt_with).replacen(
            &format!("{}:null,", dealt_with.split(':').next().unwrap().trim_start_matches(',')),
            "",
            1,
        );
        check(&line, &verified);
    }
}

#[test]
fn waypoints_and_tunnels() {
    let waypoint = r#""upstream_cluster":"inbound-vip|80|http|api.foo.svc.cluster.local;","method":"GET","protocol":"HTTP/1.1","downstream_remote_address":"envoy://internal_client_address/","downstream_local_address":"10.96.0.1:80","upstream_host":"envoy://connect_originate/10.0.0.9:80","pod_namespace":"foo","pod_service_account":"waypoint""#;
    check(
        &recommended(&format!(
            r#"{waypoint},"peer_principal":"spiffe://cluster.local/ns/a/sa/b","local_principal":"spiffe://cluster.local/ns/foo/sa/waypoint","response_code":403,"response_code_details":"via_upstream""#
        )),
        &[
            "reporter=waypoint",
            "direction=inbound",
            "upstream_cluster=inbound-vip|80|http|api.foo.svc.cluster.local",
            "destination_service=api.foo.svc.cluster.local",
            "source_principal=cluster.local/ns/a/sa/b",
            // the waypoint's own identity is not the destination's
            "destination_principal=",
            "identity_verified=true",
            "transport_security=mutual_tls",
            "source_ip=",
            "destination_ip=10.96.0.1",
            "upstream_host=envoy://connect_originate/10.0.0.9:80",
            "signals=2",
        ],
    );
    check(&recommended(waypoint), &["transport_security=unknown", "destination_principal=", "source_principal="]);
}

#[test]
fn gateways() {
    let tls = r#""downstream_tls_version":"TLSv1.2","requested_server_name":"shop.example.com","authority":"shop.example.com""#;
    let gateway = OUTBOUND.replace("\"10.0.0.1:50000\"", "\"203.0.113.5:50000\"");
    check(
        &recommended(&format!(
            r#"{gateway},{tls},"upstream_tls_version":"TLSv1.3","upstream_peer_uri_san":"spiffe://cluster.local/ns/foo/sa/server""#
        )),
        &[
            "reporter=gateway",
            "direction=outbound",
            "source_ip=203.0.113.5",
            "source_principal=",
            "destination_principal=cluster.local/ns/foo/sa/server",
            "transport_security=tls",
            "tls_version=TLSv1.2",
            "egress=in_mesh",
            r#"extra={"downstream_local_address":"10.96.0.1:80","upstream_tls_version":"TLSv1.3"}"#,
        ],
    );
    let denied =
        r#""response_code":200,"grpc_status":7,"response_code_details":"rbac_access_denied_matched_policy[none]""#;
    check(
        &recommended(&format!("{gateway},{denied}")),
        &["reporter=gateway", "rbac_decision=deny", "signals=1", "grpc_status=7"],
    );
    // an application called payment-gateway is no gateway
    let named = OUTBOUND.replace("client-1-2", "payment-gateway-1-2");
    check(&recommended(&named), &["reporter=source", "source_service_account=client"]);
}

#[test]
fn egress_of_clients() {
    let line = |keys: &str| recommended(&format!(r#""access_log_type":"DownstreamEnd",{keys}"#));
    for (keys, expected) in [
        (
            r#""upstream_cluster":"PassthroughCluster","route_name":"allow_any","authority":"Evil.example.net:8080","protocol":"HTTP/1.1""#,
            ["egress=passthrough", "egress_host=evil.example.net", "signals=8"],
        ),
        (
            r#""route_name":"block_all","authority":"evil.example.net","response_code":502"#,
            ["egress=blackhole", "egress_host=evil.example.net", "signals=8"],
        ),
        (
            r#""upstream_cluster":"outbound|443||api.stripe.com","requested_server_name":"api.stripe.com""#,
            ["egress=registered", "egress_host=api.stripe.com", "signals=0"],
        ),
    ] {
        check(&line(keys), &expected);
        check(&line(keys), &["reporter=source"]);
    }
    // only ends count
    let start = r#""access_log_type":"DownstreamStart","upstream_cluster":"PassthroughCluster""#;
    check(&recommended(start), &["egress=passthrough", "signals=0"]);
}

#[test]
fn values_that_do_not_fit_stay_in_extra() {
    let line = r#"{"start_time":"1795358539.895","response_code":"200","duration":"odd","bytes_sent":9223372036854775808,
        "bytes_received":1.5,"grpc_status":"PermissionDenied","upstream_request_attempt_count":"2","audit":"maybe",
        "downstream_remote_address":"REDACTED:1","traceparent":"nonsense","downstream_peer_cert_v_end":"never",
        "jwt_sub":18446744073709551616,"jwt_aud":["a","b"],"rbac":"{\"enforced_engine_result\":\"allowed\"}",
        "downstream_peer_uri_san":"https://other,spiffe://td/ns/a/sa/b","upstream_cluster":"inbound|1||"}"#;
    check(
        line,
        &[
            "time=1795358539895000",
            "ended_at=1795358539895000",
            "response_code=200",
            "duration_ms=",
            "bytes_sent=",
            "bytes_received=",
            "grpc_status=",
            "upstream_attempts=2",
            "audit=",
            "source_ip=",
            "trace_id=",
            "peer_cert_end=",
            "jwt_subject=18446744073709551616",
            r#"jwt_audience=["a","b"]"#,
            "rbac_decision=allow",
            "source_principal=td/ns/a/sa/b",
            concat!(
                r#"extra={"audit":"maybe","bytes_received":1.5,"bytes_sent":9223372036854775808,"#,
                r#""downstream_peer_cert_v_end":"never","downstream_peer_uri_san":"https://other,spiffe://td/ns/a/sa/b","#,
                r#""downstream_remote_address":"REDACTED:1","duration":"odd","grpc_status":"PermissionDenied","traceparent":"nonsense"}"#,
            ),
        ],
    );
}

#[test]
fn strings_as_they_are() {
    let line = r#"{"start_time":"2026-11-22T14:39:24Z","user_agent":"caf\u00c3\u00a9 \u00ff","path":"/\u0000😀","method":"\ud83d\ude00"}"#;
    check(line, &["user_agent=cafÃ© ÿ", "path=/\0😀", "method=😀"]);
}

#[test]
fn text_that_is_not_utf8_is_latin_1() {
    let line = b"[2026-11-22T14:39:24.727Z] \"GET /\xc3\xa9 HTTP/1.1\" 403 - rbac_access_denied_matched_policy[none] - \"-\" 0 19 0 - \"-\" \"caf\xe9\" \"id\" \"api\" \"-\" inbound|80|| - 10.0.0.9:80 10.0.0.1:5 - default";
    let columns = columns_of(line, &DecodeOptions::default()).unwrap();
    let get = |name: &str| columns.get(name).map(String::as_str);
    assert_eq!((get("user_agent"), get("path")), (Some("café"), Some("/Ã©")));
    assert_eq!((get("rbac_decision"), get("signals")), (Some("deny"), Some("1")));
    let mut configured = DecodeOptions::default();
    configured.add_text_format(crate::TextFormat::compile("%START_TIME%|%RESPONSE_CODE%|%REQ(USER-AGENT)%").unwrap());
    let columns = columns_of(b"2026-11-22T14:39:24.727Z|403|caf\xe9", &configured).unwrap();
    assert_eq!(columns.get("user_agent").map(String::as_str), Some("café"));
    for line in [b"{\"start_time\":\"\xff\"}".as_slice(), b"\xff", b"2026-11-22T14:39:24.727Z|\xff"] {
        for options in [&DecodeOptions::default(), &configured] {
            assert_eq!(columns_of(line, options).unwrap_err().reason, RejectReason::NotUtf8);
        }
    }
}

#[test]
fn a_denial_always_has_a_reporter() {
    let denied = r#""method":"GET","protocol":"HTTP/1.1","response_code":403,"response_code_details":"rbac_access_denied_matched_policy[none]""#;
    for (keys, expected) in [
        (r#""upstream_cluster":"backend""#, ["reporter=destination", "direction=inbound", "signals=1"]),
        (r#""upstream_cluster":null"#, ["reporter=gateway", "direction=", "signals=1"]),
        (r#""x":1"#, ["reporter=destination", "direction=inbound", "signals=1"]),
        (r#""requested_server_name":"shop.example.com""#, ["reporter=gateway", "direction=", "signals=1"]),
        (
            r#""upstream_cluster":"x","pod_name":"istio-ingressgateway-1-2""#,
            ["reporter=gateway", "direction=", "signals=1"],
        ),
    ] {
        check(&format!(r#"{{"start_time":"2026-11-22T14:39:24Z",{denied},{keys}}}"#), &expected);
    }
    // by the metadata alone, and of a connection
    let metadata = r#""start_time":"2026-11-22T14:39:24Z","rbac":{"enforced_engine_result":"denied"}"#;
    check(&format!("{{{metadata}}}"), &["rbac_decision=deny", "reporter=destination", "signals=1"]);
    let tcp = r#""response_code":0,"connection_termination_details":"rbac_access_denied_matched_policy[none]""#;
    check(&recommended(tcp), &["log_type=tcp", "reporter=gateway", "signals=1"]);
}

#[test]
fn an_empty_value_at_the_end_of_a_configured_format_is_one() {
    let mut options = DecodeOptions::default();
    let format = "%START_TIME%\t%RESPONSE_CODE%\t%REQ(USER-AGENT)%";
    options.add_text_format(crate::TextFormat::compile(format).unwrap().with_omit_empty_values(true));
    for line in
        ["2026-11-22T14:39:24.727Z\t200\t", "2026-11-22T14:39:24.727Z\t200\t\r", "2026-11-22T14:39:24.727Z\t200\tcurl"]
    {
        let columns = columns_with(line, &options).unwrap();
        assert_eq!(
            (columns["response_code"].as_str(), columns.contains_key("user_agent")),
            ("200", line.ends_with("curl"))
        );
    }
}

#[test]
fn the_black_hole_of_istio_1_9() {
    let text = r#"[2021-06-10T10:00:00.000Z] "- - -" 0 UH - - "-" 0 0 0 - "-" "-" "-" "-" "-" - - 93.184.216.34:443 10.0.0.1:5000 - -"#;
    check(text, &["log_type=tcp", "reporter=source", "direction=outbound", "egress=blackhole", "signals=8"]);
    check(&text.replace("0 UH - -", "0 UF - -"), &["reporter=", "egress=", "signals=0"]);
    check(&text.replace("\"- - -\" 0 UH", "\"GET / HTTP/1.1\" 503 UH"), &["reporter=", "egress="]);
}

#[test]
fn the_source_of_a_client_line_without_the_direct_address() {
    let line = |remote: &str| {
        let keys = OUTBOUND.replace(r#""downstream_direct_remote_address":"10.0.0.1:50000","#, "");
        recommended(&keys.replace("10.0.0.1:50000", remote))
    };
    check(&line("8.8.8.8:0"), &["source_ip=10.0.0.1", "source_port=", "claimed_client_ip=8.8.8.8"]);
    check(&line("10.0.0.1:0"), &["source_ip=10.0.0.1", "source_port=", "claimed_client_ip="]);
    check(&line("10.0.0.1:7"), &["source_ip=10.0.0.1", "source_port=7", "claimed_client_ip="]);
    let server = format!(r#"{INBOUND},"upstream_local_address":"127.0.0.6:5","downstream_remote_address":"8.8.8.8:0""#);
    check(&recommended(&server), &["source_ip=", "claimed_client_ip=8.8.8.8"]);
}

#[test]
fn integers_that_some_collector_made_doubles() {
    let line = |code: &str| format!(r#"{{"start_time":5,"response_code":{code},"duration":5.00,"bytes_sent":"7.0"}}"#);
    check(&line("403.0"), &["response_code=403", "duration_ms=5", "bytes_sent=7", "ended_at=5005000", "extra="]);
    for odd in ["403.5", "403.0e1", "\"403.\"", "\".0\""] {
        check(&line(odd), &["response_code=", &format!(r#"extra={{"response_code":{odd}}}"#)]);
    }
}

#[test]
fn rbac_that_says_more_stays_in_extra() {
    let rbac = r#"{"enforced_engine_result":"allowed","istio_dry_run_deny_shadow_engine_result":"denied"}"#;
    check(
        &recommended(&format!(r#"{INBOUND},{MTLS},"rbac":{rbac}"#)),
        &["rbac_decision=allow", "rbac_shadow_decision=deny", &format!(r#"extra={{"rbac":{rbac}}}"#)],
    );
}

#[test]
fn a_jwt_refusal() {
    let line = format!(
        r#"{INBOUND},{MTLS},"response_code":401,"response_code_details":"jwt_authn_access_denied{{Jwt_is_expired}}""#
    );
    check(&recommended(&line), &["jwt_failure=Jwt_is_expired", "rbac_decision=unknown", "signals=0"]);
}

#[test]
fn signals_are_single_bits() {
    use signals::{AMBIGUOUS, APP_403, DENIED, EGRESS_UNKNOWN, PLAINTEXT};
    let all = [DENIED, APP_403, PLAINTEXT, EGRESS_UNKNOWN, AMBIGUOUS];
    assert!(all.iter().all(|bit| bit.count_ones() == 1));
    assert_eq!(all.iter().sum::<i64>().count_ones(), 5);
}
