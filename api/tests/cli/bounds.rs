//! R12, R13 and R14 on the real service: bodies that inflate without end, senders that hang, and more senders than it has room for.
//!
//! ```sh
//! MESHWARDEN_CONNECTIONS=10000 MESHWARDEN_OVERLOAD_SECONDS=600 cargo test --release -p api --test cli bounds:: -- --nocapture
//! ```

use std::io::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tests::grpc::{EXPORT, Grpc, STREAM, framed};

use super::client::post_bytes;
use super::killed::{Known, check, line};
use super::service::Service;
use super::text;

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |value| value.parse().unwrap())
}

/// The largest resident set so far, bytes.
fn peak(service: &Service) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.process())).unwrap();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse::<u64>().ok());
    peak.unwrap() * 1024
}

/// R12: 10 GB in 10 MB, by each door: refused, and the service is no more than 32 MB larger than before.
#[test]
fn bodies_that_inflate_without_end_take_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &["--grpc", "off", "--otlp-http", "off"]);
    let address = service.address().to_owned();
    let zeros = vec![b' '; 10 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&zeros).unwrap();
    let bomb = gzip.finish().unwrap().repeat(1000);
    assert!(bomb.len() < 12_000_000, "{}", bomb.len());
    // what a refusal itself needs is there afterwards
    let small = bomb.get(..bomb.len() / 1000).unwrap();
    let headers = "content-encoding: gzip\r\ncontent-type: application/x-protobuf\r\n";
    post_bytes(&address, "/services/collector/raw", headers, small).unwrap();
    let before = peak(&service);
    for (path, headers) in [
        ("/api/v1/ingest", headers),
        ("/services/collector/event", headers),
        ("/services/collector/raw", headers),
        ("/_bulk", headers),
        ("/v1/logs", headers),
        ("/loki/api/v1/push", "content-encoding: gzip\r\ncontent-type: application/json\r\n"),
    ] {
        let answer = post_bytes(&address, path, headers, &bomb).unwrap();
        assert_eq!(answer.status, 413, "{path}: {}", answer.text);
    }
    // a block of Snappy that says it becomes 4 GiB
    let snappy = post_bytes(&address, "/loki/api/v1/push", "", &[0xff, 0xff, 0xff, 0xff, 0x0f, 0]).unwrap();
    assert_eq!(snappy.status, 413, "{}", snappy.text);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for method in [EXPORT, STREAM] {
        let ended = runtime.block_on(async {
            let mut grpc = Grpc::connect(address.parse().unwrap(), &[("grpc-encoding", "gzip")]).await.unwrap();
            grpc.call_raw(method, vec![framed(&bomb, true)]).await.unwrap()
        });
        assert_eq!(ended.status, 8, "{method}: {ended:?}");
    }
    let grown = peak(&service).saturating_sub(before);
    println!("10 GB in {} MB by eight doors: {} MB more than before", bomb.len() / 1_000_000, grown / 1_000_000);
    assert!(grown <= 32 << 20, "{grown}");
    service.stop();
}

/// R13: connections that drip a byte in ten seconds, and ones that send nothing: the service answers others at once, and cuts them after 30 seconds.
#[test]
fn senders_that_hang_are_cut_and_hold_nobody_up() {
    let idle = setting("MESHWARDEN_CONNECTIONS", 1000);
    let drippers = idle / 5;
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &["--grpc", "off", "--otlp-http", "off"]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/idle.py");
    let words = [script, service.address(), &drippers.to_string(), &idle.to_string(), "45"].map(str::to_owned);
    let output = Command::new("python3").args(words).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("{said}");
    assert_eq!(said["cut"], said["all"], "{said}");
    assert!(said["asked"].as_u64().unwrap() > 100, "{said}");
    service.stop();
}

/// R14: more senders than the service has room for: who is refused is told when to come back, and what was acknowledged is there (L = 0), once.
#[test]
fn overload_is_refused_in_order() {
    const SENDERS: usize = 12;
    let seconds = setting("MESHWARDEN_OVERLOAD_SECONDS", 10);
    // what a release build does not take in ten seconds, and what a debug build can
    let lines = if seconds > 60 { 40_000 } else { 2_000 };
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &["--grpc", "off", "--otlp-http", "off"]);
    let address = service.address().to_owned();
    let (known, stop, refused, taken) =
        (Known::default(), AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (address, known, stop, refused, taken) = (&address, &known, &stop, &refused, &taken);
            scope.spawn(move || {
                for request in 0_u64.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let ids: Vec<String> = (0..lines).map(|n| format!("{sender}-{request}-{n}")).collect();
                    let body: String =
                        ids.iter().zip(0..).map(|(id, n)| line(id, request * lines + n) + "\n").collect();
                    known.sent(&ids);
                    loop {
                        let path = if sender % 2 == 0 { "/api/v1/ingest" } else { "/services/collector/raw" };
                        let answer =
                            post_bytes(address, path, &format!("idempotency-key: {}\r\n", ids[0]), body.as_bytes());
                        match answer {
                            Some(answer) if answer.status == 200 => {
                                known.acknowledged(&ids);
                                taken.fetch_add(body.len(), Ordering::Relaxed);
                                break;
                            }
                            Some(answer) => {
                                assert!(matches!(answer.status, 429 | 503), "{}", answer.text);
                                assert!(
                                    answer.text.to_ascii_lowercase().contains("\r\nretry-after: "),
                                    "{}",
                                    answer.text
                                );
                                refused.fetch_add(1, Ordering::Relaxed);
                            }
                            // its patience is over: it sends again, under its key
                            None => {}
                        }
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                    }
                }
            });
        }
        std::thread::sleep(Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
    });
    let taken = taken.load(Ordering::Relaxed) as f64 / 1e6;
    let (memory, refused) = (peak(&service) / 1_000_000, refused.load(Ordering::Relaxed));
    service.stop();
    let what = format!(
        "{SENDERS} senders for {seconds} s: {taken:.0} MB taken, {:.1} MB/s, {refused} refusals, {memory} MB resident",
        taken / began.elapsed().as_secs_f64()
    );
    check(folder.path(), known, &what);
}
