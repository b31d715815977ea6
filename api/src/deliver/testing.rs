//! What the tests of deliveries share: findings, a feed in memory, a clock that runs.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use query::finding::{Change, ChangeKind, Finding, Severity, Status};
use query::window::Window;
use serde_json::json;
use tokio::sync::watch;

use super::{Clock, Feed, FeedError};

/// 2026-11-23T17:00:00Z.
pub(super) fn noon() -> DateTime<Utc> {
    "2026-11-23T17:00:00Z".parse().unwrap()
}

pub(super) fn finding(id: &str, severity: Severity) -> Finding {
    Finding {
        id: id.to_owned(),
        detection: "authz.denied-spike".to_owned(),
        version: 1,
        title: "Many denied requests".into(),
        severity,
        status: "open".parse::<Status>().unwrap(),
        incident: id.to_owned(),
        entity: [("source".to_owned(), "cluster.local/ns/bank/sa/reports".to_owned())].into(),
        summary: "reports was denied 42 times by ledger".to_owned(),
        first_seen: noon() - Duration::from_secs(60),
        last_seen: noon() - Duration::from_secs(1),
        count: 42,
        window: Window::between(noon() - Duration::from_secs(300), noon()).unwrap(),
        facts: [("share".to_owned(), json!(0.5))].into(),
        attack: std::sync::Arc::new(["T1078".to_owned()]),
        evidence: vec!["a.log:1".to_owned(), "a.log:2".to_owned()],
        runbook: "Ask the owner of reports.".into(),
        note: None,
    }
}

pub(super) fn change(seq: i64, severity: Severity) -> Change {
    let finding = finding(&format!("{seq:032x}"), severity);
    Change { seq, id: format!("{}-1", finding.id), kind: ChangeKind::Opened, at: noon(), finding }
}

/// The system's clock.
pub(super) fn clock() -> Arc<dyn Clock> {
    #[allow(clippy::disallowed_methods)] // a test is its own main
    Arc::new(Utc::now)
}

/// A feed in memory.
pub(super) struct Memory {
    changes: Mutex<Vec<Change>>,
    newest: watch::Sender<i64>,
}

impl Memory {
    pub(super) fn new(changes: Vec<Change>) -> Arc<Self> {
        let newest = changes.last().map_or(0, |change| change.seq);
        Arc::new(Self { changes: Mutex::new(changes), newest: watch::Sender::new(newest) })
    }

    pub(super) fn push(&self, change: Change) {
        let seq = change.seq;
        self.changes.lock().unwrap().push(change);
        self.newest.send_replace(seq);
    }
}

impl Feed for Memory {
    fn changes_after(&self, seq: i64, limit: i64) -> BoxFuture<'_, Result<Vec<Change>, FeedError>> {
        let changes = self.changes.lock().unwrap();
        let page = changes.iter().filter(|change| change.seq > seq).take(usize::try_from(limit).unwrap()).cloned();
        let page = page.collect();
        Box::pin(async move { Ok(page) })
    }

    fn newest(&self) -> watch::Receiver<i64> {
        self.newest.subscribe()
    }
}

/// Waits until `done` says so; panics after a minute.
pub(super) async fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain until {what}");
}
