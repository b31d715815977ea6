//! Where bytes may be cut so that each part can be decoded by itself: behind a line, and not within a record that a container runtime cut into pieces.

use memchr::memrchr;

use crate::envelope::{Piece, piece_of};

/// Most bytes that wait for their record to be whole. What is longer is cut as it comes: it is refused as too long in any case.
pub(super) const MOST: usize = 16 << 20;

/// Lines that are looked at, from the last one back: the two streams of a container take turns.
const LOOKED_AT: usize = 256;

/// How many of these bytes are whole records; 0: none yet.
pub(super) fn whole(bytes: &[u8]) -> usize {
    let Some(last) = memrchr(b'\n', bytes) else { return if bytes.len() >= MOST { bytes.len() } else { 0 } };
    let (all, mut end) = (last + 1, last + 1);
    let mut from = end;
    let mut seen = Vec::new();
    for _ in 0..LOOKED_AT {
        let Some(line_end) = from.checked_sub(1) else { break };
        let begin = bytes.get(..line_end).and_then(|before| memrchr(b'\n', before)).map_or(0, |place| place + 1);
        let Some(line) = bytes.get(begin..line_end) else { break };
        match piece_of(line) {
            // no container's: what comes after it begins anew
            None => break,
            Some(Piece { stream, .. }) if seen.contains(&stream) => {}
            // what is left out has to be left out of all streams
            Some(Piece { goes_on: true, .. }) => {
                end = begin;
                seen.clear();
            }
            Some(Piece { stream, .. }) => seen.push(stream),
        }
        from = begin;
    }
    if end == 0 && bytes.len() >= MOST { all } else { end }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn cri(stream: &str, flag: &str, text: &str) -> String {
        format!("2026-11-22T14:39:24.727000000Z {stream} {flag} {text}\n")
    }

    #[test]
    fn behind_the_last_line() {
        assert_eq!((whole(b""), whole(b"ab"), whole(b"ab\n"), whole(b"ab\ncd")), (0, 0, 3, 3));
        assert_eq!(whole(&vec![b'a'; MOST]), MOST);
        assert_eq!(whole(b"{\"path\":\"/a\"}\n{\"path\""), 14);
    }

    #[test]
    fn not_within_a_record_in_pieces() {
        let (whole_line, first, last) = (cri("stdout", "F", "a"), cri("stdout", "P", "b"), cri("stdout", "F", "c"));
        let error = cri("stderr", "F", "warning");
        let cut = |parts: &[&str]| whole(parts.concat().as_bytes());
        assert_eq!(cut(&[&whole_line, &first]), whole_line.len());
        assert_eq!(cut(&[&first]), 0);
        assert_eq!(cut(&[&whole_line, &first, &last]), whole_line.len() + first.len() + last.len());
        // the other stream's line came between
        assert_eq!(cut(&[&whole_line, &first, &error]), whole_line.len());
        let begun = cri("stderr", "P", "x");
        assert_eq!(cut(&[&whole_line, &begun, &first, &error]), whole_line.len());
        assert_eq!(cut(&[&whole_line, &begun, &first, &whole_line]), whole_line.len());
        // docker's pieces have 16 KiB and no newline of their own
        let docker = |text: &str| {
            serde_json::json!({"log": text, "stream": "stdout", "time": "2026-11-22T14:39:24.727Z"}).to_string() + "\n"
        };
        let (piece, end) = (docker(&"x".repeat(16_384)), docker("y\n"));
        assert_eq!(cut(&[&end, &piece]), end.len());
        assert_eq!(cut(&[&end, &piece, &end]), 2 * end.len() + piece.len());
        // Fluent Bit and others say it
        let flagged =
            |flag: &str| serde_json::json!({"log": "x", "stream": "stdout", "logtag": flag}).to_string() + "\n";
        assert_eq!(cut(&[&flagged("F"), &flagged("P")]), flagged("F").len());
    }
}
