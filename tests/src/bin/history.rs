//! `history`: what investigations in a large table cost, and a start on it (see [`tests::peers::history`]).
//!
//! ```text
//! cargo build --release && cargo run --release -p tests --bin history
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use tests::peers::history::{self, Options, USAGE};

/// meshwarden's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let said = match arguments.as_slice() {
        [flag] if flag == "--help" => Ok(USAGE.to_owned()),
        arguments => Options::parse(arguments).and_then(|options| history::run(&options)),
    };
    match said {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
