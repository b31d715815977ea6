//! What changes under a running service: the format of the lines (R22), and the machine's clock (R8).

use std::path::Path;

use serde_json::{Value, json};

use super::client::post;
use super::killed::line_at;
use super::service::Service;
use super::{command, text};

/// A mesh is upgraded in the middle of a stream: keys come, go, and change their types. Every line is a row, and what no column takes is in `extra`.
#[test]
fn a_format_that_changes_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let line = |id: &str, change: &dyn Fn(&mut Value)| {
        let mut line: Value = serde_json::from_str(&line_at(id, 1_795_435_200_000_000, 7)).unwrap();
        change(&mut line);
        format!("{line}\n")
    };
    type Change<'c> = (&'c str, &'c dyn Fn(&mut Value), Option<&'c str>, &'c str);
    // the id, the change, what the column then holds, what `extra` does
    let changes: [Change<'_>; 9] = [
        ("as ever", &|_| {}, Some("403"), "{}"),
        ("a new key", &|line| line["x_new"] = json!({"a": [1]}), Some("403"), r#"{"x_new":{"a":[1]}}"#),
        ("a key gone", &|line| drop(line.as_object_mut().unwrap().remove("response_code")), None, "{}"),
        ("a text", &|line| line["response_code"] = json!("403"), Some("403"), "{}"),
        ("no number", &|line| line["response_code"] = json!("four"), None, r#"{"response_code":"four"}"#),
        ("a fraction", &|line| line["response_code"] = json!(403.5), None, r#"{"response_code":403.5}"#),
        (
            "too large",
            &|line| line["response_code"] = json!(u64::MAX),
            None,
            r#"{"response_code":18446744073709551615}"#,
        ),
        ("an object", &|line| line["response_code"] = json!({"code": 403}), None, r#"{"response_code":{"code":403}}"#),
        ("a list", &|line| line["response_code"] = json!([403]), None, r#"{"response_code":[403]}"#),
    ];
    // one body, and each line as one of its own; on disk and in memory
    for life in 0..2 {
        let service = Service::start(folder.path(), &[]);
        let ids = |part: usize| format!("{life}-{part} ");
        let all: String = changes.iter().map(|(id, change, ..)| line(&(ids(0) + id), change)).collect();
        let single = changes.iter().map(|(id, change, ..)| line(&(ids(1) + id), change));
        for body in single.chain([all]) {
            let answer = post(service.address(), "/api/v1/ingest", "", &body).unwrap();
            assert!(answer.status == 200 && answer.text.contains(r#""rejected":0"#), "{}", answer.text);
        }
        for (id, _, code, extra) in &changes {
            let rows = service.rows(&format!(
                "SELECT arrow_cast(response_code, 'Utf8') AS code, coalesce(extra, '{{}}') AS extra FROM access_logs WHERE request_id LIKE '%{id}'"
            ));
            assert_eq!(rows.len(), (life + 1) * 2, "{id}");
            for row in rows {
                let kept: Value = serde_json::from_str(row["extra"].as_str().unwrap()).unwrap();
                let expected: Value = serde_json::from_str(extra).unwrap();
                assert_eq!((row["code"].as_str(), &kept), (*code, &expected), "{id}");
            }
        }
        // a new key and five types, twice each
        let metrics = service.get("/metrics");
        assert!(metrics.contains("meshwarden_lines_with_extra_total 12\n"), "{metrics}");
        service.stop();
    }
}

/// The clock as a file says it: `faketime` reads it at each look.
struct Clock<'c>(&'c Path);

impl Clock<'_> {
    fn is(&self, offset: &str) {
        std::fs::write(self.0, format!("{offset}\n")).unwrap();
    }
}

/// A service whose wall clock jumps; time that only passes (monotonic) is the machine's.
fn with_clock(data: &Path, clock: &Path) -> Service {
    let mut command = command(&["serve", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    let library = std::process::Command::new("sh")
        .args(["-c", "ls /usr/lib/*/faketime/libfaketimeMT.so.1 | head -1"])
        .output()
        .unwrap();
    let library = text(&library.stdout);
    assert!(library.contains("faketime"), "libfaketime is not there: install the package faketime");
    let settings = [
        ("LD_PRELOAD", library.trim()),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    Service::spawn(command.envs(settings)).unwrap_or_else(|(said, _)| panic!("{said}"))
}

/// R8: a day back, a day on, a leap second, a step of NTP's. Nothing is lost, nothing is there twice, keys hold, and rows are of the day that they say.
#[test]
fn a_clock_that_jumps_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("clock"));
    let clock = Clock(&file);
    let jumps = ["+0", "-1d", "+1d", "-0.3", "+400d", "+1", "+0"];
    let day = 86_400_000_000;
    let mut sent = 0;
    for life in 0..2 {
        clock.is(jumps[0]);
        let service = with_clock(&data, &file);
        for (place, jump) in jumps.iter().enumerate() {
            clock.is(jump);
            let ids: Vec<String> = (0..3).map(|n| format!("{life}-{place}-{n}")).collect();
            // 23:59:60 is the next second
            let times = [1_795_435_200_000_000, 1_795_435_200_000_000 + day, 1_483_228_799_000_000];
            let body: String = ids.iter().zip(times).map(|(id, time)| line_at(id, time, 0) + "\n").collect();
            let body = body.replace("2016-12-31T23:59:59.000000Z", "2016-12-31T23:59:60.000000Z") + "nonsense\n";
            // the second time at another hour
            for again in [false, true] {
                let key = format!("idempotency-key: {life}-{place}\r\n");
                let answer = post(service.address(), "/api/v1/ingest", &key, &body).unwrap();
                assert_eq!(answer.status, 200, "{}", answer.text);
                assert!(answer.text.contains(r#""accepted":3,"rejected":1"#), "{}", answer.text);
                assert_eq!(answer.text.to_lowercase().contains("idempotent-replayed: true"), again, "{jump}");
                clock.is("-3h");
            }
            sent += 3;
            assert_eq!(service.count(), sent, "{jump}");
        }
        let span = "arrow_cast(max(received_at), 'Int64') - arrow_cast(min(received_at), 'Int64')";
        let found = service.rows(&format!("SELECT count(*) AS n, {span} AS span FROM rejects"));
        assert_eq!(found[0]["n"], sent / 3);
        assert!(found[0]["span"].as_i64().unwrap() > 400 * day, "the clock did not jump");
        match life {
            // whatever the time is when it starts again
            0 => {
                let mut service = service;
                service.kill();
            }
            _ => service.stop(),
        }
    }
    let days = super::run(&[
        "sql",
        "SELECT CAST(time AS DATE) AS day, count(*) AS n, count(DISTINCT request_id) AS ids FROM access_logs GROUP BY 1 ORDER BY 1",
        "--data",
        data.to_str().unwrap(),
        "--output",
        "csv",
    ]);
    let each = sent / 3;
    assert_eq!(
        text(&days.stdout),
        format!("day,n,ids\n2017-01-01,{each},{each}\n2026-11-23,{each},{each}\n2026-11-24,{each},{each}\n"),
        "{}",
        text(&days.stderr)
    );
    let partitions = std::fs::read_dir(data.join("access_logs")).unwrap();
    let mut partitions: Vec<_> = partitions.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    partitions.sort();
    assert_eq!(partitions, ["_delta_log", "day=2017-01-01", "day=2026-11-23", "day=2026-11-24"]);
}
