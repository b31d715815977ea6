//! Real receivers for deliveries, and readers of the tables: programs that others wrote, so that a format is what the world says it is and not what we think.
//!
//! ```text
//! Rsyslog          Debian's rsyslogd in the foreground, own configuration, loopback; shows the fields it parsed
//! Verifier         the official Standard Webhooks library (PyPI), asked about one request
//! Engines          deltalake, polars and DuckDB (PyPI), reading a table
//! Moto             an S3-speaking server (PyPI), in memory
//! WebhookReceiver  the same behind Python's HTTP server, answering as told
//! ```
//! What is missing is installed once (apt for rsyslog, as root; pip into the cache folder). What cannot be installed is an error
//! that says what to do: a test never passes because its receiver was not there.

pub(crate) mod cache;
mod engines;
mod error;
mod moto;
mod rsyslog;
mod webhooks;

pub use engines::Engines;
pub use error::ReceiverError;
pub use moto::{BUCKET, Moto};
pub use rsyslog::Rsyslog;
pub use webhooks::{Verifier, WebhookReceiver};
