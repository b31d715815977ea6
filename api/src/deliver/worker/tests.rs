//! Whole deliveries: feed to receiver, over failures and restarts.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use query::finding::{Change, Severity};

use crate::deliver::config::Machine;
use crate::deliver::testing::{Memory, change, clock, wait_until};
use crate::deliver::{Config, Deliverer, SinkStats};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

type Ids = Arc<Mutex<Vec<String>>>;
type Answer = Arc<dyn Fn(usize) -> StatusCode + Send + Sync>;

/// A receiver on loopback that answers its n-th request (from 0) with `answer(n)` and remembers the ids.
async fn receiver(answer: impl Fn(usize) -> StatusCode + Send + Sync + 'static) -> (String, Ids) {
    let ids = Ids::default();
    let answer: Answer = Arc::new(answer);
    let count = Arc::new(AtomicUsize::new(0));
    let handler = move |State((ids, answer)): State<(Ids, Answer)>, headers: HeaderMap| async move {
        ids.lock().unwrap().push(headers["webhook-id"].to_str().unwrap().to_owned());
        answer(count.fetch_add(1, SeqCst))
    };
    let router = Router::new().route("/", post(handler)).with_state((Arc::clone(&ids), answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, ids)
}

/// Adds a webhook to a configuration.
fn webhook(config: &mut String, name: &str, url: &str) {
    writeln!(
        config,
        "[[sinks]]\nname = \"{name}\"\ntype = \"webhook\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"\nallow_private = true"
    )
    .unwrap();
}

async fn start(config: &str, folder: &Path, feed: &Arc<Memory>) -> Deliverer {
    let config = Config::parse(config, folder, &Machine).unwrap();
    Deliverer::start(config, &folder.join("outbox.db"), Arc::clone(feed) as _, clock()).await.unwrap()
}

fn stats(deliverer: &Deliverer, sink: usize) -> SinkStats {
    deliverer.stats().sinks.swap_remove(sink)
}

fn changes(count: i64) -> Vec<Change> {
    (1..=count).map(|seq| change(seq, Severity::High)).collect()
}

fn id(seq: i64) -> String {
    change(seq, Severity::High).id
}

#[tokio::test]
async fn what_failed_is_delivered_after_a_restart_with_the_same_id() {
    let folder = tempfile::tempdir().unwrap();
    let (url, ids) = receiver(|n| if n == 0 { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }).await;
    let mut config = "retry_scale = 0.1\n".to_owned();
    webhook(&mut config, "soc", &url);
    let feed = Memory::new(changes(1));

    let first = start(&config, folder.path(), &feed).await;
    wait_until("the first attempt is recorded", || stats(&first, 0).retried == 1).await;
    assert_eq!(stats(&first, 0).last_error.as_deref(), Some("answered 500 Internal Server Error"));
    first.stop().await;

    let second = start(&config, folder.path(), &feed).await;
    wait_until("the second attempt is recorded", || stats(&second, 0).delivered == 1).await;
    feed.push(change(2, Severity::High));
    wait_until("the next change is delivered", || stats(&second, 0).delivered == 2).await;
    second.stop().await;
    assert_eq!(*ids.lock().unwrap(), [id(1), id(1), id(2)]);

    let third = start(&config, folder.path(), &feed).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        stats(&third, 0),
        SinkStats { name: "soc".to_owned(), kind: "webhook", place: 2, newest: 2, ..SinkStats::default() }
    );
    third.stop().await;
    assert_eq!(ids.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn everything_arrives_although_the_receiver_is_down_and_the_product_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let up = Arc::new(AtomicUsize::new(0));
    let switch = Arc::clone(&up);
    let (url, ids) =
        receiver(move |_| if switch.load(SeqCst) == 1 { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR })
            .await;
    let mut config = "retry_scale = 0.01\n".to_owned();
    webhook(&mut config, "soc", &url);
    let feed = Memory::new(changes(50));
    for round in 0..5 {
        let deliverer = start(&config, folder.path(), &feed).await;
        tokio::time::sleep(Duration::from_millis(20 * round)).await;
        deliverer.stop().await;
    }
    ids.lock().unwrap().clear();
    up.store(1, SeqCst);
    let deliverer = start(&config, folder.path(), &feed).await;
    // a new change tells that the receiver is back: what waits does not wait for its time
    feed.push(change(51, Severity::High));
    wait_until("all are delivered", || stats(&deliverer, 0).pending == 0 && stats(&deliverer, 0).place == 51).await;
    deliverer.stop().await;
    let mut ids = ids.lock().unwrap().clone();
    ids.sort();
    assert_eq!(ids, (1..=51).map(id).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_receiver_that_never_answers_delays_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, ids) = receiver(|_| StatusCode::OK).await;
    let mut config = String::new();
    webhook(&mut config, "silent", &format!("http://{}/", silent.local_addr().unwrap()));
    webhook(&mut config, "soc", &url);
    let feed = Memory::new(changes(200));
    let begun = Instant::now();
    let deliverer = start(&config, folder.path(), &feed).await;
    wait_until("the healthy one has all", || stats(&deliverer, 1).delivered == 200).await;
    assert!(begun.elapsed() < Duration::from_secs(18), "took {:?}", begun.elapsed());
    assert_eq!(ids.lock().unwrap().len(), 200);
    let silent = stats(&deliverer, 0);
    assert_eq!((silent.delivered, silent.pending, silent.place), (0, 200, 200));
    let begun = Instant::now();
    deliverer.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(15), "stopping took {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_receiver_that_wants_no_more_gets_no_more_until_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let (url, ids) = receiver(|n| if n == 0 { StatusCode::GONE } else { StatusCode::OK }).await;
    let mut config = String::new();
    webhook(&mut config, "soc", &url);
    let feed = Memory::new(changes(1));
    let deliverer = start(&config, folder.path(), &feed).await;
    wait_until("the sink is disabled", || stats(&deliverer, 0).disabled).await;
    feed.push(change(2, Severity::High));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(ids.lock().unwrap().len(), 1);
    let failed = deliverer.failed().await.unwrap();
    assert_eq!((failed.len(), failed[0].id.clone(), failed[0].last_error.as_str()), (1, id(1), "answered 410 Gone"));
    deliverer.stop().await;

    let deliverer = start(&config, folder.path(), &feed).await;
    wait_until("what came meanwhile is delivered", || stats(&deliverer, 0).delivered == 1).await;
    assert_eq!(deliverer.replay(&id(1)).await.unwrap(), ["soc"]);
    wait_until("the dead one is delivered", || stats(&deliverer, 0).delivered == 2).await;
    assert_eq!(deliverer.failed().await.unwrap(), []);
    deliverer.stop().await;
}

#[tokio::test]
async fn a_delivery_that_always_fails_is_given_up_and_can_be_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let (url, ids) = receiver(|n| if n < 10 { StatusCode::BAD_REQUEST } else { StatusCode::OK }).await;
    let mut config = "retry_scale = 0.0000001\n".to_owned();
    webhook(&mut config, "soc", &url);
    let feed = Memory::new(changes(1));
    let deliverer = start(&config, folder.path(), &feed).await;
    wait_until("it is given up", || stats(&deliverer, 0).rejected == 1).await;
    wait_until("the dead are counted", || stats(&deliverer, 0).dead == 1).await;
    assert_eq!(stats(&deliverer, 0).retried, 9);
    assert_eq!(deliverer.failed().await.unwrap()[0].attempts, 10);
    deliverer.replay(&id(1)).await.unwrap();
    wait_until("it is delivered", || stats(&deliverer, 0).delivered == 1).await;
    assert!(ids.lock().unwrap().iter().all(|seen| *seen == id(1)));
    assert!(deliverer.replay(&id(1)).await.unwrap_err().to_string().contains("has failed for good"));
    deliverer.stop().await;
}

#[tokio::test]
async fn an_overloaded_receiver_gets_its_pause() {
    let folder = tempfile::tempdir().unwrap();
    let (url, ids) = receiver(|n| if n == 0 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }).await;
    let mut config = "retry_scale = 0.001\n".to_owned();
    webhook(&mut config, "soc", &url);
    let feed = Memory::new(changes(1));
    let deliverer = start(&config, folder.path(), &feed).await;
    wait_until("the first attempt is recorded", || stats(&deliverer, 0).retried == 1).await;
    feed.push(change(2, Severity::High));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(ids.lock().unwrap().len(), 1, "not left alone");
    wait_until("both are delivered", || stats(&deliverer, 0).delivered == 2).await;
    deliverer.stop().await;
}

#[tokio::test]
async fn mild_findings_are_passed_over_and_a_late_sink_may_start_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let feed = Memory::new(vec![change(1, Severity::Low), change(2, Severity::High), change(3, Severity::Info)]);
    let config = "[[sinks]]\nname = \"all\"\ntype = \"file\"\npath = \"all\"\nmin_severity = \"medium\"\n\
                  [[sinks]]\nname = \"late\"\ntype = \"file\"\npath = \"late\"\nfrom = \"end\"";
    let deliverer = start(config, folder.path(), &feed).await;
    wait_until("the feed is taken", || stats(&deliverer, 0).place == 3).await;
    feed.push(change(5, Severity::Critical));
    wait_until("both are done", || stats(&deliverer, 0).delivered == 2 && stats(&deliverer, 1).delivered == 1).await;
    deliverer.stop().await;
    assert_eq!(stats(&deliverer, 0).filtered, 2);
    let lines = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap().lines().count();
    assert_eq!((lines("all"), lines("late")), (2, 1));
}

#[tokio::test]
async fn a_file_holds_the_feed_in_its_order_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let feed = Memory::new(changes(350));
    let config = "[[sinks]]\nname = \"archive\"\ntype = \"file\"\npath = \"findings.ndjson\"";
    for _ in 0..4 {
        let deliverer = start(config, folder.path(), &feed).await;
        tokio::time::sleep(Duration::from_millis(60)).await;
        deliverer.stop().await;
    }
    let deliverer = start(config, folder.path(), &feed).await;
    wait_until("all are written", || stats(&deliverer, 0).pending == 0 && stats(&deliverer, 0).place == 350).await;
    deliverer.stop().await;
    let text = std::fs::read_to_string(folder.path().join("findings.ndjson")).unwrap();
    let ids: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, (1..=350).map(id).collect::<Vec<_>>());
}

#[tokio::test]
async fn another_feed_than_before_is_read_from_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[[sinks]]\nname = \"archive\"\ntype = \"file\"\npath = \"findings.ndjson\"";
    let deliverer = start(config, folder.path(), &Memory::new(changes(5))).await;
    wait_until("the old feed is taken", || stats(&deliverer, 0).delivered == 5).await;
    deliverer.stop().await;
    let mut other = change(1, Severity::High);
    other.id = "another-1".to_owned();
    let deliverer = start(config, folder.path(), &Memory::new(vec![other, change(2, Severity::High)])).await;
    wait_until("the new feed is taken", || stats(&deliverer, 0).delivered == 1 && stats(&deliverer, 0).place == 2)
        .await;
    deliverer.stop().await;
}

#[tokio::test]
async fn nothing_is_lost_whenever_it_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (url, ids) = receiver(|_| StatusCode::OK).await;
    let mut config = "[[sinks]]\nname = \"archive\"\ntype = \"file\"\npath = \"findings.ndjson\"\n".to_owned();
    webhook(&mut config, "soc", &url);
    let feed = Memory::new(changes(400));
    for round in 0..12 {
        let deliverer = start(&config, folder.path(), &feed).await;
        tokio::time::sleep(Duration::from_millis(7 * round % 40)).await;
        // every task ends where it stands, nothing is drained or recorded
        drop(deliverer);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let deliverer = start(&config, folder.path(), &feed).await;
    let done = |sink: SinkStats| sink.place == 400 && sink.pending == 0;
    wait_until("all are delivered", || done(stats(&deliverer, 0)) && done(stats(&deliverer, 1))).await;
    deliverer.stop().await;
    let text = std::fs::read_to_string(folder.path().join("findings.ndjson")).unwrap();
    let written: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(written, (1..=400).map(id).collect::<Vec<_>>(), "a file holds every change once, in order");
    let mut received = ids.lock().unwrap().clone();
    let repeated = received.len() - 400;
    received.sort();
    received.dedup();
    assert_eq!(received, (1..=400).map(id).collect::<Vec<_>>());
    assert!(repeated <= 12 * 4, "{repeated} repeats: more than were under way");
}
