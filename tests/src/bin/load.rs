//! `load`: how much the service takes in over HTTP, and how fast it answers (see [`tests::peers::load`]).
//!
//! ```text
//! cargo build --release && cargo run --release -p tests --bin load
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use tests::peers::load::{self, Options, USAGE};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let said = match arguments.as_slice() {
        [flag] if flag == "--help" => Ok(USAGE.to_owned()),
        arguments => Options::parse(arguments).and_then(|options| load::run(&options)),
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
