//! `doctor ingest`, on the folder of a service that really received lines.

use std::process::Command;

use serde_json::Value;

use super::client::post;
use super::killed::line;
use super::service::Service;
use super::text;

#[test]
fn what_arrived_what_is_silent_and_what_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let args = ["doctor", "ingest", "--data", data];
    let asked = |args: &[&str]| -> Value {
        let output = super::run(&[args, &["--output", "json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };

    let service = Service::start(folder.path(), &[]);
    let nothing = super::run(&args);
    assert_eq!(nothing.status.code(), Some(3));
    assert!(text(&nothing.stderr).contains("nothing has arrived yet"), "{}", text(&nothing.stderr));

    // lines of now, lines of another time with one that is none, and nothing but nonsense
    let now: String = (0..3).map(|n| line(&format!("now-{n}"), n) + "\n").collect();
    let today = Command::new("date").args(["-u", "+%Y-%m-%d"]).output().unwrap();
    let now = now.replace("2026-11-23", text(&today.stdout).trim());
    for (source, body) in [
        ("gateway", now),
        ("old", "{\"start_time\":\"2020-01-01T00:00:00Z\",\"method\":\"GET\",\"path\":\"/a\"}\nnonsense\n".to_owned()),
        ("noise", "[warning] something else\n".to_owned()),
    ] {
        let answer = post(service.address(), &format!("/api/v1/ingest?source={source}"), "", &body);
        assert_eq!(answer.map(|answer| answer.status), Some(200));
    }
    let waiting = asked(&args);
    assert_eq!((&waiting["waiting"], &waiting["sources"]), (&3.into(), &Value::Array(vec![])));
    service.stop();

    let arrivals = asked(&args);
    let source = |arrivals: &Value, name: &str| {
        let sources = arrivals["sources"].as_array().unwrap();
        sources.iter().find(|source| source["source"] == name).unwrap_or_else(|| panic!("{arrivals}")).clone()
    };
    let gateway = source(&arrivals, "gateway");
    assert_eq!((&gateway["rows"], &gateway["rejected"], &gateway["silent"]), (&3.into(), &0.into(), &false.into()));
    assert_eq!(gateway["of_another_time"], 0, "{gateway}");
    let old = source(&arrivals, "old");
    assert_eq!((&old["rows"], &old["of_another_time"], &old["rejected"]), (&1.into(), &1.into(), &1.into()));
    assert!(old["blind"].as_array().unwrap().iter().any(|id| id == "http.403-spike"), "{old}");
    let noise = source(&arrivals, "noise");
    assert_eq!((&noise["rows"], &noise["rejected"]), (&0.into(), &1.into()));
    assert_eq!(noise["reasons"][0]["line"], "[warning] something else");
    assert!(!noise["reasons"][0]["advice"].as_str().unwrap().is_empty());
    let notes = arrivals["notes"].to_string();
    for note in ["all that noise sends is rejected", "1 rows of old say a time", "of old is rejected"] {
        assert!(notes.contains(note), "{note}: {notes}");
    }
    let table = super::run(&args);
    let table = text(&table.stdout);
    assert!(table.contains("3 rows, 0 rejected lines") && table.contains("such as     [warning]"), "{table}");

    // two hours later
    let mut later = Command::new("faketime");
    later.args(["-f", "+2h", env!("CARGO_BIN_EXE_meshwarden")]).args(args).args(["--output", "json"]);
    let later = later.output().unwrap();
    let later: Value = serde_json::from_slice(&later.stdout).unwrap();
    assert_eq!(source(&later, "gateway")["silent"], true);
    assert!(later["notes"].to_string().contains("gateway is silent"), "{later}");
    assert!(later["notes"][0].to_string().contains("nothing was written for 1"), "{later}");
}
