//! The service's life: it takes lines in, finds, delivers, drains on SIGTERM, and knows everything after a restart.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{command, sample, text};

struct Service {
    child: Child,
    url: String,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Service {
    fn start(data: &Path, more: &[&str]) -> Self {
        let mut args = vec!["serve", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"];
        args.extend(more);
        let mut child = command(&args).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut service = Self { child, url: String::new(), stderr };
        let mut said = String::new();
        while service.url.is_empty() {
            let mut line = String::new();
            assert!(service.stderr.read_line(&mut line).unwrap() > 0, "the service ended: {said}");
            said.push_str(&line);
            if let Some((_, rest)) = line.split_once("API on http://") {
                let address: String = rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
                service.url = format!("http://{address}");
            }
        }
        service
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

    fn count(&self) -> i64 {
        let answer = self.curl(
            "/api/v1/sql",
            Some(br#"{"query":"SELECT count(*) AS n, count(DISTINCT log_id) AS ids FROM access_logs"}"#),
        );
        assert_eq!(answer["rows"][0]["n"], answer["rows"][0]["ids"]);
        answer["rows"][0]["n"].as_i64().unwrap()
    }

    fn stop(mut self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        let patience = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let mut said = String::new();
                self.stderr.read_to_string(&mut said).unwrap();
                assert_eq!(status.code(), Some(0), "{said}");
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
