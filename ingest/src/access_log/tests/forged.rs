//! What a caller may have written.

use super::*;

#[test]
fn repeated_keys_prove_nothing() {
    let forged = r#""downstream_peer_uri_san":"spiffe://cluster.local/ns/a/sa/admin""#;
    for keys in [format!("{forged},{INBOUND},{MTLS}"), format!("{INBOUND},{MTLS},{forged}")] {
        let line = recommended(&keys);
        check(&line, &["identity_verified=false", "transport_security=tls"]);
        assert!(columns(&line)["extra"].starts_with(r#"{"duplicate_keys":{"downstream_peer_uri_san":["spiffe://"#));
    }
    check(&recommended(&format!(r#"{INBOUND},{MTLS},"method":"PUT""#)), &["identity_verified=true", "method=GET"]);
    let denied = r#""response_code_details":"rbac_access_denied_matched_policy[ns[a]-policy[b]-rule[0]]""#;
    let fine = r#""response_code_details":"via_upstream""#;
    let rbac = |result: &str| format!(r#""rbac":{{"enforced_engine_result":"{result}"}}"#);
    let (no, yes) = (rbac("denied"), rbac("allowed"));
    for keys in [format!("{fine},{denied}"), format!("{denied},{fine}")] {
        check(&recommended(&format!("{INBOUND},{MTLS},{keys}")), &["rbac_decision=deny", "signals=17"]);
    }
    for keys in [format!("{yes},{no}"), format!("{no},{yes}")] {
        let line = format!(r#"{{"start_time":5,{INBOUND},{MTLS},{keys}}}"#);
        check(&line, &["rbac_decision=deny", "signals=17"]);
        check(&recommended(&format!("{INBOUND},{MTLS},{fine},{no}")), &["rbac_decision=unknown", "signals=0"]);
    }
}

/// A text template that imitates JSON: what a caller may have written proves nothing and hides nothing.
#[test]
fn json_of_strings_proves_nothing() {
    let template = |more: &str| {
        format!(
            r#"{{"start_time":"2026-11-22T14:39:24.727Z","response_code":"403","upstream_cluster":"inbound|8080||","method":"GET","protocol":"HTTP/1.1",
            "downstream_remote_address":"10.0.0.1:5000","user_agent":"x"{more}}}"#
        )
    };
    let forged = template(
        r#","downstream_peer_uri_san":"spiffe://cluster.local/ns/a/sa/admin","downstream_tls_version":"TLSv1.3""#,
    );
    check(&forged, &["identity_verified=false", "claims=source_principal", "transport_security=tls"]);
    // numbers without quotes, but an absent value is a dash
    let numbers = forged.replace(r#""403""#, r#"403,"route_name":"-""#);
    check(&numbers, &["identity_verified=false", "claims=source_principal", "response_code=403"]);
    check(&numbers.replace(r#""-""#, "null"), &["identity_verified=true", "claims="]);
    // a line that would not count, a schema that would say that nothing is missing, details that would outvote the metadata
    let rbac = r#""rbac":{"enforced_engine_result":"denied"}"#;
    for more in [
        r#","access_log_type":"DownstreamStart""#,
        r#","access_log_type":"NotSet""#,
        r#","log_schema":"meshwarden/1""#,
        r#","response_code_details":"via_upstream""#,
    ] {
        let line = template(&format!(",{rbac}{more}"));
        check(&line, &["rbac_decision=deny", "log_type=http", "reporter=destination", "access_log_type="]);
        assert_eq!(columns(&line)["signals"].parse::<i64>().unwrap() & signals::DENIED, signals::DENIED);
    }
    check(&template(r#","access_log_type":"DownstreamEnd""#), &["access_log_type=DownstreamEnd"]);
    let kept = columns(&template(r#","access_log_type":"DownstreamStart""#));
    assert!(kept["extra"].contains(r#""access_log_type":"DownstreamStart""#), "{}", kept["extra"]);
}

#[test]
fn a_path_that_may_be_the_callers_word() {
    let keys = r#""response_code":200,"bytes_received":0,"bytes_sent":0,"duration":1,"downstream_local_address":"10.0.0.2:80","downstream_remote_address":"10.0.0.1:5000","method":"GET","path":"/healthz","protocol":"HTTP/1.1""#;
    let line =
        |cluster: &str| format!(r#"{{"start_time":"2026-11-22T14:39:24.727Z",{keys},"upstream_cluster":"{cluster}"}}"#);
    check(&line("inbound|8080||"), &["direction=inbound", "claims=path"]);
    check(&line("outbound|80||a.b.svc.cluster.local"), &["direction=outbound", "claims="]);
    // of any other format nobody knows which operator feeds the path; the recommended one logs :PATH
    let other = line("inbound|8080||").replace(r#""method""#, r#""grpc_status":0,"method""#);
    check(&other, &["claims=", "path=/healthz"]);
    check(&recommended(INBOUND), &["claims=", "path=/a"]);
}
