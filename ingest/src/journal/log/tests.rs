#![allow(clippy::unwrap_used, clippy::expect_used)]
use proptest::prelude::*;

use super::*;
use crate::journal::disk::Folder;
use crate::journal::simulated::{Faults, Simulated};

fn salt() -> u64 {
    0x5eed
}

type Frames = Vec<(u64, Vec<u8>)>;

fn open<D: Disk>(disk: D, segment_bytes: u64, covered: u64) -> (Log<D>, Recovery, Frames) {
    let mut frames = Vec::new();
    let (log, recovery) = Log::open(disk, segment_bytes, covered, salt, &mut |sequence, payload| {
        frames.push((sequence, payload.to_vec()));
        Ok(())
    })
    .unwrap();
    (log, recovery, frames)
}

fn append<D: Disk>(log: &mut Log<D>, payloads: &[&str]) -> RangeInclusive<u64> {
    let pieces: Vec<Pieces<'_>> = payloads.iter().map(|payload| vec![payload.as_bytes()]).collect();
    log.append(&pieces).unwrap()
}

fn numbered(range: RangeInclusive<u64>) -> Frames {
    range.map(|n| (n, format!("payload {n}").into_bytes())).collect()
}

/// A segment of four frames of one length: its name and its bytes.
fn four_frames() -> (String, Vec<u8>) {
    let disk = Simulated::default();
    let (mut log, ..) = open(disk.clone(), 1 << 20, 0);
    for n in 1..=4 {
        append(&mut log, &[&format!("payload {n}")]);
    }
    let name = disk.names().unwrap().remove(0);
    let whole = disk.read(&name).unwrap();
    (name, whole)
}

#[test]
fn what_was_appended_is_read_again() {
    let disk = Simulated::default();
    let (mut log, recovery, frames) = open(disk.clone(), 100, 0);
    assert_eq!((recovery, frames, log.last()), (Recovery::default(), vec![], 0));
    for n in 1..=10 {
        assert_eq!(append(&mut log, &[&format!("payload {n}")]), n..=n);
    }
    assert_eq!(append(&mut log, &["payload 11", "payload 12"]), 11..=12);
    for covered in [0, 5, 12, 20] {
        let (log, recovery, frames) = open(disk.clone(), 100, covered);
        assert_eq!(frames, numbered(covered + 1..=12), "{covered}");
        let expected = Recovery { replayed: 12_u64.saturating_sub(covered), ..Recovery::default() };
        assert_eq!((recovery, log.last()), (expected, covered.max(12)));
    }
    // all of it was covered: nothing is there any more
    assert_eq!(disk.names().unwrap(), Vec::<String>::new());
}

#[test]
fn pieces_become_one_payload() {
    let disk = Simulated::default();
    let (mut log, ..) = open(disk.clone(), 1 << 20, 0);
    let many: Vec<&[u8]> = (0..3000).map(|_| &b"ab"[..]).collect();
    log.append(&[many, vec![], vec![b"", b"c"]]).unwrap();
    let (_, _, frames) = open(disk, 1 << 20, 0);
    assert_eq!(frames, [(1, b"ab".repeat(3000)), (2, vec![]), (3, b"c".to_vec())]);
}

#[test]
fn the_journal_forgets_whole_segments() {
    let disk = Simulated::default();
    let (mut log, ..) = open(disk.clone(), 100, 0);
    for n in 1..=9 {
        append(&mut log, &[&format!("payload {n}")]);
    }
    let before = log.bytes();
    log.forget(5).unwrap();
    assert!(log.bytes() < before && log.bytes() > 0);
    let (_, recovery, frames) = open(disk.clone(), 100, 5);
    assert_eq!((frames, recovery.missing), (numbered(6..=9), vec![]));
    // frames that should be there and are not: somebody removed a segment
    let first = disk.names().unwrap().into_iter().min().unwrap();
    disk.remove(&first).unwrap();
    let (_, recovery, frames) = open(disk, 100, 5);
    let lost = frames[0].0;
    assert_eq!(recovery.missing, vec![6..=lost - 1]);
}

/// R6: a disk that is full when the journal is opened.
#[test]
fn a_full_disk_opens() {
    let disk = Simulated::default();
    let (mut log, ..) = open(disk.clone(), 1 << 20, 0);
    for n in 1..=4 {
        append(&mut log, &[&format!("payload {n}")]);
    }
    drop(log);
    let before = disk.names().unwrap();
    disk.set(Faults { capacity: Some(200), ..Faults::default() });
    let (mut log, recovery, frames) = open(disk.clone(), 1 << 20, 1);
    assert_eq!((frames, recovery.replayed, disk.names().unwrap()), (numbered(2..=4), 3, before));
    let refused = log.append(&[vec![&[b'x'; 200]]]).unwrap_err();
    assert!(matches!(refused, JournalError::Full { .. }), "{refused}");
    disk.set(Faults::default());
    append(&mut log, &["payload 5"]);
    let (mut log, recovery, frames) = open(disk.clone(), 1 << 20, 1);
    assert_eq!((frames, recovery.missing, recovery.damaged), (numbered(2..=5), vec![], vec![]));
    log.forget(5).unwrap();
    assert_eq!(disk.names().unwrap(), Vec::<String>::new());
}

/// R5 and R6: damage that there is no room to copy. The segment stays, under another name.
#[test]
fn damage_on_a_full_disk_is_kept() {
    let disk = Simulated::default();
    let (mut log, ..) = open(disk.clone(), 1 << 20, 0);
    for n in 1..=4 {
        append(&mut log, &[&format!("payload {n}")]);
    }
    let name = disk.names().unwrap().remove(0);
    disk.change(&name, |bytes| bytes[HEADER + frame::HEADER] ^= 1);
    let damaged = disk.read(&name).unwrap();
    disk.set(Faults { capacity: Some(damaged.len() + 1), ..Faults::default() });
    let (mut log, recovery, frames) = open(disk.clone(), 1 << 20, 0);
    assert_eq!((frames, recovery.missing), (numbered(2..=4), vec![1..=1]));
    let kept_in = &recovery.damaged[0].kept_in;
    log.forget(4).unwrap();
    assert_eq!((disk.names().unwrap(), disk.read(kept_in).unwrap()), (vec![kept_in.clone()], damaged));
}

/// R4: the last segment cut off at every byte.
#[test]
fn a_torn_tail_costs_what_it_tore() {
    let (name, whole) = four_frames();
    let frame = frame::HEADER + "payload 1".len();
    for end in 0..=whole.len() {
        let disk = Simulated::default();
        disk.create(&name).unwrap();
        disk.change(&name, |bytes| bytes.extend_from_slice(&whole[..end]));
        let (mut log, recovery, frames) = open(disk.clone(), 1 << 20, 0);
        let kept = end.saturating_sub(HEADER) / frame;
        assert_eq!(frames, numbered(1..=kept as u64), "{end}");
        let torn = if end < HEADER { end } else { end - HEADER - kept * frame };
        assert_eq!((recovery.torn_bytes, recovery.damaged, recovery.missing), (torn as u64, vec![], vec![]), "{end}");
        // and life goes on
        append(&mut log, &["next"]);
        let (_, recovery, frames) = open(disk, 1 << 20, 0);
        assert_eq!(frames.last().unwrap(), &(kept as u64 + 1, b"next".to_vec()));
        assert_eq!((recovery.damaged, recovery.missing), (vec![], vec![]), "{end}");
    }
}

/// R3: the file has its length, and what was not synced is zeros.
#[test]
fn zeros_where_bytes_were_to_come_are_torn() {
    let (name, whole) = four_frames();
    let frame = frame::HEADER + "payload 1".len();
    for (kept, end) in [(0, 0), (0, HEADER), (1, HEADER + frame), (3, HEADER + 3 * frame)] {
        let disk = Simulated::default();
        disk.create(&name).unwrap();
        disk.change(&name, |bytes| bytes.extend_from_slice(&whole[..end]));
        disk.change(&name, |bytes| bytes.resize(whole.len(), 0));
        let (_, recovery, frames) = open(disk, 1 << 20, 0);
        assert_eq!(frames, numbered(1..=kept), "{end}");
        let torn = (whole.len() - end) as u64;
        assert_eq!((recovery.torn_bytes, recovery.damaged, recovery.missing), (torn, vec![], vec![]), "{end}");
    }
}

/// R5: every bit of a segment flipped.
#[test]
fn a_flipped_bit_costs_one_frame_which_is_kept_aside() {
    let disk = Simulated::default();
    let (mut log, ..) = open(disk.clone(), 1 << 20, 0);
    for n in 1..=5 {
        append(&mut log, &[&format!("payload {n}")]);
    }
    let name = disk.names().unwrap().remove(0);
    let whole = disk.read(&name).unwrap();
    let frame = frame::HEADER + "payload 1".len();
    for place in 0..whole.len() {
        for bit in 0..8 {
            let disk = Simulated::default();
            disk.create(&name).unwrap();
            disk.change(&name, |bytes| {
                bytes.extend_from_slice(&whole);
                bytes[place] ^= 1 << bit;
            });
            let (_, recovery, frames) = open(disk.clone(), 1 << 20, 0);
            let hit = place.checked_sub(HEADER).map(|place| place / frame);
            let lost = hit.map(|hit| hit as u64 + 1);
            let kept: Frames = numbered(1..=5).into_iter().filter(|(n, _)| Some(*n) != lost).collect();
            assert_eq!(frames, kept, "bit {bit} of byte {place}");
            let [damaged] = recovery.damaged.as_slice() else { panic!("bit {bit} of byte {place}: {recovery:?}") };
            let (from, bytes) = hit.map_or((0, HEADER), |hit| (HEADER + hit * frame, frame));
            assert_eq!((damaged.offset, damaged.bytes), (from, bytes), "bit {bit} of byte {place}");
            let mut original = disk.read(&damaged.kept_in).unwrap();
            original[place - from] ^= 1 << bit;
            assert_eq!(original, whole[from..from + bytes]);
            let missing = lost.filter(|lost| *lost < 5).map(|lost| lost..=lost).into_iter().collect::<Vec<_>>();
            assert_eq!(recovery.missing, missing);
            // damage is told once, what is missing as long as it is
            let (_, again, same) = open(disk, 1 << 20, 0);
            assert_eq!((again.damaged, again.missing, same), (vec![], recovery.missing, frames));
        }
    }
}

/// R6: the disk is full, and then it is not.
#[test]
fn a_full_disk_keeps_what_was_acknowledged() {
    for capacity in 0..400 {
        let disk = Simulated::default();
        let (mut log, ..) = open(disk.clone(), 150, 0);
        disk.set(Faults { capacity: Some(capacity), ..Faults::default() });
        let mut acknowledged = 0;
        for n in 1..=12_u64 {
            let payload = format!("payload {}", acknowledged + 1);
            match log.append(&[vec![payload.as_bytes()]]) {
                Ok(range) => {
                    acknowledged += 1;
                    assert_eq!(range, acknowledged..=acknowledged);
                }
                Err(JournalError::Full { .. }) => {}
                Err(other) => panic!("{other}"),
            }
            if n == 8 {
                disk.set(Faults::default());
            }
        }
        assert!(acknowledged >= 4, "{capacity}: it did not go on");
        let (_, recovery, frames) = open(disk, 150, 0);
        assert_eq!(frames, numbered(1..=acknowledged), "{capacity}");
        assert_eq!((recovery.damaged, recovery.missing), (vec![], vec![]), "{capacity}");
    }
}

#[test]
fn a_folder_of_the_operating_systems() {
    let folder = std::env::temp_dir().join(format!("meshwarden-journal-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let (mut log, ..) = open(Folder::open(&folder).unwrap(), 4096, 0);
    for n in 1..=500 {
        append(&mut log, &[&format!("payload {n}")]);
    }
    drop(log);
    let (mut log, recovery, frames) = open(Folder::open(&folder).unwrap(), 4096, 0);
    assert_eq!((frames, recovery.damaged), (numbered(1..=500), vec![]));
    log.forget(500).unwrap();
    assert_eq!(log.bytes(), 0);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        append(&mut log, &["private"]);
        assert_eq!(std::fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        for entry in std::fs::read_dir(&folder).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().mode() & 0o777, 0o600);
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// One step of a life.
#[derive(Debug, Clone)]
enum Step {
    Append(Vec<usize>),
    Forget(u64),
    Restart,
    LosePower(u64),
    Faults(Option<usize>, Option<u64>, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => prop::collection::vec(0..200_usize, 1..5).prop_map(Step::Append),
        1 => (0..10_u64).prop_map(Step::Forget),
        1 => Just(Step::Restart),
        2 => any::<u64>().prop_map(Step::LosePower),
        2 => (prop::option::weighted(0.3, 0..4000_usize), prop::option::weighted(0.5, 1..6_u64), any::<bool>())
            .prop_map(|(capacity, sync, truncate)| Step::Faults(capacity, sync, truncate)),
    ];
    prop::collection::vec(step, 1..60)
}

/// `MESHWARDEN_SEEDS=100000 cargo test -p ingest what_was_acknowledged`; fewer in the usual run.
fn seeds() -> ProptestConfig {
    let cases = std::env::var("MESHWARDEN_SEEDS").map_or(600, |seeds| seeds.parse().unwrap());
    ProptestConfig { cases, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(seeds())]

    /// R3, R6, R7: power loss, full disks, failing syncs, in any order: what was acknowledged and is not covered is there, once, in order; what is
    /// there besides was sent and not answered, or refused by a disk that failed, and then failed to take it back.
    #[test]
    fn what_was_acknowledged_is_there(steps in steps()) {
        let mut disk = Simulated::default();
        let (mut log, ..) = open(disk.clone(), 300, 0);
        let mut acknowledged: Frames = Vec::new();
        let (mut covered, mut sent, mut keeps_what_it_refused) = (0, 0_u64, false);
        let mut refused: Vec<Vec<u8>> = Vec::new();
        // what the disk has room for, also when the journal is opened; not if it failed to sync as well, for nobody can stand both
        let (mut room, mut failed) = (None, false);
        for step in steps {
            let mut reopen = false;
            match step {
                Step::Append(lengths) => {
                    let payloads: Vec<Vec<u8>> = lengths.iter().map(|length| {
                        sent += 1;
                        format!("{sent}:{}", "x".repeat(*length)).into_bytes()
                    }).collect();
                    let pieces: Vec<Pieces<'_>> = payloads.iter().map(|payload| vec![payload.as_slice()]).collect();
                    match log.append(&pieces) {
                        Ok(range) => acknowledged.extend(range.zip(payloads)),
                        Err(_) if keeps_what_it_refused => {}
                        Err(_) => refused.extend(payloads),
                    }
                }
                Step::Forget(back) => {
                    let last = acknowledged.last().map_or(0, |(sequence, _)| *sequence);
                    covered = covered.max(last.saturating_sub(back));
                    // it may fail, too: nothing is lost by what is there too long
                    let _ = log.forget(covered);
                }
                Step::Restart => reopen = true,
                Step::LosePower(seed) => {
                    disk = disk.lose_power(seed);
                    reopen = true;
                    // a disk that fails and then loses its power may bring back what it could not promise
                    refused.clear();
                }
                Step::Faults(capacity, sync_every, truncate) => {
                    disk.set(Faults { capacity, sync_every, truncate });
                    keeps_what_it_refused = truncate;
                    room = capacity;
                    failed |= sync_every.is_some();
                }
            }
            if reopen {
                disk.set(Faults { capacity: room.filter(|_| !failed), ..Faults::default() });
                keeps_what_it_refused = false;
                let (reopened, recovery, frames) = open(disk.clone(), 300, covered);
                log = reopened;
                let expected: Frames = acknowledged.iter().filter(|(sequence, _)| *sequence > covered).cloned().collect();
                let numbers = |frames: &Frames| frames.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>();
                prop_assert!(frames.starts_with(&expected), "{:?}\n{:?}", numbers(&expected), numbers(&frames));
                prop_assert_eq!(recovery.missing, vec![]);
                prop_assert!(frames.iter().all(|(_, payload)| !refused.contains(payload)), "{:?}\n{:?}", refused, frames);
                // from now on they are kept, too
                acknowledged.extend(frames.into_iter().skip(expected.len()));
            }
        }
    }
}
