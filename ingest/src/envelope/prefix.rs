//! Envelopes that put words before the line.
//!
//! ```text
//! CRI                    2026-11-22T14:39:24.727123456Z stdout F <line>
//! kubectl --timestamps   2026-11-22T14:39:24.727123456Z <line>
//! kubectl --prefix       [pod/NAME/CONTAINER] <line>
//! stern                  NAME CONTAINER <line>          or NAMESPACE NAME CONTAINER <line>
//! Ambassador             ACCESS [2026-...
//! ```
//!
//! The first byte decides which of them is tried, and a bare line's first byte is hardly ever one of these. CRI says itself what
//! it is; what is weaker is taken for an envelope only before the start of a record.

use std::borrow::Cow;

use super::node::name;
use super::pieces::Stream;
use super::{Envelope, Layer, Node, Opened, Piece};
use crate::ztunnel::starts_with_level;

/// `<time> stdout|stderr F|P <rest>`, else `<time> <record>`.
pub(super) fn timed(line: &[u8]) -> Layer<'_> {
    let Some(after) = after_time(line) else { return Layer::bare() };
    let Some(rest) = after.strip_prefix(b" ") else { return Layer::bare() };
    let written = line.get(..line.len() - after.len()).and_then(|time| std::str::from_utf8(time).ok());
    if let Some((stream, rest)) = stream(rest)
        && let Some((goes_on, content)) = flag(rest)
    {
        return Layer::Opened(Opened {
            content: Cow::Borrowed(content),
            envelope: Envelope::Cri,
            node: Node::default(),
            written: written.map(Cow::Borrowed),
            piece: Some(Piece { stream, goes_on }),
        });
    }
    match begins_record(rest) {
        true => Layer::Opened(Opened { written: written.map(Cow::Borrowed), ..opened(rest, Node::default()) }),
        false => Layer::bare(),
    }
}

/// `[pod/NAME/CONTAINER] <line>`. `[2026-...] "GET` begins with a bracket, too.
pub(super) fn kubectl(line: &[u8]) -> Layer<'_> {
    let parts = line.strip_prefix(b"[pod/").and_then(|rest| {
        let end = memchr::memchr(b']', rest)?;
        let (names, rest) = (rest.get(..end)?, rest.get(end + 1..)?.strip_prefix(b" ")?);
        let (pod, container) = std::str::from_utf8(names).ok()?.split_once('/')?;
        (is_name(pod) && is_name(container)).then_some((pod, container, rest))
    });
    match parts {
        Some((pod, container, rest)) => Layer::Opened(opened(rest, node(None, pod, container))),
        None => Layer::bare(),
    }
}

/// How the record in an envelope of weak words begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// As JSON and the default formats do.
    Known,
    /// Anyhow: the mesh has a format of its own. The words have to say more, then.
    Anyhow,
}

/// The container that logs for a pod, a gateway or a waypoint of Istio's.
const PROXY: &str = "istio-proxy";

/// Two or three names, then the start of a record; before a record of any kind the last name has to be that of Istio's container.
pub(super) fn stern(line: &[u8], begin: Begin) -> Layer<'_> {
    let is_last = |container: &str, rest: &[u8]| match begin {
        Begin::Known => begins_record(rest),
        Begin::Anyhow => container == PROXY,
    };
    let Some((first, rest)) = word(line) else { return Layer::bare() };
    let Some((second, rest)) = word(rest) else { return Layer::bare() };
    if is_last(second, rest) {
        return Layer::Opened(opened(rest, node(None, first, second)));
    }
    match word(rest) {
        Some((third, rest)) if is_last(third, rest) => Layer::Opened(opened(rest, node(Some(first), second, third))),
        _ => Layer::bare(),
    }
}

/// `ACCESS [...`, or `ACCESS` before a record of any kind.
pub(super) fn ambassador(line: &[u8], begin: Begin) -> Layer<'_> {
    match line.strip_prefix(b"ACCESS ") {
        Some(rest) if begin == Begin::Anyhow || rest.starts_with(b"[") => Layer::Opened(opened(rest, Node::default())),
        _ => Layer::bare(),
    }
}

fn opened<'t>(content: &'t [u8], node: Node<'t>) -> Opened<'t> {
    Opened { content: Cow::Borrowed(content), envelope: Envelope::Prefix, node, written: None, piece: None }
}

fn node<'t>(namespace: Option<&'t str>, pod: &'t str, container: &'t str) -> Node<'t> {
    let named = |text: &'t str| name(Cow::Borrowed(text));
    Node { pod: named(pod), namespace: namespace.and_then(named), container: named(container), ..Node::default() }
}

fn stream(rest: &[u8]) -> Option<(Stream, &[u8])> {
    if let Some(rest) = rest.strip_prefix(b"stdout ") {
        return Some((Stream::Stdout, rest));
    }
    Some((Stream::Stderr, rest.strip_prefix(b"stderr ")?))
}

/// `F` or `P`, perhaps with further tags behind a colon, and what follows the blank: whether the line goes on, and the piece.
fn flag(rest: &[u8]) -> Option<(bool, &[u8])> {
    let (flag, rest) = rest.split_first()?;
    let goes_on = match flag {
        b'F' => false,
        b'P' => true,
        _ => return None,
    };
    let content = match rest {
        // an empty line whose blanks were trimmed
        [] => rest,
        [b' ', content @ ..] => content,
        [b':', ..] => memchr::memchr(b' ', rest).map_or(&[][..], |end| rest.get(end + 1..).unwrap_or_default()),
        _ => return None,
    };
    Some((goes_on, content))
}

/// What follows an RFC 3339 time, which needs no more than its positions: whoever reads a time out of a line checks it.
fn after_time(line: &[u8]) -> Option<&[u8]> {
    let fixed = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    let digits = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18];
    let at = |at: usize| line.get(at).copied().unwrap_or(0);
    if fixed.into_iter().any(|(place, byte)| at(place) != byte)
        || digits.into_iter().any(|place| !at(place).is_ascii_digit())
    {
        return None;
    }
    let mut end = 19;
    if at(end) == b'.' {
        end += 1;
        let decimals = (0..9).take_while(|n| at(end + n).is_ascii_digit()).count();
        end += decimals;
    }
    match at(end) {
        b'Z' => line.get(end + 1..),
        b'+' | b'-' if at(end + 3) == b':' => line.get(end + 6..),
        _ => None,
    }
}

/// Whether a record starts here: JSON, Istio's text format (or Ambassador's prefix of it), or one of ztunnel's lines (with tabs, or a terminal's blanks).
pub(super) fn begins_record(line: &[u8]) -> bool {
    let text = line.strip_prefix(b"ACCESS ").unwrap_or(line);
    match text {
        [b'{', b'"', ..] => true,
        [b'[', second, third, ..] => second.is_ascii_digit() && third.is_ascii_digit(),
        _ => after_time(line).is_some_and(|rest| {
            let next = rest.trim_ascii_start();
            rest.starts_with(b"\t") || (next.len() < rest.len() && (stream(next).is_some() || starts_with_level(next)))
        }),
    }
}

/// A word that can be the name of a Kubernetes object, and what follows the blank after it.
fn word(line: &[u8]) -> Option<(&str, &[u8])> {
    // no name is longer
    let window = line.get(..=253).unwrap_or(line);
    let end = memchr::memchr(b' ', window)?;
    let word = std::str::from_utf8(line.get(..end)?).ok()?;
    is_name(word).then_some((word, line.get(end + 1..)?))
}

fn is_name(word: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    word.bytes().all(inside) && edge(word.bytes().next()) && edge(word.bytes().last())
}
