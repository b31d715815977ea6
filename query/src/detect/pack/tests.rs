#![allow(clippy::unwrap_used)]

use super::*;

fn sql() -> Sql {
    Sql::new(64 << 20).unwrap()
}

fn detection(id: &str, select: &str) -> String {
    format!(
        r#"/* ---
id = "{id}"
version = 1
title = "a test"
severity = "low"
window = "5m"
entity = ["source"]
summary = "{{source}} {{count}}"
requires = []
attack = []
false_positives = ""
runbook = ""
--- */
{select}"#
    )
}

const GOOD: &str = "SELECT source_ip AS source, count(*) AS count, min(time) AS first_seen, max(time) AS last_seen, array_agg(log_id) AS evidence
 FROM requests WHERE time >= $window_start AND time < $window_end GROUP BY 1";

#[tokio::test]
async fn every_file_of_the_folder_is_built_in_and_right() {
    // as anybody's: nothing holds them against their headers later
    let sql = sql();
    let mut pack = Pack::default();
    for (file, text) in BUILT_IN {
        pack.add(&sql, file, text).await;
    }
    assert_eq!(pack.refused(), [], "a detection of ours is refused");
    for (checked, trusted) in pack.detections().iter().zip(Pack::built_in(&sql).await.detections()) {
        assert_eq!((&checked.file, &checked.sql), (&trusted.file, &trusted.sql));
        assert!(trusted.prepared().is_ok(), "{}", trusted.file);
    }
    let mut files: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/detections"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let built_in: Vec<&str> = BUILT_IN.iter().map(|(file, _)| *file).collect();
    assert_eq!(files, built_in);
    for detection in pack.detections() {
        assert_eq!(detection.file, format!("{}.sql", detection.header.id), "a file is called as its id");
    }
}

#[tokio::test]
async fn a_bad_one_is_refused_by_name_and_the_others_stay() {
    let sql = sql();
    let mut pack = Pack::default();
    pack.add(&sql, "good.sql", &detection("good", GOOD)).await;
    let evil = |from: &str, to: &str| {
        let changed = GOOD.replace(from, to);
        assert_ne!(changed, GOOD);
        detection("evil", &changed)
    };
    for (name, text, named) in [
        ("now.sql", evil("$window_end", "now()"), "now()"),
        ("today.sql", evil("count(*) AS count", "count(*) AS count, max(current_date) AS day"), "current_date"),
        ("random.sql", evil("count(*) AS count", "count(*) AS count, max(random()) AS luck"), "random()"),
        ("uuid.sql", evil("source_ip AS source", "uuid() AS source"), "uuid()"),
        ("subquery.sql", evil("time >= $window_start", "time >= (SELECT max(now()) FROM rejects)"), "now()"),
        ("column.sql", evil("max(time) AS last_seen", "max(time) AS last"), "last_seen"),
        ("entity.sql", evil("AS source", "AS caller"), "source"),
        ("unknown.sql", evil("source_ip", "source_addr"), "source_addr"),
        ("parameter.sql", evil("$window_start", "$start"), "$start"),
        ("syntax.sql", evil("SELECT", "SELEC"), "SELEC"),
        ("two.sql", detection("evil", &format!("{GOOD}; {GOOD}")), "2 statements"),
        ("ddl.sql", detection("evil", "CREATE TABLE t AS SELECT 1"), "CREATE"),
        ("again.sql", detection("good", GOOD), "good.sql"),
        ("header.sql", GOOD.to_owned(), "header"),
        ("text.sql", evil("count(*) AS count", "min(path) AS count"), "'count'"),
        ("evidence.sql", evil("array_agg(log_id) AS evidence", "min(log_id) AS evidence"), "'evidence'"),
        ("schema.sql", evil("FROM requests", "FROM requests, information_schema.tables"), "information_schema"),
        ("rejects.sql", evil("FROM requests", "FROM requests, rejects"), "'rejects'"),
        ("summary.sql", detection("evil", GOOD).replace("{source} {count}", "{who}"), "{who}"),
    ] {
        pack.add(&sql, name, &text).await;
        let refused = pack.refused().last().cloned().unwrap();
        assert_eq!(refused.file, name, "{name} is not refused");
        assert!(refused.reason.contains(named), "{name}: {}", refused.reason);
    }
    assert_eq!(pack.detections().len(), 1);
    assert_eq!(pack.signals(), None, "a detection without signals wants every row");
}

#[tokio::test]
async fn a_users_folder_is_read_beside_the_built_in_ones() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.sql"), detection("mine", GOOD)).unwrap();
    std::fs::write(folder.path().join("bad.sql"), "SELECT 1").unwrap();
    std::fs::write(folder.path().join("notes.txt"), "not a detection").unwrap();
    let pack = Pack::with_folder(&sql(), folder.path()).await.unwrap();
    assert!(pack.detections().iter().any(|detection| detection.header.id == "mine"));
    assert_eq!(pack.detections().len(), BUILT_IN.len() + 1);
    assert_eq!(pack.refused().len(), 1);
    assert!(Pack::with_folder(&sql(), &folder.path().join("none")).await.is_err());
}

#[tokio::test]
async fn what_a_format_lets_detections_see_before_it_logs_a_line() {
    let sql = sql();
    let mut pack = Pack::built_in(&sql).await;
    pack.add(&sql, "payload.sql", &detection("payload", GOOD).replace("requires", "reads_query = true\nrequires"))
        .await;
    let sights = |coverage: &Coverage| -> Vec<String> {
        let shown = |(detection, sight): (Arc<Detection>, Sight)| format!("{} {}", detection.header.id, sight.as_str());
        pack.sights(coverage).into_iter().map(shown).collect()
    };
    let istio = Coverage::of_json_format(&ingest::JsonFormat::istio(), false);
    assert_eq!(
        sights(&istio),
        [
            "authz.denied-spike degraded",
            "egress.unknown-host degraded",
            "http.403-spike degraded",
            "log.ambiguous-line degraded",
            "mtls.plaintext-attempt degraded",
            "payload evaluable",
        ]
    );
    let little = Coverage::of_text_format(&ingest::TextFormat::compile("%START_TIME% %RESPONSE_CODE%").unwrap());
    assert_eq!(sights(&little).iter().filter(|sight| sight.ends_with("blind")).count(), 4);
    assert!(sights(&Coverage::default()).iter().all(|sight| sight.ends_with("no data")));
    let readers: Vec<&str> = pack.reading_queries().map(|detection| detection.header.id.as_str()).collect();
    assert_eq!(readers, ["payload"]);
}

#[tokio::test]
async fn the_columns_that_detections_read() {
    let sql = sql();
    let mut pack = Pack::default();
    assert_eq!(pack.columns(), Some(BTreeSet::from(["signals", "time"])));
    let with_signals = |id, select| detection(id, select).replace("requires", "signals = [\"denied\"]\nrequires");
    pack.add(&sql, "good.sql", &with_signals("good", GOOD)).await;
    // the view `requests` reads one more
    let good = BTreeSet::from(["access_log_type", "log_id", "signals", "source_ip", "time"]);
    assert_eq!(pack.columns(), Some(good.clone()));
    let within = GOOD.replace("GROUP", "AND response_code > (SELECT max(bytes_sent) FROM access_logs) GROUP");
    pack.add(&sql, "within.sql", &with_signals("within", &within)).await;
    let of_both = good.into_iter().chain(["response_code", "bytes_sent"]).collect();
    assert_eq!((pack.refused(), pack.columns()), (&[][..], Some(of_both)));
    let everything = "SELECT *, 1 AS count, time AS first_seen, time AS last_seen, make_array(log_id) AS evidence
        FROM requests WHERE time >= $window_start";
    pack.add(&sql, "all.sql", &with_signals("all", everything)).await;
    assert_eq!(pack.refused(), []);
    assert_eq!(pack.columns().unwrap().len(), ingest::schema::ACCESS_LOGS.len());
    pack.add(&sql, "rows.sql", &detection("rows", GOOD)).await;
    assert_eq!((pack.refused(), pack.columns()), (&[][..], None));

    let built_in = Pack::built_in(&sql).await.columns().unwrap();
    assert!(built_in.contains("rbac_decision") && !built_in.contains("request_id"), "{built_in:?}");
}
