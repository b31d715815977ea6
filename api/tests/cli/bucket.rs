//! R16: two services on one table in an object store, an S3-speaking server (moto). They take lines in, are killed and started again, and compact the
//! same files, and of some commits the one that made them does not hear: nothing that either acknowledged is lost, nothing is there twice. Nor does a commit count
//! that arrives when its sender is dead and has started again.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tests::receivers::{BUCKET, Moto};

use super::client::post;
use super::killed::{Known, ids_of, judge, line, send};
use super::service::Service;
use super::{command, text};

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program that reaches the bucket.
fn reaching(moto: &Moto, args: &[&str]) -> Command {
    let mut command = command(args);
    // what other programs may call so is none of its settings
    command.envs([("ENDPOINT", "http://127.0.0.1:1"), ("REGION", "nowhere"), ("TOKEN", "none"), ("TIMEOUT", "1ms")]);
    command.envs(moto.environment());
    command
}

fn run(moto: &Moto, args: &[&str]) -> Output {
    let output = reaching(moto, args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    output
}

/// What a way to the server does with a request: it is told the first line, and how to have it carried out. `None`: nobody hears of the answer.
trait Pass: Fn(&str, &dyn Fn() -> io::Result<Vec<u8>>) -> io::Result<Option<Vec<u8>>> + Send + Sync + 'static {}
impl<F: Fn(&str, &dyn Fn() -> io::Result<Vec<u8>>) -> io::Result<Option<Vec<u8>>> + Send + Sync + 'static> Pass for F {}

/// A way to the server; answers where it is.
fn way(moto: &Moto, pass: impl Pass) -> String {
    let server = moto.environment()[0].1.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let pass = Arc::new(pass);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (server, pass) = (server.clone(), Arc::clone(&pass));
            // a connection that breaks is what this is for
            std::thread::spawn(move || client.and_then(|client| pass_on(client, &server, &*pass)));
        }
    });
    address
}

/// One request and its answer: the server closes the connection after it.
fn pass_on(mut client: TcpStream, server: &str, pass: &impl Pass) -> io::Result<()> {
    let (mut request, mut piece) = (Vec::new(), [0; 1 << 16]);
    let whole = |request: &[u8]| {
        let head = request.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        Some(head + length.unwrap_or(0))
    };
    while whole(&request).is_none_or(|length| request.len() < length) {
        match client.read(&mut piece)? {
            0 => return Ok(()),
            read => request.extend(&piece[..read]),
        }
    }
    let carry_out = || {
        let mut upstream = TcpStream::connect(server)?;
        upstream.write_all(&request)?;
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let first = String::from_utf8_lossy(&request[..request.len().min(300)]);
    match pass(first.lines().next().unwrap_or_default(), &carry_out)? {
        Some(answer) => client.write_all(&answer),
        None => Ok(()),
    }
}

fn is_commit(first: &str) -> bool {
    first.starts_with("PUT ") && first.contains("_delta_log/0")
}

fn start(moto: &Moto, data: &str, folder: &Path, name: &str, way: Option<&str>) -> Service {
    let (local, config) = (folder.join(name), folder.join("meshwarden.toml"));
    std::fs::write(&config, "[store]\nflush_seconds = 1\n").unwrap();
    let (local, config) = (local.to_str().unwrap(), config.to_str().unwrap());
    let args = ["serve", "--data", data, "--local", local, "--listen", "127.0.0.1:0", "--config", config];
    let mut command = reaching(moto, &args);
    command.env("MESHWARDEN_LOG", "info").envs(way.map(|way| ("AWS_ENDPOINT_URL", way)));
    Service::spawn(&mut command).unwrap_or_else(|(said, _)| panic!("{said}"))
}

#[test]
fn two_services_write_to_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let moto = Moto::start(folder.path()).unwrap();
    let data = format!("s3://{BUCKET}/some/prefix");
    let known = Known::default();
    // every second commit is carried out, and nobody hears of it
    let (commits, lost) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&lost);
    let way = way(&moto, move |first, carry_out| {
        let answer = carry_out()?;
        let lose = is_commit(first) && answer.starts_with(b"HTTP/1.1 200") && commits.fetch_add(1, Relaxed) % 2 == 1;
        counted.fetch_add(usize::from(lose), Relaxed);
        Ok((!lose).then_some(answer))
    });
    let both =
        || ["one", "two"].map(|name| start(&moto, &data, folder.path(), name, (name == "two").then_some(way.as_str())));
    for round in 0..3 {
        let [mut one, two] = both();
        let (stop, addresses) = (AtomicBool::new(false), [&one, &two].map(|service| service.address().to_owned()));
        std::thread::scope(|scope| {
            for sender in 0..4 {
                let (address, stop, known) = (&addresses[sender / 2], &stop, &known);
                // keys are each service's own: what one does not answer is not sent to the other
                scope.spawn(move || send(address, round, 2 + sender, known, stop));
            }
            std::thread::sleep(Duration::from_secs(3));
            one.kill();
            stop.store(true, Relaxed);
        });
        two.stop();
    }
    assert!(lost.load(Relaxed) > 0, "no commit's answer was lost");
    let [one, two] = both();
    // each sees what the other wrote
    let begun = Instant::now();
    while one.count() != two.count() || one.count() < 100 {
        if begun.elapsed() > PATIENCE {
            panic!("{} and {}\none: {}\ntwo: {}", one.count(), two.count(), one.said(), two.said());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    // one local folder has one writer
    let local = folder.path().join("one");
    let again = ["serve", "--data", &data, "--local", local.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let refused = reaching(&moto, &again).output().unwrap();
    assert!(text(&refused.stderr).contains("is in use by another meshwarden"), "{}", text(&refused.stderr));
    one.stop();
    two.stop();
    let staged = std::fs::read_dir(local.join("staging")).into_iter().flatten().count();
    assert_eq!(staged, 0, "what was not sent when it was killed, or ended, stays");

    let store = |command: &str| {
        let args = ["store", command, "--data", &data, "--local", local.to_str().unwrap(), "--output", "json"];
        serde_json::from_slice::<serde_json::Value>(&run(&moto, &args).stdout).unwrap()
    };
    let rows = |store: &serde_json::Value| store["tables"][0]["rows"].as_u64().unwrap();
    let before = store("status");
    assert_eq!(before["journal"]["waiting"], 0);
    let compacted = store("compact");
    assert_eq!((rows(&compacted), &compacted["tables"][0]["files"]), (rows(&before), &1.into()));
    let verified = store("verify");
    assert_eq!((rows(&verified), &verified["intact"]), (rows(&before), &true.into()));
    let rolled_up = run(&moto, &["sql", "SELECT sum(requests) AS n FROM edges_1m", "--data", &data, "--output", "csv"]);
    assert_eq!(text(&rolled_up.stdout), format!("n\n{}\n", rows(&before)));
    let lost = lost.load(Relaxed);
    let what = format!("two services in one bucket, three kills, {lost} commits of which one did not hear");
    judge(run(&moto, &ids_of(&data)), known, &what);
}

/// A commit that is still on its way when its sender is killed, and arrives when that one has started again, comes too late.
#[test]
fn a_commit_of_the_dead_comes_too_late() {
    let folder = tempfile::tempdir().unwrap();
    let moto = Moto::start(folder.path()).unwrap();
    let data = format!("s3://{BUCKET}/held");
    let (hold, (held, is_held), (release, released)) = (Arc::new(AtomicBool::new(false)), channel(), channel::<()>());
    let (late, answered) = channel();
    let (released, ends, armed) = (Mutex::new(released), Mutex::new((held, late)), Arc::clone(&hold));
    let way = way(&moto, move |first, carry_out| {
        if !is_commit(first) || !first.contains("/access_logs/") || !armed.swap(false, Relaxed) {
            return carry_out().map(Some);
        }
        ends.lock().unwrap().0.send(()).unwrap();
        released.lock().unwrap().recv().unwrap();
        let answer = carry_out()?;
        ends.lock().unwrap().1.send(String::from_utf8_lossy(&answer).into_owned()).unwrap();
        Ok(None)
    });
    let mut one = start(&moto, &data, folder.path(), "one", Some(&way));
    hold.store(true, Relaxed);
    let body: String = (0..100).map(|number| line(&format!("held-{number}"), number) + "\n").collect();
    assert_eq!(post(one.address(), "/api/v1/ingest?ack=durable", "", &body).map(|answer| answer.status), Some(202));
    is_held.recv_timeout(PATIENCE).unwrap();
    one.kill();
    let one = start(&moto, &data, folder.path(), "one", None);
    release.send(()).unwrap();
    let answer = answered.recv_timeout(PATIENCE).unwrap();
    assert!(answer.starts_with("HTTP/1.1 412"), "{answer}");
    // by those who read the bucket
    let count = ["sql", "SELECT count(*) AS n FROM access_logs", "--data", &data, "--output", "csv"];
    let (begun, mut counted) = (Instant::now(), String::new());
    while counted != "n\n100\n" {
        counted = text(&run(&moto, &count).stdout).to_owned();
        assert!(begun.elapsed() < PATIENCE, "{counted}; it said: {}", one.said());
        std::thread::sleep(Duration::from_millis(100));
    }
    one.stop();
}

#[test]
fn what_is_no_store_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let moto = Moto::start(folder.path()).unwrap();
    let local = folder.path().to_str().unwrap();
    let nothing = format!("s3://{BUCKET}/nothing");
    for (args, reason) in [
        (vec!["sql", "SELECT 1", "--data", &nothing], "holds no meshwarden data"),
        (vec!["serve", "--data", &nothing], "--local DIR"),
        (vec!["serve", "--data", "s3://no-such-bucket/x", "--local", local], "no-such-bucket"),
        (vec!["serve", "--data", local, "--local", local], "it needs no other"),
    ] {
        let output = reaching(&moto, &args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(reason), "{args:?}: {}", text(&output.stderr));
    }
}
