//! The `meshwarden` program: hands the command line, and the clock, to [`api::cli`].

/// Batches come and go by the megabyte: the system's allocator would hand their pages back and fetch them again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[allow(clippy::disallowed_methods)] // the one place that reads the clock
fn main() -> ! {
    api::cli::main(&chrono::Utc::now)
}
