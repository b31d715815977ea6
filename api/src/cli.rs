//! The command line: what a person types, and the exit code they get.
//!
//! ```text
//!  demo · scan ──▶ read files ─▶ core in memory ─▶ findings, summary, report (─▶ HTTP)
//!  serve       ──▶ core on a folder ─▶ HTTP, detection, deliveries, until SIGTERM
//!  sql         ──▶ one query over files or a folder
//!  store       ──▶ what a service's folder holds, and tidying it up
//!  format      ──▶ the log format, for Istio and for plain Envoy
//!  doctor      ──▶ what a log or a mesh's configuration lets detections see
//! ```
//! Exit codes: 0 done · 1 `--fail-on` hit, or `store verify` found a flaw · 2 bad usage or configuration, or not everything was looked at · 3 nothing readable · 130 ended by a signal. Data goes to stdout, talk to stderr.

mod args;
mod decode;
mod demo;
mod doctor;
mod error;
mod format;
mod leave;
mod limits;
mod scan;
mod serve;
mod signals;
mod sql;
mod store;

use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};

use crate::clock::Clock;
use crate::render;
pub use args::Cli;
use args::Command;
pub(crate) use error::{CliError, Exit};

/// Where the program gets the time from.
pub(crate) type SharedClock = Arc<dyn Clock>;

/// Parses the command line, runs the command, and ends the process with how it went. `now` is the one clock of the program.
pub fn main(now: &'static (dyn Fn() -> chrono::DateTime<chrono::Utc> + Send + Sync)) -> ! {
    leave::leave(run(now))
}

/// Runs what the command line says; the exit code.
fn run(now: &'static (dyn Fn() -> chrono::DateTime<chrono::Utc> + Send + Sync)) -> u8 {
    let cli = match Cli::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // a closed pipe is the reader's choice, not a failure
            let _ = error.print();
            return if asked { 0 } else { 2 };
        }
    };
    crate::logging::init(&cli.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            render::say(format_args!("meshwarden: the runtime could not be started: {error}"));
            return 2;
        }
    };
    let clock: SharedClock = Arc::new(now);
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Demo(args) => demo::run(args, clock).await,
            Command::Scan(args) => scan::run(args, clock).await,
            Command::Serve(args) => serve::run(args, clock).await,
            Command::Sql(args) => sql::run(args, clock).await,
            Command::Store(args) => store::run(args.command, clock).await,
            Command::Format(args) => format::run(&args),
            Command::Doctor(args) => doctor::run(args, clock).await,
        }
    });
    // a reader of stdin may still be blocked in the kernel
    runtime.shutdown_background();
    match outcome {
        Ok(Exit::Done) => 0,
        Ok(Exit::FailOn) => 1,
        Err(error) => {
            render::say(format_args!("meshwarden: {error}"));
            error.code()
        }
    }
}
