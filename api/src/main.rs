//! The `meshwarden` program: hands the command line to [`api::cli`] and its outcome to the shell.

use std::process::ExitCode;

#[allow(clippy::disallowed_methods)] // the one place that reads the clock
fn main() -> ExitCode {
    api::cli::main(&chrono::Utc::now)
}
