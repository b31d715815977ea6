//! The service that is measured: the release binary, in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::error::PeersError;
use crate::receivers::cache;

/// The release binary, beside this one.
pub(super) fn meshwarden() -> Result<PathBuf, PeersError> {
    let own = std::env::current_exe().map_err(PeersError::file("this program"))?;
    let path = own.with_file_name("meshwarden");
    if path.is_file() { Ok(path) } else { Err(PeersError::NoMeshwarden { path }) }
}

/// What a query answers.
pub(super) async fn sql(client: &reqwest::Client, address: &str, query: &str) -> reqwest::Result<serde_json::Value> {
    let body = serde_json::json!({ "query": query }).to_string();
    let post = client.post(format!("http://{address}/api/v1/sql")).body(body);
    let text = post.header("content-type", "application/json").send().await?.text().await?;
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

/// A running service; killed when dropped.
pub(super) struct Service {
    child: Child,
    /// Host and port.
    pub(super) address: String,
}

impl Service {
    /// Starts it on a folder, on one core or on all, and waits until it listens.
    pub(super) fn start(program: &Path, data: &Path, core: Option<usize>) -> Result<Service, PeersError> {
        let mut command = match core {
            None => Command::new(program),
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &core.to_string()]).arg(program);
                command
            }
        };
        command.arg("serve").arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(PeersError::file(program))?;
        let failed = |said: &str| PeersError::Failed { program: "meshwarden serve".to_owned(), said: said.to_owned() };
        let stderr = child.stderr.take().ok_or_else(|| failed("it says nothing"))?;
        let mut lines = BufReader::new(stderr).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("API on http://")?;
            Some(rest.split(' ').next()?.trim_end_matches(',').to_owned())
        });
        // whatever else it says is read, or it would wait for a reader
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(Service { address: address.ok_or_else(|| failed("it did not start"))?, child })
    }

    /// Waits until that many rows are queryable; how long that took.
    pub(super) fn rows(&self, lines: u64) -> Result<Duration, PeersError> {
        let started = Instant::now();
        let found = AtomicU64::new(0);
        let failed = |said: String| PeersError::Failed { program: "meshwarden serve".to_owned(), said };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(PeersError::file("a runtime"))?;
        #[allow(clippy::disallowed_methods)]
        let client = reqwest::Client::new();
        while started.elapsed() < Duration::from_secs(120) {
            let answer = runtime.block_on(sql(&client, &self.address, "SELECT count(*) AS n FROM access_logs"));
            let answer = answer.map_err(|error| failed(error.to_string()))?;
            found.store(answer["rows"][0]["n"].as_u64().unwrap_or(0), Ordering::Relaxed);
            if found.load(Ordering::Relaxed) == lines {
                return Ok(started.elapsed());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let rows = found.load(Ordering::Relaxed);
        Err(PeersError::Rows { work: "load", program: "meshwarden serve".to_owned(), rows, lines })
    }

    /// Its largest resident set, bytes.
    pub(super) fn peak(&self) -> Result<u64, PeersError> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path).map_err(PeersError::file(&path))?;
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse::<u64>().ok());
        Ok(peak.unwrap_or(0) * 1024)
    }

    /// Ends it, in order.
    pub(super) fn stop(&mut self) -> Result<(), PeersError> {
        let id = self.child.id().to_string();
        cache::run(Command::new("kill").arg(id), b"")?;
        let status = self.child.wait().map_err(PeersError::file("meshwarden serve"))?;
        match status.success() {
            true => Ok(()),
            false => Err(PeersError::Failed { program: "meshwarden serve".to_owned(), said: status.to_string() }),
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
