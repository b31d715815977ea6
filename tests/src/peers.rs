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
//! neither an interpreter's start nor imports count, but for `scan`, which is timed as the whole process it is. Whoever reads another number
//! of rows fails the run. Where a peer has several ways to do the work, all are measured and the fastest counts.

mod child;
mod columns;
mod draw;
mod error;
mod files;
mod machine;
mod measure;
mod memory;
mod options;
mod programs;
mod python;
mod render;
mod table;
mod traffic;
mod works;

use chrono::{DateTime, Utc};

pub use child::child;
pub use error::PeersError;
pub use options::{Options, USAGE};

/// Measures what `options` ask for and returns the report. `now` is its date.
///
/// # Errors
/// If a program cannot be installed, fails, or reads other rows than the rest.
pub fn run(options: &Options, now: DateTime<Utc>) -> Result<String, PeersError> {
    let bench = programs::Bench::set_up(options)?;
    let mut measured = Vec::new();
    for work in works::all(&bench, options)? {
        measured.push(work.measure(options)?);
    }
    let memory = options.memory_bytes.map(|bytes| memory::measure(&bench, bytes)).transpose()?;
    let report = table::Report { machine: machine::describe(&bench, now), works: measured, memory };
    Ok(if options.json { report.json() } else { report.markdown() })
}
