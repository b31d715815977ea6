//! A scan that is told to end: it ends, and leaves nothing behind.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{command, sample};

fn entries(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_scan_that_is_told_to_end_leaves_no_rows_behind() {
    let lines = std::fs::read(sample()).unwrap();
    for signal in ["-INT", "-TERM", "-HUP"] {
        let temporary = tempfile::tempdir().unwrap();
        let mut scan = command(&["scan", "-"]);
        scan.env("TMPDIR", temporary.path()).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = scan.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // more and more of it, until suspicious rows were put on disk
        let deadline = Instant::now() + Duration::from_secs(60);
        let held = || entries(temporary.path()).first().is_some_and(|folder| !entries(folder).is_empty());
        while !held() {
            assert!(Instant::now() < deadline, "nothing was put on disk");
            stdin.write_all(&lines).unwrap();
        }
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(130), "{signal}");
        assert_eq!(entries(temporary.path()), Vec::<std::path::PathBuf>::new(), "{signal}");
    }
}
