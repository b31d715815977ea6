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

use tests::peers::{self, Options};

/// meshwarden's own, for its decoder; arrow-json gets it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match said(&arguments) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::disallowed_methods)] // the one place that reads the clock
fn said(arguments: &[String]) -> Result<String, peers::PeersError> {
    match arguments {
        [flag, work @ ..] if flag == "--child" => peers::child(work),
        [flag] if flag == "--help" => Ok(peers::USAGE.to_owned()),
        _ => peers::run(&Options::parse(arguments)?, chrono::Utc::now()),
    }
}
