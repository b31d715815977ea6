//! Times of log lines, as microseconds since 1970 in UTC.

use chrono::DateTime;

/// The last microsecond of the year 9999. What is later (milliseconds taken for seconds, for example) is no time.
pub(crate) const LAST: i64 = 253_402_300_799_999_999;

/// Reads RFC 3339 (`2026-11-22T14:39:24.727Z`, any number of decimals) or seconds since 1970 (`1795358539.895`).
/// `None`: neither, or not of the years 1970 to 9999. Decimals beyond microseconds are cut off.
pub(crate) fn parse(text: &str) -> Option<i64> {
    if let Some(micros) = utc(text.as_bytes()) {
        return Some(micros);
    }
    let micros = match text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        true => epoch_seconds(text)?,
        false => DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros(),
    };
    (0..=LAST).contains(&micros).then_some(micros)
}

/// The form that Envoy writes, `2026-11-22T14:39:24.727Z` with up to nine decimals. `None`: another form, a leap second, or no time: the
/// general parser says which.
pub(crate) fn utc(text: &[u8]) -> Option<i64> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits
            .iter()
            .try_fold(0_i64, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
    };
    let fixed = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if text.last() != Some(&b'Z') || fixed.into_iter().any(|(at, byte)| text.get(at) != Some(&byte)) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return None,
    };
    if year < 1970 || day < 1 || day > days || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let decimals = match text.get(19..text.len() - 1)? {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) => {
            let digits = digits.iter().copied().chain(std::iter::repeat(b'0')).take(6);
            digits.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0'))
        }
        _ => return None,
    };
    // days since 1970-01-01 of the proleptic Gregorian calendar, counted in years that begin in March
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let since = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719_468;
    Some(((since * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000 + decimals)
}

/// The form that [`utc`] reads, with six decimals. `None`: not of the years 1970 to 9999.
pub(crate) fn written(micros: i64) -> Option<[u8; 27]> {
    if !(0..=LAST).contains(&micros) {
        return None;
    }
    let (seconds, decimals) = (micros / 1_000_000, micros % 1_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // the inverse of what `utc` does: in years that begin in March, of 400-year eras
    let since = days + 719_468;
    let (era, of_era) = (since / 146_097, since % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let mut put = |from: usize, to: usize, mut number: i64| {
        for digit in text.get_mut(from..to).into_iter().flatten().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    };
    put(0, 4, year);
    put(5, 7, month);
    put(8, 10, day);
    put(11, 13, second / 3600);
    put(14, 16, second / 60 % 60);
    put(17, 19, second % 60);
    put(20, 26, decimals);
    Some(text)
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
    fn the_short_way_agrees_with_the_general_one() {
        // every day of 1970 to 2270, and forms at the edge
        let day = |n: i64| DateTime::from_timestamp(n * 86_400 + n % 86_400, 123_456_000).unwrap();
        let days = (0..110_000).map(|n| day(n).to_rfc3339_opts(chrono::SecondsFormat::Micros, true));
        let odd = ["2026-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-11-31T00:00:00Z"];
        let odd = odd.into_iter().chain(["2026-11-22T24:00:00Z", "2026-11-22T23:59:60Z", "2026-11-22T14:39:24.Z"]);
        let odd =
            odd.chain(["2026-11-22T14:39:24.1234567891Z", "9999-12-31T23:59:59.999999999Z", "2026-00-10T00:00:00Z"]);
        for text in days.chain(odd.map(str::to_owned)) {
            let general = DateTime::parse_from_rfc3339(&text).ok().map(|time| time.timestamp_micros());
            if let Some(micros) = utc(text.as_bytes()) {
                assert_eq!(Some(micros), general, "{text}");
            }
        }
        assert!(utc(b"2026-11-22T14:39:24.727Z").is_some());
    }

    #[test]
    fn what_is_written_is_read() {
        for day in 0..LAST / 86_400_000_000 + 1 {
            let micros = day * 86_400_000_000 + day * 7919 % 86_400_000_000;
            assert_eq!(written(micros).and_then(|text| utc(&text)), Some(micros));
        }
        assert_eq!(written(LAST).as_ref().map(|text| &text[..]), Some(&b"9999-12-31T23:59:59.999999Z"[..]));
        assert_eq!((written(-1), written(LAST + 1)), (None, None));
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
