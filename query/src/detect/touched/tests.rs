#![allow(clippy::unwrap_used)]

use super::*;

fn header(window: &str, lookback: &str, signals: &str) -> Header {
    let text = format!(
        r#"/* ---
id = "test"
version = 1
title = ""
severity = "low"
window = "{window}"
{lookback}
entity = ["source"]
summary = ""
requires = []
signals = [{signals}]
attack = []
false_positives = ""
runbook = ""
--- */"#
    );
    super::super::header::parse(&text).unwrap().0
}

fn starts(windows: &[Window]) -> Vec<i64> {
    windows.iter().map(|window| window.start() / SECOND).collect()
}

#[test]
fn a_row_touches_its_window_and_those_that_look_back_on_it() {
    let mut touched = Touched::default();
    touched.put((61, 1));
    let alone = header("1m", "", "\"denied\"");
    assert_eq!(starts(&touched.windows(&alone, i64::MAX)), [60]);
    let looking_back = header("1m", "lookback = \"3m\"", "\"denied\"");
    assert_eq!(starts(&touched.windows(&looking_back, i64::MAX)), [60, 120, 180, 240]);
    assert_eq!(
        starts(&touched.windows(&looking_back, 130 * SECOND)),
        [60, 120],
        "nothing is later than the latest row"
    );
    let other = header("1m", "", "\"plaintext\"");
    assert!(touched.windows(&other, i64::MAX).is_empty());
    let every = header("1m", "", "");
    assert_eq!(starts(&touched.windows(&every, i64::MAX)), [60]);
}

#[test]
fn many_rows_touch_each_window_once() {
    let mut touched = Touched::default();
    for second in [0, 1, 59, 60, 200, 61] {
        touched.put((second, 1));
    }
    let looking_back = header("1m", "lookback = \"1m\"", "\"denied\"");
    assert_eq!(starts(&touched.windows(&looking_back, 200 * SECOND)), [0, 60, 120, 180]);
}
