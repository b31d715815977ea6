#![allow(clippy::unwrap_used, clippy::expect_used)]
use chrono::DateTime;

use super::simulated::{Faults, Simulated};
use super::*;

fn payload(id: &str, body: &str) -> Payload {
    let label = Label {
        received_at: DateTime::UNIX_EPOCH,
        source: "test".to_owned(),
        id: id.to_owned(),
        idempotency: None,
        position: None,
    };
    let (start, end) = body.split_at(body.len() / 2);
    Payload { label, body: [start.to_owned().into(), end.to_owned().into()].into() }
}

fn open(disk: Simulated, covered: u64) -> (Journal, Recovery, Vec<(u64, String, String)>) {
    let mut entries = Vec::new();
    let (journal, recovery) = Journal::on(disk, covered, covered, &mut |sequence, label, body| {
        entries.push((sequence, label.id, String::from_utf8(body.to_vec()).unwrap()));
        Ok(())
    })
    .unwrap();
    (journal, recovery, entries)
}

#[test]
fn many_senders_share_a_sync() {
    let disk = Simulated::default();
    let (journal, ..) = open(disk.clone(), 0);
    let (told, heard) = mpsc::channel();
    std::thread::scope(|scope| {
        for sender in 0..8 {
            let (journal, told) = (&journal, told.clone());
            scope.spawn(move || {
                for n in 0..100 {
                    let told = told.clone();
                    let id = format!("{sender}/{n}");
                    journal.append(payload(&id, &format!("body of {id}")), move |kept| {
                        told.send((kept.unwrap(), id)).unwrap();
                    });
                }
            });
        }
    });
    drop(told);
    let mut acknowledged: Vec<(u64, String)> = heard.iter().collect();
    assert!(journal.bytes() > 0);
    let syncs = journal.syncs();
    drop(journal);
    acknowledged.sort();
    assert!(acknowledged.iter().map(|(sequence, _)| *sequence).eq(1..=800));
    assert!(syncs <= 800);
    let (_, recovery, entries) = open(disk, 0);
    assert_eq!((recovery.replayed, recovery.damaged, recovery.missing), (800, vec![], vec![]));
    for ((sequence, id), entry) in acknowledged.into_iter().zip(entries) {
        assert_eq!(entry, (sequence, id.clone(), format!("body of {id}")));
    }
}

#[test]
fn a_refusal_reaches_everyone_who_waited() {
    let disk = Simulated::default();
    let (journal, ..) = open(disk.clone(), 0);
    disk.set(Faults { capacity: Some(500), ..Faults::default() });
    let (told, heard) = mpsc::channel();
    for n in 0..20 {
        let told = told.clone();
        journal.append(payload(&n.to_string(), &"x".repeat(50)), move |kept| told.send((n, kept)).unwrap());
        if n == 14 {
            // everyone was answered before there is room again
            while heard.try_iter().count() < 1 && journal.syncs() < 15 {
                std::thread::yield_now();
            }
        }
    }
    drop(journal);
    drop(told);
    let kept: Vec<u64> = heard.iter().filter_map(|(_, kept)| kept.ok()).collect();
    let (_, recovery, entries) = open(disk, 0);
    assert!(entries.len() >= kept.len());
    assert_eq!((recovery.damaged, recovery.missing), (vec![], vec![]));
}

#[test]
fn covered_segments_go() {
    let disk = Simulated::default();
    let (journal, ..) = open(disk.clone(), 0);
    let (told, heard) = mpsc::channel();
    for n in 0..80 {
        let told = told.clone();
        journal.append(payload(&n.to_string(), &"x".repeat(2 << 20)), move |kept| told.send(kept.unwrap()).unwrap());
    }
    let last = heard.iter().take(80).max().unwrap();
    let before = journal.bytes();
    journal.forget(last);
    drop(journal);
    let left: usize = disk.names().unwrap().iter().map(|name| disk.read(name).unwrap().len()).sum();
    assert!(before > 100 << 20 && left < 80 << 20, "{before} {left}");
    let (_, _, entries) = open(disk, last);
    assert_eq!(entries, []);
}

#[test]
fn a_frame_of_another_version_is_told() {
    let disk = Simulated::default();
    let (mut log, _) = Log::open(disk.clone(), SEGMENT, 0, salt, &mut |_, _| Ok(())).unwrap();
    log.append(&[vec![b"\x02x"]]).unwrap();
    let error = Journal::on(disk, 0, 0, &mut |_, _, _| Ok(())).unwrap_err().to_string();
    assert!(error.contains("frame 1 is not understood (its version is unknown)"), "{error}");
}
