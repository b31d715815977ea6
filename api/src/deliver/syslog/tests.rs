//! Messages as RFC 5424 writes them, and a connection that breaks.
#![allow(clippy::unwrap_used)]

use query::finding::Severity;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::message::LIMIT;
use super::{Facility, Framing, Settings, Sink, message};
use crate::deliver::egress::Allow;
use crate::deliver::sink::Verdict;
use crate::deliver::testing::{change, noon};

fn text(change: &query::finding::Change) -> String {
    String::from_utf8(message::of(change, Facility::default(), "mesh-prod").unwrap()).unwrap()
}

#[test]
fn a_message_is_rfc_5424() {
    let text = text(&change(7, Severity::High));
    let (head, json) = text.split_once(" {").unwrap();
    assert_eq!(
        head,
        "<163>1 2026-11-23T17:00:00.000000Z mesh-prod meshwarden - opened \
         [meshwarden@32473 change=\"00000000000000000000000000000007-1\" finding=\"00000000000000000000000000000007\" \
         detection=\"authz.denied-spike\" severity=\"high\" status=\"open\" incident=\"00000000000000000000000000000007\" \
         count=\"42\" first_seen=\"2026-11-23T16:59:00.000000Z\" last_seen=\"2026-11-23T16:59:59.000000Z\"]\
         [entity@32473 source=\"cluster.local/ns/bank/sa/reports\"]"
    );
    let json: Value = serde_json::from_str(&format!("{{{json}")).unwrap();
    assert_eq!(json["id"], "00000000000000000000000000000007-1");
    assert_eq!(json["kind"], "opened");
    assert_eq!(json["finding"]["severity"], "high");
}

#[test]
fn priority_is_facility_and_severity() {
    let audit = Facility::from_name("audit").unwrap();
    let table =
        [(Severity::Info, 6), (Severity::Low, 5), (Severity::Medium, 4), (Severity::High, 3), (Severity::Critical, 2)];
    for (severity, code) in table {
        let message = message::of(&change(7, severity), audit, "-").unwrap();
        assert!(message.starts_with(format!("<{}>1 ", 13 * 8 + code).as_bytes()));
    }
    assert_eq!(Facility::from_name("local8"), None);
}

#[test]
fn a_finding_forges_neither_a_line_nor_a_field() {
    let mut change = change(7, Severity::High);
    let hostile = "a\"] x=\"\\ \n<0>1 \r\u{0}\u{1b}[31m\u{7f}\u{85}\u{2028}\u{202e} ü😀";
    change.finding.entity = [("bad name=]\"".to_owned(), hostile.to_owned()), (String::new(), String::new())].into();
    let text = text(&change);
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(text.contains(
        "[entity@32473 _=\"\" bad_name___=\"a\\\"\\] x=\\\"\\\\ \\\\u000a<0>1 \\\\u000d\\\\u0000\\\\u001b[31m\\\\u007f\\\\u0085\\\\u2028\\\\u202e ü😀\"]"
    ), "{text}");
    let json = text.split_once("] {").unwrap().1;
    assert!(json.is_ascii(), "{json}");
    let json: Value = serde_json::from_str(&format!("{{{json}")).unwrap();
    assert_eq!(json["finding"]["entity"]["bad name=]\""], hostile);
}

#[test]
fn a_message_stays_within_what_receivers_take() {
    let mut change = change(7, Severity::High);
    change.finding.evidence = (0..2000).map(|line| format!("access.log:{line}")).collect();
    let text = text(&change);
    assert!(text.len() <= LIMIT);
    assert!(text.ends_with("\"truncated\":[\"evidence\"]}"));
}

async fn receiver(framing: Framing) -> (Sink, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sink = Sink::open(&Settings {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
        allow: Allow::new(true, Vec::new()),
        facility: Facility::default(),
        framing,
        hostname: Some("mesh-prod".to_owned()),
    });
    (sink, listener)
}

/// Reads one octet-counted message.
async fn counted(stream: &mut BufReader<TcpStream>) -> String {
    let mut length = Vec::new();
    stream.read_until(b' ', &mut length).await.unwrap();
    let length: usize = String::from_utf8(length).unwrap().trim().parse().unwrap();
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await.unwrap();
    String::from_utf8(message).unwrap()
}

#[tokio::test]
async fn messages_are_told_apart_by_their_length() {
    let (sink, listener) = receiver(Framing::OctetCounting).await;
    let changes = [change(1, Severity::High), change(2, Severity::Info)];
    for change in &changes {
        assert_eq!(sink.deliver(change, noon()).await, Verdict::Delivered);
    }
    let mut stream = BufReader::new(listener.accept().await.unwrap().0);
    for change in &changes {
        assert_eq!(counted(&mut stream).await, text(change));
    }
    sink.close().await;
    assert_eq!(stream.read_to_end(&mut Vec::new()).await.unwrap(), 0);
}

#[tokio::test]
async fn messages_are_told_apart_by_lines() {
    let (sink, listener) = receiver(Framing::Newline).await;
    let change = change(1, Severity::High);
    assert_eq!(sink.deliver(&change, noon()).await, Verdict::Delivered);
    let mut line = String::new();
    BufReader::new(listener.accept().await.unwrap().0).read_line(&mut line).await.unwrap();
    assert_eq!(line, format!("{}\n", text(&change)));
}

#[tokio::test]
async fn what_a_broken_connection_may_have_lost_is_sent_again() {
    let (sink, listener) = receiver(Framing::OctetCounting).await;
    let old = noon() - chrono::TimeDelta::seconds(60);
    assert_eq!(sink.deliver(&change(1, Severity::High), old).await, Verdict::Delivered);
    assert_eq!(sink.deliver(&change(2, Severity::High), noon()).await, Verdict::Delivered);
    // the receiver dies without having read a thing
    drop(listener.accept().await.unwrap());
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(sink.deliver(&change(3, Severity::High), noon()).await, Verdict::Delivered);
    let mut stream = BufReader::new(listener.accept().await.unwrap().0);
    assert_eq!(counted(&mut stream).await, text(&change(2, Severity::High)));
    assert_eq!(counted(&mut stream).await, text(&change(3, Severity::High)));
}

#[tokio::test]
async fn what_a_receiver_says_is_ignored() {
    let (sink, listener) = receiver(Framing::OctetCounting).await;
    assert_eq!(sink.deliver(&change(1, Severity::High), noon()).await, Verdict::Delivered);
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(&[b'x'; 5000]).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(sink.deliver(&change(2, Severity::High), noon()).await, Verdict::Delivered);
    let mut stream = BufReader::new(stream);
    counted(&mut stream).await;
    assert_eq!(counted(&mut stream).await, text(&change(2, Severity::High)));
}

#[tokio::test]
async fn a_receiver_that_is_down_or_not_allowed_is_tried_again() {
    let (mut sink, listener) = receiver(Framing::OctetCounting).await;
    drop(listener);
    let Verdict::Retry { after: None, reason } = sink.deliver(&change(1, Severity::High), noon()).await else {
        panic!("not tried again")
    };
    assert!(reason.starts_with("no connection to '127.0.0.1:"), "{reason}");
    sink.settings.allow = Allow::default();
    let Verdict::Retry { after: None, reason } = sink.deliver(&change(1, Severity::High), noon()).await else {
        panic!("not tried again")
    };
    assert!(reason.contains("127.0.0.1 is a loopback address"), "{reason}");
}
