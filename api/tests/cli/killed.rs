//! R1: `kill -9` while senders send. What was acknowledged is there afterwards (L = 0), and nothing is there twice (D = 0): neither what was sent
//! once, nor what was sent again, under its key, because nobody knew what had become of it.
//!
//! ```sh
//! MESHWARDEN_KILLS=200 cargo test -p api --test cli killed::    # 10 in the usual run
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::client::post;
use super::service::Service;
use super::text;

pub(super) const SENDERS: usize = 4;

/// What senders know.
#[derive(Default)]
pub(super) struct Known {
    acknowledged: Mutex<BTreeSet<String>>,
    sent: Mutex<BTreeSet<String>>,
    /// Payloads under keys whose fate is not known: their ids and their body.
    unknown: Mutex<Vec<(Vec<String>, String)>>,
    /// How many were sent again.
    again: AtomicUsize,
}

impl Known {
    pub(super) fn sent(&self, ids: &[String]) {
        self.sent.lock().unwrap().extend(ids.iter().cloned());
    }

    /// How many lines are acknowledged.
    pub(super) fn written(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    pub(super) fn sent_again(&self) {
        self.again.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn acknowledged(&self, ids: &[String]) {
        self.acknowledged.lock().unwrap().extend(ids.iter().cloned());
    }
}

/// A line whose content follows from its id.
pub(super) fn line(id: &str, number: u64) -> String {
    line_at(id, 1_795_435_200_000_000 + i64::try_from(number).unwrap() * 1000, number)
}

/// The same, of another time, µs.
pub(super) fn line_at(id: &str, micros: i64, number: u64) -> String {
    let time = chrono::DateTime::from_timestamp_micros(micros).unwrap();
    format!(
        r#"{{"start_time":"{}","method":"GET","path":"/{id}","protocol":"HTTP/1.1","response_code":403,"response_flags":"-","response_code_details":"rbac_access_denied_matched_policy[ns[a]-policy[b]-rule[0]]","bytes_received":0,"bytes_sent":{number},"duration":1,"request_id":"{id}","authority":"api","upstream_cluster":"inbound|8080||","downstream_local_address":"10.0.0.2:8080","downstream_remote_address":"10.0.0.1:4000"}}"#,
        time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
    )
}

/// Sends until it is told to stop, or nobody can be reached.
pub(super) fn send(address: &str, round: usize, sender: usize, known: &Known, stop: &AtomicBool) {
    for request in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // either promise, with a key and without
        let (ack, keyed) = (["queryable", "durable"][sender % 2], sender / 2 == 0);
        let left = if keyed { known.unknown.lock().unwrap().pop() } else { None };
        let (ids, body) = match left {
            Some(left) => {
                known.again.fetch_add(1, Ordering::Relaxed);
                left
            }
            None => {
                // one line or many
                let count = if request % 7 == 0 { 300 } else { 1 + request % 5 };
                let ids: Vec<String> = (0..count).map(|n| format!("{round}-{sender}-{request}-{n}")).collect();
                let body: String = ids.iter().zip(0..).map(|(id, n)| line(id, request * 300 + n) + "\n").collect();
                known.sent.lock().unwrap().extend(ids.iter().cloned());
                (ids, body)
            }
        };
        let key = ids.first().filter(|_| keyed);
        let key = key.map(|key| format!("idempotency-key: {key}\r\n")).unwrap_or_default();
        let answer = post(address, &format!("/api/v1/ingest?ack={ack}"), &key, &body);
        match answer.map(|answer| answer.status) {
            Some(200 | 202) => {
                known.acknowledged.lock().unwrap().extend(ids.iter().cloned());
                // some senders never know enough
                if keyed && request % 9 == 0 {
                    known.unknown.lock().unwrap().push((ids, body));
                }
            }
            // it was killed, or is full
            answer => {
                assert_ne!(answer, Some(422), "{ids:?}");
                if keyed {
                    known.unknown.lock().unwrap().push((ids, body));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Starts a service, lets the senders send for a while, and ends it somehow; how long its start took.
fn life(folder: &Path, round: usize, known: &Known, wait: Duration, end: impl FnOnce(Service)) -> Duration {
    let start = Instant::now();
    let service = Service::start(folder, &[]);
    let started = start.elapsed();
    let address = service.address().to_owned();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (address, stop) = (&address, &stop);
            scope.spawn(move || send(address, round, sender, known, stop));
        }
        std::thread::sleep(wait);
        end(service);
        stop.store(true, Ordering::Relaxed);
    });
    started
}

/// Reads the tables of a folder at rest, and compares them with what the senders know; says the figures.
pub(super) fn check(folder: &Path, known: Known, what: &str) {
    let asked = super::run(&ids_of(folder.to_str().unwrap()));
    judge(asked, known, what);
}

/// Asks for what a store has.
pub(super) fn ids_of(data: &str) -> [&str; 6] {
    ["sql", "SELECT request_id, bytes_sent FROM access_logs", "--data", data, "--output", "csv"]
}

/// Compares what a store has with what the senders know; says the figures.
pub(super) fn judge(asked: Output, known: Known, what: &str) {
    assert!(asked.status.success(), "{}", text(&asked.stderr));
    let mut times: BTreeMap<String, u64> = BTreeMap::new();
    for row in text(&asked.stdout).lines().skip(1) {
        *times.entry(row.split(',').next().unwrap().to_owned()).or_default() += 1;
    }
    let (acknowledged, sent) = (known.acknowledged.into_inner().unwrap(), known.sent.into_inner().unwrap());
    let lost: Vec<&String> = acknowledged.iter().filter(|id| !times.contains_key(*id)).collect();
    let twice: Vec<&String> = times.iter().filter(|(_, times)| **times > 1).map(|(id, _)| id).collect();
    let foreign: Vec<&String> = times.keys().filter(|id| !sent.contains(*id)).collect();
    println!(
        "{what}: {} lines sent, {} acknowledged, {} stored; {} payloads sent again; {} lost, {} twice",
        sent.len(),
        acknowledged.len(),
        times.len(),
        known.again.load(Ordering::Relaxed),
        lost.len(),
        twice.len()
    );
    assert_eq!((lost, twice, foreign), (vec![], vec![], vec![]));
    assert!(acknowledged.len() > 100, "hardly anything was acknowledged");
}

#[test]
fn what_was_acknowledged_is_there_once() {
    let kills: usize = std::env::var("MESHWARDEN_KILLS").map_or(10, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let known = Known::default();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut longest = Duration::ZERO;
    for round in 0..kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let wait = Duration::from_millis(50 + random % 1450);
        longest = longest.max(life(folder.path(), round, &known, wait, |mut service| service.kill()));
    }
    Service::start(folder.path(), &[]).stop();
    check(folder.path(), known, &format!("{kills} kills, the longest start took {longest:?}"));
}

/// R19: SIGTERM while senders send: exit code 0 within ten seconds, and everything that was acknowledged is in the tables, with no start after it.
#[test]
fn sigterm_under_load_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let known = Known::default();
    let mut longest = Duration::ZERO;
    for round in 0..4 {
        life(folder.path(), round, &known, Duration::from_millis(700), |service| {
            let asked = Instant::now();
            // asserts that the exit code is 0
            service.stop();
            longest = longest.max(asked.elapsed());
        });
    }
    assert!(longest < Duration::from_secs(10), "{longest:?}");
    let waiting = super::run(&["store", "status", "--data", folder.path().to_str().unwrap(), "--output", "json"]);
    let waiting: serde_json::Value = serde_json::from_slice(&waiting.stdout).unwrap();
    assert_eq!(waiting["journal"]["waiting"], 0);
    check(folder.path(), known, &format!("4 times SIGTERM, the longest end took {longest:?}"));
}
