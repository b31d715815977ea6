#![allow(clippy::unwrap_used)]

use super::*;
use crate::detect::Hit;
use crate::finding::ChangeKind;

fn window(start: i64) -> Window {
    Window::new(start, start + 10).unwrap()
}

fn hit(source: &str, start: i64, count: i64) -> Hit {
    Hit::for_test(source, window(start), count)
}

fn kinds(changed: &[(Known, ChangeKind)]) -> Vec<(String, i64, ChangeKind)> {
    changed.iter().map(|(known, kind)| (known.finding.entity["source"].clone(), known.finding.count, *kind)).collect()
}

#[test]
fn hits_open_update_retract_and_reopen() {
    let opened = reconcile(vec![], vec![hit("a", 0, 20), hit("b", 0, 30)]);
    assert_eq!(kinds(&opened), [("a".into(), 20, ChangeKind::Opened), ("b".into(), 30, ChangeKind::Opened)]);
    let known: Vec<Known> = opened.into_iter().map(|(known, _)| known).collect();

    let same = reconcile(known.clone(), vec![hit("a", 0, 20), hit("b", 0, 30)]);
    assert!(same.is_empty(), "the same hits change nothing: {same:?}");

    let later = reconcile(known, vec![hit("a", 0, 21)]);
    assert_eq!(kinds(&later), [("a".into(), 21, ChangeKind::Updated), ("b".into(), 30, ChangeKind::Retracted)]);
    let known: Vec<Known> = later.into_iter().map(|(known, _)| known).collect();

    let back = reconcile(known, vec![hit("a", 0, 21), hit("b", 0, 31)]);
    assert_eq!(kinds(&back), [("b".into(), 31, ChangeKind::Reopened)]);
    assert_eq!(back[0].0.finding.status, Status::Open);
}

#[test]
fn a_persons_status_and_note_outlive_updates_and_retractions() {
    let (mut known, _) = reconcile(vec![], vec![hit("a", 0, 20)]).remove(0);
    known.set_by_person = Status::Acknowledged;
    known.finding.status = Status::Acknowledged;
    known.finding.note = Some("on it".to_owned());
    let (updated, _) = reconcile(vec![known.clone()], vec![hit("a", 0, 25)]).remove(0);
    assert_eq!((updated.finding.status, updated.finding.note.as_deref()), (Status::Acknowledged, Some("on it")));
    let (gone, _) = reconcile(vec![known], vec![]).remove(0);
    assert_eq!(gone.finding.status, Status::Retracted);
    let (back, _) = reconcile(vec![gone], vec![hit("a", 0, 20)]).remove(0);
    assert_eq!((back.finding.status, back.finding.note.as_deref()), (Status::Acknowledged, Some("on it")));
}

#[test]
fn an_unbroken_run_of_windows_is_one_incident() {
    let mut findings: Vec<Finding> =
        [30, 0, 10, 20, 50].into_iter().map(|start| hit("a", start, 20).into_finding()).collect();
    findings[3].status = Status::Retracted;
    renumber(&mut findings);
    let first = findings[1].id.clone();
    assert_eq!(findings[2].incident, first, "10 follows 0");
    assert_eq!(findings[0].incident, findings[0].id, "20 was retracted, so 30 begins a new run");
    assert_eq!(findings[4].incident, findings[4].id, "40 is missing");
    findings[3].status = Status::Open;
    let changed = renumber(&mut findings);
    assert_eq!(findings[0].incident, first);
    assert_eq!(changed.len(), 2, "20 and 30 join the run");
}
