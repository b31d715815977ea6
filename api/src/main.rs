//! The `meshwarden` program: hands the command line to [`api::cli`] and its outcome to the shell.

use std::process::ExitCode;

fn main() -> ExitCode {
    api::cli::main(&chrono::Utc::now)
}
