//! `meshwarden doctor format`: what it says of logs and of configurations, held by snapshots.

use super::{run, sample, text, with_stdin};

/// A folder with files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

/// What the doctor says of files, without the folder's name, and without the format that `format istio` prints, too.
fn said(files: &[(&str, &str)], flags: &[&str]) -> (String, Option<i32>) {
    let folder = folder(files);
    let paths: Vec<String> = files.iter().map(|(name, _)| folder.path().join(name).display().to_string()).collect();
    let mut args = vec!["doctor", "format"];
    args.extend(paths.iter().map(String::as_str));
    args.extend(flags);
    let output = run(&args);
    let out = text(&output.stdout) + &text(&output.stderr);
    let out = out.replace(&format!("{}/", folder.path().display()), "");
    (without_format(&out), output.status.code())
}

fn without_format(out: &str) -> String {
    let whole = text(&run(&["format", "istio"]).stdout);
    let with_query = text(&run(&["format", "istio", "--with-query"]).stdout);
    out.replace(&whole, "<format istio>\n").replace(&with_query, "<format istio --with-query>\n")
}

const TEXT: &str = r#"[2026-11-23T12:00:00.000Z] "GET /x?code=1 HTTP/1.1" 200 - via_upstream - "-" 0 5 1 1 "-" "curl/8" "a-b" "orders:8080" "10.0.0.2:8080" inbound|8080|| 127.0.0.6:1 10.0.0.2:8080 10.0.0.1:40000 outbound_.8080_._.orders.shop.svc.cluster.local default"#;

#[test]
fn a_log_of_the_recommended_format_needs_nothing() {
    let output = run(&["doctor", "format", sample().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    insta::assert_snapshot!("doctor-sample", text(&output.stdout));
}

#[test]
fn a_mixed_log() {
    let ztunnel = "2026-11-23T12:00:03.000000Z\tinfo\taccess\tconnection complete\tsrc.addr=10.0.0.1:5 dst.addr=10.0.0.2:80 direction=\"inbound\" bytes_sent=1 bytes_recv=2 duration=\"5ms\"";
    let custom = r#"{"start_time":"2026-11-23T12:00:04Z","status":200,"tenant":"a","method":"GET"}"#;
    let second = TEXT.replace("12:00:00", "12:00:01").replace("?code=1", "").replace("a-b", "a-c");
    let log = [
        TEXT,
        &format!("2026-11-23T12:00:01.123456789Z stdout F {second}"),
        ztunnel,
        custom,
        "hello \u{1b}[2J",
        "{\"a\":1}",
    ]
    .join("\n");
    let (out, code) = said(&[("mixed.log", &log)], &[]);
    assert_eq!(code, Some(0));
    insta::assert_snapshot!("doctor-mixed", out);
}

#[test]
fn lines_that_are_printed_twice() {
    let json = r#"{"log_schema":"meshwarden/1","start_time":"2026-11-23T12:00:00.000417Z","method":"GET","path":"/x","response_code":200,"bytes_sent":5,"duration":1,"request_id":"a-b","upstream_host":"10.0.0.2:8080","upstream_cluster":"inbound|8080||"}"#;
    let (out, _) = said(&[("twice.log", &format!("{TEXT}\n{json}\n"))], &[]);
    assert!(out.contains("1 of 2 requests are there twice"), "{out}");
    let (out, _) = said(&[("once.log", &format!("{TEXT}\n{}\n", json.replace("a-b", "a-c")))], &[]);
    assert!(!out.contains("twice"), "{out}");
}

const MESH: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata:
  name: istio
  namespace: istio-system
data:
  mesh: |-
    accessLogFile: /dev/stdout
    extensionProviders:
    - name: custom
      envoyFileAccessLog:
        path: /dev/stdout
        logFormat:
          labels:
            ts: "%START_TIME%"
            status: "%RESPONSE_CODE%"
            details: "%RESPONSE_CODE_DETAILS%"
            flags: "%RESPONSE_FLAGS%"
            path: "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"
            tenant: "%REQ(X-TENANT)%"
            method: "%REQ(X-HTTP-METHOD-OVERRIDE)%"
            token: "%REQ(AUTHORIZATION)%"
            claims: "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn)%"
            vhost: "%VIRTUAL_HOST_NAME%"
            shop: "%MY_SHOP%"
            both: "%PROTOCOL% %DURATION%"
            bad: "100%"
            nested: { path: "%REQ_WITHOUT_QUERY(:PATH)%" }
    - name: als
      envoyHttpAls: { service: als.obs.svc.cluster.local, port: 9000 }
    - name: prometheus-like
      prometheus: {}
"#;

const TELEMETRY: &str = r#"
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata:
  name: mesh-default
  namespace: istio-system
spec:
  accessLogging:
  - providers: [ { name: custom }, { name: envoy } ]
    filter:
      expression: response.code >= 400
  - match: { mode: CLIENT }
    providers: [ { name: json-sec } ]
"#;

#[test]
fn a_mesh_with_a_bad_format_a_bad_filter_and_two_providers() {
    let both = format!("{MESH}---{TELEMETRY}");
    let (out, code) = said(&[("mesh.yaml", &both)], &[]);
    assert_eq!(code, Some(0));
    insta::assert_snapshot!("doctor-mesh", out);
}

#[test]
fn a_telemetry_may_name_a_provider_of_another_file() {
    let (out, _) = said(&[("telemetry.yaml", TELEMETRY)], &[]);
    assert!(out.contains("custom is not defined here"), "{out}");
    let (out, _) = said(&[("telemetry.yaml", TELEMETRY), ("mesh.yaml", MESH)], &[]);
    assert!(out.contains("custom and envoy both write to /dev/stdout"), "{out}");
    assert!(out.contains("nothing here switches als on") && !out.contains("nothing here switches custom on"), "{out}");
    assert!(
        !out.contains("is not defined here") && out.contains("no extensionProviders here defines json-sec"),
        "{out}"
    );
}

#[test]
fn text_formats_of_plain_envoy() {
    let logger = |format: &str| {
        format!(
            "static_resources:\n  listeners:\n  - access_log:\n    - name: envoy.access_loggers.file\n      typed_config:\n        \"@type\": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog\n        path: /dev/stdout\n        log_format: {{ text_format_source: {{ inline_string: '{format}' }} }}\n"
        )
    };
    let unquoted = logger(
        "[%START_TIME%] %REQ(:METHOD)% %REQ_WITHOUT_QUERY(:PATH)% %REQ(USER-AGENT)%%RESPONSE_CODE% %RESPONSE_FLAGS%\\n",
    );
    let refused = logger("%START_TIME% %JA3_FINGERPRINT% %PROTOCOL(x)% %RESPONSE_CODE%\\n");
    let odd_time = logger("%START_TIME(%q)% %PROTOCOL%\\n");
    let clock = logger("[%START_TIME(%H:%M:%S)%] %PROTOCOL%\\n");
    let timeless = logger("%PROTOCOL% %RESPONSE_CODE%\\n");
    let files = [
        ("unquoted.yaml", &*unquoted),
        ("refused.yml", &refused),
        ("odd-time.yaml", &odd_time),
        ("clock.yaml", &clock),
        ("timeless.yaml", &timeless),
    ];
    let (out, code) = said(&files, &[]);
    assert_eq!(code, Some(0));
    insta::assert_snapshot!("doctor-text", out);
}

#[test]
fn filters_and_several_loggers_of_plain_envoy() {
    let logger = |filter: &str, path: &str| {
        format!(
            "- filter: {filter}\n  typed_config:\n    \"@type\": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog\n    path: {path}\n"
        )
    };
    let status = logger(
        "{ status_code_filter: { comparison: { op: GE, value: { default_value: 400, runtime_key: x } } } }",
        "/dev/stdout",
    );
    let cel = logger(
        "{ extension_filter: { name: cel, typed_config: { \"@type\": type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter, expression: response.code >= 400 } } }",
        "/dev/stdout",
    );
    let flags = logger("{ response_flag_filter: { flags: [NR] } }", "/dev/stdout");
    let other = logger("", "/tmp/other.log");
    let of_code = |op: &str, code: u16| {
        format!(
            "{{ status_code_filter: {{ comparison: {{ op: {op}, value: {{ default_value: {code}, runtime_key: x }} }} }} }}"
        )
    };
    let either = format!("{{ or_filter: {{ filters: [{}, {}] }} }}", of_code("EQ", 0), of_code("GE", 400));
    let both = format!("{{ and_filter: {{ filters: [{either}, {{ not_health_check_filter: {{}} }}] }} }}");
    let unknown = format!("{{ and_filter: {{ filters: [{either}, {{ runtime_filter: {{}} }}] }} }}");
    let (both, unknown) = (logger(&both, "/tmp/both.log"), logger(&unknown, "/tmp/unknown.log"));
    let yaml = format!("access_log:\n{status}{cel}{flags}{other}{both}{unknown}");
    let (out, code) = said(&[("envoy.yaml", &yaml)], &[]);
    assert_eq!(code, Some(0));
    insta::assert_snapshot!("doctor-envoy", out);
}

#[test]
fn the_recommended_format_is_found_good() {
    for (flags, named) in [(vec!["format", "istio"], false), (vec!["format", "istio", "--with-query"], true)] {
        let yaml = text(&run(&flags).stdout);
        let output = with_stdin(&["doctor", "format", "-"], yaml.as_bytes());
        let out = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{out}");
        assert!(out.contains("all 70 keys") && out.contains("5 of 5 evaluable"), "{out}");
        assert!(!out.contains("wrong") && !out.contains("Add these labels"), "{out}");
        assert_eq!(out.contains("query strings, where tokens often are"), named, "{out}");
    }
    let lie = "extensionProviders:\n- name: x\n  envoyFileAccessLog:\n    logFormat:\n      labels: { log_schema: meshwarden/1, start_time: '%START_TIME%' }\n";
    let (out, _) = said(&[("lie.yaml", lie)], &[]);
    assert!(out.contains("log_schema says that all 70 keys are logged") && out.contains("blind"), "{out}");
}

const PAYLOADS: &str = r#"/* ---
id = "mine.payloads"
version = 1
title = "a test"
severity = "low"
window = "5m"
entity = ["source"]
summary = "{source} {count}"
requires = ["path"]
reads_query = true
attack = []
false_positives = ""
runbook = ""
--- */
SELECT source_ip AS source, count(*) AS count, min(time) AS first_seen, max(time) AS last_seen, array_agg(log_id ORDER BY time) AS evidence
FROM requests WHERE time >= $window_start AND time < $window_end AND path LIKE '%union%select%' GROUP BY 1"#;

#[test]
fn detections_that_read_query_strings_are_named() {
    let detections = folder(&[("payloads.sql", PAYLOADS)]);
    let flags = ["--detections", detections.path().to_str().unwrap()];
    let with = |args: &[&str]| text(&run(&[args, &flags].concat()).stdout);
    let out = with(&["doctor", "format", sample().to_str().unwrap(), "--with-query"]);
    for said in
        ["5 of 6 evaluable, 1 blind", "without the query of path", "which blinds mine.payloads", "meshwarden/1+query"]
    {
        assert!(out.contains(said), "{said} is not in {out}");
    }
    let out = with(&["scan", sample().to_str().unwrap()]);
    for said in ["5 of 6 evaluable", "blind     mine.payloads: without the query of path"] {
        assert!(out.contains(said), "{said} is not in {out}");
    }
    let log = folder(&[("a.log", TEXT)]);
    let out = with(&["doctor", "format", log.path().join("a.log").to_str().unwrap()]);
    assert!(out.contains("evaluable   mine.payloads"), "{out}");
}

#[test]
fn json_for_programs() {
    let folder = folder(&[("a.log", TEXT), ("t.yaml", TELEMETRY)]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let output = run(&["doctor", "format", &path("a.log"), &path("t.yaml"), "--output", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["log"]["formats"][0]["format"], "Istio's default text");
    assert_eq!(report["log"]["detections"][0]["state"], "degraded");
    assert_eq!(report["meshes"][0]["telemetries"][0]["name"], "istio-system/mesh-default");
    assert_eq!(report["meshes"][0]["telemetries"][0]["rules"][0]["notes"][0]["weight"], "risk");
    assert!(report["remedy"]["yaml"].as_str().unwrap().contains("kind: Telemetry"));
}

#[test]
fn exit_codes() {
    let folder = folder(&[
        ("empty.log", ""),
        ("noise.log", "hello\n"),
        ("good.log", TEXT),
        ("other.yaml", "kind: Deployment\nmetadata: { name: x }\n"),
        ("broken.yaml", "a: [\n"),
        ("mesh.conf", MESH),
        ("deployment.conf", "kind: Deployment\n"),
        ("t.yaml", TELEMETRY),
    ]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (args, code, named) in [
        (vec![path("good.log")], 0, "Istio's default text"),
        (vec![path("good.log"), path("t.yaml")], 0, "Telemetry istio-system/mesh-default"),
        (vec![path("mesh.conf")], 0, "provider custom"),
        (vec![path("good.log"), "/no/such.log".to_owned()], 2, "/no/such.log"),
        (vec![path("good.log"), "/no/such.yaml".to_owned()], 2, "/no/such.yaml"),
        (vec![path("empty.log")], 3, "no line"),
        (vec![path("noise.log")], 3, "none of 1 lines"),
        (vec![path("deployment.conf")], 3, "none of 1 lines"),
        (vec!["/no/such.log".to_owned()], 3, "/no/such.log"),
        (vec!["/no/such.yaml".to_owned()], 3, "/no/such.yaml"),
        (vec![path("other.yaml")], 3, "nothing here defines an access log"),
        (vec![path("broken.yaml")], 3, "nothing readable"),
        (vec![], 2, "PATH"),
        (vec![path("good.log"), "--output".to_owned(), "csv".to_owned()], 2, "csv"),
    ] {
        let mut all = vec!["doctor", "format"];
        all.extend(args.iter().map(String::as_str));
        let output = run(&all);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(named), "{args:?} does not name {named}: {said}");
    }
    let output = run(&["doctor"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}
