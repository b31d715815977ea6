//! rsyslogd with a configuration of its own: TCP on loopback, every message written as one line of JSON with the fields that
//! rsyslog itself parsed.
//!
//! ```json
//! {"pri":"163","facility":"local4","severity":"err","timestamp":"…","hostname":"…","app":"…","procid":"-","msgid":"opened",
//!  "structured":"[meshwarden@32473 …]","fields":{"meshwarden@32473":{"change":"…"},"entity@32473":{…}},"message":"{…}"}
//! ```

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{ReceiverError, cache};

/// Longest time for rsyslogd to open its port.
const START: Duration = Duration::from_secs(20);

/// A running rsyslogd. Killed when dropped.
#[derive(Debug)]
pub struct Rsyslog {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Rsyslog {
    /// Installs rsyslog if necessary and starts it; `folder` must exist and takes its files.
    ///
    /// # Errors
    /// If it cannot be installed or does not start.
    pub fn start(folder: &Path) -> Result<Self, ReceiverError> {
        let program = install()?;
        let port = cache::free_port()?;
        let mut rsyslog = Self { program, folder: folder.to_owned(), port, child: None };
        fs::write(rsyslog.path("conf"), rsyslog.configuration()).map_err(ReceiverError::file(rsyslog.path("conf")))?;
        rsyslog.resume()?;
        Ok(rsyslog)
    }

    /// Starts it again after [`Self::kill`], on the same port with the same files.
    ///
    /// # Errors
    /// If it does not start.
    pub fn resume(&mut self) -> Result<(), ReceiverError> {
        let log = self.path("log");
        let file = || File::options().create(true).append(true).open(&log).map_err(ReceiverError::file(&log));
        let child = Command::new(&self.program)
            .args(["-n", "-C", "-f"])
            .arg(self.path("conf"))
            .arg("-i")
            .arg(self.path("pid"))
            .stdin(Stdio::null())
            .stdout(file()?)
            .stderr(file()?)
            .spawn()
            .map_err(|source| ReceiverError::Start { program: self.program.display().to_string(), source })?;
        self.child = Some(child);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        cache::wait("rsyslogd opening its port", START, &log, || Ok(TcpStream::connect(address).ok()))?;
        Ok(())
    }

    /// Kills it (SIGKILL): what it has not read is lost.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it has received so far.
    ///
    /// # Errors
    /// If a line is no JSON.
    pub fn messages(&self) -> Result<Vec<Value>, ReceiverError> {
        cache::json_lines(&self.path("received"))
    }

    /// Waits until `done` is content with what it has received.
    ///
    /// # Errors
    /// If it takes longer than `limit`.
    pub fn wait(&self, limit: Duration, done: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>, ReceiverError> {
        let what = "rsyslogd receiving what was waited for";
        cache::wait(what, limit, &self.path("log"), || Ok(Some(self.messages()?).filter(|messages| done(messages))))
    }

    fn path(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("rsyslog.{kind}"))
    }

    /// Messages of up to 8 KiB are rsyslog's default and left at that.
    fn configuration(&self) -> String {
        let Self { port, folder, .. } = self;
        let (folder, received) = (folder.display(), self.path("received"));
        let received = received.display();
        format!(
            r#"global(workDirectory="{folder}")
module(load="imtcp")
module(load="mmpstrucdata")
template(name="parsed" type="list") {{
  constant(value="{{")
  property(outname="pri" name="pri" format="jsonf") constant(value=",")
  property(outname="facility" name="syslogfacility-text" format="jsonf") constant(value=",")
  property(outname="severity" name="syslogseverity-text" format="jsonf") constant(value=",")
  property(outname="timestamp" name="timereported" dateFormat="rfc3339" format="jsonf") constant(value=",")
  property(outname="hostname" name="hostname" format="jsonf") constant(value=",")
  property(outname="app" name="app-name" format="jsonf") constant(value=",")
  property(outname="procid" name="procid" format="jsonf") constant(value=",")
  property(outname="msgid" name="msgid" format="jsonf") constant(value=",")
  property(outname="structured" name="structured-data" format="jsonf") constant(value=",\"fields\":")
  property(name="$!rfc5424-sd") constant(value=",")
  property(outname="message" name="msg" format="jsonf")
  constant(value="}}\n")
}}
ruleset(name="in") {{
  action(type="mmpstrucdata")
  action(type="omfile" file="{received}" template="parsed" flushOnTXEnd="on")
}}
input(type="imtcp" port="{port}" address="127.0.0.1" ruleset="in")
"#
        )
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The path of rsyslogd, after installing it if it is missing.
fn install() -> Result<PathBuf, ReceiverError> {
    let find = || {
        let folders = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
        let folders = folders.unwrap_or_default().into_iter().chain(["/usr/sbin".into()]);
        folders.map(|folder| folder.join("rsyslogd")).find(|path| path.is_file())
    };
    if let Some(path) = find() {
        return Ok(path);
    }
    if cache::run(Command::new("id").arg("-u"), b"")?.trim() != "0" {
        return Err(ReceiverError::NoRsyslog);
    }
    // several tests may want it at once: apt's own lock lets one go first
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-qq", "-o", "DPkg::Lock::Timeout=300"]).args(arguments);
        cache::run(&mut command, b"")
    };
    apt(&["update"])?;
    apt(&["install", "-y", "--no-install-recommends", "rsyslog"])?;
    find().ok_or(ReceiverError::NoRsyslog)
}
