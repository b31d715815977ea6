//! Deliveries to real receivers: rsyslogd and the official Standard Webhooks library decide whether what arrives is right.
#![allow(clippy::disallowed_methods)] // a test is its own main, it may read the clock

use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::deliver::config::Machine;
use api::deliver::{Config, Deliverer, Feed, FeedError};
use chrono::Utc;
use query::finding::json::FindingJson;
use query::finding::{Change, ChangeKind, Finding};
use serde_json::{Value, json};
use tests::receivers::{Rsyslog, Verifier, WebhookReceiver};
use tokio::sync::watch;

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const LIMIT: Duration = Duration::from_secs(30);

/// Everything that an attacker may get into a finding: ends of lines, fields and frames, colours, another direction.
const HOSTILE: &str = "/a\"] x=\"\\ \n<0>1 - - \r\t\u{0}\u{1b}[31m \u{2028}\u{202e} ü😀";

/// A feed in memory.
struct Memory {
    changes: Mutex<Vec<Change>>,
    newest: watch::Sender<i64>,
}

impl Memory {
    fn new(changes: impl Iterator<Item = Change>) -> Arc<Self> {
        let changes: Vec<Change> = changes.collect();
        let newest = watch::Sender::new(changes.last().map_or(0, |change| change.seq));
        Arc::new(Self { changes: Mutex::new(changes), newest })
    }

    fn push(&self, change: Change) {
        let seq = change.seq;
        self.changes.lock().unwrap().push(change);
        self.newest.send_replace(seq);
    }
}

type Page<'a> = Pin<Box<dyn Future<Output = Result<Vec<Change>, FeedError>> + Send + 'a>>;

impl Feed for Memory {
    fn changes_after(&self, seq: i64, limit: i64) -> Page<'_> {
        let changes = self.changes.lock().unwrap();
        let limit = usize::try_from(limit).unwrap();
        let page = changes.iter().filter(|change| change.seq > seq).take(limit).cloned().collect();
        Box::pin(async move { Ok(page) })
    }

    fn newest(&self) -> watch::Receiver<i64> {
        self.newest.subscribe()
    }
}

fn change(seq: i64) -> Change {
    let id = format!("{seq:032x}");
    let wire: FindingJson = serde_json::from_value(json!({
        "id": id, "detection": "http.traversal", "version": 1, "title": "Path traversal", "severity": "high", "status": "open",
        "incident": id, "entity": {"source": "cluster.local/ns/bank/sa/reports", "path": HOSTILE}, "summary": HOSTILE,
        "first_seen": "2026-11-23T16:59:00.000001Z", "last_seen": "2026-11-23T16:59:59Z", "count": 42,
        "window": {"start": "2026-11-23T16:55:00Z", "end": "2026-11-23T17:00:00Z"},
        "facts": {"path": HOSTILE}, "attack": ["T1083"], "evidence": ["access.log:1"], "runbook": "Look at the path.",
    }))
    .unwrap();
    let finding = Finding::try_from(wire).unwrap();
    Change {
        seq,
        id: format!("{id}-1"),
        kind: ChangeKind::Opened,
        at: "2026-11-23T17:00:01.25Z".parse().unwrap(),
        finding,
    }
}

async fn start(config: &str, folder: &Path, feed: &Arc<Memory>) -> Deliverer {
    let config = Config::parse(config, folder, &Machine).unwrap();
    Deliverer::start(config, &folder.join("outbox.db"), Arc::clone(feed) as _, Arc::new(Utc::now)).await.unwrap()
}

async fn delivered(deliverer: &Deliverer, count: u64) {
    for _ in 0..3000 {
        if deliverer.stats().sinks.iter().all(|sink| sink.delivered >= count) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{count} deliveries waited for in vain: {:?}", deliverer.stats());
}

fn ids(received: &[Value], key: fn(&Value) -> &Value) -> Vec<String> {
    let mut ids: Vec<String> = received.iter().map(|one| key(one).as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids.dedup();
    ids
}

fn syslog_id(message: &Value) -> &Value {
    &message["fields"]["meshwarden@32473"]["change"]
}

fn expected(count: i64) -> Vec<String> {
    (1..=count).map(|seq| change(seq).id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_reads_what_was_meant() {
    for framing in ["octet-counting", "newline"] {
        let folder = tempfile::tempdir().unwrap();
        let rsyslog = Rsyslog::start(folder.path()).unwrap();
        let config = format!(
            "[[sinks]]\nname = \"siem\"\ntype = \"syslog\"\naddress = \"{}\"\nallow_private = true\nframing = \"{framing}\"\n\
             hostname = \"mesh-prod\"",
            rsyslog.address()
        );
        let deliverer = start(&config, folder.path(), &Memory::new((1..=20).map(change))).await;
        let messages = rsyslog.wait(LIMIT, |messages| messages.len() >= 20).unwrap();
        deliverer.stop().await;

        assert_eq!(messages.len(), 20, "{framing}: a finding forged a message");
        for (message, seq) in messages.iter().zip(1..) {
            let change = change(seq);
            assert_eq!(message["pri"], "163");
            assert_eq!((&message["facility"], &message["severity"]), (&json!("local4"), &json!("err")));
            assert_eq!((&message["hostname"], &message["app"]), (&json!("mesh-prod"), &json!("meshwarden")));
            assert_eq!((&message["procid"], &message["msgid"]), (&json!("-"), &json!("opened")));
            assert_eq!(message["timestamp"], "2026-11-23T17:00:01.250000Z");
            let fields = &message["fields"]["meshwarden@32473"];
            assert_eq!(fields["change"], change.id);
            assert_eq!((&fields["detection"], &fields["count"]), (&json!("http.traversal"), &json!("42")));
            let entity = &message["fields"]["entity@32473"];
            assert_eq!(entity["source"], "cluster.local/ns/bank/sa/reports");
            let shown = "/a\"] x=\"\\ \\u000a<0>1 - - \\u000d\\u0009\\u0000\\u001b[31m \\u2028\\u202e ü😀";
            assert_eq!(entity["path"], shown);
            let text = message["message"].as_str().unwrap();
            let json: Value = serde_json::from_str(text).unwrap();
            assert_eq!(json["id"], change.id);
            assert_eq!(json["finding"]["entity"]["path"], HOSTILE);
            assert_eq!(json["finding"], serde_json::to_value(FindingJson::from(&change.finding)).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_misses_nothing_when_it_and_meshwarden_are_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let mut rsyslog = Rsyslog::start(folder.path()).unwrap();
    let config = format!(
        "retry_scale = 0.05\n[[sinks]]\nname = \"siem\"\ntype = \"syslog\"\naddress = \"{}\"\nallow_private = true",
        rsyslog.address()
    );
    let feed = Memory::new((1..=10).map(change));
    let deliverer = start(&config, folder.path(), &feed).await;
    delivered(&deliverer, 10).await;
    rsyslog.kill();
    feed.push(change(11));
    tokio::time::sleep(Duration::from_millis(200)).await;
    deliverer.stop().await;
    feed.push(change(12));
    let deliverer = start(&config, folder.path(), &feed).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    rsyslog.resume().unwrap();
    let messages = rsyslog.wait(LIMIT, |messages| ids(messages, syslog_id) == expected(12)).unwrap();
    deliverer.stop().await;
    let order: Vec<&Value> = messages.iter().map(syslog_id).collect();
    assert_eq!(order.last().unwrap().as_str(), Some(change(12).id.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_webhook_library_accepts_old_and_new_secret() {
    for secret in [OLD, NEW] {
        let folder = tempfile::tempdir().unwrap();
        let receiver = WebhookReceiver::start(folder.path(), secret, &[500, 503, 302]).unwrap();
        let config = format!(
            "retry_scale = 0.01\n[[sinks]]\nname = \"soc\"\ntype = \"webhook\"\nurl = \"{}\"\nsecret = [\"{NEW}\", \"{OLD}\"]\n\
             allow_private = true",
            receiver.url()
        );
        let feed = Memory::new((1..=5).map(change));
        let deliverer = start(&config, folder.path(), &feed).await;
        receiver.wait(LIMIT, |requests| requests.len() >= 3).unwrap();
        deliverer.stop().await;
        let deliverer = start(&config, folder.path(), &feed).await;
        let accepted = |request: &&Value| request["answer"] == 204;
        let requests = receiver.wait(LIMIT, |requests| requests.iter().filter(accepted).count() >= 5).unwrap();
        deliverer.stop().await;

        assert!(requests.iter().all(|request| request["verified"] == true), "{requests:#?}");
        let accepted: Vec<Value> = requests.iter().filter(accepted).cloned().collect();
        assert_eq!(accepted.len(), 5, "{accepted:#?}");
        assert_eq!(ids(&accepted, |request| &request["id"]), expected(5));
        for request in &accepted {
            assert_eq!(request["body"]["type"], "finding.opened");
            assert_eq!(request["body"]["timestamp"], "2026-11-23T17:00:01.250000Z");
            assert_eq!(request["body"]["data"]["summary"], HOSTILE);
        }
    }
}

#[test]
fn the_official_webhook_library_says_no_to_a_wrong_signature() {
    let verifier = Verifier::install().unwrap();
    let timestamp = Utc::now().timestamp().to_string();
    let headers = [
        ("webhook-id", "a-1"),
        ("webhook-timestamp", timestamp.as_str()),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ];
    let error = verifier.verify(OLD, &headers, "{}").unwrap_err().to_string();
    assert!(error.contains("No matching signature found"), "{error}");
}
