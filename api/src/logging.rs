//! What the program says about itself: `tracing` events on stderr, never on stdout.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Unless asked for.
const DELTA: &str = "deltalake_core::kernel::transaction=off";

/// Starts logging with a filter such as `info,api=debug`; a filter that is none becomes `warn`, with a word about it.
pub fn init(filter: &str) {
    let parsed = EnvFilter::try_new(filter);
    let bad = parsed.is_err();
    let filter_used = parsed.unwrap_or_else(|_| EnvFilter::new("warn"));
    // what is wrong with a commit is said by who wants it, once it is known whether another writer was merely first
    let filter_used = match DELTA.parse() {
        Ok(quiet) if !filter.contains("deltalake") => filter_used.add_directive(quiet),
        _ => filter_used,
    };
    // a second start, in tests, keeps the first
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter_used)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // it would tell of them on stderr, and panic
        .log_internal_errors(false)
        .try_init();
    if bad {
        tracing::warn!(filter, "the log filter is not right, 'warn' is used: write it like info,api=debug");
    }
}
