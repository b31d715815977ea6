//! The outbox over restarts, retries and a row that cannot be read.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use chrono::TimeDelta;
use query::finding::{Change, Severity};

use super::{Counts, Next, Outbox, OutboxError};
use crate::deliver::testing::{change, noon};

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    Place { path: folder.path().join("outbox.db"), _folder: folder }
}

async fn filled(place: &Place, changes: i64) -> Outbox {
    let outbox = Outbox::open(&place.path).await.unwrap();
    outbox.register("soc", 0).await.unwrap();
    let changes: Vec<Change> = (1..=changes).map(|seq| change(seq, Severity::High)).collect();
    outbox.take("soc", changes.len() as i64, &changes.iter().collect::<Vec<_>>(), noon()).await.unwrap();
    outbox
}

async fn due(outbox: &Outbox) -> Vec<i64> {
    outbox.due("soc", noon(), 100).await.unwrap().iter().map(|pending| pending.change.seq).collect()
}

#[tokio::test]
async fn what_is_taken_comes_back_whole_after_a_restart() {
    let place = place();
    filled(&place, 2).await.close().await;
    let outbox = Outbox::open(&place.path).await.unwrap();
    assert_eq!(outbox.register("soc", 0).await.unwrap(), 2);
    assert_eq!(outbox.register("new", 7).await.unwrap(), 7);
    let due = outbox.due("soc", noon(), 100).await.unwrap();
    assert_eq!(due[0].change, change(1, Severity::High));
    assert_eq!((due[1].change.seq, due[1].attempts), (2, 0));
    assert_eq!(outbox.head("soc").await.unwrap().unwrap(), due[0]);
    assert!(outbox.due("new", noon(), 100).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_change_is_taken_once() {
    let place = place();
    let outbox = filled(&place, 2).await;
    outbox.record("soc", &change(1, Severity::High).id, &Next::Delivered).await.unwrap();
    outbox.take("soc", 2, &[&change(1, Severity::High), &change(2, Severity::High)], noon()).await.unwrap();
    assert_eq!(due(&outbox).await, [2]);
}

#[tokio::test]
async fn a_failed_attempt_waits_for_its_time_or_for_the_receiver() {
    let place = place();
    let outbox = filled(&place, 3).await;
    let later = noon() + TimeDelta::hours(2);
    let again = || Next::Again { at: later, reason: "down".to_owned() };
    outbox.record("soc", &change(1, Severity::High).id, &again()).await.unwrap();
    assert_eq!(due(&outbox).await, [2, 3]);
    assert_eq!(outbox.next_attempt("soc", noon()).await.unwrap(), Some(later));
    assert_eq!(outbox.head("soc").await.unwrap().unwrap().next_attempt, later);
    assert_eq!(outbox.hurry("soc", noon()).await.unwrap(), 1);
    assert_eq!(due(&outbox).await, [1, 2, 3]);
    outbox.record("soc", &change(1, Severity::High).id, &again()).await.unwrap();
    assert_eq!(outbox.hurry("soc", noon()).await.unwrap(), 0, "hurried a second time");
    let pending = outbox.due("soc", later, 1).await.unwrap().remove(0);
    assert_eq!(pending.attempts, 2);
}

#[tokio::test]
async fn the_dead_are_kept_listed_and_replayed() {
    let place = place();
    let outbox = filled(&place, 2).await;
    let id = change(1, Severity::High).id;
    outbox.record("soc", &id, &Next::Rejected { reason: "answered 400".to_owned() }).await.unwrap();
    assert_eq!(outbox.counts("soc").await.unwrap(), Counts { pending: 1, rejected: 1 });
    let failed = outbox.failed().await.unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].sink.as_str(), failed[0].id.as_str(), failed[0].attempts), ("soc", id.as_str(), 1));
    assert_eq!(failed[0].last_error, "answered 400");
    assert_eq!(outbox.replay(&id, noon()).await.unwrap(), ["soc"]);
    assert_eq!(outbox.due("soc", noon(), 1).await.unwrap()[0].change, change(1, Severity::High));
    let error = outbox.replay(&id, noon()).await.unwrap_err();
    assert!(matches!(error, OutboxError::NotDead { .. }), "{error}");
}

#[tokio::test]
async fn an_unreadable_delivery_dies_and_does_not_stand_in_the_way() {
    let place = place();
    let outbox = filled(&place, 2).await;
    sqlx::query("UPDATE deliveries SET finding = '{}' WHERE seq = 1").execute(&outbox.pool).await.unwrap();
    assert_eq!(outbox.head("soc").await.unwrap(), None);
    assert_eq!(due(&outbox).await, [2]);
    assert!(outbox.failed().await.unwrap()[0].last_error.contains("missing field"));
}

#[tokio::test]
async fn delivered_rows_shrink_and_are_forgotten_in_the_end() {
    let place = place();
    let outbox = filled(&place, 1100).await;
    sqlx::query("UPDATE deliveries SET state = 'delivered', finding = NULL").execute(&outbox.pool).await.unwrap();
    outbox.take("soc", 1101, &[&change(1101, Severity::High)], noon()).await.unwrap();
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM deliveries").fetch_one(&outbox.pool).await.unwrap();
    assert_eq!(count, 1001);
    assert_eq!(due(&outbox).await, [1101]);
}

#[tokio::test]
async fn errors_name_the_file() {
    let error = Outbox::open(std::path::Path::new("/nowhere/outbox.db")).await.unwrap_err().to_string();
    assert!(error.starts_with("the outbox '/nowhere/outbox.db' could not be opened"), "{error}");
    let place = place();
    let outbox = filled(&place, 0).await;
    sqlx::query("PRAGMA user_version = 2").execute(&outbox.pool).await.unwrap();
    outbox.close().await;
    let error = Outbox::open(&place.path).await.unwrap_err().to_string();
    assert!(error.contains("has version 2, which a newer meshwarden wrote"), "{error}");
}
