//! Istio's default text format, and the older ones of Istio and Envoy.
//!
//! ```text
//! [time] "METHOD PATH PROTOCOL" CODE FLAGS DETAILS TERMINATION "FAILURE" RECEIVED SENT DURATION UPSTREAM_TIME   head
//! "FORWARDED_FOR" "USER_AGENT" "REQUEST_ID" "AUTHORITY" "UPSTREAM_HOST"                                         quoted
//! CLUSTER UPSTREAM_LOCAL DOWNSTREAM_LOCAL DOWNSTREAM_REMOTE SERVER_NAME ROUTE                                   tail
//! ```
//!
//! Envoy does not escape quotes inside a header's value, so a caller can write something that looks like another part of
//! the line. Such a line must become the right row or a reject, never a row with shifted fields. So: the head is accepted
//! only if there is exactly one place where the request can end and the rest of a head follow; the quoted part reaches
//! from there to the last quote of the line and must split into exactly five, the last of them an address; the tail has a
//! fixed number of words, three of them addresses. A caller can add separators, never take one away: what it adds makes
//! the number wrong or a second head, and the line a reject.
//!
//! Older heads: Istio 1.8 has only `"FAILURE"` after the flags, Istio 1.4 to 1.7 `"MIXER" "FAILURE"`, Istio 1.1 to 1.3
//! only `"MIXER"` (and no ROUTE), Istio 1.0 and Envoy neither (and Envoy's own default ends after UPSTREAM_HOST).

mod head;

use std::borrow::Cow;

use crate::address::{self, Address};
use crate::fields::{Field, Fields, is_null, json_string};
use crate::key::{Key, KeySet};
use crate::reject::{Refusal, RejectReason};
use head::{Head, Middle};

/// Reads a line that starts with `[`.
pub(crate) fn parse(line: &str) -> Result<Fields<'_>, Refusal> {
    let (head, rest) = Head::parse(line)?;
    let (quoted, tail) = rest.rsplit_once('"').ok_or_else(|| bad("the quoted fields do not end"))?;
    let quoted = quoted_fields(quoted)?;
    let tail = Tail::parse(tail)?;

    let mut fields = Fields::new();
    let mut set = |key: Key, value| set(&mut fields, key, value);
    set(Key::StartTime, head.time);
    set(Key::Method, head.method);
    set(Key::Path, head.path);
    set(Key::Protocol, head.protocol);
    set(Key::ResponseCode, head.code);
    set(Key::ResponseFlags, head.flags);
    for (key, value) in NUMBERS.into_iter().zip(head.numbers) {
        set(key, value);
    }
    for (key, value) in QUOTED.into_iter().zip(quoted) {
        set(key, value);
    }
    for (key, value) in TAIL.into_iter().zip(&tail.words) {
        set(key, value);
    }
    let mut mixer = None;
    match head.middle {
        Middle::None => {}
        Middle::Details { details, termination, failure } => {
            set(Key::ResponseCodeDetails, details);
            set(Key::ConnectionTerminationDetails, termination);
            set(Key::UpstreamTransportFailureReason, failure);
        }
        // Istio 1.1 to 1.3 and 1.8 look alike here; only the latter logs a route
        Middle::One(status) if tail.words.len() < TAIL.len() => mixer = Some(status),
        Middle::One(failure) => set(Key::UpstreamTransportFailureReason, failure),
        Middle::Two(status, failure) => {
            mixer = Some(status);
            set(Key::UpstreamTransportFailureReason, failure);
        }
    }
    if let Some(status) = mixer.filter(|status| !is_null(status)) {
        fields.keep(Cow::Borrowed("istio_policy_status"), json_string(status));
    }
    Ok(fields)
}

const NUMBERS: [Key; 4] = [Key::BytesReceived, Key::BytesSent, Key::Duration, Key::UpstreamServiceTime];

const QUOTED: [Key; 5] = [Key::XForwardedFor, Key::UserAgent, Key::RequestId, Key::Authority, Key::UpstreamHost];

const TAIL: [Key; 6] = [
    Key::UpstreamCluster,
    Key::UpstreamLocalAddress,
    Key::DownstreamLocalAddress,
    Key::DownstreamRemoteAddress,
    Key::RequestedServerName,
    Key::RouteName,
];

fn set<'a>(fields: &mut Fields<'a>, key: Key, value: &'a str) {
    fields.carry(KeySet::EMPTY.with(key));
    if !is_null(value) {
        fields.set(key, Field { text: Cow::Borrowed(value), json: None, logged_as: None });
    }
}

/// What stands between the first quote and the last: exactly five fields.
fn quoted_fields(quoted: &str) -> Result<[&str; 5], Refusal> {
    const BETWEEN: &str = "\" \"";
    // `" " "` is two separators that overlap: which of them is one cannot be told
    if quoted.contains("\" \" \"") {
        return Err(bad("quotes in a header's value make the fields ambiguous"));
    }
    let parts: Vec<&str> = quoted.split(BETWEEN).collect();
    let found = parts.len();
    let parts: [&str; 5] = parts
        .try_into()
        .map_err(|_| bad(format!("{found} quoted fields where 5 are expected: a header with quotes?")))?;
    let [.., host] = parts;
    match is_address(host) {
        true => Ok(parts),
        false => Err(bad("the upstream host is no address: a header with quotes?")),
    }
}

/// What follows the last quote.
struct Tail<'a> {
    /// 6; 5 without a route; 0 in Envoy's own default.
    words: Vec<&'a str>,
}

impl<'a> Tail<'a> {
    fn parse(tail: &'a str) -> Result<Tail<'a>, Refusal> {
        if tail.is_empty() {
            return Ok(Tail { words: Vec::new() });
        }
        let words: Vec<&str> = tail.strip_prefix(' ').unwrap_or_default().split(' ').collect();
        match words.as_slice() {
            [cluster, upstream_local, local, remote, sni] | [cluster, upstream_local, local, remote, sni, _]
                if !cluster.is_empty()
                    && !sni.is_empty()
                    && [upstream_local, local, remote].into_iter().all(|address| is_address(address)) =>
            {
                Ok(Tail { words })
            }
            _ => Err(bad(format!(
                "after the upstream host: {} words where cluster, three addresses, server name and route are expected",
                words.len()
            ))),
        }
    }
}

/// An address, one of Envoy's own, a pipe, or none.
fn is_address(text: &str) -> bool {
    let pipe = text.starts_with(['/', '@']) && !text.contains([' ', '"']);
    text == "-" || pipe || (address::is_internal(text) && !text.contains([' ', '"'])) || Address::parse(text).is_some()
}

fn bad(detail: impl Into<String>) -> Refusal {
    Refusal::new(RejectReason::BadTextFormat, detail)
}

#[cfg(test)]
mod tests;
