//! The findings' change feed as deliveries read it: [`Feed`] over `query`'s findings state.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use query::Core;
use query::finding::Change;
use tokio::sync::watch;

use crate::deliver::{Feed, FeedError};

/// The feed of a core.
#[derive(Debug)]
pub(crate) struct CoreFeed(pub(crate) Arc<Core>);

impl Feed for CoreFeed {
    fn changes_after(&self, seq: i64, limit: i64) -> BoxFuture<'_, Result<Vec<Change>, FeedError>> {
        async move { self.0.findings().changes_after(seq, limit).await.map_err(FeedError::new) }.boxed()
    }

    fn newest(&self) -> watch::Receiver<i64> {
        self.0.findings().newest()
    }
}
