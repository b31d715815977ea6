//! From lines to findings to a person's word about them; questions; numbers.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::server::{Answer, Server, calm, denied};

#[tokio::test(flavor = "multi_thread")]
async fn from_lines_to_a_finding_to_a_persons_word() {
    let server = Server::start().await;
    assert_eq!(server.get("/api/v1/findings").await.json(), json!({"findings": [], "next": null}));
    assert_eq!(server.ingest(format!("{}{}", calm(10), denied(30))).await.json()["accepted"], 40);

    // no pause: what was ingested before is looked at before the list is made
    let page = server.get("/api/v1/findings").await.json();
    assert_eq!(page["findings"].as_array().unwrap().len(), 1, "{page}");
    let finding = &page["findings"][0];
    let mut keys: Vec<&str> = finding.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "attack",
            "count",
            "detection",
            "entity",
            "evidence",
            "facts",
            "first_seen",
            "id",
            "incident",
            "last_seen",
            "runbook",
            "severity",
            "status",
            "summary",
            "title",
            "version",
            "window"
        ]
    );
    assert_eq!(finding["detection"], "authz.denied-spike");
    assert_eq!(finding["count"], 30);
    assert_eq!(finding["entity"]["source"], "cluster.local/ns/bank/sa/reports");

    let id = finding["id"].as_str().unwrap();
    let one = server.get(&format!("/api/v1/findings/{id}")).await.json();
    assert_eq!(one["id"], id);
    let rows = one["evidence_rows"].as_array().unwrap();
    let ids: Vec<&Value> = rows.iter().map(|row| &row["log_id"]).collect();
    assert_eq!(ids, finding["evidence"].as_array().unwrap().iter().collect::<Vec<_>>());
    assert_eq!(rows.len(), 20);
    assert_eq!(rows[0]["rbac_decision"], "deny");
    assert!(rows.iter().all(|row| row.as_object().unwrap().values().all(|value| !value.is_null())));

    let patched = server.patch(id, r#"{"status":"acknowledged","note":"asked the owner"}"#).await.json();
    assert_eq!((&patched["status"], &patched["note"]), (&json!("acknowledged"), &json!("asked the owner")));
    for (filter, found) in [
        ("status=acknowledged", 1),
        ("status=open", 0),
        ("severity=high", 1),
        ("severity=info", 1),
        ("severity=critical", 0),
        ("detection=authz.denied-spike", 1),
        ("detection=egress.unknown-host", 0),
        ("since=2026-11-23T12:00:29Z", 1),
        ("since=2026-11-23T12:00:30Z", 0),
        ("since=2026-11-23T13:00:00+01:00&limit=1", 1),
    ] {
        let page = server.get(&format!("/api/v1/findings?{filter}")).await.json();
        assert_eq!(page["findings"].as_array().map(Vec::len), Some(found), "{filter}: {page}");
    }
    assert_eq!(server.patch(id, r#"{"status":"closed","note":""}"#).await.json().get("note"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other() {
    use super::server::{NOON, SECOND};
    let server = Server::start().await;
    let lines: Vec<String> = (0..7)
        .map(|n| tests::lines::Line::passthrough(NOON + n * 3600 * SECOND, "web", &format!("h{n}.example")).to_string())
        .collect();
    assert_eq!(server.ingest(lines.join("\n")).await.json()["accepted"], 7);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for pages in 1.. {
        let page = server.get(&format!("/api/v1/findings?limit=3{cursor}")).await.json();
        seen.extend(
            page["findings"]
                .as_array()
                .unwrap()
                .iter()
                .map(|finding| finding["entity"]["host"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => {
                assert_eq!(pages, 3);
                break;
            }
        }
    }
    assert_eq!(seen, ["h6", "h5", "h4", "h3", "h2", "h1", "h0"].map(|host| format!("{host}.example")));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_name_the_value_and_the_way_out() {
    let server = Server::start().await;
    for (query, words) in [
        ("status=opne", ["'opne'", "acknowledged"]),
        ("severity=worst", ["'worst'", "critical"]),
        ("since=yesterday", ["'yesterday'", "RFC 3339"]),
        ("limit=0", ["'0'", "1000"]),
        ("limit=1001", ["'1001'", "1000"]),
        ("limit=ten", ["'ten'", "1000"]),
        ("cursor=mine", ["'mine'", "next"]),
        ("colour=red", ["colour", "severity"]),
        ("status=open&status=closed", ["status", "duplicate"]),
    ] {
        let detail = server.get(&format!("/api/v1/findings?{query}")).await.problem(400);
        assert!(words.iter().all(|word| detail.contains(word)), "{query}: {detail}");
    }
    let unknown = "0".repeat(32);
    assert!(server.get(&format!("/api/v1/findings/{unknown}")).await.problem(404).contains(&unknown));
    server.get("/api/v1/findings/%ff").await.problem(400);
    server.patch(&unknown, r#"{"status":"closed"}"#).await.problem(404);
    server.patch(&unknown, r#"{"status":"#).await.problem(400);
    for (body, word) in [
        (r#"{}"#, "nothing changes"),
        (r#"{"status":"done"}"#, "'done'"),
        (r#"{"status":"retracted"}"#, "only data"),
        (r#"{"severity":"low"}"#, "severity"),
        (r#"[]"#, ""),
    ] {
        assert!(server.patch(&unknown, body).await.problem(422).contains(word), "{body}");
    }
    server.patch(&unknown, &format!(r#"{{"note":"{}"}}"#, "x".repeat(100_000))).await.problem(413);
    assert_eq!(
        server.get("/nowhere").await.problem(404),
        "no such path: /openapi.json lists those of the API, the README the doors of other senders"
    );
    let wrong_method = Answer::of(server.request(Method::DELETE, "/api/v1/findings")).await;
    wrong_method.problem(405);
    assert!(wrong_method.header("allow").contains("GET"), "{:?}", wrong_method.headers);
    assert_eq!(server.get("/nowhere").await.json()["instance"], "/nowhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn questions() {
    let server = Server::with(|config| config.sql.rows = 5).await;
    server.ingest(calm(20)).await;
    let answer = server.sql("SELECT reporter, count(*) AS n, min(time) AS first FROM requests GROUP BY 1").await.json();
    assert_eq!(answer["rows"], json!([{"reporter": "destination", "n": 20, "first": "2026-11-23T12:00:00Z"}]));
    assert_eq!(answer["schema"][1], json!({"name": "n", "type": "Int64", "nullable": false}));
    assert_eq!(answer["truncated"], false);
    let cut = server.sql("SELECT log_id FROM access_logs").await.json();
    assert_eq!((cut["rows"].as_array().map(Vec::len), &cut["truncated"]), (Some(5), &json!(true)));
    for fine in ["SHOW TABLES", "EXPLAIN SELECT 1", "WITH a AS (SELECT 1 AS x) SELECT * FROM a"] {
        assert_eq!(server.sql(fine).await.status, StatusCode::OK, "{fine}");
    }
    for (query, word) in [
        ("SELECT nothing FROM access_logs", "nothing"),
        ("SELEKT 1", "SELEKT"),
        ("", "0 statements"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("DROP TABLE access_logs", "only SELECT"),
        ("COPY access_logs TO '/tmp/x.csv'", "only SELECT"),
        ("SET datafusion.execution.batch_size = 1", "only SELECT"),
        ("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'", "only SELECT"),
        ("INSERT INTO access_logs SELECT * FROM access_logs", "only SELECT"),
        ("SELECT * FROM '/etc/passwd'", "passwd"),
        ("SELECT a.time, b.time FROM access_logs a JOIN access_logs b ON a.log_id = b.log_id", "AS"),
        ("SELECT 1 / (count(*) - 20) AS x FROM access_logs", "Divide by zero"),
    ] {
        let detail = server.sql(query).await.problem(400);
        assert!(detail.contains(word), "{query}: {detail}");
    }
    assert!(server.sql(&format!("SELECT '{}'", "x".repeat(256 * 1024))).await.problem(413).contains("262144"));
    let body = |text: &'static str| server.request(Method::POST, "/api/v1/sql").body(text);
    Answer::of(body("{")).await.problem(400);
    Answer::of(body("{}")).await.problem(422);
    Answer::of(body(r#"{"query":"SELECT 1","limit":5}"#)).await.problem(422);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_has_its_time() {
    let server = Server::with(|config| config.sql.time = std::time::Duration::from_millis(300)).await;
    for slow in [
        "SELECT count(*) FROM generate_series(1, 1000000000000)",
        "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b",
    ] {
        assert!(server.sql(slow).await.problem(504).contains("300ms"), "{slow}");
    }
    assert_eq!(server.get("/healthz").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_looked_for_and_what_it_sees() {
    let server = Server::start().await;
    let before = server.get("/api/v1/detections").await.json();
    assert_eq!(before["refused"], json!([]));
    assert!(before["detections"].as_array().unwrap().iter().all(|detection| detection["sight"]["state"] == "no data"));
    // Istio's default format says nothing of what egress needs? a bare line certainly does not
    server.ingest(r#"{"start_time":"2026-11-23T12:00:00.000Z","method":"GET"}"#).await;
    let after = server.get("/api/v1/detections").await.json();
    let spike =
        after["detections"].as_array().unwrap().iter().find(|detection| detection["id"] == "http.403-spike").unwrap();
    assert_eq!((&spike["window"], &spike["lookback"], &spike["version"]), (&json!("5m"), &json!("1h"), &json!(1)));
    assert_eq!(spike["sight"]["state"], "blind");
    let missing = &spike["sight"]["missing"][0];
    assert_eq!(missing["column"], "response_code");
    assert!(missing["add"][0].as_str().unwrap().contains("%RESPONSE_CODE%"), "{missing}");
    assert!(spike["sql"].as_str().unwrap().contains("SELECT"));
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_for_prometheus() {
    let server = Server::start().await;
    server.ingest(format!("{}oops\n", denied(25))).await;
    server.get("/api/v1/findings").await;
    server.get("/nowhere").await;
    let answer = server.get("/metrics").await;
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    assert!(answer.text.ends_with("# EOF\n"));
    for line in answer.text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("meshwarden_"), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    for line in [
        "meshwarden_lines_accepted_total 25",
        "meshwarden_lines_rejected_total{reason=\"not_an_access_log\"} 1",
        "meshwarden_findings{detection=\"authz.denied-spike\",status=\"open\"} 1",
        "meshwarden_finding_changes_total{kind=\"opened\"} 1",
        "meshwarden_store_rows{tier=\"hot\"} 25",
        "meshwarden_store_rows{tier=\"cold\"} 0",
        "meshwarden_detect_rounds_total 1",
        "meshwarden_detect_failures_total 0",
        "meshwarden_deliveries_total{sink=\"soc\",outcome=\"delivered\"} 3",
        "meshwarden_http_requests_total{method=\"POST\",route=\"/api/v1/ingest\",status=\"200\"} 1",
        "meshwarden_http_requests_total{method=\"GET\",route=\"other\",status=\"404\"} 1",
        "meshwarden_build_info{version=\"0.1.0\"} 1",
    ] {
        assert!(answer.text.lines().any(|found| found == line), "{line} is not in\n{}", answer.text);
    }
    let bytes = format!("meshwarden_ingest_bytes_total {}", denied(25).len() + 5);
    assert!(answer.text.contains(&bytes), "{bytes} is not in\n{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_lists_every_route() {
    let server = Server::start().await;
    let api = server.get("/openapi.json").await.json();
    assert!(api["openapi"].as_str().unwrap().starts_with("3."), "{}", api["openapi"]);
    let mut routes: Vec<String> = Vec::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                operation["operationId"].is_string() && operation["responses"]["200"].is_object(),
                "{method} {path}"
            );
            let answer =
                Answer::of(server.request(method.to_uppercase().parse().unwrap(), &path.replace("{id}", "x"))).await;
            let routed = answer.status != StatusCode::METHOD_NOT_ALLOWED && !answer.text.contains("no such path");
            assert!(routed, "{method} {path}: {}", answer.text);
            routes.push(format!("{method} {path}"));
        }
    }
    routes.sort();
    assert_eq!(
        routes,
        [
            "get /api/v1/detections",
            "get /api/v1/findings",
            "get /api/v1/findings/{id}",
            "get /healthz",
            "get /metrics",
            "get /openapi.json",
            "get /readyz",
            "patch /api/v1/findings/{id}",
            "post /api/v1/ingest",
            "post /api/v1/sql",
        ]
    );
    let mut dangling = Vec::new();
    references(&api, &mut |reference| {
        if api.pointer(reference.trim_start_matches('#')).is_none() {
            dangling.push(reference.to_owned());
        }
    });
    assert_eq!(dangling, Vec::<String>::new());
    assert_eq!(api["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
}

fn references(value: &Value, each: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(reference) if key == "$ref" => each(reference),
                    _ => references(value, each),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, each)),
        _ => {}
    }
}
