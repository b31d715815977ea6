//! What can be run here: this program's own works, the Python peers, and `meshwarden` itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::columns;
use super::error::PeersError;
use super::files::{self, LogFile};
use super::machine;
use super::measure::{Invocation, Says};
use super::options::Options;
use super::python::{self, Python, READERS, Reader};
use crate::mesh::Format;
use crate::receivers::cache;

/// A program that does a work in one of its ways.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) peer: &'static str,
    /// Empty where there is only one.
    pub(super) way: &'static str,
    pub(super) file: LogFile,
    pub(super) invocation: Invocation,
}

/// What programs are made of.
#[derive(Debug)]
pub(super) struct Bench {
    /// This program.
    own: PathBuf,
    /// `None`: no peer of Python's is asked for.
    python: Option<Python>,
    /// Cores that may be used, by number.
    pub(super) cores: Vec<usize>,
    /// How busy the machine was before.
    pub(super) load: String,
    pub(super) folder: PathBuf,
}

impl Bench {
    /// Installs what is asked for.
    pub(super) fn set_up(options: &Options) -> Result<Self, PeersError> {
        let own = std::env::current_exe().map_err(PeersError::file("this program"))?;
        let wanted = READERS.iter().any(|reader| options.runs_peer(reader.peer));
        let python = wanted.then(Python::install).transpose()?;
        Ok(Self { own, python, cores: machine::cores(), load: machine::load(), folder: files::folder()? })
    }

    /// A work of `--child` on one core.
    pub(super) fn own(&self, peer: &'static str, way: &'static str, work: &str, file: &LogFile) -> Program {
        let words = vec![self.own.display().to_string(), "--child".to_owned(), work.to_owned(), shown(&file.path)];
        self.program(peer, way, file, words, Says::Itself, 1)
    }

    /// Every way of every Python peer to read a file, on one core.
    pub(super) fn readers(&self, format: Format, file: &LogFile) -> Vec<Program> {
        let columns = columns::of(format);
        let ways = READERS.iter().flat_map(|reader| reader.ways.iter().map(move |way| (reader, way)));
        ways.map(|(reader, way)| {
            let words = python::read(reader.script, file, way, &columns);
            self.program(reader.peer, way, file, words, Says::Itself, 1)
        })
        .collect()
    }

    /// A Python peer's work in one way, on one core.
    pub(super) fn python(&self, reader: &Reader, format: Format, file: &LogFile, way: &'static str) -> Program {
        let words = python::read(reader.script, file, way, &columns::of(format));
        self.program(reader.peer, way, file, words, Says::Itself, 1)
    }

    /// `zcat` on one core.
    pub(super) fn zcat(&self, file: &LogFile) -> Program {
        self.program("zcat", "", file, vec!["zcat".to_owned(), shown(&file.path)], Says::Nothing, 1)
    }

    /// `meshwarden scan` and DuckDB's translation of it, on two cores.
    pub(super) fn scans(&self, file: &LogFile) -> Result<[Program; 2], PeersError> {
        let words = vec![shown(&self.meshwarden()?), "scan".to_owned(), shown(&file.path)];
        let words = words.into_iter().chain(["--output", "ndjson"].map(str::to_owned)).collect();
        Ok([
            self.program("meshwarden", "", file, words, Says::Findings, 2),
            self.program("duckdb", "", file, python::scan(file, 2.min(self.cores.len())), Says::Counts, 2),
        ])
    }

    /// `meshwarden scan -` on two cores, and what feeds it `bytes`.
    pub(super) fn fed_scan(&self, bytes: u64) -> Result<(Invocation, Vec<String>), PeersError> {
        let words = vec![shown(&self.meshwarden()?), "scan".to_owned(), "-".to_owned()];
        let feed = vec![shown(&self.own), "--child".to_owned(), "write".to_owned(), bytes.to_string()];
        Ok((self.invocation("meshwarden scan -".to_owned(), words, Says::Findings, 2), feed))
    }

    fn program(
        &self,
        peer: &'static str,
        way: &'static str,
        file: &LogFile,
        words: Vec<String>,
        says: Says,
        cores: usize,
    ) -> Program {
        Program { peer, way, file: file.clone(), invocation: self.invocation(name(peer, way), words, says, cores) }
    }

    /// The last cores are the quietest: interrupts go to the first.
    fn invocation(&self, name: String, words: Vec<String>, says: Says, cores: usize) -> Invocation {
        let used = self.cores.iter().rev().take(cores).map(usize::to_string).collect::<Vec<_>>().join(",");
        let env = self.python.as_ref().map(|python| python.env(cores)).unwrap_or_default();
        Invocation { name, words, env, cores: used, says }
    }

    /// The release binary, beside this one. Under `cargo run` it is built if it is not up to date.
    fn meshwarden(&self) -> Result<PathBuf, PeersError> {
        let path = self.own.with_file_name("meshwarden");
        if let Some(cargo) = std::env::var_os("CARGO") {
            let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
            let mut build = Command::new(cargo);
            build.args(["build", "--quiet", "--release", "-p", "api", "--manifest-path"]).arg(manifest);
            cache::run(&mut build, b"")?;
        }
        if path.is_file() { Ok(path) } else { Err(PeersError::NoMeshwarden { path }) }
    }
}

/// `duckdb (arrow)`.
fn name(peer: &str, way: &str) -> String {
    if way.is_empty() { peer.to_owned() } else { format!("{peer} ({way})") }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
