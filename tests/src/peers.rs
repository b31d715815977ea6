//! How fast meshwarden is beside others that can read access logs: same file, same core, same run.
//!
//! ```text
//!  traffic ─▶ files (page cache) ─▶ child per work × program × run, pinned ─▶ seconds, rows ─▶ medians ─▶ Markdown
//!                                    ├─ this program: meshwarden's decoder, arrow-json, the floor (UTF-8 and newlines)
//!                                    ├─ Python: DuckDB, chDB, Polars, DataFusion, from PyPI
//!                                    └─ zcat, and `meshwarden scan` itself
//! ```
//! ```text
//! cargo run --release -p tests --bin peers
//! ```
//! Programs take turns within a run, so that a slow minute of the machine is everybody's. A program measures itself around the work:
//! neither an interpreter's start nor imports count, but for `scan`, which is timed as the whole process it is. Where somebody reads
//! another number of rows, the work is not measured and the run fails. Where a peer has several ways to do the work, all are measured and the fastest counts.

mod child;
mod columns;
mod draw;
mod error;
mod files;
pub mod history;
pub mod load;
mod machine;
mod measure;
mod memory;
mod options;
mod programs;
mod python;
mod render;
mod senders;
mod service;
mod table;
mod times;
mod traffic;
mod works;

use chrono::{DateTime, Utc};

pub use child::child;
pub use error::PeersError;
pub use options::{Options, USAGE};

/// What was measured, as text.
#[derive(Debug)]
pub struct Outcome {
    /// The table or the JSON.
    pub report: String,
    /// Whether everything could be measured; the report says what could not.
    pub complete: bool,
}

/// Measures what `options` ask for. `now` is the date of the report. A work that fails, or in which somebody reads other rows than there are,
/// does not take the others with it.
///
/// # Errors
/// If a peer cannot be installed, or a file not made.
pub fn run(options: &Options, now: DateTime<Utc>) -> Result<Outcome, PeersError> {
    let bench = programs::Bench::set_up(options)?;
    let (mut works, mut failures) = (Vec::new(), Vec::new());
    for work in works::all(&bench, options)? {
        let name = work.name;
        match work.measure(options) {
            Ok(done) => works.push(done),
            Err(error) => failures.push((name, error)),
        }
    }
    let memory = match options.memory_bytes.map(|bytes| memory::measure(&bench, bytes)).transpose() {
        Ok(memory) => memory,
        Err(error) => {
            failures.push(("memory", error));
            None
        }
    };
    let complete = failures.is_empty();
    let report = table::Report { machine: machine::describe(&bench, now), works, memory, failures };
    Ok(Outcome { report: if options.json { report.json() } else { report.markdown() }, complete })
}
