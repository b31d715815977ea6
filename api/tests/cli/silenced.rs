//! Who is recorded must not be able to silence what is said about it: names that a caller rotates, keys that it writes, formats that nobody told us of,
//! and logs of the wrong side.

use serde_json::Value;

use super::{run, text};

/// One line for each of sixty seconds.
fn lines(line: impl Fn(usize) -> String) -> String {
    (0..60).map(|second| line(second) + "\n").collect()
}

fn time(second: usize) -> String {
    format!("2026-11-22T14:39:{second:02}.000Z")
}

/// A denial in Istio's default text: nothing on it names the destination but its address, and what the caller sent.
fn denied(second: usize, host: &str) -> String {
    format!(
        r#"[{}] "GET /x HTTP/1.1" 403 - rbac_access_denied_matched_policy[none] - "-" 0 19 0 - "-" "curl" "id" "{host}" "-" inbound|8080|| - 10.0.0.9:8080 10.0.0.1:40000 - default"#,
        time(second)
    )
}

struct Scan {
    code: Option<i32>,
    out: String,
    findings: Vec<Value>,
}

fn scan(log: &str, more: &[&str]) -> Scan {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    std::fs::write(&file, log).unwrap();
    let file = file.to_str().unwrap();
    let output = run(&[&["scan", file], more].concat());
    let ndjson = text(&run(&["scan", file, "--output", "ndjson"]).stdout);
    let findings = ndjson.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Scan { code: output.status.code(), out: text(&output.stdout) + &text(&output.stderr), findings }
}

impl Scan {
    /// Detection, destination and count of each finding, one after the other.
    fn found(&self) -> String {
        let found = |finding: &Value| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            format!("{} {} {}", text(&finding["detection"]), text(&finding["entity"]["destination"]), finding["count"])
        };
        self.findings.iter().map(found).collect::<Vec<_>>().join(", ")
    }
}

#[test]
fn a_name_that_the_caller_rotates_is_no_destination() {
    let by_host = scan(&lines(|second| denied(second, &format!("h{second}.x"))), &["--fail-on", "high"]);
    assert_eq!(by_host.found(), "authz.denied-spike 10.0.0.9 60");
    assert_eq!(by_host.code, Some(1));
    assert!(
        by_host.out.contains("10.0.0.1 → 10.0.0.9"),
        "an edge of the summary is not of sixty names: {}",
        by_host.out
    );
    // JSON of strings: the names of an identity, and an address, may be keys that the caller wrote
    let forged = |key: &str, value: fn(usize) -> String| {
        lines(|second| {
            format!(
                r#"{{"start_time":"{}","method":"GET","path":"/x","protocol":"HTTP/1.1","response_code":"403","response_code_details":"rbac_access_denied_matched_policy[none]","upstream_cluster":"inbound|8080||","downstream_local_address":"10.0.0.9:8080","downstream_remote_address":"10.0.0.1:40000","user_agent":"x","{key}":"{}","z":"1"}}"#,
                time(second),
                value(second)
            )
        })
    };
    for (key, value) in [
        ("downstream_local_uri_san", (|n| format!("spiffe://cluster.local/ns/f{n}/sa/b")) as fn(usize) -> String),
        ("downstream_direct_remote_address", |n| format!("9.9.9.{n}:4000")),
        ("requested_server_name", |n| format!("outbound_.80_._.s{n}.shop.svc.cluster.local")),
        ("authority", |n| format!("h{n}.x")),
    ] {
        let found = scan(&forged(key, value), &[]);
        assert_eq!(found.found(), "authz.denied-spike 10.0.0.9 60", "{key}");
    }
}

/// `x-envoy-original-path` stands in the place of the path in Istio's defaults.
#[test]
fn a_path_that_the_caller_rotates_is_no_route() {
    let refused = |second: usize| {
        format!(
            r#"[{}] "GET /p{second}x/y HTTP/1.1" 403 - via_upstream - "-" 0 19 3 2 "-" "curl" "id" "orders" "10.0.0.9:8080" inbound|8080|| 127.0.0.6:1 10.0.0.9:8080 10.0.0.1:40000 - default"#,
            time(second)
        )
    };
    assert_eq!(scan(&lines(refused), &[]).found(), "http.403-spike 10.0.0.9 60");
}

#[test]
fn lines_of_an_unknown_format_are_no_all_clear() {
    let known = r#"[2026-11-22T14:39:24.727Z] "GET /t HTTP/1.1" 200 - via_upstream - "-" 0 178 2 1 "-" "a" "-" "h" "10.0.0.9:80" inbound|80|| 1.1.1.1:1 10.0.0.9:80 10.0.0.1:4 - default"#;
    for line in [
        r#"{"ts":"2026-11-22T14:39:24Z","response_code":403,"response_code_details":"rbac_access_denied_matched_policy[none]"}"#,
        "2026-11-22T14:39:24Z GET /x 403 rbac_access_denied_matched_policy[none] inbound|8080||",
        r#"{"time":"2026-11-22T14:39:24Z","status":403,"details":"via_upstream"}"#,
        r#"{"level":"info","scope":"access","message":"connection complete","error":"connection closed due to policy rejection"}"#,
    ] {
        let log = format!("{known}\n{line}\n");
        let verdict = scan(&log, &["--fail-on", "high"]);
        assert_eq!(verdict.code, Some(2), "{line}: {}", verdict.out);
        assert!(verdict.out.contains("No all-clear: nothing was found"), "{line}: {}", verdict.out);
    }
    // what the proxy says about itself names clusters, too
    let talk =
        "2026-11-22T14:39:24.727000Z\twarning\tenvoy config\tcluster outbound|80||a.b.svc.cluster.local rejected";
    assert_eq!(scan(&format!("{known}\n{talk}\n"), &["--fail-on", "high"]).code, Some(0));
}

#[test]
fn a_log_of_one_side_is_no_all_clear_for_the_other() {
    let line = |cluster: &str| {
        let tls = if cluster.starts_with("outbound") { "null" } else { "\"TLSv1.3\"" };
        format!(
            r#"{{"log_schema":"meshwarden/1","start_time":"2026-11-22T14:39:24Z","method":"GET","protocol":"HTTP/1.1","response_code":403,"response_code_details":"via_upstream","upstream_cluster":"{cluster}","upstream_host":"10.0.0.9:80","downstream_remote_address":"10.0.0.1:4000","downstream_tls_version":{tls}}}"#
        )
    };
    for (cluster, blind) in [
        ("outbound|80||a.b.svc.cluster.local", &["authz.denied-spike", "http.403-spike", "mtls.plaintext-attempt"][..]),
        ("inbound|8080||", &["egress.unknown-host"]),
        // of a plain Envoy: a denial tells that this is the proxy that judged, nothing else tells the side
        ("service_backend", &["egress.unknown-host", "http.403-spike", "mtls.plaintext-attempt"]),
    ] {
        let Scan { out, .. } = scan(&format!("{}\n", line(cluster)), &[]);
        for id in ["authz.denied-spike", "egress.unknown-host", "http.403-spike", "mtls.plaintext-attempt"] {
            let said = out.lines().any(|line| line.trim_start().starts_with("blind") && line.contains(id));
            assert_eq!(said, blind.contains(&id), "{cluster} {id}: {out}");
        }
        assert!(out.contains(&format!("{} of 5 detections see nothing in these logs", blind.len())), "{out}");
    }
}
