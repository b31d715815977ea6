//! The doors of senders that exist already: what each takes and answers, in its sender's own words. Bytes are made from each protocol's specification; real Envoys
//! are in `mesh/doors.rs`.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use api::http::{HttpConfig, Token};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use tests::grpc::{EXPORT, Grpc, STREAM, framed, protobuf};

use super::server::{Answer, Server, calm};

async fn post(server: &Server, path: &str, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> Answer {
    let mut request = server.request(Method::POST, path).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request).await
}

async fn count(server: &Server) -> i64 {
    server.value("SELECT count(*) FROM access_logs").await.as_i64().unwrap()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zip.write_all(plain).unwrap();
    zip.finish().unwrap()
}

fn address(server: &Server) -> SocketAddr {
    server.base.strip_prefix("http://").unwrap().parse().unwrap()
}

/// Istio's default text, which does not say in which pod it was written.
fn texts(lines: usize) -> Vec<String> {
    let line = |n| {
        format!(
            "[2026-11-23T12:00:{n:02}.000Z] \"GET /orders HTTP/1.1\" 200 - via_upstream - \"-\" 0 11 1 0 \"-\" \"curl/8\" \"r-{n}\" \"orders:8080\" \"10.0.0.2:8080\" inbound|8080|| 127.0.0.6:4000 10.0.0.2:8080 10.0.0.1:5000 - default"
        )
    };
    (0..lines).map(line).collect()
}

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test(flavor = "multi_thread")]
async fn splunk_s_event_collector() {
    let server = Server::with(|config| config.token = Some(Token::new("s3cret").unwrap())).await;
    let auth = ("authorization", "Splunk s3cret");
    let lines = calm(3);
    let events: String = lines.lines().map(|line| json!({"event": line, "time": 1.5}).to_string()).collect();
    let answer = post(&server, "/services/collector/event", &[auth], events.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"text": "Success", "code": 0})));
    // sent again, it is acknowledged again
    let channel = ("x-splunk-request-channel", "8f2f0b9a-0000-4000-8000-000000000000");
    let again = post(&server, "/services/collector/event/1.0", &[auth, channel], events).await;
    assert_eq!(again.json(), json!({"text": "Success", "code": 0, "ackId": again.json()["ackId"]}));
    assert!(again.json()["ackId"].is_u64(), "{}", again.text);
    let acks = post(&server, "/services/collector/ack", &[auth, JSON], r#"{"acks":[0,7]}"#).await;
    assert_eq!(acks.json(), json!({"acks": {"0": true, "7": true}}));
    // objects, lines as they are, and compressed ones
    let object: Value = serde_json::from_str(calm(5).lines().last().unwrap()).unwrap();
    post(&server, "/services/collector", &[auth], json!({"event": object}).to_string()).await;
    let raw = calm(9).lines().skip(7).map(|line| format!("{line}\n")).collect::<String>();
    let zipped = gzip(raw.as_bytes());
    let answer = post(&server, "/services/collector/raw", &[auth, ("content-encoding", "gzip")], zipped).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let stored = server.request(Method::POST, "/api/v1/sql").header(header::AUTHORIZATION, "Bearer s3cret");
    let query = json!({"query": "SELECT source, count(*) AS n FROM access_logs GROUP BY 1"}).to_string();
    let rows = Answer::of(stored.header(header::CONTENT_TYPE, "application/json").body(query)).await.json();
    assert_eq!(rows["rows"], json!([{"source": "hec", "n": 6}]));
    // what Splunk answers to what is wrong
    for (body, status, code) in [("", 400, 5), (r#"{"event":"a"}{"time":1}"#, 400, 12), ("{", 400, 6)] {
        let answer = post(&server, "/services/collector/event", &[auth], body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (status, &json!(code)), "{body}: {}", answer.text);
    }
    assert_eq!(post(&server, "/services/collector/event", &[("authorization", "Splunk x")], "{}").await.status, 401);
    let health = server.request(Method::GET, "/services/collector/health").header("authorization", "Splunk s3cret");
    assert_eq!(Answer::of(health).await.json()["code"], 17);
}

#[tokio::test(flavor = "multi_thread")]
async fn elasticsearch_s_bulk() {
    let server = Server::start().await;
    let documents: String = texts(2)
        .iter()
        .map(|line| {
            format!(
                "{{\"create\":{{\"_id\":\"x\"}}}}\n{}\n",
                json!({"message": line, "kubernetes": {"pod": {"name": "web-1"}, "namespace": "shop"}})
            )
        })
        .collect();
    let body = format!("{documents}{{\"delete\":{{\"_id\":\"7\"}}}}\n");
    let answer = post(&server, "/mesh/_bulk", &[("content-type", "application/x-ndjson")], body.clone()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.header("x-elastic-product"), "Elasticsearch");
    let said = answer.json();
    assert_eq!(said["errors"], true);
    let items = said["items"].as_array().unwrap();
    let of = |item: &Value, action: &str, key: &str| item[action][key].clone();
    assert_eq!(items.len(), 3);
    assert_eq!((of(&items[0], "create", "status"), of(&items[0], "create", "_index")), (json!(201), json!("mesh")));
    assert_eq!(of(&items[2], "delete", "status"), 405);
    post(&server, "/_bulk", &[], body).await;
    assert_eq!(count(&server).await, 2, "sent again, they are not taken again");
    assert_eq!(server.value("SELECT count(*) FROM access_logs WHERE node_pod = 'web-1' AND source = 'bulk'").await, 2);
    for body in ["x\n", "{\"index\":{}}\n"] {
        let answer = post(&server, "/_bulk", &[], body).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]["type"]),
            (400, &json!("illegal_argument_exception"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn loki_s_push() {
    let server = Server::start().await;
    let values: Vec<Value> = texts(2).iter().map(|line| json!(["1795435200000000000", line])).collect();
    let body = json!({"streams": [{"stream": {"pod": "web-1", "namespace": "shop", "app": "x"}, "values": values}]});
    for _ in 0..2 {
        let answer = post(&server, "/loki/api/v1/push", &[JSON], body.to_string()).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    }
    assert_eq!(server.value("SELECT count(*) FROM access_logs WHERE node_pod = 'web-1' AND source = 'loki'").await, 2);
    // as Promtail sends it: a block of Snappy, here without any copies
    let entry = |line: &str| protobuf::bytes(2, &protobuf::bytes(2, line.as_bytes()));
    let entries: Vec<u8> = texts(4).iter().skip(2).flat_map(|line| entry(line)).collect();
    let labels = protobuf::bytes(1, br#"{pod="web-2", namespace="shop"}"#);
    let plain = protobuf::bytes(1, &[labels, entries].concat());
    let block = snappy(&plain);
    let answer = post(&server, "/loki/api/v1/push", &[PROTOBUF], block.clone()).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text);
    assert_eq!(server.value("SELECT count(*) FROM access_logs WHERE node_pod = 'web-2'").await, 2);
    let cut = block[..block.len() - 3].to_vec();
    let answer = post(&server, "/loki/api/v1/push", &[PROTOBUF], cut).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text);
    // it says that it becomes 4 GiB
    let answer = post(&server, "/loki/api/v1/push", &[PROTOBUF], vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", answer.text);
    assert_eq!(count(&server).await, 4);
}

/// A block of Snappy that holds bytes as they are.
fn snappy(plain: &[u8]) -> Vec<u8> {
    let mut block = protobuf::number(0, plain.len() as u64).split_off(1);
    for piece in plain.chunks(60) {
        block.push(u8::try_from(piece.len() - 1).unwrap() << 2);
        block.extend_from_slice(piece);
    }
    block
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_over_http() {
    let server = Server::start().await;
    let lines = calm(3);
    let request = protobuf::export(lines.lines());
    for headers in [&[PROTOBUF][..], &[PROTOBUF, ("content-encoding", "gzip")]] {
        let body = if headers.len() == 2 { gzip(&request) } else { request.clone() };
        let answer = post(&server, "/v1/logs", headers, body).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
        assert_eq!(answer.header("content-type"), "application/x-protobuf");
    }
    assert_eq!(count(&server).await, 3, "sent again, compressed this time, they are not taken again");
    let records = |texts: &[&str]| {
        let records: Vec<Value> = texts.iter().map(|text| json!({"body": {"stringValue": text}})).collect();
        json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).to_string()
    };
    let last = calm(4);
    let answer = post(&server, "/v1/logs", &[JSON], records(&["no access log", last.lines().last().unwrap()])).await;
    assert_eq!(answer.json()["partialSuccess"]["rejectedLogRecords"], "1", "{}", answer.text);
    assert!(answer.text.contains("not_an_access_log: 1"), "{}", answer.text);
    assert_eq!(count(&server).await, 4);
    let answer = post(&server, "/v1/logs", &[PROTOBUF], protobuf::export(["nor this"].into_iter())).await;
    assert!(answer.text.contains("not_an_access_log: 1"), "{}", answer.text);
    assert_eq!(post(&server, "/v1/logs", &[PROTOBUF], vec![0x0a]).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(post(&server, "/v1/logs", &[JSON], "{").await.status, StatusCode::BAD_REQUEST);
    post(&server, "/v1/logs", &[("content-type", "text/plain")], "x").await.problem(415);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_over_grpc() {
    let server = Server::with(|config| config.max_body_bytes = 100_000).await;
    let mut grpc = Grpc::connect(address(&server), &[("grpc-encoding", "gzip")]).await.unwrap();
    let lines = calm(3);
    let request = protobuf::export(lines.lines());
    let ended = grpc.call(EXPORT, std::slice::from_ref(&request)).await.unwrap();
    assert_eq!((ended.status, ended.body), (0, vec![0; 5]));
    let zipped = framed(&gzip(&request), true);
    assert_eq!(grpc.call_raw(EXPORT, vec![zipped]).await.unwrap().status, 0);
    assert_eq!(count(&server).await, 3);
    let rejected = grpc.call(EXPORT, &[protobuf::export(["no access log"].into_iter())]).await.unwrap();
    assert_eq!(rejected.status, 0);
    assert!(String::from_utf8_lossy(&rejected.body).contains("not_an_access_log: 1"));
    // bad data is not to be sent again: INVALID_ARGUMENT; nor what is too large: RESOURCE_EXHAUSTED
    for (frame, status) in [
        (framed(&[0x0a], false), 3),
        (framed(&vec![0; 100_001], false), 8),
        (framed(&gzip(&vec![0; 1 << 20]), true), 8),
        (framed(b"no gzip", true), 3),
    ] {
        assert_eq!(grpc.call_raw(EXPORT, vec![frame]).await.unwrap().status, status);
    }
    assert_eq!(grpc.call_raw(EXPORT, vec![]).await.unwrap().status, 3);
    assert_eq!(count(&server).await, 3);
    let plain = post(&server, EXPORT, &[], "x").await;
    assert_eq!(plain.header("grpc-status"), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_s_access_log_service() {
    let server = Server::start().await;
    let mut grpc = Grpc::connect(address(&server), &[]).await.unwrap();
    let message = |from: u64, to: u64| {
        let ids: Vec<String> = (from..to).map(|n| format!("r-{n}")).collect();
        protobuf::access_logs(ids.iter().map(String::as_str).zip(from..))
    };
    let messages: Vec<Vec<u8>> = (0..50).map(|n| message(n * 20, n * 20 + 20)).collect();
    let ended = grpc.call(STREAM, &messages).await.unwrap();
    assert_eq!((ended.status, ended.body), (0, vec![0; 5]), "{}", ended.message);
    assert_eq!(count(&server).await, 1000, "what is answered is queryable");
    let distinct = "SELECT count(DISTINCT request_id) FROM access_logs WHERE node_pod = 'web-1' AND source = 'als'";
    assert_eq!(server.value(distinct).await, 1000);
    // what comes before a message that is none is kept
    let broken = vec![message(2000, 2010), vec![0x0a]];
    assert_eq!(grpc.call(STREAM, &broken).await.unwrap().status, 3);
    assert_eq!(count(&server).await, 1010);
}

/// What is said once must not be kept a million times.
#[tokio::test(flavor = "multi_thread")]
async fn records_that_say_nothing_become_no_flood() {
    let server = Server::start().await;
    let mut grpc = Grpc::connect(address(&server), &[]).await.unwrap();
    // a resource of 100 kB, and as many empty records
    let name = protobuf::bytes(2, &protobuf::bytes(1, &[b'x'; 100_000]));
    let resource = protobuf::bytes(1, &protobuf::bytes(1, &[protobuf::bytes(1, b"region"), name].concat()));
    let records = protobuf::bytes(2, &[0x12, 0].repeat(50_000));
    let ended = grpc.call(EXPORT, &[protobuf::bytes(1, &[resource, records].concat())]).await.unwrap();
    assert_eq!(ended.status, 8, "{ended:?}");
    // entries of nothing: each is a line of all its keys
    let ended = grpc.call(STREAM, &[protobuf::bytes(2, &[0x0a, 0].repeat(500_000))]).await.unwrap();
    assert_eq!(ended.status, 3, "{ended:?}");
    assert_eq!(count(&server).await, 0);
    // a label of Loki's
    let push =
        json!({"streams": [{"stream": {"pod": "p".repeat(100_000)}, "values": vec![json!(["1", "x"]); 20_000]}]});
    assert_eq!(post(&server, "/loki/api/v1/push", &[JSON], push.to_string()).await.status, 413);
}

/// A stream may be silent, and a connection idle, for longer than headers may take.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_stays() {
    let mut server = Server::with(|config| config.header_timeout = Duration::from_millis(300)).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(api::http::serve_proxies(listener, server.state.clone(), true));
    let (sender, connection) =
        h2::client::handshake(tokio::net::TcpStream::connect(address).await.unwrap()).await.unwrap();
    tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let request = http::Request::post(format!("http://{address}{STREAM}")).header("content-type", "application/grpc");
    let (answer, mut body) = sender.send_request(request.body(()).unwrap(), false).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200, "headers come at once");
    let ids = ["r-1"];
    for n in 0..3 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let message = protobuf::access_logs(ids.into_iter().zip([n]));
        body.send_data(framed(&message, false), false).unwrap();
    }
    while count(&server).await < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // the service ends: the stream is told so
    server.stop();
    let mut body = answer.into_body();
    while body.data().await.is_some() {}
    assert_eq!(body.trailers().await.unwrap().unwrap().get("grpc-status").unwrap(), "14");
    tokio::time::timeout(Duration::from_secs(5), serving).await.unwrap().unwrap().unwrap();
}

/// Whoever calls a proxy's door by a name of the mesh is let in without a token: no page can.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_cannot_call_grpc() {
    let server = Server::start().await;
    let mut page = Grpc::connect(address(&server), &[("origin", "http://evil.example")]).await.unwrap();
    let ended = page.call(EXPORT, &[protobuf::export(calm(1).lines())]).await.unwrap();
    assert_eq!(ended.status, -1, "an answer of HTTP's: 403");
    assert_eq!(count(&server).await, 0);
    // its address for the mesh is not this machine's name: `mesh-logs`, see tests::grpc
    let mut proxy = Grpc::connect(address(&server), &[]).await.unwrap();
    assert_eq!(proxy.call(EXPORT, &[protobuf::export(calm(1).lines())]).await.unwrap().status, 0);
    let default = HttpConfig::new(address(&server));
    assert!(default.token.is_none());
}
