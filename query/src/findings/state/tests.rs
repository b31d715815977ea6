#![allow(clippy::unwrap_used)]

use chrono::{DateTime, Utc};
use proptest::prelude::*;

mod plain;

use super::*;
use crate::detect::Hit;
use crate::findings::Looked;

fn window(start: i64) -> Window {
    Window::new(start, start + 10).unwrap()
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn looked(window: Window, hits: &[(&str, i64)]) -> Looked {
    let hits = hits.iter().map(|(source, count)| Hit::for_test(source, window, *count)).collect();
    Looked { header: Hit::header_for_test(), window, hits }
}

async fn apply(state: &FindingsState, start: i64, hits: &[(&str, i64)]) -> Vec<(String, ChangeKind)> {
    let changes = state.apply(vec![looked(window(start), hits)], now()).await.unwrap();
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
    #[cfg(unix)]
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.file_name());
    }
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

/// Everything that is written, and in what order.
async fn written(state: &FindingsState) -> (Vec<(String, i64, String, String)>, Vec<(i64, String, String, String)>) {
    let findings = sqlx::query_as("SELECT id, revision, set_by_person, json FROM findings ORDER BY id");
    let feed = sqlx::query_as("SELECT seq, change_id, kind, json FROM feed ORDER BY seq");
    (findings.fetch_all(&state.pool).await.unwrap(), feed.fetch_all(&state.pool).await.unwrap())
}

/// Windows of 10, some of 20, that touch and leave gaps, with hits of three sources.
fn windows() -> impl Strategy<Value = Vec<(Window, Vec<(&'static str, i64)>)>> {
    let hits = proptest::sample::subsequence(vec!["a", "b", "c"], 0..=3);
    let hits = hits.prop_flat_map(|sources| {
        let counts = proptest::collection::vec(1..3_i64, sources.len());
        counts.prop_map(move |counts| sources.iter().copied().zip(counts).collect())
    });
    let window = (0..8_i64, prop_oneof![4 => Just(10), 1 => Just(20)]);
    let window = window.prop_map(|(place, length)| Window::new(place * 10, place * 10 + length).unwrap());
    proptest::collection::vec((window, hits), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn many_windows_at_once_are_written_as_one_after_the_other(
        batches in proptest::collection::vec((windows(), any::<bool>()), 1..5)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (fast, slow) = (FindingsState::in_memory().await.unwrap(), FindingsState::in_memory().await.unwrap());
            let mut passing = crate::findings::Passing::default();
            for (mut windows, in_order) in batches {
                if in_order {
                    windows.sort_by_key(|(window, _)| *window);
                }
                let batch = |()| windows.iter().map(|(window, hits)| looked(*window, hits)).collect::<Vec<_>>();
                passing.apply(batch(()));
                let at_once = fast.apply(batch(()), now()).await.unwrap();
                let mut one_by_one = Vec::new();
                for Looked { header, window, hits } in batch(()) {
                    one_by_one.extend(slow.apply_plainly(&header.id, 1, window, hits, now()).await.unwrap());
                }
                assert_eq!(at_once, one_by_one);
                assert_eq!(written(&fast).await, written(&slow).await);
                assert_eq!(*fast.newest().borrow(), *slow.newest().borrow());
                // nobody acknowledges what passes
                let open = |finding| Finding { status: Status::Open, ..finding };
                let mut kept = slow.list(&Filter { limit: 1000, ..Filter::default() }).await.unwrap().findings;
                let mut passed = passing.clone().into_findings();
                kept.sort_by(|one, other| one.id.cmp(&other.id));
                passed.sort_by(|one, other| one.id.cmp(&other.id));
                assert_eq!(passed, kept.iter().cloned().map(open).collect::<Vec<_>>());
                // a person in between
                if let Some(finding) = kept.first().filter(|_| in_order) {
                    let patch = Patch { status: Some(Status::Closed), note: None };
                    fast.patch(&finding.id, &patch, now()).await.unwrap();
                    slow.patch(&finding.id, &patch, now()).await.unwrap();
                }
            }
        });
    }
}
