#![allow(clippy::unwrap_used, clippy::expect_used)]
use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_795_563_113_000_000;

#[test]
fn what_envoy_writes() {
    // forms and texts as Envoy 1.40 wrote them
    for (form, text, micros) in [
        ("", "2026-11-24T23:31:53.541Z", 541_000),
        ("%s", "1795563113", 0),
        ("%s%3f", "1795563113541", 541_000),
        ("%s.%6f", "1795563113.541172", 541_172),
        ("%s.%9f", "1795563113.541172000", 541_172),
        ("%3f %s %3f", "541 1795563113 541", 541_000),
        ("%Y-%m-%dT%H:%M:%S", "2026-11-24T23:31:53", 0),
        ("%Y-%m-%dT%H:%M:%S.%fZ", "2026-11-24T23:31:53.541172000Z", 541_172),
        ("%d/%b/%Y:%H:%M:%S %z", "24/Nov/2026:23:31:53 +0000", 0),
        ("%Y/%m/%dT%H:%M:%S%Ez %s", "2026/11/24T23:31:53+00:00 1795563113", 0),
        ("%F %T %E*z", "2026-11-24 23:31:53 +00:00:00", 0),
        ("%F%ET%H:%M:%E3S", "2026-11-24T23:31:53.541", 541_000),
        ("%F %R:%E*S%Z", "2026-11-24 23:31:53.541172UTC", 541_172),
        ("%F %R:%E*S", "2026-11-24 23:31:53", 0),
        ("%F %T.%E*f", "2026-11-24 23:31:53.541172", 541_172),
        ("%c", "Tue Nov 24 23:31:53 2026", 0),
        ("%A, %e %B %E4Y %X %%", "Tuesday, 24 November 2026 23:31:53 %", 0),
        ("%Y%j %H%M%E0S", "2026328 233153", 0),
        ("%Y%m%d%H%M%S%3f", "20261124233153541", 541_000),
        ("%y%m%d %I:%M:%S %p", "261124 11:31:53 PM", 0),
        ("%D %r", "11/24/26 11:31:53 PM", 0),
        ("%x %X", "11/24/26 23:31:53", 0),
        ("%d.%m.%y %I:%M:%S%P", "24.11.26 11:31:53pm", 0),
        ("%%s", "%1795563113", 0),
        ("é%s", "é1795563113", 0),
    ] {
        let format = TimeFormat::compile(form).unwrap_or_else(|error| panic!("{form}: {error}"));
        assert_eq!(format.parse(text), Some(SECOND + micros), "{form}");
        assert!(text.bytes().all(|byte| format.may_hold(byte)) && text.len() <= format.longest(), "{form}");
        for other in [format!("{text} "), format!(" {text}"), text.replace('3', "x")] {
            assert_eq!(format.parse(&other), None, "{form}: {other}");
        }
        let cut: String = text.chars().take(text.chars().count() - 1).collect();
        assert_ne!(format.parse(&cut), Some(SECOND + micros), "{form}");
    }
    let first = TimeFormat::compile("%e/%b/%Y %T").unwrap();
    assert_eq!(first.parse(" 1/Jan/1970 00:00:01"), Some(1_000_000));
    let east = TimeFormat::compile("%F %T %z").unwrap();
    assert_eq!(east.parse("1970-01-01 01:00:00 +0100"), Some(0));
    assert_eq!(east.parse("1970-01-01 00:00:00 +0100"), None);
    assert_eq!(east.parse("2026-02-30 00:00:00 +0000"), None);
    let half = TimeFormat::compile("%D %r").unwrap();
    let noon = Some(1_795_608_000_000_000);
    for (text, micros) in [
        ("11/25/26 12:00:00 PM", noon),
        ("11/25/26 12:00:00 AM", noon.map(|noon| noon - 12 * 3_600_000_000)),
        ("11/25/26 00:00:00 AM", None),
        ("11/25/26 13:00:00 PM", None),
        ("11/25/26 11:00:00 XM", None),
    ] {
        assert_eq!(half.parse(text), micros, "{text}");
    }
}

#[test]
fn forms_that_are_not_understood() {
    for (form, said) in [
        ("%Q", "`%Q` is not understood"),
        ("%k:%M", "`%k:%` is not understood"),
        ("%", "`%` is not understood"),
        ("%E9X", "`%E9X` is not understood"),
        ("%n", "`%n` is not understood"),
        ("%s%s", "`%s` has no fixed number of digits"),
        ("%F %H:%M:%E*S%3f", "`%E*` has no fixed number of digits"),
    ] {
        let error = TimeFormat::compile(form).unwrap_err().to_string();
        assert!(error.contains(said), "{form}: {error}");
    }
}

/// 2026-11-24T23:31:53.541Z and its like, in microseconds.
fn instant(text: &str) -> i64 {
    time::parse(text).unwrap()
}

#[test]
fn a_form_that_says_no_instant_is_filled_in_by_what_is_near() {
    for (form, lacks, text, about, expected) in [
        ("%H:%M:%S", Lacks::Date, "23:31:53", "2026-11-24T23:31:55Z", "2026-11-24T23:31:53Z"),
        // over midnight, either way
        ("%T.%3f", Lacks::Date, "23:59:58.541", "2026-11-25T00:00:02Z", "2026-11-24T23:59:58.541Z"),
        ("%T", Lacks::Date, "00:00:01", "2026-12-31T23:59:59Z", "2027-01-01T00:00:01Z"),
        ("%I:%M:%S %p", Lacks::Date, "11:31:53 PM", "2026-11-24T20:00:00Z", "2026-11-24T23:31:53Z"),
        ("%T %z", Lacks::Date, "00:31:53 +0100", "2026-11-24T23:31:55Z", "2026-11-24T23:31:53Z"),
        // over the year's end
        ("%b %e %T", Lacks::Year, "Dec 31 23:59:59", "2027-01-01T00:00:01Z", "2026-12-31T23:59:59Z"),
        ("%m/%d %T", Lacks::Year, "01/01 00:00:00", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
        ("%m/%d %T", Lacks::Year, "02/29 12:00:00", "2028-03-01T00:00:00Z", "2028-02-29T12:00:00Z"),
        ("%j %T", Lacks::Year, "328 23:31:53", "2026-11-24T23:31:55Z", "2026-11-24T23:31:53Z"),
        // next to nothing
        ("%F %R", Lacks::Much, "2026-11-24 23:31", "2026-11-24T23:31:53Z", "2026-11-24T23:31:53Z"),
        ("%d %T", Lacks::Much, "24 23:31:53", "2026-11-24T23:31:55Z", "2026-11-24T23:31:55Z"),
        ("%D %I:%M:%S", Lacks::Much, "11/24/26 11:31:53", "2026-11-24T23:31:55Z", "2026-11-24T23:31:55Z"),
        ("%Y-%m %T", Lacks::Much, "2026-11 23:31:53", "2026-11-24T23:31:55Z", "2026-11-24T23:31:55Z"),
        ("text", Lacks::Much, "text", "2026-11-24T23:31:55Z", "2026-11-24T23:31:55Z"),
        // an instant is one, whatever is near
        ("%s", Lacks::Nothing, "1795563113", "2020-01-01T00:00:00Z", "2026-11-24T23:31:53Z"),
    ] {
        let format = TimeFormat::compile(form).unwrap();
        assert_eq!(format.lacks(), lacks, "{form}");
        assert!(format.accepts(text) && !format.accepts(&format!("{text}.")), "{form}");
        assert_eq!(format.parse(text).is_some(), lacks == Lacks::Nothing, "{form}");
        assert_eq!(format.parse_near(text, instant(about)), Some(instant(expected)), "{form}");
        assert_eq!(format.parse_near("", instant(about)), None, "{form}");
    }
    let no_day = TimeFormat::compile("%m/%d %T").unwrap();
    assert_eq!(no_day.parse_near("02/30 12:00:00", instant("2028-03-01T00:00:00Z")), None);
    let clock = TimeFormat::compile("%T").unwrap();
    assert_eq!(clock.parse_near("23:31:53", 0), Some(instant("1970-01-01T23:31:53Z")));
    assert_eq!(clock.parse_near("00:00:00", time::LAST), Some(instant("9999-12-31T00:00:00Z")));
}

proptest! {
    #[test]
    fn what_lies_within_half_a_day_is_found(micros in (1_i64 << 40)..(1 << 51), off in -43_199_i64..43_200) {
        let time = chrono::DateTime::from_timestamp_micros(micros).unwrap();
        let about = micros + off * 1_000_000;
        for form in ["%H:%M:%S.%6f", "%I:%M:%S.%6f %p", "%m-%d %H:%M:%S.%6f"] {
            let text = time.format(form).to_string();
            prop_assert_eq!(TimeFormat::compile(form).unwrap().parse_near(&text, about), Some(micros));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(form in "(%[a-zA-Z0-9*%]{1,2}|[ -~]){0,12}", text in "\\PC{0,40}") {
        if let Ok(format) = TimeFormat::compile(&form)
            && let Some(micros) = format.parse(&text)
        {
            prop_assert!((0..=time::LAST).contains(&micros));
            prop_assert!(text.bytes().all(|byte| format.may_hold(byte)) && text.len() <= format.longest());
        }
    }

    #[test]
    fn the_default_form_agrees_with_the_general_parser(micros in 0..=time::LAST) {
        let time = chrono::DateTime::from_timestamp_micros(micros).unwrap();
        let text = time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        prop_assert_eq!(TimeFormat::compile("").unwrap().parse(&text), time::parse(&text));
        let text = time.format("%d/%b/%Y:%H:%M:%S.%6f").to_string();
        prop_assert_eq!(TimeFormat::compile("%d/%b/%Y:%H:%M:%S.%6f").unwrap().parse(&text), Some(micros));
    }
}
