//! `POST /api/v1/ingest`: every line counted, all of a body or nothing of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode, header};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server::{Answer, Server, calm};

/// Three times `{"start_time":"2026-11-23T12:00:00.000Z","method":"GET","path":"/gz","response_code":200}`.
const GZIP: &str = "H4sIAAAAAAACA6tWKi5JLCqJL8nMTVWyUjIyMDLTNTTUNTIOMTSyMjAAIj0DA4MoJR2l3NSSjPwUoBp31xAgtyCxJAPI0U+vAnKKUosL8vOKU+OT81OAxhgZGNRyVQ9BkwGgZtarDgEAAA==";
const ZSTD: &str = "KLUv/QRYzQIAosUTGoCpOsiVtGPkxnfBHfusYIVECMnEP9iQEicER+PHtC53SPoUDnmauHiBCDjNViEuRoSC08ux1eZiw3/An3/iQQI055gBHp3Wlti0idpnRgEAWqyjQhR5KAyb";
/// 1,500,000 lines `x`.
const ZSTD_BOMB: &str = "KLUv/QRYVAAAEHgKAQD7/+UOC0wAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAkwAAAh4AQD8/zkQAk0AAAh4AQC8xjkQArb12mI=";

async fn encoded(server: &Server, encoding: Option<&str>, body: Vec<u8>) -> Answer {
    let mut request = server.request(Method::POST, "/api/v1/ingest").body(body);
    if let Some(encoding) = encoding {
        request = request.header(header::CONTENT_ENCODING, encoding);
    }
    Answer::of(request).await
}

async fn rows(server: &Server) -> i64 {
    server.value("SELECT count(*) FROM access_logs").await.as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_is_visible_to_the_next_query() {
    let server = Server::start().await;
    for n in 1..=5 {
        let answer = server.ingest(calm(10)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json(), json!({"accepted": 10, "rejected": 0, "reasons": []}));
        assert_eq!(rows(&server).await, n * 10);
    }
    assert_eq!(server.value("SELECT count(DISTINCT log_id) FROM access_logs").await, 50, "ids differ between requests");
    assert_eq!(server.value("SELECT string_agg(DISTINCT source, ',') FROM access_logs").await, "http");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_a_row_or_a_reject_with_a_reason() {
    let server = Server::start().await;
    let body = format!("{}\nhello\n{{\"a\":\n{{\"a\":1}}\n", calm(2));
    let answer = server.ingest(body).await.json();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(2), &json!(3)));
    let reasons = answer["reasons"].as_array().unwrap();
    assert_eq!(reasons[0], json!({"line": 4, "reason": "not_an_access_log"}), "blank lines count");
    assert_eq!(reasons[1], json!({"line": 5, "reason": "not_json"}));
    assert_eq!(reasons[2]["line"], 6);
    assert_eq!(server.value("SELECT count(*) FROM rejects").await, 3);
    let raw = server.sql("SELECT line, raw FROM rejects ORDER BY line LIMIT 1").await.json();
    assert_eq!(raw["rows"], json!([{"line": 4, "raw": "68656c6c6f"}]));

    let all_wrong = server.ingest("nothing\nof this\nis a log".to_owned()).await;
    assert_eq!(all_wrong.status, StatusCode::OK);
    assert_eq!(all_wrong.json()["rejected"], 3);
    let many = server.ingest("x\n".repeat(1500)).await.json();
    assert_eq!((many["rejected"].as_i64(), many["reasons"].as_array().unwrap().len()), (Some(1500), 1000));
    for empty in ["", "\n \n"] {
        let answer = server.ingest(empty).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json(), json!({"accepted": 0, "rejected": 0, "reasons": []}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_bodies_told_or_not() {
    let server = Server::start().await;
    let (gzip, zstd) = (STANDARD.decode(GZIP).unwrap(), STANDARD.decode(ZSTD).unwrap());
    for (encoding, body) in
        [(Some("gzip"), &gzip), (Some("x-gzip"), &gzip), (Some("ZSTD"), &zstd), (None, &gzip), (None, &zstd)]
    {
        let answer = encoded(&server, encoding, body.clone()).await;
        assert_eq!(answer.json()["accepted"], 3, "{encoding:?}: {}", answer.text);
    }
    assert_eq!(encoded(&server, Some("identity"), calm(1).into_bytes()).await.json()["accepted"], 1);
    let before = rows(&server).await;
    let answer = encoded(&server, Some("br"), b"x".to_vec()).await;
    assert!(answer.problem(415).contains("'br'"));
    assert!(answer.header("accept-encoding").contains("zstd"));
    assert!(encoded(&server, Some("gzip"), gzip[..40].to_vec()).await.problem(400).contains("nothing was accepted"));
    assert!(encoded(&server, Some("zstd"), zstd[..40].to_vec()).await.problem(400).contains("nothing was accepted"));
    assert!(encoded(&server, Some("gzip"), b"no gzip at all".to_vec()).await.problem(400).contains("gzip"));
    assert_eq!(rows(&server).await, before);
    assert_eq!(server.value("SELECT count(*) FROM rejects").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_accepts_nothing() {
    let server = Server::with(|config| config.max_body_bytes = 20_000).await;
    let fits = calm(20_000 / i64::try_from(calm(1).len()).unwrap());
    assert_eq!(server.ingest(fits).await.status, StatusCode::OK);
    let before = rows(&server).await;
    for (encoding, body) in [
        (None, calm(100).into_bytes()),
        (None, calm(20_000).into_bytes()),
        (Some("zstd"), STANDARD.decode(ZSTD_BOMB).unwrap()),
        (None, STANDARD.decode(ZSTD_BOMB).unwrap()),
    ] {
        let detail = encoded(&server, encoding, body).await.problem(413);
        assert!(detail.contains("20000 bytes") && detail.contains("nothing was accepted"), "{detail}");
    }
    assert_eq!(rows(&server).await, before);
    assert_eq!(server.value("SELECT count(*) FROM rejects").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_accepts_nothing() {
    let server = Server::with(|config| config.idle_timeout = std::time::Duration::from_millis(300)).await;
    let address = server.base.strip_prefix("http://").unwrap().to_owned();
    let head = format!("POST /api/v1/ingest HTTP/1.1\r\nHost: {address}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let lines = calm(3);
    let chunk = format!("{:x}\r\n{lines}\r\n", lines.len());

    let mut gone = TcpStream::connect(&address).await.unwrap();
    gone.write_all(format!("{head}{chunk}").as_bytes()).await.unwrap();
    drop(gone);

    let mut silent = TcpStream::connect(&address).await.unwrap();
    silent.write_all(format!("{head}{chunk}").as_bytes()).await.unwrap();
    let mut answer = vec![0; 1024];
    let read = silent.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");

    assert_eq!(rows(&server).await, 0);
    let mut whole = TcpStream::connect(&address).await.unwrap();
    for byte in format!("{head}{chunk}0\r\n\r\n").as_bytes() {
        whole.write_all(&[*byte]).await.unwrap();
    }
    let mut answer = vec![0; 1024];
    let read = whole.read(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer[..read]).contains(r#""accepted":3"#));
    assert_eq!(rows(&server).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_names_its_source() {
    let server = Server::start().await;
    let by_param = server.request(Method::POST, "/api/v1/ingest?source=eu-1/gateway").body(calm(1));
    assert_eq!(Answer::of(by_param).await.status, StatusCode::OK);
    let by_header = server.request(Method::POST, "/api/v1/ingest").header("X-Meshwarden-Source", "us-1").body("x");
    assert_eq!(Answer::of(by_header).await.status, StatusCode::OK);
    assert_eq!(server.value("SELECT source FROM access_logs").await, "eu-1/gateway");
    assert_eq!(server.value("SELECT source FROM rejects").await, "us-1");
    assert_eq!(server.value("SELECT log_id FROM access_logs").await, "eu-1/gateway/request-1:1");
    let wrong = server.request(Method::POST, "/api/v1/ingest?source=a%20b").body(calm(1));
    assert!(Answer::of(wrong).await.problem(400).contains("'a b'"));
    let unknown = server.request(Method::POST, "/api/v1/ingest?sauce=a").body(calm(1));
    assert!(Answer::of(unknown).await.problem(400).contains("sauce"));
}
