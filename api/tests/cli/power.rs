//! R3, of everything that the service writes: journal, tables, keys, findings. Its file calls are recorded, and the power is cut after any of them;
//! what was acknowledged by then is there afterwards (L = 0), once (D = 0).
//!
//! ```text
//!  service under strace ─▶ calls (trace.rs) ─▶ a disk that forgets what nobody synced (disk.rs) ─▶ opened again, counted
//! ```
//! ```sh
//! MESHWARDEN_POWER_CUTS=100000 cargo test -p api --test cli power::    # after every call; 150 in the usual run
//! ```
//! It needs `strace`.

mod disk;
mod trace;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::intake::Intake;
use ingest::DecodeOptions;
use query::sql::Limits;
use query::{Core, CoreOptions};

use super::client::post;
use super::killed::line;
use super::service::Service;
use super::text;
use disk::{Cut, Disk};

/// What processes did on one folder.
struct Recorded {
    /// The folder.
    data: PathBuf,
    /// The calls of each process.
    processes: Vec<Vec<trace::Call>>,
    /// The ids in each request that was acknowledged, in order.
    requests: Vec<Vec<String>>,
}

fn strace(out: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-xx", "-s", "1000000000", "-e", trace::CALLS, "-e", "signal=none", "-o"]);
    command.arg(out).arg(env!("CARGO_BIN_EXE_meshwarden")).args(args);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MESHWARDEN_")) {
        command.env_remove(name);
    }
    command
}

fn record(folder: &Path) -> Recorded {
    let folder = folder.canonicalize().unwrap();
    let (data, config) = (folder.join("data"), folder.join("meshwarden.toml"));
    std::fs::write(&config, "[store]\nflush_seconds = 1\nkeep_old_files_seconds = 0\n").unwrap();
    let (data_text, config) = (data.to_str().unwrap(), config.to_str().unwrap());
    let (mut traces, mut requests) = (Vec::new(), Vec::new());
    for life in 0..3 {
        let out = folder.join(format!("serve-{life}"));
        let args = ["serve", "--data", data_text, "--listen", "127.0.0.1:0", "--config", config];
        let service = Service::spawn(&mut strace(&out, &args));
        let service = service.unwrap_or_else(|(said, status)| panic!("is strace there, and allowed? {status} {said}"));
        for request in 0..6 {
            let ids: Vec<String> = (0..3).map(|n| format!("{life}-{request}-{n}")).collect();
            let body: String = ids.iter().map(|id| line(id, 0) + "\n").collect::<String>() + "nonsense\n";
            let key = if request % 2 == 0 { format!("idempotency-key: {life}-{request}\r\n") } else { String::new() };
            let how = if request % 3 == 0 { "durable" } else { "queryable" };
            let answer = post(service.address(), &format!("/api/v1/ingest?ack={how}"), &key, &body).unwrap();
            assert!(matches!(answer.status, 200 | 202), "{}", answer.text);
            requests.push(ids);
            // a flush between some of them
            std::thread::sleep(Duration::from_millis(if request % 3 == 2 { 1300 } else { 10 }));
        }
        // in the middle of something, or in order
        if life == 1 {
            service.kill_traced()
        } else {
            service.stop()
        }
        traces.push(out);
        if life == 1 {
            let out = folder.join("compact");
            let compacted = strace(&out, &["store", "compact", "--data", data_text]).output().unwrap();
            assert!(compacted.status.success(), "{}", text(&compacted.stderr));
            traces.push(out);
        }
    }
    let calls = |out: &PathBuf| trace::calls(&std::fs::read_to_string(out).unwrap(), &folder);
    Recorded { data, processes: traces.iter().map(calls).collect(), requests }
}

/// A state of the disk, and how much had been acknowledged by then.
struct State {
    files: BTreeMap<PathBuf, Option<Vec<u8>>>,
    acknowledged: usize,
    /// For a person: after which call, and what the cut left.
    what: String,
}

/// Every state that a power cut may leave, each once.
fn states(recorded: Recorded) -> (Vec<State>, Vec<Vec<String>>, PathBuf, usize) {
    let Recorded { data, processes, requests } = recorded;
    let mut disk = Disk::with(data.parent().unwrap());
    let (mut states, mut acknowledged, mut seen, mut changes) = (Vec::new(), 0, HashSet::new(), 0);
    for (process, calls) in processes.into_iter().enumerate() {
        disk.restart();
        for (number, call) in calls.into_iter().enumerate() {
            if matches!(call, trace::Call::Acknowledged) {
                acknowledged += 1;
            }
            let shown = format!("{call:?}").chars().take(150).collect::<String>();
            let changed = disk.apply(call);
            changes += usize::from(changed);
            if !changed {
                continue;
            }
            for cut in [Cut::Nothing, Cut::Names, Cut::Some(number as u64), Cut::Some(number as u64 + 7919)] {
                let files = disk.after(cut);
                let mut hasher = DefaultHasher::new();
                (&files, acknowledged).hash(&mut hasher);
                if seen.insert(hasher.finish()) {
                    let what = format!("process {process}, call {number}, {cut:?}: {shown}");
                    states.push(State { files, acknowledged, what });
                }
            }
        }
    }
    assert_eq!(acknowledged, requests.len(), "the trace shows each answer");
    (states, requests, data, changes)
}

/// Puts a state on a disk, opens it as the service does, and compares.
async fn check(state: &State, requests: &[Vec<String>], recorded: &Path) {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let data = folder.path().join("data");
    for (path, content) in &state.files {
        let Ok(place) = path.strip_prefix(recorded) else { continue };
        match content {
            None => std::fs::create_dir_all(data.join(place)).unwrap(),
            Some(bytes) => std::fs::write(data.join(place), bytes).unwrap(),
        }
    }
    let what = &state.what;
    let core = Core::open(&data, CoreOptions::default()).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let core = Arc::new(core);
    let intake = Intake::open(core.clone(), Arc::new(DecodeOptions::default()), &data, Some(0)).await;
    let (_, recovery) = intake.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    assert_eq!((recovery.missing.len(), recovery.damaged.len()), (0, 0), "{what}: {recovery:?}");
    let rows = core.query("SELECT request_id, count(*) AS n FROM access_logs GROUP BY 1", Limits::default()).await;
    let rows = rows.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let mut found: BTreeMap<String, i64> = BTreeMap::new();
    for batch in &rows.batches {
        let shown =
            |column: usize, row: usize| arrow::util::display::array_value_to_string(batch.column(column), row).unwrap();
        found.extend((0..batch.num_rows()).map(|row| (shown(0, row), shown(1, row).parse().unwrap())));
    }
    let acknowledged: BTreeSet<&String> = requests.iter().take(state.acknowledged).flatten().collect();
    let lost: Vec<_> = acknowledged.iter().filter(|id| !found.contains_key(**id)).collect();
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count != 1).collect();
    assert!(lost.is_empty() && twice.is_empty(), "{what}: lost {lost:?}, twice {twice:?}");
    // a request is there as a whole, or not at all
    for request in requests {
        let there = request.iter().filter(|id| found.contains_key(*id)).count();
        assert!(there == 0 || there == request.len(), "{what}: {there} of {request:?}");
    }
    let rejects = core.query("SELECT count(*) AS n FROM rejects", Limits::default()).await.unwrap();
    let rejects = arrow::util::display::array_value_to_string(rejects.batches[0].column(0), 0).unwrap();
    assert_eq!(rejects.parse::<usize>().unwrap() * 3, found.len(), "{what}: a reject in each request");
}

#[test]
fn a_power_cut_after_any_call_loses_nothing_and_repeats_nothing() {
    let most: usize = std::env::var("MESHWARDEN_POWER_CUTS").map_or(150, |most| most.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (states, requests, data, changes) = states(record(folder.path()));
    assert!(changes > 200 && states.len() > changes, "{changes} changes, {} states", states.len());
    // evenly over the run, and not the same kind of cut each time
    let step = (states.len() / most).max(1);
    let chosen: Vec<&State> = states.iter().step_by(if step > 1 { step | 1 } else { 1 }).collect();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut runtime = tokio::runtime::Builder::new_multi_thread();
                let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
                while let Some(state) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let checked = std::panic::AssertUnwindSafe(|| runtime.block_on(check(state, &requests, &data)));
                    if let Err(panic) = std::panic::catch_unwind(checked) {
                        failed.lock().unwrap().push(panic.downcast_ref::<String>().cloned().unwrap_or_default());
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    println!(
        "{} requests, {changes} changes of files, {} states, {} of them opened again",
        requests.len(),
        states.len(),
        chosen.len()
    );
    assert!(failed.is_empty(), "{} of {} states:\n{}", failed.len(), chosen.len(), failed.join("\n"));
}
