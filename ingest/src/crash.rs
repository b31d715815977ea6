//! Places where a test makes the program die, between two steps that a crash must not tear apart.
//!
//! ```text
//!  MESHWARDEN_CRASH_AT=access_logs.committed     a debug build aborts when it gets there; a release build knows nothing of it
//! ```
//! A place is named where it is passed, by what is done and how far it is. [`PLACES`] lists all, so that a test can go through them and notice one that
//! is never reached.

/// Every place, as `what.step`, in the order in which lines pass them. Flushes, rounds of detection and rewriting go on beside each other: a process may be
/// anywhere in the others when it dies at one of these.
pub const PLACES: [&str; 28] = [
    // a payload that was received
    "journal.begin",
    "journal.written",
    "journal.synced",
    "ingest.taken",
    // a flush: rejects, roll-ups, then access logs, then what the journal may forget
    "flush.begin",
    "rejects.files",
    "rejects.committed",
    "rejects.synced",
    "edges_1m.files",
    "edges_1m.committed",
    "edges_1m.synced",
    "coverage.saved",
    "access_logs.files",
    "access_logs.committed",
    "access_logs.synced",
    "keys.kept",
    "journal.forgets",
    "journal.forgot",
    // a start after a crash
    "journal.renewed",
    "journal.replayed",
    // files that become one, and what is deleted
    "compact.files",
    "compact.committed",
    "compact.done",
    "retain.files",
    "retain.committed",
    "retain.done",
    "vacuum.begin",
    "vacuum.removed",
];

/// Dies here, if this is the place that the environment names.
#[inline]
pub fn at(what: &str, step: &str) {
    #[cfg(debug_assertions)]
    if wanted().is_some_and(|(of, at)| of == what && at == step) {
        std::process::abort();
    }
    #[cfg(not(debug_assertions))]
    let _ = (what, step);
}

#[cfg(debug_assertions)]
fn wanted() -> Option<(&'static str, &'static str)> {
    static WANTED: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| std::env::var("MESHWARDEN_CRASH_AT").ok());
    WANTED.as_ref()?.split_once('.')
}
