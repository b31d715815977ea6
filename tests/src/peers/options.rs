//! The flags.

use super::error::PeersError;

/// What `--help` says.
pub const USAGE: &str = "\
usage: peers [--bytes N] [--runs N] [--only NAME]... [--memory-bytes N] [--json]
  --bytes N         size of the log files, such as 64M or 1G [default: 512M]
  --runs N          runs of each program; the median counts [default: 5]
  --only NAME       a work (decode-recommended, decode-istio, text, gzip, scan, table, memory) or a program (floor, arrow-json,
                    duckdb, polars, chdb, datafusion, zcat); may be given again; meshwarden itself always runs
  --memory-bytes N  also read so much through a pipe and report the memory of `meshwarden scan -`, such as 10G
  --json            every number as JSON instead of the table";

/// Names of works, in the order in which they are done.
pub(super) const WORKS: [&str; 7] = ["decode-recommended", "decode-istio", "text", "gzip", "scan", "table", "memory"];
/// Names of programs beside meshwarden.
pub(super) const PEERS: [&str; 7] = ["floor", "arrow-json", "duckdb", "polars", "chdb", "datafusion", "zcat"];

/// What to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of a log file, at least.
    pub bytes: u64,
    /// Runs of each program.
    pub runs: usize,
    /// Works to do; empty: all.
    pub works: Vec<String>,
    /// Peers to run; empty: all.
    pub peers: Vec<String>,
    /// Bytes that `meshwarden scan -` reads for its memory.
    pub memory_bytes: Option<u64>,
    /// Numbers instead of the table.
    pub json: bool,
}

impl Options {
    /// Reads the command line, without the program's name.
    ///
    /// # Errors
    /// If a flag is unknown, or a value is not what it takes.
    pub fn parse(arguments: &[String]) -> Result<Self, PeersError> {
        let (works, peers) = (Vec::new(), Vec::new());
        let mut options = Self { bytes: 512 << 20, runs: 5, works, peers, memory_bytes: None, json: false };
        let mut arguments = arguments.iter();
        while let Some(flag) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| PeersError::NoValue { flag: flag.clone() });
            match flag.as_str() {
                "--bytes" => options.bytes = size(flag, value()?)?,
                "--memory-bytes" => options.memory_bytes = Some(size(flag, value()?)?),
                "--runs" => {
                    let runs = value()?;
                    let parsed = runs.parse().ok().filter(|runs| *runs > 0);
                    options.runs = parsed.ok_or_else(|| PeersError::wrong(flag, runs, "a number from 1 on"))?;
                }
                "--only" => {
                    let name = value()?;
                    match name.as_str() {
                        work if WORKS.contains(&work) => options.works.push(name.clone()),
                        peer if PEERS.contains(&peer) => options.peers.push(name.clone()),
                        "meshwarden" => {}
                        _ => return Err(PeersError::wrong(flag, name, "the name of a work or of a program")),
                    }
                }
                "--json" => options.json = true,
                _ => return Err(PeersError::UnknownFlag { flag: flag.clone() }),
            }
        }
        Ok(options)
    }

    /// Whether a work is asked for.
    pub(super) fn does(&self, work: &str) -> bool {
        self.works.is_empty() || self.works.iter().any(|name| name == work)
    }

    /// Whether a program is asked for.
    pub(super) fn runs_peer(&self, peer: &str) -> bool {
        peer == "meshwarden" || self.peers.is_empty() || self.peers.iter().any(|name| name == peer)
    }
}

/// `4096`, `64K`, `512M`, `10G`: powers of 1024.
pub(super) fn size(flag: &str, text: &str) -> Result<u64, PeersError> {
    let units = [("K", 10), ("M", 20), ("G", 30)];
    let (digits, shift) =
        units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift))).unwrap_or((text, 0));
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift)).filter(|size| *size > 0);
    bytes.ok_or_else(|| PeersError::wrong(flag, text, "a size such as 64M or 10G"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words).map_err(|error| error.to_string())
    }

    #[test]
    fn flags() {
        let usual = parse("").unwrap();
        assert_eq!((usual.bytes, usual.runs, usual.memory_bytes, usual.json), (512 << 20, 5, None, false));
        assert!(usual.does("scan") && usual.runs_peer("duckdb"));

        let asked = parse("--bytes 64M --runs 3 --only scan --only duckdb --memory-bytes 10G --json").unwrap();
        assert_eq!((asked.bytes, asked.runs, asked.memory_bytes, asked.json), (64 << 20, 3, Some(10 << 30), true));
        assert!(asked.does("scan") && !asked.does("text"));
        assert!(asked.runs_peer("duckdb") && asked.runs_peer("meshwarden") && !asked.runs_peer("polars"));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, said) in [
            ("--bytes", "--bytes takes a value"),
            ("--bytes 12Q", "12Q"),
            ("--bytes 0", "a size such as"),
            ("--bytes 99999999999G", "a size such as"),
            ("--runs 0", "from 1 on"),
            ("--only sqlite", "sqlite"),
            ("--fast", "--fast"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
