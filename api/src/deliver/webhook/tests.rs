//! Signatures of the official library, and every kind of answer.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use query::finding::Severity;
use serde_json::{Value, json};

use super::sign::signatures;
use super::{Secret, SecretError, Settings, Sink, body};
use crate::deliver::egress::{Allow, Endpoint};
use crate::deliver::sink::Verdict;
use crate::deliver::testing::{change, noon};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Expected values are from the official PyPI package `standardwebhooks` 1.1.0.
#[test]
fn signatures_are_those_of_the_official_library() {
    let sign = |secrets: &[&str]| {
        let secrets: Vec<Secret> = secrets.iter().map(|secret| secret.parse().unwrap()).collect();
        signatures(&secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#)
    };
    assert_eq!(sign(&[SECRET]), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    let both = sign(&["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", SECRET]);
    let (new, old) = both.split_once(' ').unwrap();
    assert!(new.starts_with("v1,") && new != old);
    assert_eq!(old, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn secrets_are_checked_and_never_shown() {
    assert_eq!("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse::<Secret>().unwrap_err(), SecretError::Prefix);
    assert_eq!("whsec_!".parse::<Secret>().unwrap_err(), SecretError::Base64);
    assert_eq!("whsec_AAEC".parse::<Secret>().unwrap_err(), SecretError::Length(3));
    assert_eq!(format!("whsec_{}", "AAAA".repeat(22)).parse::<Secret>().unwrap_err(), SecretError::Length(66));
    assert_eq!(format!("{:?}", SECRET.parse::<Secret>().unwrap()), "Secret(…)");
}

#[test]
fn a_body_says_what_happened_when_to_what() {
    let body: Value = serde_json::from_slice(&body::of(&change(7, Severity::High)).unwrap()).unwrap();
    assert_eq!(body["type"], "finding.opened");
    assert_eq!(body["timestamp"], "2026-11-23T17:00:00.000000Z");
    assert_eq!(body["data"]["id"], "00000000000000000000000000000007");
    assert_eq!(body["data"]["severity"], "high");
    assert_eq!(body.get("truncated"), None);
}

#[test]
fn a_body_stays_small_and_says_what_is_missing() {
    let mut change = change(7, Severity::High);
    change.finding.evidence = (0..2000).map(|line| format!("access.log:{line}")).collect();
    let bytes = body::of(&change).unwrap();
    assert!(bytes.len() < body::LIMIT);
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(body["truncated"], json!(["evidence"]));
    assert_eq!(body["data"]["facts"]["share"], 0.5);
    change.finding.summary = "ü".repeat(30_000);
    change.finding.facts.insert("paths".to_owned(), json!("x".repeat(30_000)));
    let bytes = body::of(&change).unwrap();
    assert!(bytes.len() < body::LIMIT);
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(body["truncated"], json!(["evidence", "facts", "runbook", "note", "texts"]));
}

type Requests = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A receiver on loopback that answers with what `answer` makes.
async fn receiver<R: IntoResponse + 'static>(answer: fn() -> R) -> (Sink, Requests) {
    let requests = Requests::default();
    let handler = move |State(requests): State<Requests>, headers: HeaderMap, body: Bytes| async move {
        requests.lock().unwrap().push((headers, body));
        answer()
    };
    let router = Router::new().route("/hook", post(handler)).with_state(Arc::clone(&requests));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?token=hunter2", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (sink(&url), requests)
}

fn sink(url: &str) -> Sink {
    let allow = Allow::new(true, Vec::new());
    let endpoint = Endpoint::parse(url, &allow).unwrap();
    Sink::open(&Settings { endpoint, secrets: vec![SECRET.parse().unwrap()] }).unwrap()
}

#[tokio::test]
async fn a_2xx_is_delivered_and_the_request_is_signed() {
    let (sink, requests) = receiver(|| StatusCode::NO_CONTENT).await;
    let change = change(7, Severity::High);
    assert_eq!(sink.deliver(&change, noon()).await, Verdict::Delivered);
    let requests = requests.lock().unwrap();
    let (headers, body) = &requests[0];
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["webhook-id"], change.id.as_str());
    assert_eq!(headers["webhook-timestamp"], noon().timestamp().to_string().as_str());
    let expected = signatures(&[SECRET.parse().unwrap()], &change.id, noon().timestamp(), body);
    assert_eq!(headers["webhook-signature"], expected.as_str());
}

#[tokio::test]
async fn answers_mean_what_the_table_says() {
    let deliver = async |sink: Sink| sink.deliver(&change(7, Severity::High), noon()).await;
    let retry = |after: Option<u64>, reason: &str| Verdict::Retry {
        after: after.map(Duration::from_secs),
        reason: reason.to_owned(),
    };

    let (gone, _) = receiver(|| StatusCode::GONE).await;
    assert_eq!(deliver(gone).await, Verdict::Rejected { reason: "answered 410 Gone".to_owned(), disable: true });
    let (busy, _) = receiver(|| (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "17")])).await;
    assert_eq!(deliver(busy).await, retry(Some(17), "answered 429 Too Many Requests"));
    let (busy, _) =
        receiver(|| (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "Mon, 23 Nov 2026 17:01:00 GMT")])).await;
    assert_eq!(deliver(busy).await, retry(Some(60), "answered 503 Service Unavailable"));
    let (busy, _) = receiver(|| (StatusCode::BAD_GATEWAY, [("retry-after", "99999999")])).await;
    assert_eq!(deliver(busy).await, retry(Some(3600), "answered 502 Bad Gateway"));
    let (busy, _) = receiver(|| StatusCode::GATEWAY_TIMEOUT).await;
    assert_eq!(deliver(busy).await, retry(Some(5), "answered 504 Gateway Timeout"));
    let (wrong, _) = receiver(|| (StatusCode::BAD_REQUEST, "no\nsuch \u{1b}[31mthing")).await;
    assert_eq!(deliver(wrong).await, retry(None, "answered 400 Bad Request: \"no\\nsuch \\u{1b}[31mthing\""));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (inside, requests) = receiver(|| StatusCode::OK).await;
    drop(inside);
    let (sink, _) = receiver(|| (StatusCode::FOUND, [("location", "http://169.254.169.254/latest/meta-data")])).await;
    let verdict = sink.deliver(&change(7, Severity::High), noon()).await;
    assert_eq!(verdict, Verdict::retry("answered 302 Found: redirects are not followed, configure the final URL"));
    assert!(requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_receiver_that_is_down_is_tried_again_and_the_url_is_not_logged() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?token=hunter2", listener.local_addr().unwrap());
    drop(listener);
    let Verdict::Retry { after: None, reason } = sink(&url).deliver(&change(7, Severity::High), noon()).await else {
        panic!("not tried again")
    };
    assert!(reason.contains("refused") && !reason.contains("hunter2"), "{reason}");
}

#[tokio::test]
async fn an_id_that_could_be_read_in_two_ways_is_rejected() {
    let (sink, requests) = receiver(|| StatusCode::OK).await;
    let mut change = change(7, Severity::High);
    change.id = "a.1".to_owned();
    assert!(matches!(sink.deliver(&change, noon()).await, Verdict::Rejected { disable: false, .. }));
    assert!(requests.lock().unwrap().is_empty());
}
