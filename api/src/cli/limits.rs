//! How many files and connections the process may have open: as many as the system lets it, whatever its parent was content with.

/// Files that are not connections: the tables' and the journal's, and those that are followed.
const FILES: u64 = 2048;
/// Most connections of the API; each proxies' door has a sixth of them besides.
const CONNECTIONS: u64 = 16_384;

/// Raises the soft limit of open files to the hard one; how many connections the API's door may have then.
pub(super) fn connections() -> usize {
    let files = open_files().unwrap_or(1024);
    // by small limits, half of it; of what is left three quarters, for the proxies' two doors have an eighth each
    let left = files - FILES.min(files / 2);
    usize::try_from((left / 4 * 3).clamp(64, CONNECTIONS)).unwrap_or(64)
}

#[cfg(unix)]
fn open_files() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // what has no limit has one all the same
    let raised = maximum.unwrap_or(1 << 20);
    if current.is_some_and(|current| current >= raised) {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }) {
        Ok(()) => Some(raised),
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised");
            current
        }
    }
}

#[cfg(not(unix))]
fn open_files() -> Option<u64> {
    None
}
