//! The report of a scan: one page that needs nothing but itself, and whose numbers are those of SQL.

use serde_json::Value;

use super::{run, sample, text};

fn sql(query: &str) -> Vec<Value> {
    let output = run(&["sql", query, "--from", sample().to_str().unwrap(), "--output", "ndjson"]);
    assert_eq!(output.status.code(), Some(0), "{query}: {}", text(&output.stderr));
    super::ndjson(&output.stdout)
}

#[test]
fn its_numbers_are_those_of_sql() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let output = run(&["scan", sample().to_str().unwrap(), "--report", path.to_str().unwrap(), "--output", "ndjson"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let page = std::fs::read_to_string(&path).unwrap();

    for request in ["src=", "href=", "url(", "@import", "<link", "<iframe", "fetch(", "http://", "https://"] {
        assert!(!page.contains(request), "the page could make a request: {request}");
    }
    assert!(page.matches("<svg").count() >= 2, "the pictures are missing");

    let json = page.split_once("id=\"numbers\">").and_then(|(_, rest)| rest.split_once("</script>")).unwrap().0;
    let numbers: Value = serde_json::from_str(json).unwrap();
    assert_eq!(numbers["findings"], super::ndjson(&output.stdout).len());
    let all = &sql("SELECT count(*) AS rows FROM access_logs")[0];
    assert_eq!(numbers["rows"], all["rows"]);
    let counted = &sql("SELECT count(*) AS n, arrow_cast(min(time), 'Utf8') AS first FROM requests")[0];
    assert_eq!(numbers["requests"], counted["n"]);
    let mtls = &sql(
        "SELECT count(*) FILTER (WHERE transport_security = 'mutual_tls') AS mutual, count(*) AS known FROM requests
                     WHERE reporter = 'destination' AND transport_security <> 'unknown'",
    )[0];
    assert_eq!((&numbers["mutual_tls"], &numbers["transport_known"]), (&mtls["mutual"], &mtls["known"]));

    let minutes = sql("SELECT count(*) AS n, count(*) FILTER (WHERE rbac_decision = 'deny' AND reporter IN ('destination', 'gateway')) AS denied
                       FROM requests GROUP BY date_bin(INTERVAL '1 minute', time) ORDER BY min(time)");
    let pictured: Vec<(i64, i64)> = numbers["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (m["requests"].as_i64().unwrap(), m["denied"].as_i64().unwrap()))
        .collect();
    let counted: Vec<(i64, i64)> =
        minutes.iter().map(|m| (m["n"].as_i64().unwrap(), m["denied"].as_i64().unwrap())).collect();
    assert_eq!(pictured, counted);

    let edges = sql("SELECT coalesce(source_principal, source_ip, 'unknown') AS source,
                       coalesce(destination_principal, destination_service, egress_host, destination_ip, 'unknown') AS destination,
                       count(*) AS requests, count(*) FILTER (WHERE rbac_decision = 'deny') AS denied
                     FROM requests WHERE reporter = 'destination' GROUP BY 1, 2");
    let shown = numbers["edges"].as_array().unwrap();
    assert_eq!(shown.len(), numbers["edges_in_all"].as_u64().unwrap().min(50) as usize);
    let mut compared = 0;
    for edge in &edges {
        let pictured =
            shown.iter().find(|shown| shown["source"] == edge["source"] && shown["destination"] == edge["destination"]);
        if let Some(pictured) = pictured {
            assert_eq!((&pictured["requests"], &pictured["denied"]), (&edge["requests"], &edge["denied"]), "{edge}");
            compared += 1;
        }
    }
    assert!(compared >= 10, "only {compared} edges were compared");
}

#[test]
fn text_from_a_log_line_cannot_become_markup() {
    let folder = tempfile::tempdir().unwrap();
    let (log, path) = (folder.path().join("a.jsonl"), folder.path().join("report.html"));
    let line = r#"{"log_schema":"meshwarden/1","start_time":"2026-11-23T12:00:00Z","access_log_type":"DownstreamEnd","method":"GET","protocol":"HTTP/1.1","path":"/","authority":"</script><script>alert(1)</script>","response_code":200,"upstream_cluster":"PassthroughCluster","route_name":"allow_any","downstream_local_address":"203.0.113.9:80","downstream_remote_address":"10.0.0.1:4","downstream_direct_remote_address":"10.0.0.1:4"}"#;
    std::fs::write(&log, format!("{line}\n")).unwrap();
    let output = run(&["scan", log.to_str().unwrap(), "--report", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.contains("egress.unknown-host"), "the line made no finding");
    assert!(!page.contains("<script>alert"), "markup from a log line is in the page");
}
