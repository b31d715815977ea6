//! R17, with R1: files that are written without a pause and rotated in every way, while the service that follows them is killed and started again. What was
//! written is there afterwards (L = 0), and nothing is there twice (D = 0).
//!
//! ```sh
//! MESHWARDEN_KILLS=200 cargo test -p api --test cli tail::    # 6 in the usual run
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::killed::{Known, check, line};
use super::service::Service;
use super::text;

/// Rotated files that are kept of each log: what is removed while nobody follows it is lost to anybody.
const KEPT: usize = 400;

/// How a log is rotated.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rotation {
    /// The file gets another name, and a new one is begun.
    Rename,
    /// The file is copied, and cut.
    CopyTruncate,
    /// It gets another name, and the one before that is compressed.
    Compress,
    /// The log is a link, which leads to another file from then on.
    Link,
}

pub(super) const ROTATIONS: [Rotation; 4] =
    [Rotation::Rename, Rotation::CopyTruncate, Rotation::Compress, Rotation::Link];

pub(super) struct Log {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    number: usize,
}

impl Log {
    pub(super) fn new(folder: &Path, rotation: Rotation) -> Self {
        let path = folder.join(format!("{rotation:?}.log"));
        let mut log = Self { file: tempfile::tempfile().unwrap(), path, rotation, number: 0 };
        log.file = match rotation {
            Rotation::Link => log.begin_behind_link(),
            _ => append(&log.path),
        };
        log
    }

    fn rotated(&self, number: usize) -> PathBuf {
        PathBuf::from(format!("{}.{number}", self.path.display()))
    }

    fn begin_behind_link(&self) -> File {
        let (target, new) =
            (self.path.with_extension(format!("data.{}", self.number)), self.path.with_extension("new"));
        let file = append(&target);
        std::os::unix::fs::symlink(&target, &new).unwrap();
        fs::rename(new, &self.path).unwrap();
        file
    }

    fn rotate(&mut self) {
        self.number += 1;
        let (rotated, before) = (self.rotated(self.number), self.rotated(self.number.saturating_sub(1)));
        match self.rotation {
            Rotation::Rename => {
                fs::rename(&self.path, &rotated).unwrap();
                self.file = append(&self.path);
            }
            Rotation::CopyTruncate => {
                fs::copy(&self.path, &rotated).unwrap();
                self.file.set_len(0).unwrap();
            }
            Rotation::Compress => {
                fs::rename(&self.path, &rotated).unwrap();
                self.file = append(&self.path);
                if before.exists() {
                    assert!(Command::new("gzip").arg(&before).status().unwrap().success());
                }
            }
            Rotation::Link => self.file = self.begin_behind_link(),
        }
        if let Some(old) = self.number.checked_sub(KEPT) {
            let gzip = format!("{}.gz", self.rotated(old).display());
            for old in [self.rotated(old), PathBuf::from(gzip), self.path.with_extension(format!("data.{old}"))] {
                let _ = fs::remove_file(old);
            }
        }
    }

    /// Writes without a pause until it is told to stop.
    pub(super) fn write(mut self, known: &Known, stop: &AtomicBool) {
        let mut rotate_at = Instant::now() + Duration::from_millis(150);
        for number in 0_u64.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let ids: Vec<String> = (0..1 + number % 20).map(|n| format!("{:?}-{number}-{n}", self.rotation)).collect();
            let lines: String = ids.iter().zip(0..).map(|(id, n)| line(id, number * 20 + n) + "\n").collect();
            known.sent(&ids);
            // a line may be seen before all of it is there
            let (first, second) = lines.split_at(lines.len() / 3);
            self.file.write_all(first.as_bytes()).unwrap();
            self.file.write_all(second.as_bytes()).unwrap();
            known.acknowledged(&ids);
            if Instant::now() >= rotate_at {
                self.rotate();
                rotate_at = Instant::now() + Duration::from_millis(100 + number % 300);
            }
            // what a debug build can follow
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn append(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

/// Waits until a service has read everything that was written.
pub(super) fn wait_for(service: &Service, known: &Known) {
    let (begun, written) = (Instant::now(), i64::try_from(known.written()).unwrap());
    while service.count() < written && begun.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn files_that_are_rotated_are_followed_through_kills() {
    let kills: usize = std::env::var("MESHWARDEN_KILLS").map_or(6, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (logs, data, known) = (folder.path().join("logs"), folder.path().join("data"), Known::default());
    fs::create_dir(&logs).unwrap();
    let stop = AtomicBool::new(false);
    // logs, rotated logs and what links led to: whole files come and go between two looks, and while nobody looks
    let pattern = format!("{}/*.[ld]*", logs.display());
    let args = ["--tail", pattern.as_str()];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    std::thread::scope(|scope| {
        for rotation in ROTATIONS {
            let (log, known, stop) = (Log::new(&logs, rotation), &known, &stop);
            scope.spawn(move || log.write(known, stop));
        }
        for round in 0..kills {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let mut service = Service::start(&data, &args);
            std::thread::sleep(Duration::from_millis(200 + random % 2000));
            match round % 3 {
                2 => service.stop(),
                _ => service.kill(),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    let service = Service::start(&data, &args);
    wait_for(&service, &known);
    let metrics = service.get("/metrics");
    assert!(metrics.contains("meshwarden_receiver_lines_total{receiver=\"tail\"}"), "{metrics}");
    service.stop();
    check(&data, known, &format!("four logs, rotated in four ways, {kills} ends of the service"));
    // whose they are
    let sources = [
        "sql",
        "SELECT DISTINCT source FROM access_logs ORDER BY 1",
        "--data",
        data.to_str().unwrap(),
        "--output",
        "csv",
    ];
    assert_eq!(text(&super::run(&sources).stdout), format!("source\n{pattern}\n"));
}

#[test]
fn what_is_no_pattern_is_said_before_anything_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let output =
        super::run(&["serve", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0", "--tail", "/var/log/a["]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("'/var/log/a['"), "{}", text(&output.stderr));
    assert!(!data.exists());
}
