//! The official Standard Webhooks library for Python: as a verifier of one request, and behind an HTTP server.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::{ReceiverError, cache};

/// The release that is asked.
const RELEASE: &str = "standardwebhooks==1.1.0";
/// Longest time for Python to open its port.
const START: Duration = Duration::from_secs(20);

const VERIFY: &str = "
import json, sys
from standardwebhooks.webhooks import Webhook
asked = json.load(sys.stdin)
Webhook(asked['secret']).verify(asked['body'], asked['headers'])
";

/// The installed library.
#[derive(Clone, Debug)]
pub struct Verifier {
    library: PathBuf,
}

impl Verifier {
    /// Installs the library into the cache folder if it is not there.
    ///
    /// # Errors
    /// If Python or pip fails.
    pub fn install() -> Result<Self, ReceiverError> {
        Ok(Self { library: cache::pip(&cache::folder("receivers")?, &[RELEASE])? })
    }

    /// Asks whether a request with these headers and this body was signed with `secret` in the last five minutes.
    ///
    /// # Errors
    /// If the library says no; the error holds its words.
    pub fn verify(&self, secret: &str, headers: &[(&str, &str)], body: &str) -> Result<(), ReceiverError> {
        let headers: serde_json::Map<String, Value> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        let asked = json!({"secret": secret, "headers": headers, "body": body}).to_string();
        cache::run(self.python().args(["-c", VERIFY]), asked.as_bytes())?;
        Ok(())
    }

    fn python(&self) -> Command {
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", &self.library);
        python
    }
}

/// A webhook receiver that verifies with the official library. Killed when dropped.
#[derive(Debug)]
pub struct WebhookReceiver {
    child: Child,
    port: u16,
    received: PathBuf,
    log: PathBuf,
}

impl WebhookReceiver {
    /// Starts it; it writes its files into `folder`. Verified requests are answered with the statuses of `answers` in turn and with
    /// 204 after these, others with 400.
    ///
    /// # Errors
    /// If it cannot be installed or does not start.
    pub fn start(folder: &Path, secret: &str, answers: &[u16]) -> Result<Self, ReceiverError> {
        let verifier = Verifier::install()?;
        let (received, log, port) =
            (folder.join("webhooks.received"), folder.join("webhooks.log"), folder.join("webhooks.port"));
        let script = folder.join("webhooks.py");
        fs::write(&script, include_str!("webhooks/receiver.py")).map_err(ReceiverError::file(&script))?;
        let child = verifier
            .python()
            .arg(&script)
            .arg(secret)
            .arg(&received)
            .arg(&port)
            .args(answers.iter().map(u16::to_string))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).map_err(ReceiverError::file(&log))?)
            .spawn()
            .map_err(|source| ReceiverError::Start { program: "python3".to_owned(), source })?;
        // owned before it is waited for: killed if it is late
        let mut receiver = Self { child, port: 0, received, log };
        receiver.port = cache::wait("the webhook receiver opening its port", START, &receiver.log, || {
            Ok(fs::read_to_string(&port).ok().and_then(|text| text.strip_suffix('\n')?.parse().ok()))
        })?;
        Ok(receiver)
    }

    /// Where to send to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// What it has received so far: `{"id","verified","answer","error","body"}`.
    ///
    /// # Errors
    /// If a line is no JSON.
    pub fn requests(&self) -> Result<Vec<Value>, ReceiverError> {
        cache::json_lines(&self.received)
    }

    /// Waits until `done` is content with what it has received.
    ///
    /// # Errors
    /// If it takes longer than `limit`.
    pub fn wait(&self, limit: Duration, done: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>, ReceiverError> {
        let what = "the webhook receiver receiving what was waited for";
        cache::wait(what, limit, &self.log, || Ok(Some(self.requests()?).filter(|requests| done(requests))))
    }
}

impl Drop for WebhookReceiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
