//! The `meshwarden` program: hands the command line to [`api::cli`] and its outcome to the shell.

use std::process::ExitCode;

/// Batches come and go by the megabyte: the system's allocator would hand their pages back and fetch them again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[allow(clippy::disallowed_methods)] // the one place that reads the clock
fn main() -> ExitCode {
    api::cli::main(&chrono::Utc::now)
}
