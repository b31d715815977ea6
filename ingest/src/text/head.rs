//! The head of a text line, up to the quote that opens `"FORWARDED_FOR"`.
//!
//! A path may contain blanks and quotes, so every quote could end the request. The head is the one whose request ends
//! where the rest of a head follows; if there are two such places, there are two readings.

use super::bad;
use crate::reject::{Refusal, RejectReason};

const OTHER_FORMAT: &str =
    "neither Istio's default format nor Envoy's; another one is given by --format-string or --mesh-config";

/// The fields of the head, `-` where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) time: &'a str,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) protocol: &'a str,
    pub(super) code: &'a str,
    pub(super) flags: &'a str,
    pub(super) middle: Middle<'a>,
    /// Bytes received and sent, duration, upstream service time.
    pub(super) numbers: [&'a str; 4],
}

/// What stands between the flags and the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Middle<'a> {
    None,
    /// One quoted field.
    One(&'a str),
    /// Two quoted fields.
    Two(&'a str, &'a str),
    /// Istio from 1.9 on.
    Details {
        details: &'a str,
        termination: &'a str,
        failure: &'a str,
    },
}

/// What follows the request: code, flags, middle, numbers.
type Outcome<'a> = (&'a str, &'a str, Middle<'a>, [&'a str; 4]);

/// Every way to read the start of a line, at least one, and what follows the first one's last quote.
#[derive(Debug)]
pub(super) struct Heads<'a> {
    pub(super) first: Head<'a>,
    pub(super) others: Vec<Head<'a>>,
    /// From behind `[time] "` on.
    pub(super) request: &'a str,
    pub(super) rest: &'a str,
}

impl<'a> Heads<'a> {
    pub(super) fn parse(line: &'a str) -> Result<Heads<'a>, Refusal> {
        let (time, request) = (line.strip_prefix('['))
            .and_then(|rest| rest.split_once("] \""))
            .filter(|(time, _)| !time.contains([' ', '"', '[']))
            .ok_or_else(|| no_start(line))?;
        let mut heads = request.match_indices("\" ").filter_map(|(at, _)| {
            let (text, outcome) = request.split_at(at);
            let ((code, flags, middle, numbers), rest) = outcome.strip_prefix("\" ").and_then(outcome_of)?;
            let (method, path, protocol) = request_of(text)?;
            Some((Head { time, method, path, protocol, code, flags, middle, numbers }, rest))
        });
        let (first, rest) = heads.next().ok_or_else(|| bad(OTHER_FORMAT))?;
        Ok(Heads { first, others: heads.map(|(head, _)| head).collect(), request, rest })
    }
}

/// Why a line has no start. With a time in brackets it is what is left of an access log, without one it is something else.
fn no_start(line: &str) -> Refusal {
    let time = line.strip_prefix('[').and_then(|rest| rest.split(']').next()).and_then(crate::time::parse);
    let reason = if time.is_some() { RejectReason::BadTextFormat } else { RejectReason::NotAnAccessLog };
    Refusal::new(
        reason,
        "no `[time] \"` at its start, as Istio's and Envoy's default text has it; another format is given by --format-string or --mesh-config",
    )
}

/// `METHOD PATH PROTOCOL`; only the path may contain blanks. It may be empty: Istio logs `x-envoy-original-path` in its
/// place, whatever a caller puts there.
fn request_of(request: &str) -> Option<(&str, &str, &str)> {
    let (method, rest) = request.split_once(' ')?;
    let (path, protocol) = rest.rsplit_once(' ')?;
    let known = matches!(protocol, "-" | "HTTP/1.0" | "HTTP/1.1" | "HTTP/2" | "HTTP/3");
    (known && !method.is_empty() && !method.contains('"')).then_some((method, path, protocol))
}

/// `CODE FLAGS [middle] N N N N "`, and what follows.
fn outcome_of(text: &str) -> Option<(Outcome<'_>, &str)> {
    let (code, rest) = word(text)?;
    let (flags, rest) = word(rest)?;
    let flag = |flag: &str| !flag.is_empty() && flag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_number(code) || !(flags == "-" || flags.split(',').all(flag)) {
        return None;
    }
    let (middle, rest) = middle_of(rest)?;
    let (received, rest) = word(rest)?;
    let (sent, rest) = word(rest)?;
    let (duration, rest) = word(rest)?;
    let (upstream, rest) = word(rest)?;
    let numbers = [received, sent, duration, upstream];
    let rest = rest.strip_prefix('"')?;
    numbers.into_iter().all(is_number).then_some(((code, flags, middle, numbers), rest))
}

fn middle_of(text: &str) -> Option<(Middle<'_>, &str)> {
    if let Some((first, rest)) = quoted(text) {
        return Some(match quoted(rest) {
            Some((second, rest)) => (Middle::Two(first, second), rest),
            None => (Middle::One(first), rest),
        });
    }
    // either the numbers, or details and termination details: words before a quoted field. Of these only the details of
    // old Envoys hold blanks, inside braces.
    let (words, rest) = text.split_once('"')?;
    let words = words.strip_suffix(' ')?;
    if words.split(' ').count() == 4 && words.split(' ').all(is_number) {
        return Some((Middle::None, text));
    }
    let (details, termination) = words.rsplit_once(' ')?;
    let blanks = details.contains(' ') && !(details.contains('{') && details.ends_with('}'));
    let (failure, rest) = rest.split_once("\" ")?;
    (!blanks && !details.is_empty() && !termination.is_empty() && !failure.contains('"'))
        .then_some((Middle::Details { details, termination, failure }, rest))
}

/// A quoted field and what follows the blank after it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let (field, rest) = text.strip_prefix('"')?.split_once('"')?;
    Some((field, rest.strip_prefix(' ')?))
}

/// A word and what follows the blank after it.
fn word(text: &str) -> Option<(&str, &str)> {
    text.split_once(' ').filter(|(word, _)| !word.is_empty())
}

fn is_number(word: &str) -> bool {
    word == "-" || (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()))
}
