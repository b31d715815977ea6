//! A scan that is told to end: it ends, and leaves nothing behind.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{command, sample};

fn entries(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Talk that nobody can hear is no reason to fail, nor to panic (exit code 101).
#[test]
fn a_stderr_that_cannot_be_written_to_changes_nothing() {
    let sample = sample();
    let sample = sample.to_str().unwrap();
    for (arguments, code) in [
        (&["scan", sample, "--output", "ndjson"][..], 0),
        (&["sql", "SELECT 1", "--from", sample, "--limit", "1"], 0),
        (&["scan", "/no/such/file"], 3),
        (&["--log", "trace", "scan", sample], 0),
        (&["--log", "no=such=filter", "scan", sample], 0),
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let status = command(arguments).stdout(Stdio::null()).stderr(full).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
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
