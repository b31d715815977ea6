//! R16: two services on one table in an object store, an S3-speaking server (moto). They take lines in, are killed and started again, and compact the
//! same files: nothing that either acknowledged is lost, nothing is there twice.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tests::receivers::{BUCKET, Moto};

use super::killed::{Known, ids_of, judge, send};
use super::service::Service;
use super::{command, text};

/// A program that reaches the bucket.
fn reaching(moto: &Moto, args: &[&str]) -> Command {
    let mut command = command(args);
    command.envs(moto.environment());
    command
}

fn run(moto: &Moto, args: &[&str]) -> Output {
    let output = reaching(moto, args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    output
}

fn start(moto: &Moto, data: &str, folder: &Path, name: &str) -> Service {
    let (local, config) = (folder.join(name), folder.join("meshwarden.toml"));
    std::fs::write(&config, "[store]\nflush_seconds = 1\n").unwrap();
    let (local, config) = (local.to_str().unwrap(), config.to_str().unwrap());
    let args = ["serve", "--data", data, "--local", local, "--listen", "127.0.0.1:0", "--config", config];
    Service::spawn(&mut reaching(moto, &args)).unwrap_or_else(|(said, _)| panic!("{said}"))
}

#[test]
fn two_services_write_to_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let moto = Moto::start(folder.path()).unwrap();
    let data = format!("s3://{BUCKET}/some/prefix");
    let known = Known::default();
    for round in 0..3 {
        let (mut one, two) = (start(&moto, &data, folder.path(), "one"), start(&moto, &data, folder.path(), "two"));
        let (stop, addresses) = (AtomicBool::new(false), [&one, &two].map(|service| service.address().to_owned()));
        std::thread::scope(|scope| {
            for sender in 0..4 {
                let (address, stop, known) = (&addresses[sender / 2], &stop, &known);
                // keys are each service's own: what one does not answer is not sent to the other
                scope.spawn(move || send(address, round, 2 + sender, known, stop));
            }
            std::thread::sleep(Duration::from_secs(3));
            one.kill();
            stop.store(true, Ordering::Relaxed);
        });
        two.stop();
    }
    let (one, two) = (start(&moto, &data, folder.path(), "one"), start(&moto, &data, folder.path(), "two"));
    // each sees what the other wrote
    let begun = Instant::now();
    while one.count() != two.count() || one.count() < 100 {
        assert!(begun.elapsed() < Duration::from_secs(30), "{} and {}", one.count(), two.count());
        std::thread::sleep(Duration::from_millis(200));
    }
    // one local folder has one writer
    let local = folder.path().join("one");
    let again = ["serve", "--data", &data, "--local", local.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let refused = reaching(&moto, &again).output().unwrap();
    assert!(text(&refused.stderr).contains("is in use by another meshwarden"), "{}", text(&refused.stderr));
    one.stop();
    two.stop();

    let store = |command: &str| {
        let args = ["store", command, "--data", &data, "--local", local.to_str().unwrap(), "--output", "json"];
        serde_json::from_slice::<serde_json::Value>(&run(&moto, &args).stdout).unwrap()
    };
    let rows = |store: &serde_json::Value| store["tables"][0]["rows"].as_u64().unwrap();
    let before = store("status");
    assert_eq!(before["journal"]["waiting"], 0);
    let compacted = store("compact");
    assert_eq!((rows(&compacted), &compacted["tables"][0]["files"]), (rows(&before), &1.into()));
    let verified = store("verify");
    assert_eq!((rows(&verified), &verified["intact"]), (rows(&before), &true.into()));
    let rolled_up = run(&moto, &["sql", "SELECT sum(requests) AS n FROM edges_1m", "--data", &data, "--output", "csv"]);
    assert_eq!(text(&rolled_up.stdout), format!("n\n{}\n", rows(&before)));
    judge(run(&moto, &ids_of(&data)), known, "two services in one bucket, three kills");
}

#[test]
fn what_is_no_store_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let moto = Moto::start(folder.path()).unwrap();
    let local = folder.path().to_str().unwrap();
    let nothing = format!("s3://{BUCKET}/nothing");
    for (args, reason) in [
        (vec!["sql", "SELECT 1", "--data", &nothing], "holds no meshwarden data"),
        (vec!["serve", "--data", &nothing], "--local DIR"),
        (vec!["serve", "--data", "s3://no-such-bucket/x", "--local", local], "no-such-bucket"),
        (vec!["serve", "--data", local, "--local", local], "it needs no other"),
    ] {
        let output = reaching(&moto, &args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(reason), "{args:?}: {}", text(&output.stderr));
    }
}
