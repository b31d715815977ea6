//! Passwords in the user's part of a URL: `https://user:password@host/`.

use std::ops::Range;

use super::VALUE;

/// Longest user's part that is looked at, bytes: a bound for the time.
const LONGEST: usize = 1024;

/// What stands between the `:` and the `@` behind a `//`.
pub(super) fn passwords(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let starts = memchr::memmem::find_iter(text, b"://").map(|at| at + 3);
    starts.filter_map(move |start| password(text, start))
}

/// The same of an authority, which has no scheme before it.
pub(super) fn of_host(host: &[u8]) -> Option<Range<usize>> {
    password(host, 0)
}

fn password(text: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = text.get(start..(start + LONGEST).min(text.len()))?;
    let part = rest.get(
        ..rest
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\\' | 0..=b' '))
            .unwrap_or(rest.len()),
    )?;
    let end = memchr::memrchr(b'@', part)?;
    let colon = memchr::memchr(b':', part.get(..end)?)?;
    let password = start + colon + 1..start + end;
    (!password.is_empty() && text.get(password.clone()) != Some(VALUE.as_bytes())).then_some(password)
}
