//! `peers`: measures meshwarden beside DuckDB, chDB, Polars, DataFusion and arrow-json, and prints a table (see [`tests::peers`]).
//!
//! ```text
//! cargo run --release -p tests --bin peers
//! cargo run --release -p tests --bin peers -- --bytes 64M --runs 3 --only scan
//! cargo run --release -p tests --bin peers -- --only memory --memory-bytes 10G
//! ```
//! It installs the peers from PyPI into a cache folder, makes its files there, and builds `meshwarden` in release mode.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use tests::peers::{self, Options, Outcome, PeersError};

/// meshwarden's own, for its decoder; arrow-json gets it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match said(&arguments) {
        Ok(Outcome { report, complete }) => {
            // a child that wrote lines has nothing to add
            if !report.is_empty() {
                println!("{report}");
            }
            if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::disallowed_methods)] // the one place that reads the clock
fn said(arguments: &[String]) -> Result<Outcome, PeersError> {
    let text = |report| Outcome { report, complete: true };
    match arguments {
        [flag, work @ ..] if flag == "--child" => peers::child(work).map(text),
        [flag] if flag == "--help" => Ok(text(peers::USAGE.to_owned())),
        _ => peers::run(&Options::parse(arguments)?, chrono::Utc::now()),
    }
}
