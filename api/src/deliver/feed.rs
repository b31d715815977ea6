//! The seam to the findings' state: the change feed, as deliveries need it.
//!
//! ```text
//! seq:   1   2   3   5   8 …      strictly growing, gaps allowed, kept over restarts
//!                    ▲
//!                    place of a sink: the last seq it has taken
//! ```

use futures::future::BoxFuture;
use query::finding::Change;
use tokio::sync::watch;

/// The findings' change feed. Implemented over `query`'s findings state.
pub trait Feed: Send + Sync {
    /// Up to `limit` changes with a `seq` above `seq`, the oldest first.
    fn changes_after(&self, seq: i64, limit: i64) -> BoxFuture<'_, Result<Vec<Change>, FeedError>>;

    /// The newest `seq` (0 for an empty feed), told again whenever it grows. The value is true from the start: it is read from
    /// the state before the first sink asks.
    fn newest(&self) -> watch::Receiver<i64>;
}

/// The feed could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the findings' change feed could not be read: {0}")]
pub struct FeedError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl FeedError {
    /// Wraps what went wrong underneath.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}
