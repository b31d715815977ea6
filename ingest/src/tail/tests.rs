//! Files on a real file system, and what rotations do to them, against the plain list of lines that were written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::string_slice)]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;

use proptest::prelude::*;

use super::*;

/// A folder that is followed, and who does it.
struct Followed {
    folder: tempfile::TempDir,
    pattern: String,
    tailer: Tailer,
    /// What the journal would have.
    states: BTreeMap<StreamId, Vec<u8>>,
    taken: Vec<u8>,
    now: Instant,
}

impl Followed {
    fn new(pattern: &str) -> Self {
        let (folder, now) = (tempfile::tempdir().unwrap(), Instant::now());
        let tailer = Tailer::new(&[within(folder.path(), pattern)], [], now);
        let pattern = pattern.to_owned();
        Self { folder, pattern, tailer, states: BTreeMap::new(), taken: Vec::new(), now }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// As if the process had ended and begun again.
    fn restart(&mut self) {
        self.tailer = Tailer::new(&[within(self.folder.path(), &self.pattern)], self.states.clone(), self.now);
    }

    fn later(&mut self, time: Duration) {
        self.now += time;
    }

    /// Looks, and takes what there is; what came.
    fn look(&mut self) -> String {
        let failed = self.tailer.look(self.now);
        assert!(failed.is_empty(), "{failed:?}");
        self.take()
    }

    fn take(&mut self) -> String {
        let before = self.taken.len();
        while let Some(chunk) = self.tailer.next(self.now) {
            let chunk = chunk.unwrap();
            self.states.insert(chunk.stream, chunk.state);
            self.taken.extend_from_slice(&chunk.bytes);
        }
        String::from_utf8(self.taken[before..].to_vec()).unwrap()
    }

    fn gzip(&self, name: &str) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&fs::read(self.path(name)).unwrap()).unwrap();
        gzip.finish().unwrap()
    }
}

fn within(folder: &Path, pattern: &str) -> glob::Pattern {
    glob::Pattern::new(&format!("{}/{pattern}", folder.display())).unwrap()
}

/// Lines that no two streams share.
fn lines(from: u32, to: u32) -> String {
    (from..to).map(|n| format!("{{\"request_id\":\"{n:08}\",\"path\":\"/{}\"}}\n", "x".repeat(50))).collect()
}

#[test]
fn whole_lines_come_once_also_after_a_restart() {
    let mut followed = Followed::new("*.log");
    followed.write("a.log", &lines(0, 3));
    assert_eq!(followed.look(), lines(0, 3));
    assert_eq!(followed.look(), "");
    let (line, next) = (lines(3, 4), lines(4, 5));
    followed.write("a.log", &line[..10]);
    assert_eq!(followed.take(), "");
    followed.restart();
    assert_eq!(followed.look(), "");
    followed.write("a.log", &line[10..]);
    followed.write("b.log", &next);
    assert_eq!(followed.take(), line);
    assert_eq!(followed.look(), next);
    followed.restart();
    assert_eq!(followed.look(), "");
    followed.write("a.log", &lines(5, 100));
    assert_eq!(followed.look(), lines(5, 100));
    // what has nothing more is not opened
    let stats = followed.tailer.stats();
    assert_eq!((stats.open, stats.streams, stats.behind), (1, 2, 0));
}

/// Each kind of rotation: while it runs, and while it does not.
#[test]
fn a_rotation_loses_nothing_and_brings_nothing_twice() {
    /// What a rotation does to `a.log`.
    type Rotation = fn(&Followed);
    fn rename(followed: &Followed) {
        fs::rename(followed.path("a.log"), followed.path("a.log.1")).unwrap();
        followed.write("a.log", "");
    }
    fn copy_truncate(followed: &Followed) {
        fs::copy(followed.path("a.log"), followed.path("a.log.1")).unwrap();
        File::options().write(true).truncate(true).open(followed.path("a.log")).unwrap();
    }
    fn compress(followed: &Followed) {
        fs::write(followed.path("a.log.1.gz"), followed.gzip("a.log")).unwrap();
        fs::remove_file(followed.path("a.log")).unwrap();
        followed.write("a.log", "");
    }
    fn compress_zstd(followed: &Followed) {
        let bytes = fs::read(followed.path("a.log")).unwrap();
        fs::write(followed.path("a.log-20261122.zst"), zstd::encode_all(bytes.as_slice(), 1).unwrap()).unwrap();
        fs::remove_file(followed.path("a.log")).unwrap();
    }
    let rotations: [(&str, Rotation); 4] =
        [("rename", rename), ("copytruncate", copy_truncate), ("gzip", compress), ("zstd", compress_zstd)];
    for (name, rotate) in rotations {
        for pattern in ["a.log", "a.log*", "*"] {
            for (running, taken_before, slept) in
                [(true, 40, 0), (false, 40, 0), (false, 3, 0), (true, 3, 0), (true, 40, 61), (true, 3, 61)]
            {
                let what = format!("{name}, {pattern}, running: {running}, {taken_before} lines, then {slept} s");
                let mut followed = Followed::new(pattern);
                followed.write("a.log", &lines(0, taken_before));
                assert_eq!(followed.look(), lines(0, taken_before), "{what}");
                followed.later(Duration::from_secs(slept));
                assert_eq!(followed.take(), "", "{what}");
                // not seen before the rotation
                followed.write("a.log", &lines(taken_before, 60));
                rotate(&followed);
                followed.write("a.log", &lines(60, 70));
                if !running {
                    followed.restart();
                }
                let mut came = String::new();
                for _ in 0..4 {
                    came += &followed.look();
                    followed.later(Duration::from_secs(1));
                }
                let sorted = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
                assert_eq!(sorted(&came), sorted(&lines(taken_before, 70)), "{what}");
                assert_eq!(came.len(), lines(taken_before, 70).len(), "{what}");
                // later, and after another start, nothing comes again
                followed.later(Duration::from_secs(700));
                assert_eq!(followed.look() + &followed.look(), "", "{what}");
                followed.restart();
                assert_eq!(followed.look() + &followed.look(), "", "{what}");
                followed.write("a.log", &lines(70, 75));
                assert_eq!(followed.look(), lines(70, 75), "{what}");
            }
        }
    }
}

#[test]
fn a_link_that_leads_elsewhere() {
    let mut followed = Followed::new("current.log");
    let link = |followed: &Followed, to: &str| {
        let (new, name) = (followed.path("new"), followed.path("current.log"));
        std::os::unix::fs::symlink(followed.path(to), &new).unwrap();
        fs::rename(new, name).unwrap();
    };
    followed.write("0.log", &lines(0, 5));
    link(&followed, "0.log");
    assert_eq!(followed.look(), lines(0, 5));
    followed.write("0.log", &lines(5, 7));
    followed.write("1.log", &lines(7, 9));
    link(&followed, "1.log");
    assert_eq!(followed.look(), lines(5, 7) + &lines(7, 9));
    // its writer had it open for a while
    followed.write("0.log", &lines(9, 10));
    assert_eq!(followed.take(), lines(9, 10));
}

#[test]
fn an_inode_that_is_used_again_is_another_stream() {
    use std::os::unix::fs::MetadataExt as _;
    let mut followed = Followed::new("*.log");
    followed.write("a.log", &lines(0, 30));
    assert_eq!(followed.look(), lines(0, 30));
    let inode = |followed: &Followed| fs::metadata(followed.path("a.log")).unwrap().ino();
    let before = inode(&followed);
    // while nothing is open, for an open file keeps its inode
    followed.tailer = Tailer::new(&[], [], followed.now);
    // the same inode, longer than before, in one go: what an unlink and a create do where inodes are used again at once
    fs::write(followed.path("a.log"), lines(100, 150)).unwrap();
    assert_eq!(inode(&followed), before);
    followed.restart();
    assert_eq!(followed.look(), lines(100, 150));
}

#[test]
fn a_file_that_was_cut_and_grew_again_at_once_is_another_stream() {
    let mut followed = Followed::new("a.log");
    followed.write("a.log", &lines(0, 30));
    assert_eq!(followed.look(), lines(0, 30));
    fs::write(followed.path("a.log"), lines(100, 150)).unwrap();
    assert_eq!(followed.take(), "");
    assert_eq!(followed.look(), lines(100, 150));
}

#[test]
fn the_last_line_without_an_end_comes_when_nobody_can_end_it() {
    let mut followed = Followed::new("a.log");
    followed.write("a.log", &(lines(0, 3) + "no end"));
    assert_eq!(followed.look(), lines(0, 3));
    followed.later(Duration::from_secs(3600));
    assert_eq!(followed.look() + &followed.look(), "", "its writer may still write");
    followed.write("a.log", "…");
    assert_eq!(followed.look(), "");
    fs::remove_file(followed.path("a.log")).unwrap();
    assert_eq!(followed.look(), "");
    followed.later(UNLINKED_AFTER);
    assert_eq!(followed.take(), "no end…");
    assert_eq!(followed.tailer.stats().open, 0);
    // of a compressed file the end is the end
    let mut followed = Followed::new("*.gz");
    followed.write("a.log", &(lines(0, 3) + "no end"));
    let gzip = followed.gzip("a.log");
    fs::write(followed.path("a.gz"), &gzip[..gzip.len() / 2]).unwrap();
    let begun = followed.look();
    assert!(lines(0, 3).starts_with(&begun) && begun.len() < lines(0, 3).len(), "{begun}");
    fs::write(followed.path("a.gz"), &gzip).unwrap();
    assert_eq!(begun + &followed.look(), lines(0, 3) + "no end");
    assert_eq!(followed.look(), "");
}

#[test]
fn files_that_share_nothing_but_their_start() {
    let mut followed = Followed::new("*.log");
    let same = lines(0, 20);
    followed.write("a.log", &(same.clone() + &lines(20, 30)));
    followed.write("b.log", &(same.clone() + &lines(30, 50)));
    let mut came = followed.look();
    for _ in 0..3 {
        followed.later(Duration::from_secs(1));
        came += &followed.look();
    }
    assert_eq!(came.matches("00000005").count(), 2);
    assert_eq!(came.len(), 2 * same.len() + lines(20, 50).len());
    // and a copy of one is none
    fs::copy(followed.path("a.log"), followed.path("c.log")).unwrap();
    assert_eq!(followed.look(), "");
}

#[test]
fn more_files_than_may_be_open() {
    let mut followed = Followed::new("*.log");
    let files = MOST_OPEN as u32 + 100;
    for file in 0..files {
        followed.write(&format!("{file}.log"), &lines(10 * file, 10 * file + 2));
    }
    followed.look();
    assert_eq!(followed.tailer.stats().open, MOST_OPEN as u64);
    for _ in 0..3 {
        followed.later(CLOSED_AFTER_IF_MANY);
        followed.look();
    }
    assert_eq!(followed.taken.len(), lines(0, 2 * files).len());
    // what was closed is read on
    followed.write("0.log", &lines(2, 3));
    followed.later(CLOSED_AFTER);
    assert_eq!(followed.look() + &followed.look(), lines(2, 3));
}

#[test]
fn what_cannot_be_followed_is_said_once() {
    let mut followed = Followed::new("*");
    fs::create_dir(followed.path("folder")).unwrap();
    fs::write(followed.path("a.gz"), [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0xff; 100]].concat()).unwrap();
    let failed = followed.tailer.look(followed.now);
    assert_eq!(failed.len(), 1);
    assert!(failed[0].to_string().contains("a.gz"), "{}", failed[0]);
    assert!(followed.tailer.look(followed.now).is_empty());
}

#[test]
fn a_stream_without_files_is_forgotten_in_the_end() {
    let mut followed = Followed::new("*");
    followed.write("a", &lines(0, 5));
    followed.write("b", &lines(5, 9));
    followed.look();
    fs::remove_file(followed.path("a")).unwrap();
    let mut gone = Vec::new();
    for _ in 0..300 {
        followed.later(REMEMBERED / 200);
        followed.look();
        gone.extend(followed.tailer.forget(followed.now));
    }
    assert_eq!((gone.len(), followed.tailer.stats().streams), (1, 1));
}

#[test]
fn of_a_damaged_file_what_is_good_comes_and_the_rest_is_said_once() {
    let mut followed = Followed::new("*.gz");
    followed.write("a.log", &lines(0, 50));
    let mut gzip = followed.gzip("a.log");
    let checksum = gzip.len() - 8;
    gzip[checksum] ^= 1;
    fs::write(followed.path("a.gz"), &gzip).unwrap();
    assert!(followed.tailer.look(followed.now).is_empty());
    let (mut came, mut failed) = (Vec::new(), 0);
    for _ in 0..5 {
        assert!(followed.tailer.look(followed.now).is_empty());
        while let Some(next) = followed.tailer.next(followed.now) {
            match next {
                Ok(chunk) => came.extend(chunk.bytes),
                Err(_) => failed += 1,
            }
        }
        followed.later(Duration::from_secs(1));
    }
    assert_eq!((String::from_utf8(came).unwrap(), failed), (lines(0, 50), 1));
}

/// A copy beside a log that sleeps: whichever of them is written next is read on.
#[test]
fn a_copy_does_not_hide_what_is_written_to_the_log() {
    let mut followed = Followed::new("a.log*");
    followed.write("a.log", &lines(0, 30));
    assert_eq!(followed.look(), lines(0, 30));
    followed.later(CLOSED_AFTER);
    assert_eq!(followed.take(), "");
    fs::copy(followed.path("a.log"), followed.path("a.log.bak")).unwrap();
    assert_eq!(followed.look(), "");
    for from in [30, 40, 50] {
        followed.write("a.log", &lines(from, from + 10));
        let mut came = String::new();
        for _ in 0..3 {
            came += &followed.look();
            followed.later(CLOSED_AFTER);
        }
        assert_eq!(came, lines(from, from + 10));
    }
}

/// What happens to a file.
#[derive(Clone, Debug)]
enum Step {
    /// So many bytes of lines are written.
    Write(usize),
    Rename,
    CopyTruncate,
    Compress,
    /// The process looks, or takes, or starts again; time passes.
    Look,
    Take,
    Restart,
    Later(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..3000_usize).prop_map(Step::Write),
        1 => Just(Step::Rename),
        1 => Just(Step::CopyTruncate),
        1 => Just(Step::Compress),
        4 => Just(Step::Look),
        4 => Just(Step::Take),
        1 => Just(Step::Restart),
        1 => (1..700_u64).prop_map(Step::Later),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("MESHWARDEN_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64)
    ))]

    /// Under any order of writes, rotations, looks and restarts: every line once.
    #[test]
    fn every_line_comes_once(steps in prop::collection::vec(step(), 1..60)) {
        let mut followed = Followed::new("a.log*");
        let (all, mut written, mut rotations) = (lines(0, 4000), 0, 0);
        // to the end of the line that was begun: one that a rotation tears is two
        let end_line = |followed: &Followed, written: &mut usize| {
            let rest = match all[..*written].ends_with('\n') || *written == 0 {
                true => "",
                false => &all[*written..][..=all[*written..].find('\n').unwrap()],
            };
            followed.write("a.log", rest);
            *written += rest.len();
        };
        for step in &steps {
            match step {
                Step::Write(bytes) => {
                    let end = (written + bytes).min(all.len());
                    followed.write("a.log", &all[written..end]);
                    written = end;
                }
                Step::Rename | Step::CopyTruncate | Step::Compress => {
                    end_line(&followed, &mut written);
                    let log = followed.path("a.log");
                    if fs::metadata(&log).unwrap().len() == 0 {
                        continue;
                    }
                    rotations += 1;
                    let rotated = followed.path(&format!("a.log.{rotations}"));
                    match step {
                        Step::Rename => fs::rename(&log, &rotated).unwrap(),
                        Step::CopyTruncate => {
                            fs::copy(&log, &rotated).unwrap();
                            fs::write(&log, "").unwrap();
                        }
                        _ => {
                            let compressed = followed.path(&format!("a.log.{rotations}.gz"));
                            fs::write(compressed, followed.gzip("a.log")).unwrap();
                            fs::remove_file(&log).unwrap();
                        }
                    }
                }
                Step::Look => drop(followed.look()),
                Step::Take => drop(followed.take()),
                Step::Restart => followed.restart(),
                Step::Later(seconds) => followed.later(Duration::from_secs(*seconds)),
            }
        }
        end_line(&followed, &mut written);
        for _ in 0..3 {
            followed.look();
            followed.later(Duration::from_secs(5));
        }
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        prop_assert_eq!(sorted(&String::from_utf8(followed.taken.clone()).unwrap()), sorted(&all[..written]));
    }
}
