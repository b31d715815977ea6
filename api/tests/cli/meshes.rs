//! Configurations of meshes as they are out there, given to `doctor format` and to `scan --mesh-config`.

use std::path::PathBuf;

use super::{run, text, with_stdin};

/// A folder with files, and their paths.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, content)| std::fs::write(folder.path().join(name), content).unwrap());
        Files(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Runs the program with the files in place of their names; stdout, stderr, and the exit code.
    fn run(&self, args: &[&str]) -> (String, String, Option<i32>) {
        let is_file = |arg: &str| PathBuf::from(self.path(arg)).exists();
        let args: Vec<String> =
            args.iter().map(|arg| if is_file(arg) { self.path(arg) } else { (*arg).to_owned() }).collect();
        let output = run(&args.iter().map(String::as_str).collect::<Vec<_>>());
        (text(&output.stdout), text(&output.stderr), output.status.code())
    }
}

const TEXT: &str = r#"[2026-11-23T12:00:00.000Z] "GET /x HTTP/1.1" 200 - via_upstream - "-" 0 5 1 1 "-" "curl/8" "a-b" "orders:8080" "10.0.0.2:8080" inbound|8080|| 127.0.0.6:1 10.0.0.2:8080 10.0.0.1:40000 outbound_.8080_._.orders.shop.svc.cluster.local default"#;

/// The ConfigMap that `istioctl install` makes.
const DEFAULT: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |-
    defaultConfig:
      discoveryAddress: istiod.istio-system.svc:15012
    defaultProviders:
      metrics:
      - prometheus
    enablePrometheusMerge: true
    rootNamespace: istio-system
    trustDomain: cluster.local
  meshNetworks: 'networks: {}'
";

const BY_NAME: &str = "apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: t, namespace: istio-system}
spec: {accessLogging: [{providers: [{name: envoy}]}]}
";

#[test]
fn a_default_mesh_whose_telemetry_names_the_built_in_provider() {
    let both = format!("{DEFAULT}---\n{BY_NAME}");
    let files =
        Files::new(&[("a.log", TEXT), ("both.yaml", &both), ("mesh.yaml", DEFAULT), ("telemetry.yaml", BY_NAME)]);
    for yaml in [&["both.yaml"][..], &["mesh.yaml", "telemetry.yaml"]] {
        let (out, err, code) = files.run(&[&["doctor", "format"], yaml].concat());
        assert_eq!(code, Some(0), "{err}");
        for said in [
            "provider envoy (built into Istio)",
            "Istio's default text, to /dev/stdout",
            "fills 24",
            "47 of the 70 keys of the recommended format (it has no upstream_service_time)",
            "0 of 5 evaluable, 5 degraded",
            "Add these labels to a JSON format",
            "kind: Telemetry",
        ] {
            assert!(out.contains(said), "{said} is not in {out}");
        }
        assert_eq!(out.matches("provider envoy").count(), 1, "{out}");
    }
    let (_, err, code) = files.run(&["scan", "--mesh-config", "both.yaml", "a.log"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(!err.contains("no access log"), "{err}");
}

#[test]
fn a_mesh_that_logs_nowhere() {
    let files = Files::new(&[("a.log", TEXT), ("mesh.yaml", DEFAULT)]);
    let (out, err, code) = files.run(&["doctor", "format", "mesh.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("this mesh logs no access at all") && out.contains("kind: Telemetry"), "{out}");
    let (out, err, code) = files.run(&["scan", "--mesh-config", "mesh.yaml", "a.log"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(err.contains("this mesh switches no access log on"), "{err}");
}

#[test]
fn a_format_that_tells_no_reporter() {
    let labels = |more: &str| {
        format!(
            "extensionProviders:\n- name: slim\n  envoyFileAccessLog:\n    logFormat:\n      labels: {{ts: '%START_TIME%', path: '%REQ(:PATH)%', status: '%RESPONSE_CODE%', flags: '%RESPONSE_FLAGS%'{more}}}\n"
        )
    };
    let details = labels(", details: '%RESPONSE_CODE_DETAILS%'");
    let tls = labels(", tls: '%DOWNSTREAM_TLS_VERSION%'");
    let full = labels(", details: '%RESPONSE_CODE_DETAILS%', c: '%UPSTREAM_CLUSTER_RAW%'");
    let files = Files::new(&[("slim.yaml", &details), ("tls.yaml", &tls), ("full.yaml", &full)]);
    let out = |name: &str| files.run(&["doctor", "format", name]).0.split_whitespace().collect::<Vec<_>>().join(" ");
    let (slim, tls, full) = (out("slim.yaml"), out("tls.yaml"), out("full.yaml"));
    for said in [
        "blind http.403-spike - without upstream_cluster: it sees nothing",
        "degraded mtls.plaintext-attempt",
        "without upstream_cluster: ordinary lines: it reads those of the reporter destination or ztunnel",
        "upstream_cluster: \"%UPSTREAM_CLUSTER_RAW%\"",
    ] {
        assert!(slim.contains(said), "{said} is not in {slim}");
    }
    let said = "blind mtls.plaintext-attempt - without upstream_cluster: it reads lines of the reporter destination or ztunnel, and no line tells";
    assert!(tls.contains(said), "{tls}");
    assert!(full.contains("degraded http.403-spike") && !full.contains("without upstream_cluster"), "{full}");
}

const READS_QUERY: &str = r#"/* ---
id = "mine.queries"
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
FROM requests WHERE time >= $window_start AND time < $window_end AND path LIKE '%?%' GROUP BY 1"#;

#[test]
fn who_reads_queries_is_blind_in_logs_of_a_configured_format_without() {
    let json = |path: &str| {
        format!(
            "extensionProviders:\n- name: a\n  envoyFileAccessLog:\n    logFormat:\n      labels: {{ ts: '%START_TIME%', p: '{path}', c: '%RESPONSE_CODE%', cl: '%UPSTREAM_CLUSTER%' }}\n"
        )
    };
    let as_text =
        |path: &str| format!("accessLogFile: /dev/stdout\naccessLogFormat: '<%START_TIME%> {path} %RESPONSE_CODE%'\n");
    let (without, with) = ("%REQ_WITHOUT_QUERY(:PATH)%", "%REQ(:PATH)%");
    let line = r#"{"ts":"2026-11-22T14:39:24.727Z","p":"/a","c":200,"cl":"inbound|80||"}"#;
    let words = "<2026-11-22T14:39:24.727Z> /a 200";
    for (yaml, line, blind) in [
        (json(without), line, true),
        (json(with), line, false),
        (as_text(without), words, true),
        (as_text(with), words, false),
    ] {
        let files = Files::new(&[("m.yaml", &yaml), ("a.log", line)]);
        let detections = Files::new(&[("q.sql", READS_QUERY)]);
        let folder = detections.0.path().to_str().unwrap();
        for args in [
            &["doctor", "format", "m.yaml"][..],
            &["doctor", "format", "a.log", "--mesh-config", "m.yaml"],
            &["scan", "a.log", "--mesh-config", "m.yaml"],
        ] {
            let (out, err, _) = files.run(&[args, &["--detections", folder]].concat());
            assert_eq!(out.contains("without the query of path"), blind, "{yaml}{args:?} {out}{err}");
        }
    }
}

#[test]
fn a_format_that_fills_no_key() {
    let yaml = "extensionProviders:\n- name: lits\n  envoyFileAccessLog: {logFormat: {labels: {a: const, vh: '%VIRTUAL_CLUSTER_NAME%'}}}\n";
    let (out, _, _) = Files::new(&[("z.yaml", yaml)]).run(&["doctor", "format", "z.yaml"]);
    assert!(out.contains("none of the 70 keys of the recommended format") && !out.contains("all 70 keys"), "{out}");
}

#[test]
fn a_pipe_is_read() {
    let output = with_stdin(&["scan", "/dev/stdin"], TEXT.as_bytes());
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(text(&output.stdout).contains("1 ") && !err.contains("cannot be read"), "{}{err}", text(&output.stdout));
}

#[test]
fn clusters_in_a_format_that_separates_by_pipes() {
    let yaml = |format: &str| format!("accessLogFile: /dev/stdout\naccessLogFormat: '{format}'\n");
    let sound = yaml("%START_TIME%|%REQ(:METHOD)%|%RESPONSE_CODE%|%UPSTREAM_CLUSTER%|%DURATION%");
    let unsound = yaml("%START_TIME%|%REQ(:METHOD)%|%UPSTREAM_CLUSTER%|%REQ(USER-AGENT)%");
    let log = "2026-11-22T14:39:24.727Z|GET|200|inbound|8080|||5\n";
    let files = Files::new(&[("sound.yaml", &sound), ("unsound.yaml", &unsound), ("a.log", log)]);
    let said = "no line with a cluster such as `inbound|8080||` can be read: %UPSTREAM_CLUSTER%";
    let out = |name: &str| files.run(&["doctor", "format", name]).0.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(out("unsound.yaml").contains(said) && !out("sound.yaml").contains(said), "{}", out("unsound.yaml"));
    let (out, err, code) = files.run(&["scan", "--mesh-config", "sound.yaml", "a.log"]);
    assert!(code == Some(0) && !err.contains("reject"), "{out}{err}");
}
