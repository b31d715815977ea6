//! The program as a person runs it: output, exit codes, the report, the service's life.

#![allow(clippy::unwrap_used, clippy::expect_used)]
// the figures of a run
#![allow(clippy::print_stdout)]

mod arrivals;
mod bounds;
mod bucket;
mod client;
mod crash;
mod doctor;
mod drift;
mod ended;
mod every_way;
mod full;
mod killed;
mod meshes;
mod power;
mod report;
mod service;
mod shapes;
mod silenced;
mod soak;
mod store;
mod tail;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("sample-logs/mesh.jsonl")
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshwarden"));
    // the caller's own settings must not bend a test
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MESHWARDEN_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn with_stdin(args: &[&str], stdin: &[u8]) -> Output {
    let mut child = command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    let writing = std::thread::spawn(move || pipe.write_all(&stdin));
    let output = child.wait_with_output().unwrap();
    let _ = writing.join().unwrap();
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn ndjson(bytes: &[u8]) -> Vec<Value> {
    text(bytes).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_demo_prints_findings_and_a_summary() {
    let output = run(&["demo", "--once"]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{out}{}", text(&output.stderr));
    for word in [
        "authz.denied-spike",
        "http.403-spike",
        "mtls.plaintext-attempt",
        "egress.unknown-host",
        "p99 ms",
        "mutual TLS",
        "MB/s",
        "5 of 5 evaluable",
    ] {
        assert!(out.contains(word), "'{word}' is not in\n{out}");
    }
}

#[test]
fn a_scan_writes_findings_as_ndjson_and_all_else_on_stderr() {
    let output = run(&["scan", sample().to_str().unwrap(), "--output", "ndjson"]);
    assert_eq!(output.status.code(), Some(0));
    let findings = ndjson(&output.stdout);
    assert!(findings.len() >= 10);
    let keys: Vec<&str> = findings[0].as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "id",
        "detection",
        "version",
        "title",
        "severity",
        "status",
        "incident",
        "entity",
        "summary",
        "first_seen",
        "last_seen",
        "count",
        "window",
        "facts",
        "attack",
        "evidence",
        "runbook",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert!(text(&output.stderr).contains("lines/s"));
}

#[test]
fn stdin_gzip_and_a_second_file_are_read() {
    let plain = std::fs::read(sample()).unwrap();
    let findings = |output: Output| {
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let mut findings: Vec<(Value, Value)> =
            ndjson(&output.stdout).into_iter().map(|f| (f["id"].clone(), f["count"].clone())).collect();
        findings.sort_by_key(|(id, _)| id.to_string());
        findings
    };
    let from_stdin = findings(with_stdin(&["scan", "-", "--output", "ndjson"], &plain));
    let folder = tempfile::tempdir().unwrap();
    let (half, other) = plain.split_at(plain.len() / 2);
    let cut = half.iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    let (first, second) = (folder.path().join("a.jsonl"), folder.path().join("b.jsonl"));
    std::fs::write(&first, &half[..cut]).unwrap();
    std::fs::write(&second, [&half[cut..], other].concat()).unwrap();
    assert!(Command::new("gzip").arg(&second).status().unwrap().success());
    let from_folder = findings(run(&["scan", folder.path().to_str().unwrap(), "--output", "ndjson"]));
    assert_eq!(from_stdin, from_folder);
}

#[test]
fn exit_codes_tell_what_happened() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("empty.log"), "").unwrap();
    std::fs::write(path("noise.log"), "hello\nworld\n").unwrap();
    std::fs::write(path("bad.toml"), "[http]\nlisten = \"nowhere\"\n").unwrap();
    let refused = path("detections");
    std::fs::create_dir(&refused).unwrap();
    std::fs::write(path("detections/bad.sql"), "SELECT 1").unwrap();
    let line = r#"[2026-11-23T12:00:00.000Z] "GET /x HTTP/1.1" 200 - via_upstream - "-" 0 5 1 1 "-" "-" "-" "-" "-" - - - - - -"#;
    let (halves, talk) = (path("halves.log"), path("talk.log"));
    std::fs::write(&halves, format!("{line}\n{}\n", line.get(..60).unwrap())).unwrap();
    std::fs::write(&talk, format!("[2026-11-23 12:00:00.000][1][info][main] starting\n{line}\n")).unwrap();
    let sample = sample().to_str().unwrap().to_owned();
    let data = path("data");
    for (args, code, named) in [
        (vec!["scan", &sample, "--fail-on", "high"], 1, ""),
        (vec!["scan", &sample, "--fail-on", "critical"], 0, ""),
        (vec!["scan", &sample, "--fail-on", "dreadful"], 2, "dreadful"),
        (vec!["scan", &sample, "/no/such/file", "--fail-on", "critical"], 2, "/no/such/file"),
        (vec!["scan", &sample, "/no/such/file", "--fail-on", "high"], 1, "/no/such/file"),
        (vec!["scan", &sample, "--detections", &refused, "--fail-on", "critical"], 2, "bad.sql"),
        (vec!["scan", &sample, "/no/such/file"], 2, "/no/such/file"),
        (
            vec!["scan", &halves],
            0,
            "No all-clear: nothing was found, but not everything was looked at: 1 lines that look like access logs",
        ),
        (vec!["scan", &halves, "--fail-on", "high"], 2, "1 lines that look like access logs could not be read"),
        (vec!["scan", &talk, "--fail-on", "high"], 0, "not_an_access_log"),
        (vec!["scan", &sample, "--max-line-bytes", "0"], 2, "at least 1"),
        (vec!["scan"], 2, "PATH"),
        (vec!["scan", "--colour"], 2, "--colour"),
        (vec!["scan", &sample, "--field", "status"], 2, "status"),
        (vec!["scan", &sample, "--field", "status=respnse_code"], 2, "response_code"),
        (vec!["scan", &sample, "--detections", "/no/such/folder"], 2, "/no/such/folder"),
        (vec!["scan", "/no/such/file"], 3, "/no/such/file"),
        (vec!["scan", &path("empty.log")], 3, "nothing readable"),
        (
            vec!["scan", &path("empty.log")],
            3,
            "No all-clear: nothing was found, but not everything was looked at: there was no line",
        ),
        (vec!["scan", &path("noise.log")], 3, "nothing readable"),
        (vec!["sql", "SELECT 1"], 2, "--from"),
        (vec!["sql", "DROP TABLE access_logs", "--from", &sample], 2, "only SELECT"),
        (vec!["sql", "SELECT nonsense FROM access_logs", "--from", &sample], 2, "nonsense"),
        (vec!["sql", "SELECT 1", "--from", "/no/such/file"], 3, "nothing readable"),
        (vec!["sql", "SELECT 1", "--data", "/no/such/folder"], 2, "/no/such/folder"),
        (vec!["serve", "--data", &data, "--listen", "0.0.0.0:0"], 2, "MESHWARDEN_ADMIN_TOKEN"),
        (vec!["serve", "--data", &data, "--config", &path("bad.toml")], 2, "bad.toml"),
        (vec!["serve", "--data", &data, "--config", "/no/such.toml"], 2, "/no/such.toml"),
    ] {
        let output = run(&args);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(named), "{args:?} does not name {named}: {said}");
    }
}

#[test]
fn sql_writes_tables_ndjson_and_csv() {
    let sample = sample().to_str().unwrap().to_owned();
    let query =
        "SELECT reporter, count(*) AS n FROM requests WHERE reporter = 'destination' OR reporter = 'none' GROUP BY 1";
    let sql = |form: &str| text(&run(&["sql", query, "--from", &sample, "--output", form]).stdout);
    let csv = sql("csv");
    let (header, row) = csv.split_once('\n').unwrap();
    assert_eq!(header, "reporter,n");
    let count: u64 = row.trim().strip_prefix("destination,").unwrap().parse().unwrap();
    let json: Value = serde_json::from_str(sql("ndjson").trim()).unwrap();
    assert_eq!(json, serde_json::json!({"reporter": "destination", "n": count}));
    assert!(sql("table").contains(&format!("| destination | {count}")));
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.log.1");
    std::fs::copy(&sample, &copy).unwrap();
    let both = |second: &str| {
        let output = run(&["sql", query, "--from", &sample, "--from", second, "--output", "ndjson"]);
        serde_json::from_str::<Value>(text(&output.stdout).trim()).unwrap()["n"].as_u64().unwrap()
    };
    assert_eq!(both(copy.to_str().unwrap()), count * 2);
    assert_eq!(both(folder.path().to_str().unwrap()), count * 2, "a rotated file of a folder is read");
    assert_eq!(both(&sample), count, "the same file is read once");
    let none =
        text(&run(&["sql", "SELECT path FROM requests WHERE false", "--from", &sample, "--output", "csv"]).stdout);
    assert_eq!(none, "path\n");
    let one = |query: &str| text(&run(&["sql", query, "--from", &sample, "--output", "csv"]).stdout);
    let (rolled_up, counted) =
        (one("SELECT sum(requests) AS n FROM edges_1m"), one("SELECT count(*) AS n FROM requests"));
    assert_eq!(rolled_up, counted);
    let buckets = one("SELECT latency FROM edges_1m WHERE latency IS NOT NULL LIMIT 1");
    assert!(buckets.starts_with("latency\n\"[{\"\"bucket\"\":"), "{buckets}");
}

#[test]
fn sql_says_what_it_could_not_read() {
    let sample = sample().to_str().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.log");
    std::fs::write(&garbage, "no log\n").unwrap();
    let count = "SELECT count(*) AS n FROM access_logs";
    let output = run(&["sql", count, "--from", &sample, "--from", "/no/such.log", "--output", "csv"]);
    assert_eq!(text(&output.stdout), "n\n2644\n", "what could be read is answered");
    assert!(text(&output.stderr).contains("/no/such.log"), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(2));
    let output = run(&["sql", count, "--from", garbage.to_str().unwrap(), "--output", "csv"]);
    assert_eq!((text(&output.stdout), output.status.code()), ("n\n0\n".to_owned(), Some(0)), "rejects are rows, too");
    assert!(text(&output.stderr).contains("not_an_access_log"), "{}", text(&output.stderr));
}

#[test]
fn a_typed_from_goes_before_data_of_the_environment() {
    let output = Command::new(env!("CARGO_BIN_EXE_meshwarden"))
        .args(["sql", "SELECT count(*) AS n FROM access_logs", "--output", "csv", "--from"])
        .arg(sample())
        .env("MESHWARDEN_DATA", "/no/such/folder")
        .output()
        .unwrap();
    assert_eq!((text(&output.stdout), output.status.code()), ("n\n2644\n".to_owned(), Some(0)));
}

#[test]
fn a_detection_that_fails_is_no_all_clear() {
    let folder = tempfile::tempdir().unwrap();
    let quiet = r#"{"start_time":"2026-11-23T12:00:00Z","method":"GET","response_code":200}"#;
    let sql = r#"/* ---
id = "fails"
version = 1
title = "Fails"
severity = "high"
window = "5m"
entity = ["source"]
summary = "{source}"
requires = []
attack = []
false_positives = ""
runbook = ""
--- */
SELECT method AS source, count(*) AS count, min(time) AS first_seen, max(time) AS last_seen, array_agg(log_id) AS evidence, max(CAST(method AS BIGINT)) AS n
FROM requests WHERE time >= $window_start AND time < $window_end GROUP BY method"#;
    std::fs::write(folder.path().join("fails.sql"), sql).unwrap();
    let report = folder.path().join("report.html");
    let args = ["scan", "-", "--detections", folder.path().to_str().unwrap(), "--report", report.to_str().unwrap()];
    let output = with_stdin(&args, quiet.as_bytes());
    let (out, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(2), "{out}{said}");
    assert!(
        out.starts_with("No all-clear: nothing was found, but not everything was looked at: detection fails failed"),
        "{out}"
    );
    assert!(
        !out.contains("No findings.") && out.contains("FAILED on 1 windows") && said.contains("incomplete"),
        "{out}{said}"
    );
    let report = std::fs::read_to_string(report).unwrap();
    assert!(report.contains("No all-clear") && report.contains("failed"), "{report}");
}

#[test]
fn default_formats_name_what_they_cannot_see_and_what_would_show_it() {
    let line = r#"[2026-11-23T12:00:00.000Z] "GET /x HTTP/1.1" 200 - via_upstream - "-" 0 5 1 1 "-" "curl/8" "a-b" "orders:8080" "10.0.0.2:8080" inbound|8080|| 127.0.0.6:1 10.0.0.2:8080 10.0.0.1:40000 outbound_.8080_._.orders.shop.svc.cluster.local default"#;
    let output = with_stdin(&["scan", "-"], format!("{line}\n").as_bytes());
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{out}");
    for word in [
        "degraded",
        "source_principal",
        "downstream_peer_uri_san: \"%DOWNSTREAM_PEER_URI_SAN%\"",
        "transport_security",
        "meshwarden format istio",
    ] {
        assert!(out.contains(word), "'{word}' is not in\n{out}");
    }
    let minimal = with_stdin(&["scan", "-"], b"{\"start_time\":\"2026-11-23T12:00:00Z\",\"method\":\"GET\"}\n");
    let out = text(&minimal.stdout);
    assert!(out.contains("of 5 evaluable") && out.contains("blind"), "{out}");
}

#[test]
fn every_flag_has_help_an_example_and_a_variable() {
    use clap::CommandFactory;
    let mut program = api::cli::Cli::command();
    program.build();
    let mut variables = 0;
    let commands = program.get_subcommands().filter(|command| command.get_name() != "help");
    let commands = commands.flat_map(|command| std::iter::once(command).chain(command.get_subcommands()));
    for command in commands.filter(|command| command.get_name() != "help") {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(examples.contains("Example"), "{} has no example", command.get_name());
        for arg in command.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str())) {
            let name = format!("{} {}", command.get_name(), arg.get_id());
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let shown =
                help.contains("[example: ") || examples.contains(&format!("--{}", arg.get_long().unwrap_or("\0")));
            assert!(
                shown || (arg.is_positional() && examples.contains(command.get_name())),
                "{name} has no example: {help}"
            );
            let variable = arg.get_env().unwrap_or_else(|| panic!("{name} has no variable")).to_str().unwrap();
            assert!(variable.starts_with("MESHWARDEN_"), "{name}: {variable}");
            variables += 1;
        }
    }
    assert!(variables > 20);
    let output = command(&["scan", sample().to_str().unwrap()]).env("MESHWARDEN_FAIL_ON", "high").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "a variable stands for its flag");
}
