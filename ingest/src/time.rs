//! Times of log lines, as microseconds since 1970 in UTC.

use chrono::DateTime;

/// The last microsecond of the year 9999. What is later (milliseconds taken for seconds, for example) is no time.
const LAST: i64 = 253_402_300_799_999_999;

/// Reads RFC 3339 (`2026-11-22T14:39:24.727Z`, any number of decimals) or seconds since 1970 (`1795358539.895`).
/// `None`: neither, or not of the years 1970 to 9999. Decimals beyond microseconds are cut off.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let micros = match text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        true => epoch_seconds(text)?,
        false => DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros(),
    };
    (0..=LAST).contains(&micros).then_some(micros)
}

/// When a line was written that started at `time`: `time` itself where the duration is missing, negative, or leads
/// past the year 9999.
pub(crate) fn ended_at(time: i64, duration_ms: Option<i64>) -> i64 {
    let duration = duration_ms.unwrap_or(0).max(0).checked_mul(1000);
    duration.and_then(|duration| time.checked_add(duration)).filter(|end| *end <= LAST).unwrap_or(time)
}

/// Digits, and at most nine decimals; exact, where a float would round.
fn epoch_seconds(text: &str) -> Option<i64> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if decimals.is_empty() || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = decimals.bytes().chain(std::iter::repeat(b'0')).take(6);
    let micros = digits.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0'));
    seconds.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(micros)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn times() {
        for (text, micros) in [
            ("2026-11-22T14:39:24.727Z", Some(1_795_358_364_727_000)),
            ("2026-11-22T14:39:24.727123Z", Some(1_795_358_364_727_123)),
            ("2026-11-22T14:39:24.727123999Z", Some(1_795_358_364_727_123)),
            ("2026-11-22T15:39:24+01:00", Some(1_795_358_364_000_000)),
            ("1795358539.895", Some(1_795_358_539_895_000)),
            ("1795358539.895123999", Some(1_795_358_539_895_123)),
            ("1795358539", Some(1_795_358_539_000_000)),
            ("0", Some(0)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("9999-12-31T23:59:59.999999Z", Some(LAST)),
            ("1969-12-31T23:59:59Z", None),
            ("-1", None),
            ("1795358539895", None),
            ("99999999999999999999999", None),
            ("1795358539.", None),
            (".5", None),
            ("1.2.3", None),
            ("1.7e9", None),
            ("", None),
            (".", None),
            ("yesterday", None),
            ("2026-13-01T00:00:00Z", None),
        ] {
            assert_eq!(parse(text), micros, "{text}");
        }
    }

    #[test]
    fn ends() {
        for (time, duration, end) in
            [(5, None, 5), (5, Some(2), 2005), (5, Some(-2), 5), (5, Some(i64::MAX), 5), (LAST, Some(1), LAST)]
        {
            assert_eq!(ended_at(time, duration), end, "{time} {duration:?}");
        }
    }
}
