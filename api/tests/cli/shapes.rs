//! The shapes that outsiders read, held by snapshots: help texts, a finding, a reject. Review changes with `cargo insta review`, or set
//! `INSTA_UPDATE=always` and read the diff.

use super::{run, text, with_stdin};

/// Twenty denials in one window, an id in the path, and two lines that are none.
fn log() -> String {
    let line = |second: usize| {
        format!(
            r#"{{"log_schema":"meshwarden/1","start_time":"2026-11-23T12:00:{second:02}.000000Z","access_log_type":"DownstreamEnd","duration":3,"pod_name":"payments-0","pod_namespace":"bank","pod_service_account":"payments","method":"GET","path":"/admin","authority":"payments.bank.svc.cluster.local","protocol":"HTTP/2","response_code":403,"response_code_details":"rbac_access_denied_matched_policy[ns[bank]-policy[deny-admin]-rule[0]]","bytes_received":0,"bytes_sent":19,"upstream_cluster":"inbound|8080||","downstream_local_address":"10.0.0.2:8080","downstream_remote_address":"10.0.0.1:40000","downstream_direct_remote_address":"10.0.0.1:40000","downstream_peer_uri_san":"spiffe://cluster.local/ns/shop/sa/web","downstream_local_uri_san":"spiffe://cluster.local/ns/bank/sa/payments","downstream_tls_version":"TLSv1.3","rbac":{{"enforced_engine_result":"denied","enforced_effective_policy_id":"ns[bank]-policy[deny-admin]-rule[0]"}}}}"#
        )
    };
    let mut lines: Vec<String> = (0..20).map(line).collect();
    lines.push("{\"start_time\":\"soon\",\"method\":\"GET\"}".to_owned());
    lines.push("hello".to_owned());
    lines.join("\n")
}

#[test]
fn a_finding() {
    let output = with_stdin(&["scan", "-", "--output", "ndjson"], log().as_bytes());
    let findings = super::ndjson(&output.stdout);
    insta::assert_json_snapshot!("finding", findings);
}

#[test]
fn rejects() {
    let query = "SELECT source, line, byte_offset, reason, detail, length, sha256, arrow_cast(raw, 'Utf8') AS raw FROM rejects ORDER BY line";
    let output = with_stdin(&["sql", query, "--from", "-", "--output", "ndjson"], log().as_bytes());
    insta::assert_json_snapshot!("rejects", super::ndjson(&output.stdout));
}

#[test]
fn columns() {
    let output = with_stdin(&["sql", "SHOW COLUMNS FROM access_logs", "--from", "-", "--output", "csv"], b"");
    let columns: Vec<String> = text(&output.stdout)
        .lines()
        .skip(1)
        .map(|line| line.split(',').skip(3).take(2).collect::<Vec<_>>().join(" "))
        .collect();
    insta::assert_snapshot!("columns", columns.join("\n"));
}

#[test]
fn help() {
    for command in ["demo", "scan", "serve", "sql", "format", "doctor"] {
        insta::assert_snapshot!(format!("help-{command}"), text(&run(&[command, "--help"]).stdout));
    }
    insta::assert_snapshot!("help-doctor-format", text(&run(&["doctor", "format", "--help"]).stdout));
    insta::assert_snapshot!("help", text(&run(&["--help"]).stdout));
}

#[test]
fn formats() {
    for target in ["istio", "envoy"] {
        insta::assert_snapshot!(format!("format-{target}"), text(&run(&["format", target]).stdout));
        let with_query = run(&["format", target, "--with-query"]);
        insta::assert_snapshot!(format!("format-{target}-with-query"), text(&with_query.stdout));
    }
}
