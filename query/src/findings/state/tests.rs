#![allow(clippy::unwrap_used)]

use chrono::{DateTime, Utc};

use super::*;

fn window(start: i64) -> Window {
    Window::new(start, start + 10).unwrap()
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

async fn apply(state: &FindingsState, start: i64, hits: &[(&str, i64)]) -> Vec<(String, ChangeKind)> {
    let hits = hits.iter().map(|(source, count)| Hit::for_test(source, window(start), *count)).collect();
    let changes = state.apply("test", 1, window(start), hits, now()).await.unwrap();
    changes.into_iter().map(|(finding, kind)| (finding.entity["source"].clone(), kind)).collect()
}

#[tokio::test]
async fn a_finding_lives_and_every_change_is_in_the_feed_once() {
    let folder = tempfile::tempdir().unwrap();
    let state = FindingsState::open(folder.path()).await.unwrap();
    assert_eq!(apply(&state, 0, &[("a", 20)]).await, [("a".to_owned(), ChangeKind::Opened)]);
    assert!(apply(&state, 0, &[("a", 20)]).await.is_empty());
    assert_eq!(apply(&state, 0, &[("a", 25)]).await, [("a".to_owned(), ChangeKind::Updated)]);
    assert_eq!(apply(&state, 0, &[]).await, [("a".to_owned(), ChangeKind::Retracted)]);
    let feed = state.changes_after(0, 100).await.unwrap();
    let kinds: Vec<_> = feed.iter().map(|change| (change.kind, change.finding.count)).collect();
    assert_eq!(kinds, [(ChangeKind::Opened, 20), (ChangeKind::Updated, 25), (ChangeKind::Retracted, 25)]);
    let ids: std::collections::BTreeSet<_> = feed.iter().map(|change| change.id.clone()).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(*state.newest().borrow(), feed[2].seq);

    state.close().await;
    let state = FindingsState::open(folder.path()).await.unwrap();
    assert_eq!(state.changes_after(0, 100).await.unwrap(), feed, "the feed is the same after a restart");
    assert_eq!(*state.newest().borrow(), feed[2].seq);
    assert_eq!(state.changes_after(feed[1].seq, 100).await.unwrap().len(), 1);
}

#[tokio::test]
async fn incidents_do_not_depend_on_the_order_of_windows() {
    let mut seen = Vec::new();
    for order in [[0, 10, 20], [20, 0, 10], [10, 20, 0]] {
        let state = FindingsState::in_memory().await.unwrap();
        for start in order {
            apply(&state, start, &[("a", 20)]).await;
        }
        let page = state.list(&Filter { limit: 10, ..Filter::default() }).await.unwrap();
        let mut findings: Vec<_> = page.findings.into_iter().map(|finding| (finding.id, finding.incident)).collect();
        findings.sort();
        seen.push(findings);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    assert_eq!(seen[0].iter().map(|(_, incident)| incident).collect::<std::collections::BTreeSet<_>>().len(), 1);
}

#[tokio::test]
async fn pages_hold_every_finding_once_and_filters_select() {
    let state = FindingsState::in_memory().await.unwrap();
    for start in 0..7 {
        apply(&state, start * 100, &[("a", 20), ("b", 30)]).await;
    }
    let mut filter = Filter { limit: 4, ..Filter::default() };
    let mut ids = Vec::new();
    loop {
        let page = state.list(&filter).await.unwrap();
        ids.extend(page.findings.into_iter().map(|finding| finding.id));
        filter.after = page.next;
        if filter.after.is_none() {
            break;
        }
    }
    assert_eq!(ids.len(), 14);
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 14);

    let count = async |filter: Filter| state.list(&Filter { limit: 100, ..filter }).await.unwrap().findings.len();
    assert_eq!(count(Filter { severity: Some(Severity::Low), ..Filter::default() }).await, 14);
    assert_eq!(count(Filter { severity: Some(Severity::Medium), ..Filter::default() }).await, 0);
    assert_eq!(count(Filter { detection: Some("other".to_owned()), ..Filter::default() }).await, 0);
    assert_eq!(count(Filter { since: DateTime::from_timestamp_micros(300), ..Filter::default() }).await, 8);
    apply(&state, 0, &[("a", 20)]).await;
    assert_eq!(count(Filter::default()).await, 13, "retracted findings are not listed unless asked for");
    assert_eq!(count(Filter { status: Some(Status::Retracted), ..Filter::default() }).await, 1);
    assert!(matches!(
        state.list(&Filter { after: Some("x".to_owned()), ..Filter::default() }).await,
        Err(FindingsError::Cursor(_))
    ));
}

#[tokio::test]
async fn a_person_acknowledges_closes_and_notes() {
    let state = FindingsState::in_memory().await.unwrap();
    apply(&state, 0, &[("a", 20)]).await;
    let id = state.changes_after(0, 1).await.unwrap()[0].finding.id.clone();
    let patch = Patch { status: Some(Status::Acknowledged), note: Some("on it".to_owned()) };
    let patched = state.patch(&id, &patch, now()).await.unwrap().unwrap();
    assert_eq!((patched.status, patched.note.as_deref()), (Status::Acknowledged, Some("on it")));
    state.patch(&id, &patch, now()).await.unwrap();
    assert_eq!(state.changes_after(0, 10).await.unwrap().len(), 2, "the same patch again is no change");
    apply(&state, 0, &[("a", 22)]).await;
    assert_eq!(state.get(&id).await.unwrap().unwrap().status, Status::Acknowledged);
    assert!(state.patch("none", &patch, now()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_newer_state_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let state = FindingsState::open(folder.path()).await.unwrap();
    sqlx::raw_sql("PRAGMA user_version = 2").execute(&state.pool).await.unwrap();
    state.close().await;
    assert!(matches!(FindingsState::open(folder.path()).await, Err(FindingsError::Newer { found: 2, known: 1 })));
}
