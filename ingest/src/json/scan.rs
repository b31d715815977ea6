//! Bounds of a JSON line, checked before anything is parsed: how deep it nests, and that every `\u` escape of a
//! surrogate has its other half (the parser skips values it does not decode, and `extra` must be readable by all).

use crate::reject::{Refusal, RejectReason};

/// Passes over the line once. It does not say that the line is JSON: the parser does.
pub(crate) fn check(line: &str, max_nesting: usize) -> Result<(), Refusal> {
    let mut depth = 0usize;
    let mut in_string = false;
    // the last escape was the first half of a surrogate pair, and nothing came since
    let mut half = false;
    let mut rest = line.as_bytes();
    loop {
        if in_string && !half {
            // within a string only its end and escapes matter
            let next = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            rest = rest.get(next..).unwrap_or_default();
        }
        let Some((byte, after)) = rest.split_first() else { break };
        rest = after;
        if !in_string {
            match byte {
                b'"' => in_string = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > max_nesting {
                let detail = format!("nested deeper than {max_nesting} levels (max_nesting)");
                return Err(Refusal::new(RejectReason::NestingTooDeep, detail));
            }
            continue;
        }
        let unit = match byte {
            b'\\' => {
                let unit = utf16_unit(rest);
                // whatever is escaped does not end the string
                rest = rest.get(1..).unwrap_or_default();
                unit
            }
            b'"' => {
                in_string = false;
                None
            }
            _ => None,
        };
        let second = matches!(unit, Some(0xdc00..=0xdfff));
        if second != half {
            return Err(Refusal::new(RejectReason::NotJson, "a \\u escape is half of a surrogate pair"));
        }
        half = match unit {
            Some(0xd800..=0xdbff) => {
                // past the digits, so that the next turn sees what follows the escape
                rest = rest.get(4..).unwrap_or_default();
                true
            }
            _ => false,
        };
    }
    Ok(())
}

/// The value of an escape `uXXXX` (the backslash is gone).
fn utf16_unit(escape: &[u8]) -> Option<u32> {
    let digits = escape.strip_prefix(b"u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn nesting() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert_eq!(check(&nested(64), 64), Ok(()));
        assert_eq!(check(&nested(65), 64).unwrap_err().reason, RejectReason::NestingTooDeep);
        assert_eq!(check(r#"{"a":"[[[[[[\"[[[[["}"#, 1), Ok(()));
        assert_eq!(check("]]]]{", 1), Ok(()));
    }

    #[test]
    fn surrogates() {
        for (line, fine) in [
            (r#""\ud83d\ude00""#, true),
            (r#""a\ud83d\ude00b\ud83d\ude00""#, true),
            (r#""\ud83d""#, false),
            (r#""\ude00""#, false),
            (r#""\ud83dx\ude00""#, false),
            (r#""\ud83d\ud83d\ude00""#, false),
            (r#""\\ud83d""#, true),
            (r#""\u0000\u00e9""#, true),
            (r#""\u""#, true),
            (r#"\ud83d"#, true),
            (r#""\"#, true),
        ] {
            assert_eq!(check(line, 9).is_ok(), fine, "{line}");
        }
    }
}
