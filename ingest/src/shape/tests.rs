#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::fields::Fields;
use crate::json;
use crate::options::DecodeOptions;

fn shown(fields: &Fields<'_>) -> Vec<(String, String)> {
    let mut shown: Vec<_> =
        fields.left_over(&crate::Redaction::none()).map(|(name, json)| (name.to_owned(), json.into_owned())).collect();
    shown.sort();
    shown.push(("carried".to_owned(), format!("{:?}", fields.carried())));
    shown
}

/// The names of a line, where no format is configured.
fn names() -> LineNames<'static> {
    static OPTIONS: std::sync::LazyLock<DecodeOptions> = std::sync::LazyLock::new(DecodeOptions::default);
    OPTIONS.names_of(|_| false)
}

/// Reads lines one after the other; whether each was read by a shape that was known.
fn fitted(lines: &[&str]) -> Vec<bool> {
    let mut shapes = Shapes::default();
    let options = DecodeOptions { max_nesting: 4, ..DecodeOptions::default() };
    let fits = lines.iter().map(|line| {
        let (mut slots, mut judge) = (Slots::new(), Fields::new());
        let fast = shapes.read(line, 4, &mut slots).map(|layout| slots.fields(layout));
        let plain = json::parse(line, &options, &mut judge);
        if let Some(fields) = &fast {
            assert_eq!(plain.map(|_| judge.told().format).ok(), Some(slots.told().format), "{line}");
            assert_eq!(shown(fields), shown(&judge), "{line}");
        } else if let Ok(names) = plain {
            shapes.learn(line, names);
        }
        fast.is_some()
    });
    fits.collect()
}

#[test]
fn lines_of_one_proxy_fit() {
    let lines = [
        r#"{"method":"GET","path":"/a","other":[1,{"x":"é"}],"response_code":200,"rbac":null}"#,
        r#"{"method":"PUT","path":"/b","other":[1,{"x":"é"}],"response_code":0,"rbac":{"a":"b"}}"#,
        r#"{"path":"-","response_code":-1.5}"#,
        r#"{"response_code":true}"#,
        r#"{"rbac":{"a":"b"}}"#,
    ];
    assert_eq!(fitted(&lines), [false, true, true, true, true]);
}

#[test]
fn anything_odd_is_left_to_the_general_parser() {
    let known = r#"{"method":"GET","path":"/a","other":{}}"#;
    for odd in [
        r#"{"path":"/a","method":"GET"}"#,
        r#"{"method":"GET","method":"PUT"}"#,
        r#"{"method": "GET"}"#,
        r#"{"method":"GET","new":1}"#,
        r#"{"method":"\u0041"}"#,
        r#"{"method":"GET","path":"/b\"\\"}"#,
        r#"{"meth\u006fd":"GET"}"#,
        r#"{"method":"GET",}"#,
        r#"{"method":"GET"}}"#,
        r#"{"method":"GET"} {"#,
        r#"{"method":01}"#,
        r#"{"method":"GET""#,
        r#"{"other":[}}"#,
        r#"{"other":{"a":[{"b":[]}]}}"#,
        r#"{"other":{"a":[{}]},"path":"\ud800"}"#,
        r#"{}"#,
        r#"{"method":tru}"#,
    ] {
        assert_eq!(fitted(&[known, odd]), [false, false], "{odd}");
    }
}

#[test]
fn runs_of_nulls() {
    let lines = [
        r#"{"method":"GET","path":null,"rbac":null,"other":null,"response_code":200,"x":null,"y":null}"#,
        r#"{"method":"PUT","path":null,"rbac":null,"other":null,"response_code":200,"x":null,"y":null}"#,
        r#"{"method":"PUT","path":null,"rbac":"a","other":null,"response_code":200,"x":null,"y":1}"#,
        r#"{"method":"PUT","path":null,"rbac":null,"response_code":200,"x":null}"#,
        r#"{"path":null,"rbac":null,"other":null,"x":null,"y":null}"#,
        r#"{"path":null,"rbac":null,"other":null}"#,
        r#"{"path":null,"rbac":null,"other":nullx}"#,
        r#"{"path":null,"rbac":null,"other":null"#,
        r#"{"path":null,"rbac":null,"other":null,"path":1}"#,
    ];
    assert_eq!(fitted(&lines), [false, true, true, true, true, true, false, false, false]);
}

#[test]
fn a_shape_is_no_larger_than_its_line() {
    let name = |n: usize| format!("{n}{}", "x".repeat(1000));
    let nulls: Vec<String> = (0..KEYS).map(|n| format!("\"{}\":null", name(n))).collect();
    let line = format!("{{{}}}", nulls.join(","));
    let shape = Shape::of(&line, names()).unwrap();
    let runs: Vec<&NullRun> = shape.keys.iter().filter_map(|key| key.run.as_ref()).collect();
    assert_eq!(runs.len(), KEYS - 1);
    assert!(runs.iter().all(|run| Arc::ptr_eq(&run.text, &runs[0].text)), "the ends of one run share its text");
    // one key more is no shape
    let more = line.replacen('{', "{\"more\":null,", 1);
    assert!(Shape::of(&more, names()).is_none());
}

#[test]
fn several_shapes_live_side_by_side() {
    let (a, b, c) = (r#"{"method":"GET","path":"/"}"#, r#"{"path":"/","method":"GET"}"#, r#"{ "x" : 1, "path" : 2}"#);
    assert_eq!(fitted(&[a, b, c, a, b, c, b, a]), [false, false, false, true, true, true, true, true]);
}

#[test]
fn lines_without_a_shape_are_not_learned_for_ever() {
    let mut shapes = Shapes::default();
    for n in 0..1000 {
        let line = format!(r#"{{"k{n}":1}}"#);
        assert!(shapes.read(&line, 4, &mut Slots::new()).is_none());
        shapes.learn(&line, names());
    }
    assert_eq!((shapes.shapes.len(), shapes.lessons), (SHAPES, LESSONS));
}
