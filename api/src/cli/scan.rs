//! `meshwarden scan`: findings in files or on stdin, nothing kept.

use query::store::StoreOptions;
use query::{Core, CoreOptions, Keep};

use super::SharedClock;
use super::args::{FindingsOutput, ScanArgs};
use super::error::{CliError, Exit};
use crate::render;
use crate::scan::{Scanned, scan};

/// Bytes of suspicious rows that stay in memory; more go to a temporary folder.
const IN_MEMORY: usize = 16 << 20;

pub(crate) async fn run(args: ScanArgs, clock: SharedClock) -> Result<Exit, CliError> {
    let store = StoreOptions { flush_bytes: IN_MEMORY, ..StoreOptions::default() };
    let options = CoreOptions { detections: args.detect.detections.clone(), store, ..CoreOptions::default() };
    // what is suspicious in a large input does not fit into memory
    let folder = tempfile::Builder::new().prefix("meshwarden-scan-").tempdir();
    let folder = folder.map_err(|source| CliError::Write { what: "a temporary folder".to_owned(), source })?;
    let core = Core::in_passing(folder.path(), Keep::Suspicious, options).await?;
    let scanned = scan(&core, &args.paths, args.decode.options()?, clock.as_ref()).await?;
    match args.output {
        FindingsOutput::Table => {
            render::print_with(|out| render::findings_table(&scanned.findings, out))?;
            render::print(&render::summary(&scanned))?;
        }
        FindingsOutput::Ndjson => {
            render::print_with(|out| render::findings_ndjson(&scanned.findings, out))?;
            eprint!("{}", render::summary(&scanned));
        }
    }
    if let Some(path) = &args.report {
        std::fs::write(path, crate::report::html(&scanned))
            .map_err(|source| CliError::Write { what: format!("the report {}", path.display()), source })?;
        eprintln!("report: {}", path.display());
    }
    readable(&scanned)?;
    let Some(severity) = args.fail_on else { return Ok(Exit::Done) };
    if scanned.findings.iter().any(|finding| finding.severity >= severity) {
        return Ok(Exit::FailOn);
    }
    // nothing that severe was found, which says something only if everything was looked at
    scanned.incomplete().map_or(Ok(Exit::Done), |reason| Err(CliError::Incomplete(reason)))
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
