//! What commands print: tables for people, NDJSON and CSV for programs.

mod findings;
mod rows;
mod summary;

use std::io::Write;

pub(crate) use findings::{findings_ndjson, findings_table, nothing_found, who};
pub(crate) use rows::{RowsError, rows_csv, rows_ndjson, rows_table};
pub(crate) use summary::{left_out, summary};

use crate::cli::CliError;

/// Writes to stdout. A reader that closed the pipe has seen enough: no error.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    print_with(|stdout| stdout.write_all(text.as_bytes()))
}

/// The same, piece by piece.
pub(crate) fn print_with(write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<(), CliError> {
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    match write(&mut stdout).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CliError::Write { what: "stdout".to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Says lines on stderr, if there are any. Who does not listen misses it: no error, and no panic, as `eprintln!` would.
pub(crate) fn say(lines: impl std::fmt::Display) {
    let lines = lines.to_string();
    let lines = lines.trim_end();
    let _ = if lines.is_empty() { Ok(()) } else { writeln!(std::io::stderr(), "{lines}") };
}

/// How many detections see how much, by [`query::detect::Sight::as_str`]: `3 of 5 evaluable, 1 degraded, 1 blind`.
pub(crate) fn tally<'s>(states: impl Iterator<Item = &'s str> + Clone) -> String {
    let of = |state: &str| states.clone().filter(|other| *other == state).count();
    let rest = ["degraded", "blind", "no data"].into_iter().filter(|state| of(state) > 0);
    let rest: String = rest.map(|state| format!(", {} {state}", of(state))).collect();
    format!("{} of {} evaluable{rest}", of("evaluable"), states.clone().count())
}

/// Text for people with `NAMESPACE/ACCOUNT` for every principal of the default trust domain (`cluster.local/ns/NAMESPACE/sa/ACCOUNT`). Data keeps
/// principals whole.
pub(crate) fn short(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("cluster.local/ns/") {
        out.push_str(before);
        rest = match after.split_once("/sa/") {
            // what stands before must not be the end of another trust domain's name
            Some((namespace, account)) if !namespace.contains(['/', ' ']) && !before.ends_with(['.', '-']) => {
                out.push_str(namespace);
                out.push('/');
                account
            }
            _ => {
                out.push_str("cluster.local/ns/");
                after
            }
        };
    }
    out.push_str(rest);
    out
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

#[cfg(test)]
mod tests {
    use super::{short, visible};

    #[test]
    fn principals_of_the_default_trust_domain_are_shortened() {
        for (text, shown) in [
            ("cluster.local/ns/bank/sa/pay", "bank/pay"),
            ("cluster.local/ns/a/sa/b was denied by cluster.local/ns/c/sa/d (x)", "a/b was denied by c/d (x)"),
            ("prod.example/ns/a/sa/b", "prod.example/ns/a/sa/b"),
            ("evil-cluster.local/ns/a/sa/b", "evil-cluster.local/ns/a/sa/b"),
            ("cluster.local/ns/a", "cluster.local/ns/a"),
            ("10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(short(text), shown);
        }
    }

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(visible("a\u{1b}[2Jb\u{202e}c"), "a\\u{1b}[2Jb\\u{202e}c");
    }
}
