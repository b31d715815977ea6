//! Who may come in, for how long, and how it ends.

use std::time::{Duration, Instant};

use api::http::{HttpConfig, Token, check_listen};
use reqwest::{Method, StatusCode, header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server::{Answer, Server, calm};

#[tokio::test(flavor = "multi_thread")]
async fn the_token_opens_and_nothing_else_does() {
    let server = Server::with(|config| config.token = Some(Token::new("s3cret").unwrap())).await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(path).await.status, StatusCode::OK, "{path}");
    }
    for path in ["/api/v1/findings", "/api/v1/detections", "/metrics", "/openapi.json"] {
        let answer = server.get(path).await;
        assert!(answer.problem(401).contains("Bearer"), "{path}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        let with =
            |token: &str| server.request(Method::GET, path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        assert_eq!(Answer::of(with("s3cret")).await.status, StatusCode::OK, "{path}");
        Answer::of(with("s3cre7")).await.problem(401);
    }
    server.ingest(calm(1)).await.problem(401);
    server.sql("SELECT 1").await.problem(401);
    server.patch("x", "{}").await.problem(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_other_sites_pages_stay_out() {
    let server = Server::start().await;
    let page =
        server.request(Method::POST, "/api/v1/ingest").header(header::ORIGIN, "https://evil.example").body(calm(1));
    assert!(Answer::of(page).await.problem(403).contains("evil.example"));
    let rebound = server.request(Method::GET, "/api/v1/findings").header(header::HOST, "evil.example");
    assert!(Answer::of(rebound).await.problem(403).contains("MESHWARDEN_ADMIN_TOKEN"));
}

#[test]
fn strangers_need_a_token() {
    let mut config = HttpConfig::new("0.0.0.0:8080".parse().unwrap());
    let error = check_listen(&config).unwrap_err().to_string();
    assert!(error.contains("0.0.0.0:8080") && error.contains("MESHWARDEN_ADMIN_TOKEN"), "{error}");
    config.token = Some(Token::new("s3cret").unwrap());
    check_listen(&config).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_drip_are_cut() {
    let server = Server::with(|config| config.header_timeout = Duration::from_millis(500)).await;
    let mut stream = TcpStream::connect(server.base.strip_prefix("http://").unwrap()).await.unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        if stream.write_all(b"X").await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(5), "the connection was left open");

    // a body that takes longer than headers may is no drip
    let address = server.base.strip_prefix("http://").unwrap();
    let mut slow = TcpStream::connect(address).await.unwrap();
    let lines = calm(1);
    let head = format!("POST /api/v1/ingest HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n", lines.len());
    slow.write_all(head.as_bytes()).await.unwrap();
    for piece in lines.as_bytes().chunks(lines.len() / 4 + 1) {
        tokio::time::sleep(Duration::from_millis(300)).await;
        slow.write_all(piece).await.unwrap();
    }
    let mut answer = vec![0; 1024];
    let read = slow.read(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer[..read]).contains(r#""accepted":1"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_lets_requests_under_way_end() {
    let mut server = Server::start().await;
    let address = server.base.strip_prefix("http://").unwrap().to_owned();
    let lines = calm(3);
    let head = format!("POST /api/v1/ingest HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n", lines.len());
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let (first, rest) = lines.split_at(100);
    stream.write_all(first.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.state.phase(), api::http::Phase::Draining);
    assert!(TcpStream::connect(&address).await.is_err(), "no new connections");
    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains(r#""accepted":3"#), "{answer}");
    tokio::time::timeout(Duration::from_secs(5), server.serving).await.unwrap().unwrap();
}
