//! R1 and R17 over every way in at once: `kill -9` while lines come by HTTP, OTLP (gRPC and HTTP), Envoy's access log service, HEC, `_bulk`, Loki's push, and from
//! four files that are written without a pause and rotated in four ways. What was acknowledged is there afterwards (L = 0), nothing is there twice (D = 0):
//! senders without keys send again what they do not know the fate of, byte for byte.
//!
//! ```sh
//! MESHWARDEN_KILLS=200 cargo test -p api --test cli every_way::    # 6 in the usual run
//! ```

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tests::grpc::{EXPORT, Grpc, STREAM, protobuf};

use super::client::post_bytes;
use super::killed::{Known, SENDERS, check, line, send};
use super::service::Service;
use super::tail::{Log, ROTATIONS, wait_for};
use super::text;

/// Doors of senders that have no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    OtlpGrpc,
    OtlpHttp,
    Als,
    Hec,
    Bulk,
    Loki,
}

const DOORS: [Door; 6] = [Door::OtlpGrpc, Door::OtlpHttp, Door::Als, Door::Hec, Door::Bulk, Door::Loki];

/// Payloads of a door whose fate is not known: their ids and their bytes.
type Unknown = Mutex<Vec<(Vec<String>, Vec<u8>)>>;

impl Door {
    fn payload(self, ids: &[String], request: u64) -> Vec<u8> {
        let lines: Vec<String> = ids.iter().zip(0..).map(|(id, n)| line(id, request * 300 + n)).collect();
        match self {
            Self::OtlpGrpc | Self::OtlpHttp => protobuf::export(lines.iter().map(String::as_str)),
            Self::Als => protobuf::access_logs(ids.iter().map(String::as_str).zip((0..).map(|n| request * 300 + n))),
            Self::Hec => lines.iter().map(|line| json!({ "event": line }).to_string()).collect::<String>().into_bytes(),
            Self::Bulk => {
                let mut body = String::new();
                for line in &lines {
                    writeln!(body, "{{\"create\":{{}}}}\n{line}").unwrap();
                }
                body.into_bytes()
            }
            Self::Loki => {
                let values: Vec<_> = lines.iter().map(|line| json!(["1795435200000000000", line])).collect();
                json!({"streams": [{"stream": {"pod": "web-1", "namespace": "shop"}, "values": values}]})
                    .to_string()
                    .into_bytes()
            }
        }
    }

    /// Whether the payload was acknowledged.
    async fn send(self, address: &str, payload: &[u8]) -> bool {
        let http = |path: &str, headers: &str, success: u16| {
            post_bytes(address, path, headers, payload).is_some_and(|answer| answer.status == success)
        };
        match self {
            Self::OtlpGrpc => call(address, EXPORT, payload).await,
            Self::Als => call(address, STREAM, payload).await,
            Self::OtlpHttp => http("/v1/logs", "content-type: application/x-protobuf\r\n", 200),
            Self::Hec => http("/services/collector/event", "", 200),
            Self::Bulk => http("/_bulk", "content-type: application/x-ndjson\r\n", 200),
            Self::Loki => http("/loki/api/v1/push", "content-type: application/json\r\n", 204),
        }
    }

    /// Sends until it is told to stop, what has no known fate first.
    fn send_all(self, address: &str, round: usize, (known, unknown): (&Known, &Unknown), stop: &AtomicBool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for request in 0_u64.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let left = unknown.lock().unwrap().pop();
            let (ids, payload) = left.inspect(|_| known.sent_again()).unwrap_or_else(|| {
                let count = if request % 7 == 0 { 200 } else { 1 + request % 5 };
                let ids: Vec<String> = (0..count).map(|n| format!("{self:?}-{round}-{request}-{n}")).collect();
                known.sent(&ids);
                let payload = self.payload(&ids, request);
                (ids, payload)
            });
            if runtime.block_on(self.send(address, &payload)) {
                known.acknowledged(&ids);
                // some never know enough
                if request % 9 == 0 && self != Self::Als {
                    unknown.lock().unwrap().push((ids, payload));
                }
            } else {
                // Envoy sends nothing again
                if self != Self::Als {
                    unknown.lock().unwrap().push((ids, payload));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

async fn call(address: &str, method: &str, payload: &[u8]) -> bool {
    let called = async {
        let mut grpc = Grpc::connect(address.parse().unwrap(), &[]).await?;
        grpc.call(method, &[payload.to_vec()]).await
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), called).await;
    matches!(ended, Ok(Ok(ended)) if ended.status == 0)
}

#[test]
fn what_came_by_any_door_is_there_once() {
    let kills: usize = std::env::var("MESHWARDEN_KILLS").map_or(6, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (logs, data, known) = (folder.path().join("logs"), folder.path().join("data"), Known::default());
    std::fs::create_dir(&logs).unwrap();
    let unknown: [Unknown; DOORS.len()] = Default::default();
    let pattern = format!("{}/*.[ld]*", logs.display());
    let args = ["--tail", pattern.as_str(), "--grpc", "off", "--otlp-http", "off"];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let written = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for rotation in ROTATIONS {
            let (log, known, written) = (Log::new(&logs, rotation), &known, &written);
            scope.spawn(move || log.write(known, written));
        }
        for round in 0..kills {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            life(&data, &args, round, (&known, &unknown), Duration::from_millis(50 + random % 1450));
        }
        written.store(true, Ordering::Relaxed);
    });
    let service = Service::start(&data, &args);
    wait_for(&service, &known);
    service.stop();
    check(&data, known, &format!("every way in, {kills} kills"));
    let sources = ["sql", "SELECT source, count(*) > 100 FROM access_logs GROUP BY 1 ORDER BY 1", "--data"];
    let sources = super::run(&[&sources[..], &[data.to_str().unwrap(), "--output", "csv"]].concat());
    let sources = text(&sources.stdout);
    for source in ["http", "otlp_grpc", "otlp_http", "als", "hec", "bulk", "loki", &pattern] {
        assert!(sources.lines().any(|line| line == format!("{source},true")), "{source}: {sources}");
    }
}

/// A life of the service: everybody sends, and it is killed.
fn life(data: &Path, args: &[&str], round: usize, (known, unknown): (&Known, &[Unknown; DOORS.len()]), wait: Duration) {
    let mut service = Service::start(data, args);
    let address = service.address().to_owned();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (address, stop) = (address.as_str(), &stop);
        for sender in 0..SENDERS {
            scope.spawn(move || send(address, round, sender, known, stop));
        }
        for (door, unknown) in DOORS.into_iter().zip(unknown) {
            scope.spawn(move || door.send_all(address, round, (known, unknown), stop));
        }
        std::thread::sleep(wait);
        service.kill();
        stop.store(true, Ordering::Relaxed);
    });
}
