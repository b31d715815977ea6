//! R2: a crash at every named place, twice in a row. What was acknowledged is there afterwards (L = 0), and nothing is there twice (D = 0).

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::client::post;
use super::killed::{Known, check, line, line_at, send};
use super::service::Service;
use super::{command, text};

/// What a process does that dies at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// It serves senders.
    Serving,
    /// It starts after a crash.
    Starting,
    /// `store compact`.
    Compacting,
    /// `store retain`.
    Retaining,
    /// It serves, and removes what was compacted.
    Tidying,
}

fn doing(place: &str) -> Doing {
    match place.split_once('.').unwrap() {
        ("journal", "renewed" | "replayed") => Doing::Starting,
        ("compact", _) => Doing::Compacting,
        ("retain", _) => Doing::Retaining,
        ("vacuum", _) => Doing::Tidying,
        _ => Doing::Serving,
    }
}

/// One folder on which processes die at one place.
struct Victim<'v> {
    place: &'v str,
    data: &'v Path,
    config: &'v str,
    known: Known,
    round: usize,
}

impl Victim<'_> {
    fn command(&self, args: &[&str], dies: bool) -> Command {
        let mut command = command(args);
        command.args(["--data", self.data.to_str().unwrap()]);
        if dies {
            command.env("MESHWARDEN_CRASH_AT", self.place);
        }
        command
    }

    fn serve(&self, dies: bool) -> Command {
        self.command(&["serve", "--listen", "127.0.0.1:0", "--config", self.config], dies)
    }

    /// Senders send to it until it has ended, or for that long.
    fn load(&mut self, service: &mut Service, most: Duration) -> Option<ExitStatus> {
        self.round += 1;
        let (address, stop, begun) = (service.address().to_owned(), AtomicBool::new(false), Instant::now());
        std::thread::scope(|scope| {
            for sender in 0..2 {
                let (address, stop, known, round) = (&address, &stop, &self.known, self.round);
                // with a key, and without
                scope.spawn(move || send(address, round, sender * 2, known, stop));
            }
            let mut ended = None;
            while ended.is_none() && begun.elapsed() < most {
                std::thread::sleep(Duration::from_millis(5));
                ended = service.ended();
            }
            stop.store(true, Ordering::Relaxed);
            ended
        })
    }

    /// A life that takes some lines in, of two days, and one that is none; it ends in order or not.
    fn life(&mut self, in_order: bool) {
        let mut service = Service::spawn(&mut self.serve(false)).unwrap_or_else(|(said, _)| panic!("{said}"));
        assert_eq!(post(service.address(), "/api/v1/ingest", "", "nonsense\n").unwrap().status, 200);
        // only what is old enough may be deleted
        let old: String = (0..5).map(|n| line_at("old", 946_684_800_000_000 + n, 0) + "\n").collect();
        if doing(self.place) == Doing::Retaining {
            assert_eq!(post(service.address(), "/api/v1/ingest", "", &old).unwrap().status, 200);
        }
        self.load(&mut service, Duration::from_millis(50));
        let (round, next_day) = (self.round, 86_400_000);
        let ids: Vec<String> = (0..3).map(|n| format!("next-day-{round}-{n}")).collect();
        let body: String = ids.iter().map(|id| line(id, next_day) + "\n").collect();
        self.known.sent(&ids);
        assert_eq!(post(service.address(), "/api/v1/ingest", "", &body).unwrap().status, 200);
        self.known.acknowledged(&ids);
        match in_order {
            true => service.stop(),
            false => service.kill(),
        }
    }

    fn store(&self, what: &str, dies: bool) -> ExitStatus {
        let mut command = self.command(&["store", what], dies);
        if what == "retain" {
            command.args(["--config", self.config]);
        }
        command.output().unwrap().status
    }

    /// A process that dies at the place; how it ended.
    fn die(&mut self) -> Option<ExitStatus> {
        let doing = doing(self.place);
        match doing {
            Doing::Serving | Doing::Starting => self.life(false),
            Doing::Compacting | Doing::Retaining | Doing::Tidying => (0..2).for_each(|_| self.life(true)),
        }
        match doing {
            Doing::Compacting => Some(self.store("compact", true)),
            Doing::Retaining => Some(self.store("retain", true)),
            Doing::Starting => Service::spawn(&mut self.serve(true)).err().map(|(_, status)| status),
            Doing::Serving | Doing::Tidying => {
                if doing == Doing::Tidying {
                    assert!(self.store("compact", false).success());
                }
                match Service::spawn(&mut self.serve(true)) {
                    Ok(mut service) => self.load(&mut service, Duration::from_secs(30)),
                    Err((_, status)) => Some(status),
                }
            }
        }
    }
}

fn crash_at(place: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (data, config) = (folder.path().join("data"), folder.path().join("meshwarden.toml"));
    let text_of = "[store]\nflush_seconds = 1\nkeep_old_files_seconds = 0\n[retention]\naccess_logs_days = 3650\n";
    std::fs::write(&config, text_of).unwrap();
    let mut victim = Victim { place, data: &data, config: config.to_str().unwrap(), known: Known::default(), round: 0 };
    for time in 1..=2 {
        let ended = victim.die().unwrap_or_else(|| panic!("{place} was never reached"));
        // SIGABRT
        assert_eq!(ended.signal(), Some(6), "{place}, time {time}: {ended}");
    }
    // afterwards it works as ever
    let mut service = Service::spawn(&mut victim.serve(false)).unwrap_or_else(|(said, _)| panic!("{said}"));
    assert_eq!(victim.load(&mut service, Duration::from_millis(300)), None);
    service.stop();
    assert!(victim.store("retain", false).success());
    let verified = victim.command(&["store", "verify"], false).output().unwrap();
    assert!(verified.status.success(), "{place}: {}", text(&verified.stdout));
    check(&data, victim.known, place);
}

#[test]
fn a_crash_at_every_place_twice_in_a_row() {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        // most of the time they wait
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(place) = ingest::crash::PLACES.get(next.fetch_add(1, Ordering::Relaxed)) {
                    crash_at(place);
                }
            });
        }
    });
}
