//! The configuration of sinks: TOML on the outside ([`SinkToml`]), checked settings on the inside ([`Config`]).
//!
//! ```toml
//! retry_scale = 1.0                # multiplies every pause between attempts
//!
//! [[sinks]]
//! name = "soc"                     # unique, [a-z0-9-]+; names the sink's place in the outbox: keep it
//! type = "webhook"                 # webhook | syslog | file
//! min_severity = "medium"          # every type; default: info, that is everything
//! from = "start"                   # every type; where a new sink starts in the feed: start (default) | end
//! url = "https://soc.example/hook"
//! secret = "whsec_…"               # or secret_env = "NAME", secret_file = "/path"; each one or a list (rotation)
//! allow_private = false            # may connect to loopback and private addresses
//! allow = ["10.0.0.0/8"]           # may connect to these networks
//!
//! [[sinks]]
//! name = "siem"
//! type = "syslog"
//! address = "siem.example:514"
//! facility = "local4"              # default
//! framing = "octet-counting"       # default | newline
//! hostname = "mesh-prod"           # default: this machine's name
//! allow_private = true             # allow_private and allow as above
//!
//! [[sinks]]
//! name = "archive"
//! type = "file"
//! path = "findings.ndjson"         # relative to the data folder
//! max_bytes = 104857600            # default; a file that would grow beyond it becomes path.1
//! keep = 10                        # default; rotated files kept beside the current one
//! ```
//! A key that does not belong to the sink's type is an error, so nothing is configured in vain.

mod check;
mod error;
mod secrets;
#[cfg(test)]
mod tests;

pub use error::ConfigError;
pub use secrets::{Machine, SecretSource};

use std::path::Path;

use query::finding::Severity;
use serde::Deserialize;

use super::{file, syslog, webhook};

/// All sinks, checked.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) sinks: Vec<SinkConfig>,
    pub(crate) retry_scale: f64,
}

/// One sink, checked.
#[derive(Clone, Debug)]
pub(crate) struct SinkConfig {
    pub(crate) name: String,
    pub(crate) min_severity: Severity,
    pub(crate) from: Origin,
    pub(crate) target: Target,
}

/// Where a new sink starts in the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// With the first change: a SIEM or an archive wants everything.
    Start,
    /// With the next change.
    End,
}

/// What a sink writes to.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Webhook(webhook::Settings),
    Syslog(syslog::Settings),
    File(file::Settings),
}

impl Target {
    /// The `type` in the configuration.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Syslog(_) => "syslog",
            Self::File(_) => "file",
        }
    }
}

/// The deliveries' part of a configuration file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliverToml {
    #[serde(default)]
    sinks: Vec<SinkToml>,
    retry_scale: Option<f64>,
}

/// `[[sinks]]`, unchecked. Public so that a larger configuration file can hold it; its content shows in [`Config`] only.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkToml {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    min_severity: Option<String>,
    from: Option<String>,
    // webhook
    url: Option<String>,
    secret: Option<OneOrMany>,
    secret_env: Option<OneOrMany>,
    secret_file: Option<OneOrMany>,
    // webhook, syslog
    allow_private: Option<bool>,
    allow: Option<Vec<String>>,
    // syslog
    address: Option<String>,
    facility: Option<String>,
    framing: Option<String>,
    hostname: Option<String>,
    // file
    path: Option<String>,
    max_bytes: Option<u64>,
    keep: Option<u32>,
}

impl std::fmt::Debug for SinkToml {
    /// Without the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SinkToml").field("name", &self.name).field("type", &self.kind).finish_non_exhaustive()
    }
}

/// A text or a list of texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Config {
    /// Reads a configuration file that holds sinks and nothing else. Relative paths are taken from `folder`, the data folder.
    ///
    /// # Errors
    /// Names the sink, the key, the value and the way out.
    pub fn parse(text: &str, folder: &Path, secrets: &dyn SecretSource) -> Result<Self, ConfigError> {
        let wire: DeliverToml = toml::from_str(text).map_err(|error| ConfigError::toml(text, &error))?;
        Self::check(wire.sinks, wire.retry_scale, folder, secrets)
    }

    /// Checks sinks that a larger configuration file holds. Relative paths are taken from `folder`, the data folder.
    ///
    /// # Errors
    /// Names the sink, the key, the value and the way out.
    pub fn check(
        sinks: Vec<SinkToml>,
        retry_scale: Option<f64>,
        folder: &Path,
        secrets: &dyn SecretSource,
    ) -> Result<Self, ConfigError> {
        check::config(sinks, retry_scale, folder, secrets)
    }

    /// The sinks' names, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sinks.iter().map(|sink| sink.name.as_str())
    }
}
