//! `meshwarden scan`: findings in files or on stdin, nothing kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use query::store::StoreOptions;
use query::{Core, CoreOptions, Keep};

use super::SharedClock;
use super::args::{FindingsOutput, ScanArgs};
use super::error::{CliError, Exit};
use super::leave::leave;
use super::signals::{ENDED, Signals};
use crate::render;
use crate::scan::{Scanned, scan};

/// Bytes of suspicious rows that stay in memory; more go to a temporary folder.
const IN_MEMORY: usize = 16 << 20;

/// How often it is tried to remove a folder into which a thread may still be writing, and how long to wait between.
const REMOVALS: usize = 50;
const BETWEEN_REMOVALS: Duration = Duration::from_millis(20);

pub(crate) async fn run(args: ScanArgs, clock: SharedClock) -> Result<Exit, CliError> {
    let cannot = |what: &str, source| CliError::Write { what: what.to_owned(), source };
    // what is suspicious in a large input does not fit into memory
    let folder = tempfile::Builder::new().prefix("meshwarden-scan-").tempdir();
    let folder = folder.map_err(|source| cannot("a temporary folder", source))?;
    let signals = Signals::caught().map_err(|source| cannot("signal handlers", source))?;
    // a task of its own: whoever reads what is printed may keep this one waiting
    let told = tokio::spawn(end_when_told(signals, folder.path().to_owned()));
    let outcome = scan_into(folder.path(), args, clock).await;
    told.abort();
    outcome
}

/// Ends the process at a signal. Rows name people: they must not stay behind.
async fn end_when_told(mut signals: Signals, folder: PathBuf) {
    signals.next().await;
    render::say("meshwarden: ended by a signal before the scan was through; nothing is kept");
    let mut left = REMOVALS;
    while let Err(error) = std::fs::remove_dir_all(&folder)
        && error.kind() != std::io::ErrorKind::NotFound
        && left > 0
    {
        left -= 1;
        tokio::time::sleep(BETWEEN_REMOVALS).await;
    }
    leave(ENDED);
}

async fn scan_into(folder: &Path, args: ScanArgs, clock: SharedClock) -> Result<Exit, CliError> {
    let store = StoreOptions { flush_bytes: IN_MEMORY, ..StoreOptions::default() };
    let options = CoreOptions { detections: args.detect.detections.clone(), store, ..CoreOptions::default() };
    let core = Core::in_passing(folder, Keep::Suspicious, options).await?;
    let scanned = scan(&core, &args.paths, args.decode.options()?, clock.as_ref()).await?;
    let incomplete = scanned.incomplete();
    match args.output {
        FindingsOutput::Table => {
            render::print_with(|out| render::findings_table(&scanned.findings, scanned.doubt().as_deref(), out))?;
            render::print(&render::summary(&scanned))?;
        }
        FindingsOutput::Ndjson => {
            render::print_with(|out| render::findings_ndjson(&scanned.findings, out))?;
            render::say(render::summary(&scanned));
        }
    }
    if let Some(path) = &args.report {
        std::fs::write(path, crate::report::html(&scanned))
            .map_err(|source| CliError::Write { what: format!("the report {}", path.display()), source })?;
        render::say(format_args!("report: {}", path.display()));
    }
    readable(&scanned)?;
    if args.fail_on.is_some_and(|severity| scanned.findings.iter().any(|finding| finding.severity >= severity)) {
        return Ok(Exit::FailOn);
    }
    // what was found or not found says something only if everything was looked at; a verdict is on every line that may be an access log
    let incomplete = incomplete.or_else(|| args.fail_on.and_then(|_| scanned.unread_lines()));
    incomplete.map_or(Ok(Exit::Done), |reason| Err(CliError::Incomplete(reason)))
}

/// An input of which nothing could be decoded is no clean bill of health.
pub(crate) fn readable(scanned: &Scanned) -> Result<(), CliError> {
    if scanned.rows > 0 {
        return Ok(());
    }
    Err(CliError::Nothing(match (scanned.read, scanned.rejected) {
        (0, _) => "no file could be opened".to_owned(),
        (_, 0) => "the input holds no line".to_owned(),
        (_, rejected) => format!(
            "none of {rejected} lines is an access log; see the reasons above, and 'meshwarden scan --help' for other key names"
        ),
    }))
}
