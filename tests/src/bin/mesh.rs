//! `mesh`: runs the mesh of real Envoys once and keeps its access logs and the truth about them.
//!
//! ```text
//! cargo run -p tests --bin mesh -- --out DIR [--minutes N] [--check]
//! ```
//!
//! Writes `recommended.jsonl`, `istio-default.jsonl`, `istio-default.log` and `planted.json` into DIR, and prints the
//! truth as Markdown. Without `--minutes` the run is as fast as it can; with it, the traffic is spread over N minutes.
//! With `--check`, the logs are counted against the truth before the end.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::{path::PathBuf, process::ExitCode};

use tests::mesh::{self, Format, Pace};

const USAGE: &str = "usage: mesh --out DIR [--minutes N] [--check]";

#[tokio::main]
async fn main() -> ExitCode {
    match keep().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn keep() -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { out, pace, check } = arguments()?;
    std::fs::create_dir_all(&out)?;
    let started = std::time::Instant::now();
    let run = mesh::run(pace, None).await?;
    for format in Format::ALL {
        std::fs::write(format.file_in(&out), run.logs.stream(format))?;
    }
    let truth = serde_json::to_string_pretty(&mesh::truth(&run.planted, &run.lookalikes))?;
    std::fs::write(out.join("planted.json"), truth + "\n")?;
    println!("{}", mesh::markdown(&run.planted, &run.lookalikes));
    if check {
        mesh::check(&run)?;
    }
    let lines = run.logs.recommended.iter().filter(|byte| **byte == b'\n').count();
    eprintln!("{lines} lines a format in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

struct Arguments {
    out: PathBuf,
    pace: Pace,
    check: bool,
}

fn arguments() -> Result<Arguments, Box<dyn std::error::Error>> {
    let (mut out, mut pace, mut check) = (None, Pace::Fast, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--check" => check = true,
            "--out" => out = Some(PathBuf::from(arguments.next().ok_or(USAGE)?)),
            "--minutes" => {
                let minutes = arguments.next().ok_or(USAGE)?;
                let parsed = minutes.parse().map_err(|_| format!("{minutes:?} is no number of minutes; {USAGE}"))?;
                pace = Pace::Minutes(parsed);
            }
            _ => return Err(format!("unknown argument {argument:?}; {USAGE}").into()),
        }
    }
    Ok(Arguments { out: out.ok_or(USAGE)?, pace, check })
}
