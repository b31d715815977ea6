//! The service's life: it takes lines in, finds, delivers, drains on SIGTERM, and knows everything after a restart.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{command, sample, text};

pub(super) struct Service {
    child: Child,
    url: String,
    /// Reads what it says until it ends: a service whose pipe is full would stand still.
    saying: Option<JoinHandle<String>>,
}

impl Service {
    pub(super) fn start(data: &Path, more: &[&str]) -> Self {
        let mut args = vec!["serve", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"];
        args.extend(more);
        Self::spawn(&mut command(&args)).unwrap_or_else(|(said, _)| panic!("the service ended: {said}"))
    }

    /// Starts it by that command; what it said and how it ended, if it ended before it listened.
    pub(super) fn spawn(command: &mut Command) -> Result<Self, (String, ExitStatus)> {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut service = Self { child, url: String::new(), saying: None };
        let mut said = String::new();
        while service.url.is_empty() {
            let mut line = String::new();
            if stderr.read_line(&mut line).unwrap() == 0 {
                return Err((said, service.child.wait().unwrap()));
            }
            said.push_str(&line);
            if let Some((_, rest)) = line.split_once("API on http://") {
                let address: String = rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
                service.url = format!("http://{address}");
            }
        }
        service.saying = Some(std::thread::spawn(move || {
            let mut bytes = said.into_bytes();
            stderr.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        }));
        Ok(service)
    }

    /// Ends it, and answers all that it said.
    pub(super) fn said(mut self) -> String {
        self.kill();
        self.saying.take().unwrap().join().unwrap()
    }

    /// How it ended, once it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// What a query answers, one object a row.
    pub(super) fn rows(&self, query: &str) -> Vec<Value> {
        let answer = self.curl("/api/v1/sql", Some(json!({ "query": query }).to_string().as_bytes()));
        answer["rows"].as_array().unwrap().clone()
    }

    fn curl(&self, path: &str, body: Option<&[u8]>) -> Value {
        // a client that is none of ours
        let mut curl = Command::new("python3");
        curl.args(["-c", "import sys,urllib.request as u;b=sys.stdin.buffer.read();print(u.urlopen(u.Request(sys.argv[1],data=b or None,headers={'content-type':'application/json'}),timeout=60).read().decode())"]);
        let mut child =
            curl.arg(format!("{}{path}", self.url)).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), body.unwrap_or_default()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{path}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What stands there.
    pub(super) fn get(&self, path: &str) -> String {
        let mut stream = std::net::TcpStream::connect(self.address()).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address());
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(super) fn count(&self) -> i64 {
        let answer = self.curl(
            "/api/v1/sql",
            Some(br#"{"query":"SELECT count(*) AS n, count(DISTINCT log_id) AS ids FROM access_logs"}"#),
        );
        assert_eq!(answer["rows"][0]["n"], answer["rows"][0]["ids"]);
        answer["rows"][0]["n"].as_i64().unwrap()
    }

    /// Host and port.
    pub(super) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The process that serves: the child, or the child of the tracer that that is.
    pub(super) fn process(&self) -> String {
        let tracer = self.child.id().to_string();
        let traced = std::fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children")).unwrap_or_default();
        traced.split_whitespace().next().map(str::to_owned).unwrap_or(tracer)
    }

    /// `kill -9` of the process that a tracer runs.
    pub(super) fn kill_traced(mut self) {
        assert!(Command::new("kill").args(["-9", &self.process()]).status().unwrap().success());
        self.child.wait().unwrap();
    }

    pub(super) fn stop(mut self) {
        assert!(Command::new("kill").arg(self.process()).status().unwrap().success());
        let patience = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert_eq!(status.code(), Some(0), "{status}: {}", self.saying.take().unwrap().join().unwrap());
                return;
            }
            assert!(Instant::now() < patience, "the service does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Service {
    /// A failed test leaves no service behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn rows_findings_and_deliveries_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let config = folder.path().join("meshwarden.toml");
    std::fs::write(&config, "[[sinks]]\nname = \"archive\"\ntype = \"file\"\npath = \"findings.ndjson\"\n").unwrap();
    let lines = std::fs::read(sample()).unwrap();
    let count = lines.iter().filter(|byte| **byte == b'\n').count();

    let service = Service::start(&data, &["--config", config.to_str().unwrap()]);
    let answer = service.curl("/api/v1/ingest", Some(&lines));
    assert_eq!(answer, json!({"accepted": count, "rejected": 0, "reasons": []}));
    assert_eq!(service.count(), i64::try_from(count).unwrap(), "what was accepted is in the next query");
    let before = service.curl("/api/v1/findings?limit=1000", None);
    assert!(before["findings"].as_array().unwrap().len() >= 10);
    service.stop();

    let archived = std::fs::read_to_string(data.join("findings.ndjson")).unwrap();
    let archived: Vec<Value> = archived.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let opened: std::collections::BTreeSet<String> = archived
        .iter()
        .filter(|change| change["kind"] == "opened")
        .map(|change| change["finding"]["id"].to_string())
        .collect();
    assert_eq!(opened.len(), before["findings"].as_array().unwrap().len(), "every finding is in the archive");

    let offline = super::run(&[
        "sql",
        "SELECT count(*) AS n FROM access_logs",
        "--data",
        data.to_str().unwrap(),
        "--output",
        "csv",
    ]);
    assert_eq!(text(&offline.stdout), format!("n\n{count}\n"), "{}", text(&offline.stderr));

    let service = Service::start(&data, &["--config", config.to_str().unwrap()]);
    assert_eq!(service.count(), i64::try_from(count).unwrap(), "rows survive");
    assert_eq!(service.curl("/api/v1/findings?limit=1000", None), before, "findings survive");
    let id = before["findings"][0]["id"].as_str().unwrap();
    let one = service.curl(&format!("/api/v1/findings/{id}"), None);
    assert!(!one["evidence_rows"].as_array().unwrap().is_empty(), "{one}");
    service.stop();
    let again = std::fs::read_to_string(data.join("findings.ndjson")).unwrap();
    assert_eq!(again.lines().count(), archived.len(), "nothing is delivered twice");
}

#[test]
fn a_second_service_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &[]);
    let second = super::run(&["serve", "--data", folder.path().to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(2));
    assert!(text(&second.stderr).contains(folder.path().to_str().unwrap()), "{}", text(&second.stderr));
    service.stop();
}

/// Sends lines under a key with a client that is none of ours: status, whether they were taken before, and the answer.
fn keyed(service: &Service, path: &str, key: &str, body: &str) -> (u16, bool, Value) {
    let script = "import sys,json,urllib.request as u,urllib.error as e
r=u.Request(sys.argv[1],data=sys.stdin.buffer.read(),headers={'idempotency-key':sys.argv[2]})
try: a=u.urlopen(r,timeout=60)
except e.HTTPError as x: a=x
print(json.dumps([a.status,a.headers.get('idempotent-replayed')=='true',json.loads(a.read())]))";
    let mut python = Command::new("python3");
    python.args(["-c", script, &format!("{}{path}", service.url), key]);
    let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), body.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A key is remembered while the service runs, after `kill -9` before anything was flushed, and after it was flushed.
#[test]
fn what_is_sent_again_under_its_key_is_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    let line = |path: &str| format!(r#"{{"start_time":"2026-11-22T14:39:24.727Z","method":"GET","path":"{path}"}}"#);
    let body = format!("{}\n{}\nnonsense\n", line("/a"), line("/b"));
    let accepted = json!({"accepted": 2, "rejected": 1, "reasons": [{"line": 3, "reason": "not_an_access_log"}]});
    for life in 0..3 {
        let mut service = Service::start(folder.path(), &[]);
        let send = |path: &str, key: &str, body: &str| keyed(&service, path, key, body);
        assert_eq!(send("/api/v1/ingest", "k-1", &body), (200, life > 0, accepted.clone()));
        assert_eq!(send("/api/v1/ingest", "k-1", &body), (200, true, accepted.clone()));
        assert_eq!(send("/api/v1/ingest?ack=durable", "k-1", &body), (202, true, json!({"sequence": 1})));
        let (status, replayed, problem) = send("/api/v1/ingest", "k-1", &line("/c"));
        assert_eq!((status, replayed), (422, false));
        assert_eq!(problem["type"], "urn:meshwarden:problem:idempotency-key-reused");
        // another source has keys of its own, and one is no key
        assert_eq!(send("/api/v1/ingest?source=other", "k-1", &body).1, life > 0);
        assert_eq!(send("/api/v1/ingest", &"k".repeat(256), &body).0, 400);
        assert_eq!(service.count(), 4, "life {life}");
        match life {
            0 => service.kill(),
            _ => service.stop(),
        }
    }
}

/// Whoever is told where it listens may end it at once: it ends in order.
#[test]
fn sigterm_right_after_the_start_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..5 {
        Service::start(folder.path(), &[]).stop();
    }
}
