//! What can be wrong with a configuration of sinks. Secrets never show in a message.

use crate::deliver::egress::{EgressError, ParseNetworkError};
use crate::deliver::webhook::SecretError;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, an unknown key, a wrong type. The offending line is not shown: it may hold a secret.
    #[error("line {line}: {message}")]
    Toml {
        /// Line in the file, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A scale that makes no sense.
    #[error("'retry_scale' is {0}: use a number above 0 and up to 100; 1 is the published schedule")]
    RetryScale(f64),
    /// A bad name.
    #[error("sink '{0}': a name consists of a-z, 0-9 and '-' and has 1 to 64 of them")]
    Name(String),
    /// The same name twice.
    #[error("sink '{0}' is configured twice: a name is a sink's place in the outbox, give every sink its own")]
    NameTwice(String),
    /// Two files at one path.
    #[error("sink '{name}': 'path' is '{path}', which sink '{other}' writes already: give every sink its own file")]
    PathTwice {
        /// The later sink.
        name: String,
        /// The path.
        path: String,
        /// The earlier sink.
        other: String,
    },
    /// A missing key.
    #[error("sink '{name}': '{key}' is missing: {hint}")]
    Missing {
        /// The sink.
        name: String,
        /// The key.
        key: &'static str,
        /// What to write.
        hint: &'static str,
    },
    /// A key of another type of sink.
    #[error("sink '{name}': '{key}' does not belong to type {kind}: remove it")]
    Foreign {
        /// The sink.
        name: String,
        /// The key.
        key: &'static str,
        /// The sink's type.
        kind: String,
    },
    /// A value outside of its range or list.
    #[error("sink '{name}': '{key}' is '{value}': {hint}")]
    Value {
        /// The sink.
        name: String,
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What to write.
        hint: String,
    },
    /// An address that is not connected to.
    #[error("sink '{name}': '{key}' is '{value}': {source}")]
    Address {
        /// The sink.
        name: String,
        /// The key.
        key: &'static str,
        /// Its value, without user and password.
        value: String,
        /// Why.
        source: Box<EgressError>,
    },
    /// A network that is none.
    #[error("sink '{name}': 'allow': {source}")]
    Network {
        /// The sink.
        name: String,
        /// Why.
        source: ParseNetworkError,
    },
    /// A secret that is none.
    #[error("sink '{name}': a secret from '{key}': {source}")]
    Secret {
        /// The sink.
        name: String,
        /// `secret`, `secret_env` or `secret_file`.
        key: &'static str,
        /// Why.
        source: SecretError,
    },
    /// A variable or file without a secret.
    #[error("sink '{name}': '{key}' is '{value}', and no secret could be read there: {reason}")]
    SecretSource {
        /// The sink.
        name: String,
        /// `secret_env` or `secret_file`.
        key: &'static str,
        /// The variable or path.
        value: String,
        /// Why.
        reason: String,
    },
}

impl ConfigError {
    /// The parser's message with its line number. The parser's own form shows the line, and in it perhaps a secret.
    #[must_use]
    pub fn toml(text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
        Self::Toml { line, message: error.message().to_owned() }
    }
}
