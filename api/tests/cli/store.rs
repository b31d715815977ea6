//! `meshwarden store`, beside a running service (R16) and on a folder at rest.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::client::post;
use super::killed::line;
use super::service::Service;
use super::{run, text};

/// A life of a service that takes lines of that day in.
fn life(data: &Path, day: u64, lines: u64) {
    let service = Service::start(data, &[]);
    let body: String =
        (0..lines).map(|n| line(&format!("{day}-{n}"), day * 86_400_000 + n) + "\n").collect::<String>() + "nonsense\n";
    assert_eq!(post(service.address(), "/api/v1/ingest", "", &body).unwrap().status, 200);
    service.stop();
}

fn store(command: &[&str], data: &Path) -> (Option<i32>, Value, String) {
    let mut args = vec!["store"];
    args.extend(command);
    args.extend(["--data", data.to_str().unwrap(), "--output", "json"]);
    let output = run(&args);
    let value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), value, text(&output.stderr).to_owned())
}

/// What is said of a table.
fn of<'a>(tables: &'a Value, name: &str) -> &'a Value {
    tables.as_array().unwrap().iter().find(|table| table["table"] == name).unwrap()
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let (mut files, mut left) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.to_str().unwrap().ends_with(ending) {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn one_writer_and_any_number_of_readers() {
    let folder = tempfile::tempdir().unwrap();
    life(folder.path(), 0, 5);
    let service = Service::start(folder.path(), &[]);
    assert_eq!(post(service.address(), "/api/v1/ingest", "", &line("hot", 0)).unwrap().status, 200);
    // who would write is told who does
    let data = folder.path().to_str().unwrap();
    for args in [
        vec!["serve", "--data", data, "--listen", "127.0.0.1:0"],
        vec!["store", "compact", "--data", data],
        vec!["store", "retain", "--data", data],
    ] {
        let refused = run(&args);
        assert_eq!(refused.status.code(), Some(2), "{args:?}");
        assert!(
            text(&refused.stderr).contains("is in use by another meshwarden (process "),
            "{}",
            text(&refused.stderr)
        );
    }
    // who reads is told how fresh it is
    let asked = run(&["sql", "SELECT count(*) AS n FROM access_logs", "--data", data, "--output", "csv"]);
    assert_eq!(text(&asked.stdout), "n\n5\n");
    assert!(text(&asked.stderr).contains("rows as written to disk up to 20"), "{}", text(&asked.stderr));
    let (code, status, _) = store(&["status"], folder.path());
    assert_eq!((code, &status["tables"][0]["rows"], &status["journal"]["waiting"]), (Some(0), &5.into(), &1.into()));
    assert_eq!(store(&["verify"], folder.path()).0, Some(0));
    service.stop();
    let (_, status, _) = store(&["status"], folder.path());
    assert_eq!((&status["tables"][0]["rows"], &status["journal"]["waiting"]), (&6.into(), &0.into()));
}

#[test]
fn compacted_retained_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    for day in [0, 0, 1, 1, 1] {
        life(folder.path(), day, 20);
    }
    let rows = |query: &str| {
        let asked = run(&["sql", query, "--data", folder.path().to_str().unwrap(), "--output", "csv"]);
        assert!(asked.status.success(), "{}", text(&asked.stderr));
        text(&asked.stdout).lines().nth(1).unwrap().to_owned()
    };
    let all = "SELECT count(*) || ' ' || count(DISTINCT log_id) || ' ' || sum(bytes_sent) FROM access_logs";
    let before = rows(all);
    let logs = folder.path().join("access_logs");
    assert_eq!(files(&logs, ".parquet").len(), 5);
    let (code, done, said) = store(&["compact"], folder.path());
    let compacted = ["access_logs", "edges_1m", "rejects"].map(|table| of(&done["tables"], table)["files"].clone());
    assert_eq!((code, compacted), (Some(0), [2.into(), 2.into(), 1.into()]), "{said}");
    assert_eq!(rows("SELECT sum(requests) FROM edges_1m"), "100");
    assert_eq!(rows(all), before);
    assert_eq!(store(&["compact"], folder.path()).1["compacted"], Value::Array(vec![]));
    let (code, verified, _) = store(&["verify"], folder.path());
    assert_eq!((code, &verified["intact"], &verified["tables"][0]["rows"]), (Some(0), &true.into(), &100.into()));

    // R5: any bit of a file
    let day = files(&logs.join("day=2026-11-24"), ".parquet");
    let newest = day.iter().max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap();
    let whole = std::fs::read(newest).unwrap();
    for place in [4, whole.len() / 3, whole.len() / 2, whole.len() - 9] {
        let mut flipped = whole.clone();
        flipped[place] ^= 1;
        std::fs::write(newest, flipped).unwrap();
        let (code, verified, _) = store(&["verify"], folder.path());
        assert_eq!((code, &verified["intact"]), (Some(1), &false.into()), "{place}");
        let flaw = &verified["tables"][0]["flaws"][0];
        assert_eq!(flaw["file"].as_str().unwrap(), newest.canonicalize().unwrap().to_str().unwrap());
    }
    std::fs::remove_file(newest).unwrap();
    assert_eq!(store(&["verify"], folder.path()).0, Some(1));
    std::fs::write(newest, whole).unwrap();
    assert_eq!(store(&["verify"], folder.path()).0, Some(0));

    // everything is younger than 400 days; then nothing is kept but what is held
    assert_eq!(of(&store(&["retain"], folder.path()).1["retained"], "access_logs")["deleted_rows"], 0);
    let config = folder.path().join("meshwarden.toml");
    let hold = "[[retention.hold]]\nname = \"case-17\"\nfrom = \"2026-11-23T00:00:00Z\"\nto = \"2026-11-24T00:00:00Z\"\nentity = \"0-7\"\n";
    let first_days = format!("[retention]\naccess_logs_days = 1\nrejects_days = 0\nedges_1m_days = 1\n{hold}");
    std::fs::write(&config, &first_days).unwrap();
    let retain = ["retain", "--config", config.to_str().unwrap()];
    // by the machine's clock, which is days later than the rows
    let (code, done, said) = store(&retain, folder.path());
    assert_eq!(code, Some(0), "{said}");
    let access_logs = of(&done["retained"], "access_logs");
    assert_eq!((&access_logs["deleted_rows"], &access_logs["held_rows"]), (&98.into(), &2.into()));
    assert_eq!(
        rows("SELECT count(*) || ' ' || min(request_id) || ' ' || max(request_id) FROM access_logs"),
        "2 0-7 0-7"
    );
    // a roll-up does not name a request
    assert_eq!(rows("SELECT count(*) FROM edges_1m"), "0");
    assert_eq!(store(&["verify"], folder.path()).0, Some(0));
    std::fs::write(&config, "[[retention.hold]]\nname = \"x\"\nfrom = \"soon\"\nto = \"later\"\n").unwrap();
    let (code, _, said) = store(&retain, folder.path());
    assert_eq!(code, Some(2));
    assert!(said.contains("retention.hold 'x': from = \"soon\" is no time"), "{said}");
}

#[test]
fn a_damaged_journal_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(folder.path(), &[]);
    for n in 0..5 {
        assert_eq!(post(service.address(), "/api/v1/ingest", "", &line(&format!("{n}"), n)).unwrap().status, 200);
    }
    service.kill();
    let segment = files(&folder.path().join("journal"), ".journal").pop().unwrap();
    assert_eq!(store(&["verify"], folder.path()).0, Some(0));
    let mut bytes = std::fs::read(&segment).unwrap();
    let place = bytes.len() / 2;
    bytes[place] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let (code, verified, _) = store(&["verify"], folder.path());
    let name = segment.file_name().unwrap().to_str().unwrap();
    assert_eq!(code, Some(1));
    assert!(verified["journal"]["damaged"][0].as_str().unwrap().contains(name), "{verified}");
    // the others are there
    let service = Service::start(folder.path(), &[]);
    assert_eq!(service.count(), 4);
    service.stop();
    assert_eq!(files(&folder.path().join("journal"), ".damaged").len(), 1);
}
