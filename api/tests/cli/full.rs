//! R6: a disk that runs full, and has room again.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::client::post;
use super::killed::line;
use super::service::Service;
use super::text;

/// A volume of 64 MiB; unmounted in the end.
struct Volume<'p>(&'p Path);

impl<'p> Volume<'p> {
    /// `None`: this user may not mount anything.
    fn mount(path: &'p Path) -> Option<Self> {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(path).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Volume(path))
    }
}

impl Drop for Volume<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

/// With room that is kept free, and with none.
#[test]
fn a_full_disk_refuses_and_resumes_and_loses_nothing() {
    for reserve in [16 << 20, 0] {
        let folder = tempfile::tempdir().unwrap();
        let Some(volume) = Volume::mount(folder.path()) else {
            println!("not run: this user may not mount a tmpfs (the journal's own tests have a full disk, too)");
            return;
        };
        let (data, ballast) = (folder.path().join("data"), folder.path().join("ballast"));
        std::fs::write(&ballast, vec![1; 20 << 20]).unwrap();
        let config = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&config, format!("[store]\nmin_free_bytes = {reserve}\n")).unwrap();
        let mut service = Service::start(&data, &["--config", config.path().to_str().unwrap()]);
        let address = service.address().to_owned();

        let mut acknowledged = BTreeSet::new();
        let mut send = |number: u64| {
            let ids: Vec<String> = (0..400).map(|n| format!("{number}-{n}")).collect();
            // what zstd cannot make small
            let noise = |id: &str| (0..12).map(|n| uuid(&format!("{id}{n}"))).collect::<String>();
            let body: String =
                ids.iter().zip(0..).map(|(id, n)| line(&format!("{id}/{}", noise(id)), n) + "\n").collect();
            let answer = post(&address, "/api/v1/ingest", "", &body).expect("it stays up");
            if answer.status == 200 {
                acknowledged.extend(ids);
            }
            answer
        };
        let mut number = 0;
        let refused = loop {
            let answer = send(number);
            number += 1;
            if answer.status != 200 {
                break answer;
            }
            assert!(number < 1000, "64 MiB cannot take that much");
        };
        assert_eq!(refused.status, 507, "{}", refused.text);
        assert!(refused.text.to_ascii_lowercase().contains("retry-after: 10"), "{}", refused.text);
        // it answers all the same, and goes on refusing
        for _ in 0..20 {
            number += 1;
            let answer = send(number);
            assert!([200, 507].contains(&answer.status), "{}", answer.text);
            service.count();
        }
        std::fs::remove_file(&ballast).unwrap();
        let freed = Instant::now();
        loop {
            number += 1;
            if send(number).status == 200 {
                break;
            }
            assert!(freed.elapsed() < Duration::from_secs(2), "it does not resume");
            std::thread::sleep(Duration::from_millis(50));
        }
        println!(
            "reserve {reserve}: {} lines were acknowledged; resumed after {:?}",
            acknowledged.len(),
            freed.elapsed()
        );
        // and nothing of it is lost, not even by a crash
        service.kill();
        Service::start(&data, &["--config", config.path().to_str().unwrap()]).stop();
        let query = "SELECT split_part(request_id, '/', 1), count(*) FROM access_logs GROUP BY 1";
        let asked = super::run(&["sql", query, "--data", data.to_str().unwrap(), "--output", "csv"]);
        assert!(asked.status.success(), "{}", text(&asked.stderr));
        let stored: BTreeSet<String> =
            text(&asked.stdout).lines().skip(1).filter_map(|row| row.strip_suffix(",1")).map(str::to_owned).collect();
        let lost: Vec<&String> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "{lost:?}");
        assert_eq!(stored.len(), text(&asked.stdout).lines().count() - 1, "something is there twice");
        drop(volume);
    }
}

/// 32 digits that follow from a text.
fn uuid(text: &str) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let first = hasher.finish();
    first.hash(&mut hasher);
    format!("{first:016x}{:016x}", hasher.finish())
}
