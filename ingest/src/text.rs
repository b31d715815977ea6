//! Istio's default text format, and the older ones of Istio and Envoy.
//!
//! ```text
//! [time] "METHOD PATH PROTOCOL" CODE FLAGS DETAILS TERMINATION "FAILURE" RECEIVED SENT DURATION UPSTREAM_TIME   head
//! "FORWARDED_FOR" "USER_AGENT" "REQUEST_ID" "AUTHORITY" "UPSTREAM_HOST"                                         quoted
//! CLUSTER UPSTREAM_LOCAL DOWNSTREAM_LOCAL DOWNSTREAM_REMOTE SERVER_NAME ROUTE                                   tail
//! ```
//!
//! Envoy does not escape quotes inside a header's value, so a caller can write something that looks like another part of
//! the line. Fields must never shift, and a caller must not be able to turn its line into a reject at will. A caller can
//! add separators, never take one away; what it writes stands in the path (head), between the quotes, or in the server
//! name (tail). So:
//!
//! - The head is the one place where the request can end and the rest of a head follow. If there are more, method and
//!   tail are sure, and what all readings say alike; the rest of the head and the quoted fields are null, and `extra`
//!   keeps all of it under `ambiguous_request`. A denial in one of the readings is one.
//! - The tail starts behind a quoted address, with a cluster and three addresses. Envoy writes all of these. If there is
//!   one such place, they are what they seem, whatever else the line says. If there are more, only the head is read, and
//!   `extra` keeps all that follows it under `ambiguous_quoted`.
//! - What stands between must split into exactly five fields. If not, the upstream host is still the last of them; the
//!   others are null, and `extra` keeps them, raw, under `ambiguous_quoted`.
//! - A server name with blanks or quotes cannot be told from the route: both are null, `ambiguous_server_name` keeps them.
//!
//! Whichever of these it is, the row has the signal `ambiguous`.
//!
//! Older heads: Istio 1.8 has only `"FAILURE"` after the flags, Istio 1.4 to 1.7 `"MIXER" "FAILURE"`, Istio 1.1 to 1.3
//! only `"MIXER"` (and no ROUTE), Istio 1.0 and Envoy neither (and Envoy's own default ends after UPSTREAM_HOST).

mod head;

use std::borrow::Cow;

use crate::address::{self, Address};
use crate::fields::{Field, Fields, is_null, json_string};
use crate::key::{Key, KeySet};
use crate::reject::{Refusal, RejectReason};
use head::{Head, Heads, Middle};

/// Where `extra` keeps the text from the request on where it could end in several places, up to the upstream host.
const AMBIGUOUS_REQUEST: &str = "ambiguous_request";

/// Where `extra` keeps quoted fields that a header's quotes made ambiguous.
const AMBIGUOUS_QUOTED: &str = "ambiguous_quoted";

/// Where `extra` keeps a server name and a route that cannot be told apart.
const AMBIGUOUS_SERVER_NAME: &str = "ambiguous_server_name";

/// Reads a line that starts with `[`.
pub(crate) fn parse<'a>(line: &'a str, fields: &mut Fields<'a>) -> Result<(), Refusal> {
    let heads = Heads::parse(line)?;
    let ambiguous = !heads.others.is_empty();
    let mut rest = Rest::parse(heads.rest)?;
    if ambiguous {
        rest.forget_headers(heads.request);
    }
    let head = &heads.first;
    let alike = |value: for<'h> fn(&'h Head<'a>) -> &'h &'a str| {
        let sure = heads.others.iter().all(|other| value(other) == value(head));
        if sure { *value(head) } else { "-" }
    };
    set(fields, Key::StartTime, head.time);
    set(fields, Key::Method, head.method);
    set(fields, Key::Path, alike(|head| &head.path));
    set(fields, Key::Protocol, alike(|head| &head.protocol));
    set(fields, Key::ResponseCode, alike(|head| &head.code));
    set(fields, Key::ResponseFlags, alike(|head| &head.flags));
    for (place, key) in NUMBERS.into_iter().enumerate() {
        let number = |head: &Head<'a>| head.numbers.get(place).copied();
        let sure = heads.others.iter().all(|other| number(other) == number(head));
        set(fields, key, number(head).filter(|_| sure).unwrap_or("-"));
    }
    match ambiguous {
        false => set_middle(fields, head.middle, &rest),
        true => heads.others.iter().chain([head]).for_each(|head| note_middle(fields, head.middle)),
    }
    for (key, value) in QUOTED.into_iter().zip(rest.quoted) {
        set(fields, key, value);
    }
    for (key, value) in TAIL.into_iter().zip(&rest.tail) {
        set(fields, key, value);
    }
    for (name, raw) in rest.ambiguous {
        fields.doubt();
        fields.keep(Cow::Borrowed(name), json_string(raw));
    }
    Ok(())
}

/// What stands between the flags and the numbers.
fn set_middle<'a>(fields: &mut Fields<'a>, middle: Middle<'a>, rest: &Rest<'a>) {
    let mut mixer = None;
    match middle {
        Middle::None => {}
        Middle::Details { details, termination, failure } => {
            set(fields, Key::ResponseCodeDetails, details);
            set(fields, Key::ConnectionTerminationDetails, termination);
            set(fields, Key::UpstreamTransportFailureReason, failure);
        }
        // Istio 1.1 to 1.3 and 1.8 look alike here; only the latter logs a route
        Middle::One(status) if rest.tail.len() < TAIL.len() => mixer = Some(status),
        Middle::One(failure) => set(fields, Key::UpstreamTransportFailureReason, failure),
        Middle::Two(status, failure) => {
            mixer = Some(status);
            set(fields, Key::UpstreamTransportFailureReason, failure);
        }
    }
    if let Some(status) = mixer.filter(|status| !is_null(status)) {
        fields.keep(Cow::Borrowed("istio_policy_status"), json_string(status));
    }
}

/// The same of one of several readings: nothing is sure, but a denial counts.
fn note_middle<'a>(fields: &mut Fields<'a>, middle: Middle<'a>) {
    if let Middle::Details { details, termination, failure } = middle {
        for (key, value) in [
            (Key::ResponseCodeDetails, details),
            (Key::ConnectionTerminationDetails, termination),
            (Key::UpstreamTransportFailureReason, failure),
        ] {
            fields.carry(KeySet::EMPTY.with(key));
            fields.repeat(key, Cow::Borrowed(value));
        }
    }
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

/// What follows the head's last quote.
struct Rest<'a> {
    /// Those that are ambiguous are null.
    quoted: [&'a str; 5],
    /// 6; 5 without a route; 0 in Envoy's own default, or where it is ambiguous.
    tail: Vec<&'a str>,
    /// Name and text of what could not be told apart.
    ambiguous: Vec<(&'static str, &'a str)>,
    /// Bytes from the quote that opens the upstream host to the line's end; 0 where it is ambiguous.
    from_host: usize,
}

impl<'a> Rest<'a> {
    fn parse(rest: &'a str) -> Result<Rest<'a>, Refusal> {
        // past the quotes of address and tail; each is looked at with a bounded number of words, so the whole is linear
        let mut splits = rest.match_indices('"').filter_map(|(at, _)| Split::at(rest, at));
        let split = splits
            .next()
            .ok_or_else(|| bad("no upstream host followed by cluster, three addresses, server name and route"))?;
        if splits.next().is_some() {
            let ambiguous = vec![(AMBIGUOUS_QUOTED, rest)];
            return Ok(Rest { quoted: ["-"; 5], tail: Vec::new(), ambiguous, from_host: 0 });
        }
        let mut ambiguous = Vec::new();
        let quoted = match headers(split.headers) {
            Some([forwarded_for, agent, id, authority]) => [forwarded_for, agent, id, authority, split.host],
            None if split.headers.matches(BETWEEN).count() < 3 && !split.headers.contains(OVERLAPPING) => {
                return Err(bad("fewer than five quoted fields"));
            }
            None => {
                ambiguous.push((AMBIGUOUS_QUOTED, split.headers));
                ["-", "-", "-", "-", split.host]
            }
        };
        let mut tail = Vec::new();
        if let Some((words, names)) = split.tail {
            tail.extend(words);
            // server name and route; Istio up to 1.3 has no route
            let mut parts = names.split(' ');
            match (parts.next(), parts.next(), parts.next()) {
                (Some(sni), route, None) if !sni.is_empty() && !names.contains('"') => {
                    tail.push(sni);
                    tail.extend(route);
                }
                _ => {
                    tail.extend(["-", "-"]);
                    ambiguous.push((AMBIGUOUS_SERVER_NAME, names));
                }
            }
        }
        Ok(Rest { quoted, tail, ambiguous, from_host: rest.len() - split.host_at })
    }

    /// Where the request's end is not sure, neither is the first quoted field's start: what precedes the upstream host is kept as it is.
    fn forget_headers(&mut self, request: &'a str) {
        let text = request.get(..request.len().saturating_sub(self.from_host)).unwrap_or(request);
        let [.., host] = self.quoted;
        self.quoted = ["-", "-", "-", "-", host];
        self.ambiguous.retain(|(name, _)| *name == AMBIGUOUS_SERVER_NAME);
        self.ambiguous.push((AMBIGUOUS_REQUEST, text));
    }
}

/// One way to read what follows the head: the quote at `at` ends the upstream host.
struct Split<'a> {
    /// The first four quoted fields, without the first quote and the last.
    headers: &'a str,
    host: &'a str,
    /// Where the quote that opens it is.
    host_at: usize,
    /// Cluster and three addresses, and what follows them; `None` in Envoy's own default.
    tail: Option<([&'a str; 4], &'a str)>,
}

impl<'a> Split<'a> {
    fn at(rest: &'a str, at: usize) -> Option<Split<'a>> {
        // the end of a header: the next one opens, and no cluster begins with a quote
        if rest.as_bytes().get(at + 1..at + 3) == Some(b" \"") {
            return None;
        }
        let (quoted, tail) = rest.split_at_checked(at)?;
        let tail = match tail.strip_prefix('"')? {
            "" => None,
            tail => Some(addresses(tail)?),
        };
        let (headers, host) = quoted.rsplit_once('"')?;
        let host_at = headers.len();
        let headers = headers.strip_suffix("\" ")?;
        is_address(host).then_some(Split { headers, host, host_at, tail })
    }
}

/// Cluster and addresses of a tail, and what follows.
fn addresses(tail: &str) -> Option<([&str; 4], &str)> {
    let mut words = tail.strip_prefix(' ')?.splitn(5, ' ');
    let mut word = || words.next();
    let (cluster, upstream_local, local, remote, names) = (word()?, word()?, word()?, word()?, word()?);
    let fits = !cluster.is_empty()
        && !cluster.contains('"')
        && !names.is_empty()
        && [upstream_local, local, remote].into_iter().all(is_address);
    fits.then_some(([cluster, upstream_local, local, remote], names))
}

const BETWEEN: &str = "\" \"";

/// Two separators that overlap: which of them is one cannot be told.
const OVERLAPPING: &str = "\" \" \"";

/// The four quoted fields before the upstream host, if there is one way to tell them apart.
fn headers(quoted: &str) -> Option<[&str; 4]> {
    // a blank and a quote at the end would overlap with the separator before the host
    if quoted.contains(OVERLAPPING) || quoted.ends_with("\" ") {
        return None;
    }
    let mut parts = quoted.split(BETWEEN);
    let four = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(four)
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
