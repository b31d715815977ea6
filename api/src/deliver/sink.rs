//! What all sinks share: a delivery goes in, a verdict comes out.
//!
//! Every sink is a file with the same parts in the same order: `Settings` (checked configuration), `Sink`, `Sink::open`,
//! `Sink::deliver`, `Sink::close`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use query::finding::Change;

use super::backoff::Backoff;
use super::config::{SinkConfig, Target};
use super::{file, syslog, webhook};

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The receiver has it.
    Delivered,
    /// Try again later.
    Retry {
        /// `Some`: the receiver is overloaded or asked for it, leave the whole sink alone for so long.
        after: Option<Duration>,
        /// Why.
        reason: String,
    },
    /// Never try this again by itself.
    Rejected {
        /// Why.
        reason: String,
        /// The receiver wants no more deliveries at all: the sink stops until the next start.
        disable: bool,
    },
}

impl Verdict {
    /// Try again as scheduled.
    pub(crate) fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { after: None, reason: reason.into() }
    }
}

/// A sink that could not be opened. The texts come from the sinks themselves.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A webhook.
    #[error("sink '{name}': {source}")]
    Webhook {
        /// Of the sink.
        name: String,
        /// What is wrong.
        source: super::egress::EgressError,
    },
}

/// An open sink.
pub(crate) enum Sink {
    Webhook(webhook::Sink),
    Syslog(syslog::Sink),
    File(file::Sink),
}

impl Sink {
    /// Opens the sink. Nothing is connected or written yet.
    pub(crate) fn open(config: &SinkConfig) -> Result<Self, OpenError> {
        Ok(match &config.target {
            Target::Webhook(settings) => Self::Webhook(
                webhook::Sink::open(settings)
                    .map_err(|source| OpenError::Webhook { name: config.name.clone(), source })?,
            ),
            Target::Syslog(settings) => Self::Syslog(syslog::Sink::open(settings)),
            Target::File(settings) => Self::File(file::Sink::open(settings)),
        })
    }

    /// One attempt.
    pub(crate) async fn deliver(&self, change: &Change, now: DateTime<Utc>) -> Verdict {
        match self {
            Self::Webhook(sink) => sink.deliver(change, now).await,
            Self::Syslog(sink) => sink.deliver(change, now).await,
            Self::File(sink) => sink.deliver(change, now).await,
        }
    }

    /// Lets go of connections and files.
    pub(crate) async fn close(&self) {
        match self {
            Self::Webhook(sink) => sink.close().await,
            Self::Syslog(sink) => sink.close().await,
            Self::File(sink) => sink.close().await,
        }
    }

    /// How many attempts may run at once; 1 means strict order.
    pub(crate) fn lanes(&self) -> usize {
        match self {
            Self::Webhook(_) => webhook::LANES,
            Self::Syslog(_) | Self::File(_) => 1,
        }
    }

    /// When to try again.
    pub(crate) fn backoff(&self, scale: f64) -> Backoff {
        match self {
            Self::Webhook(_) => Backoff::webhook(scale),
            Self::Syslog(_) | Self::File(_) => Backoff::steady(scale),
        }
    }
}
