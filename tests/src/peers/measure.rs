//! One run of one program: a process on given cores, and what it says.
//!
//! ```text
//! Says::Itself     {"seconds", "rows"} on its stdout, measured around its work
//! Says::Nothing    wall time of the process (zcat)
//! Says::Findings   NDJSON findings on its stdout; wall time and memory by measure.py around it (meshwarden scan)
//! Says::Counts     {"seconds", "findings"} on its stdout, measured around its work; memory by measure.py
//! ```
//! Seconds, bytes.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::PeersError;
use crate::receivers::{ReceiverError, cache};

/// How a program tells what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Itself,
    Nothing,
    Findings,
    Counts,
}

/// A command line, and where it runs.
#[derive(Clone, Debug)]
pub(super) struct Invocation {
    /// What errors call it.
    pub(super) name: String,
    pub(super) words: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    /// As `taskset -c` takes them.
    pub(super) cores: String,
    pub(super) says: Says,
}

/// What one run gave.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    pub(super) rows: Option<u64>,
    /// Largest resident set, bytes.
    pub(super) memory: Option<u64>,
    /// Bytes of what was written.
    pub(super) bytes: Option<u64>,
    /// Findings by detection.
    pub(super) findings: Option<BTreeMap<String, u64>>,
}

/// What measure.py says about a process.
#[derive(Debug, Deserialize)]
struct Around {
    seconds: f64,
    memory: u64,
    out: String,
}

#[derive(Debug, Deserialize)]
struct Itself {
    seconds: f64,
    rows: Option<u64>,
    findings: Option<BTreeMap<String, u64>>,
    bytes: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Finding {
    detection: String,
}

const AROUND: &str = include_str!("measure.py");

impl Invocation {
    /// Runs it once.
    pub(super) fn run(&self) -> Result<Sample, PeersError> {
        match self.says {
            Says::Itself => {
                let itself: Itself = self.said(&self.ran(&self.words)?)?;
                let Itself { seconds, rows, bytes, .. } = itself;
                Ok(Sample { seconds, rows, bytes, ..Sample::default() })
            }
            Says::Nothing => {
                let started = Instant::now();
                let status = self.command(&self.words).stdout(std::process::Stdio::null()).status();
                let status = status.map_err(PeersError::file("taskset"))?;
                let seconds = started.elapsed().as_secs_f64();
                if status.success() {
                    Ok(Sample { seconds, ..Sample::default() })
                } else {
                    Err(PeersError::Failed { program: self.name.clone(), said: status.to_string() })
                }
            }
            Says::Findings => {
                let around = self.around(None)?;
                let mut findings = BTreeMap::new();
                for line in around.out.lines() {
                    let finding: Finding = self.said(line)?;
                    *findings.entry(finding.detection).or_default() += 1;
                }
                let (seconds, memory) = (around.seconds, Some(around.memory));
                Ok(Sample { seconds, memory, findings: Some(findings), ..Sample::default() })
            }
            Says::Counts => {
                let around = self.around(None)?;
                let itself: Itself = self.said(&around.out)?;
                let (seconds, memory) = (itself.seconds, Some(around.memory));
                Ok(Sample { seconds, memory, findings: itself.findings, ..Sample::default() })
            }
        }
    }

    /// Wall time and memory while it reads what `feed` writes.
    pub(super) fn fed(&self, feed: &[String]) -> Result<Sample, PeersError> {
        let Around { seconds, memory, .. } = self.around(Some(feed))?;
        Ok(Sample { seconds, memory: Some(memory), ..Sample::default() })
    }

    fn around(&self, feed: Option<&[String]>) -> Result<Around, PeersError> {
        let asked = json!({"command": self.words, "feed": feed}).to_string();
        let words = ["python3", "-c", AROUND, &asked].map(str::to_owned);
        self.said(&self.ran(&words)?)
    }

    /// What it wrote to its end. Its command line may hold a script: an error says its name instead.
    fn ran(&self, words: &[String]) -> Result<String, PeersError> {
        cache::run(&mut self.command(words), b"").map_err(|error| match error {
            ReceiverError::Failed { said, .. } => PeersError::Failed { program: self.name.clone(), said },
            other => other.into(),
        })
    }

    fn command(&self, words: &[String]) -> Command {
        let mut command = Command::new("taskset");
        command.arg("-c").arg(&self.cores).args(words).envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    fn said<'de, T: Deserialize<'de>>(&self, said: &'de str) -> Result<T, PeersError> {
        let wrong = |_| PeersError::Said { program: self.name.clone(), said: said.trim().to_owned() };
        serde_json::from_str(said.trim()).map_err(wrong)
    }
}

impl Sample {
    /// As `--json` prints it.
    pub(super) fn json(&self) -> Value {
        let Sample { seconds, rows, memory, bytes, findings } = self;
        json!({"seconds": seconds, "rows": rows, "memory": memory, "bytes": bytes, "findings": findings})
    }
}
