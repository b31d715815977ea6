//! The service's configuration, TOML: what `serve --config FILE` reads. Flags win over it.
//!
//! ```toml
//! [http]
//! listen = "127.0.0.1:8080"
//! max_body_bytes = 104857600        # of one ingest body, after inflating
//!
//! [sql]
//! max_rows = 10000
//! max_seconds = 30
//!
//! [store]
//! min_free_bytes = 536870912        # of the data's volume: with less left, ingest is refused
//! flush_seconds = 30                # how old rows get before other engines see them in the tables
//! keep_old_files_seconds = 3600     # of files that no table names any more: queries may still read them
//!
//! [retention]                       # see the README, also for holds
//! access_logs_days = 400
//!
//! [proxies]                         # OTLP and Envoy's access log service
//! grpc = "127.0.0.1:4317"           # or "off"
//! http = "127.0.0.1:4318"
//! without_token = false             # true: whoever reaches these may send
//!
//! [tail]
//! paths = ["/var/log/pods/*/istio-proxy/*.log"]   # files to follow, through rotations
//!
//! [decode.fields]                    # your key = key of the recommended format
//! status = "response_code"
//!
//! [[sinks]]                          # see the README: webhook, syslog, file
//! name = "soc"
//! type = "webhook"
//! ```

mod retention;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use query::store::Retention;
use retention::RetentionToml;
use serde::Deserialize;

use crate::deliver::config::{self, Machine, SinkToml};
use crate::receive::{DoorAddress, Doors};

/// A checked configuration.
#[derive(Debug, Default)]
pub struct Config {
    /// Where to listen.
    pub listen: Option<SocketAddr>,
    /// Bytes of an ingest body after inflating.
    pub max_body_bytes: Option<u64>,
    /// Rows that a query returns at most.
    pub max_rows: Option<usize>,
    /// Seconds that a query may take.
    pub max_seconds: Option<u64>,
    /// Bytes that stay free on the data's volume.
    pub min_free_bytes: Option<u64>,
    /// How old rows get before they are in the tables on disk.
    pub flush_every: Option<Duration>,
    /// How long files stay that no table names.
    pub keep_old_files: Option<Duration>,
    /// How long rows are kept.
    pub retention: Retention,
    /// Where proxies and collectors send.
    pub(crate) proxies: Doors,
    /// Patterns of files to follow.
    pub tail: Vec<String>,
    /// Other JSON key → key of the recommended format.
    pub fields: BTreeMap<String, String>,
    /// Where findings go; `None` without a sink.
    pub deliver: Option<config::Config>,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {file} cannot be read: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, an unknown key, a value of the wrong type or out of range.
    #[error("the configuration {file} is not right: {source}")]
    Content {
        /// The file.
        file: String,
        /// Where and why.
        source: config::ConfigError,
    },
    /// A value that is not right.
    #[error("the configuration {file} is not right: {reason}")]
    Value {
        /// The file.
        file: String,
        /// Where and why.
        reason: String,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ConfigToml {
    http: HttpToml,
    sql: SqlToml,
    store: StoreToml,
    retention: RetentionToml,
    proxies: ProxiesToml,
    tail: TailToml,
    decode: DecodeToml,
    sinks: Vec<SinkToml>,
    retry_scale: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HttpToml {
    listen: Option<SocketAddr>,
    max_body_bytes: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SqlToml {
    max_rows: Option<usize>,
    max_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StoreToml {
    min_free_bytes: Option<u64>,
    flush_seconds: Option<u64>,
    keep_old_files_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ProxiesToml {
    grpc: Option<DoorAddress>,
    http: Option<DoorAddress>,
    without_token: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TailToml {
    paths: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DecodeToml {
    fields: BTreeMap<String, String>,
}

impl Config {
    /// Reads a configuration file; relative paths of file sinks are taken from `folder`, the data folder.
    ///
    /// # Errors
    /// If the file cannot be read or is not right; the error names key, value and way out.
    pub fn read(file: &Path, folder: &Path) -> Result<Self, ConfigError> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Read { file: name.clone(), source })?;
        let wrong = |source| ConfigError::Content { file: name.clone(), source };
        // not the parser's own text: it shows the line, and in it perhaps a secret
        let wire: ConfigToml =
            toml::from_str(&text).map_err(|error| wrong(config::ConfigError::toml(&text, &error)))?;
        let ConfigToml { http, sql, store, retention, proxies, tail, decode, sinks, retry_scale } = wire;
        let retention = retention.check().map_err(|reason| ConfigError::Value { file: name.clone(), reason })?;
        if store.flush_seconds == Some(0) {
            let reason =
                "store.flush_seconds = 0: rows cannot be written before they are there; write at least 1".to_owned();
            return Err(ConfigError::Value { file: name, reason });
        }
        let deliver = match sinks.is_empty() {
            true => None,
            false => Some(config::Config::check(sinks, retry_scale, folder, &Machine).map_err(wrong)?),
        };
        Ok(Self {
            listen: http.listen,
            max_body_bytes: http.max_body_bytes,
            max_rows: sql.max_rows,
            max_seconds: sql.max_seconds,
            retention,
            min_free_bytes: store.min_free_bytes,
            flush_every: store.flush_seconds.map(Duration::from_secs),
            keep_old_files: store.keep_old_files_seconds.map(Duration::from_secs),
            proxies: Doors { grpc: proxies.grpc, http: proxies.http, without_token: proxies.without_token },
            tail: tail.paths,
            fields: decode.fields,
            deliver,
        })
    }
}
