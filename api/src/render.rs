//! What commands print: tables for people, NDJSON and CSV for programs.

mod findings;
mod rows;
mod summary;

use std::io::Write;

pub(crate) use findings::{findings_ndjson, findings_table, who};
pub(crate) use rows::{RowsError, rows_csv, rows_ndjson, rows_table};
pub(crate) use summary::summary;

use crate::cli::CliError;

/// Writes to stdout. A reader that closed the pipe has seen enough: no error.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CliError::Write { what: "stdout".to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Text from a log line as it may be shown on a terminal: control characters, which could move the cursor or rewrite the
/// screen, become visible escapes.
pub(crate) fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}
