//! What holds of any text: a planted secret never survives, nothing is touched where there is none, twice is once.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// A name in one of the ways to write it.
fn name() -> impl Strategy<Value = String> {
    let name = prop::sample::select(DEFAULT_NAMES.to_vec());
    let form = prop::sample::select(vec!["{}", "user[{}]", "user%5B{}%5D", "{}[]", "{}[0]", "a.b.{}"]);
    (name, form, any::<u64>(), any::<u64>()).prop_map(|(name, form, upper, encode)| {
        let written = name.chars().zip(0..64).map(|(c, bit)| {
            let c = match c {
                '-' if upper >> bit & 1 == 1 => '_',
                '_' if upper >> bit & 1 == 1 => '-',
                c if upper >> bit & 1 == 1 => c.to_ascii_uppercase(),
                c => c,
            };
            if encode >> bit & 3 == 3 { format!("%{:02x}", u32::from(c)) } else { c.to_string() }
        });
        form.replace("{}", &written.collect::<String>())
    })
}

/// What stands before a name and behind a value, and whether the `=` is encoded there.
const PLACES: [(&str, &str, &str); 13] = [
    ("/a?", "=", ""),
    ("/a?", "=", "&x=1"),
    ("/a?x=1&", "=", "#b"),
    ("/a?x=1;", "=", ";y=2"),
    ("/a;", "=", "/b?c=d"),
    ("/a;v=1;", "=", "?c=d"),
    ("/a#", "=", "&x=1"),
    ("https://a.example/b?x=%20&", "=", "&y[z]=1"),
    ("/a?next=/b?", "=", "&x=1"),
    ("/a?next=%2Fb%3F", "%3D", "%26x%3D1&y=2"),
    ("/a?next=%2Fb%3Fx%3D1%26", "%3d", "&y=2"),
    ("/a?next=%252Fb%253F", "%253D", "%2526x%253D1&y=2"),
    ("/a?q=eyJ&", "=", "&z=eyJa.b.c"),
];

fn planted() -> impl Strategy<Value = (String, String)> {
    let place = prop::sample::select(PLACES.to_vec());
    (place, name(), "[A-Za-z0-9._~+-]{16,40}").prop_map(|((before, equals, behind), name, secret)| {
        // a dot of a JWT within the name would be one of its separators
        (format!("{before}{name}{equals}{secret}{behind}"), secret)
    })
}

/// Text of the pieces that mean something here.
fn pieces() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "token",
        "password",
        "code",
        "a",
        "1",
        "é",
        "=",
        "&",
        "?",
        ";",
        "#",
        "/",
        "%3D",
        "%3F",
        "%26",
        "%25",
        "%3B",
        "%",
        "%74oken",
        "25",
        "eyJ",
        ".",
        "%2E",
        "[",
        "]",
        "[redacted]",
        "[redacted-jwt]",
        "\"",
        "\\",
        "\\u0026",
        ":",
        ",",
        " ",
        "{",
        "}",
        "authorization",
        "Bearer",
        "-",
        "_",
        "\"token\":\"",
        "?token=",
        "eyJa.b.c",
        "://",
        "\n",
    ];
    prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..24).prop_map(|pieces| pieces.concat())
}

fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        pieces().prop_map(|text| Value::from(text).to_string()),
        any::<String>().prop_map(|text| Value::from(text).to_string()),
        Just(r#""\u0074oken=a\/b""#.to_owned()),
        Just("18446744073709551616".to_owned()),
        Just("1e400".to_owned()),
        Just("null".to_owned()),
        Just("true".to_owned()),
    ];
    leaf.prop_recursive(5, 32, 4, |inner| {
        let key = prop_oneof![Just("authorization".to_owned()), Just("a.token".to_owned()), "[a-z]{1,4}", pieces(),];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[ {}]", list.join(" ,\n"))),
            prop::collection::vec((key, inner), 0..4).prop_map(|pairs| {
                let pairs = pairs.into_iter().map(|(key, value)| format!("{} :\t{value}", Value::from(key)));
                format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

/// What is left of a JSON text without its strings and numbers: a `"` for each.
fn frame(json: &str) -> String {
    let mut frame = String::new();
    let mut rest = json.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_ascii_digit() {
            while rest.next_if(|c| c.is_ascii_digit() || matches!(c, 'e' | '.')).is_some() {}
            frame.push('"');
            continue;
        }
        frame.push(c);
        if c == '"' {
            while let Some(c) = rest.next().filter(|c| *c != '"') {
                if c == '\\' {
                    rest.next();
                }
            }
        }
    }
    frame
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_planted_secret_never_survives((url, secret) in planted()) {
        let line = format!(r#"[2026-11-22T14:39:24.727Z] "GET {url} HTTP/1.1" 200 - "-" "{url}""#);
        let object = format!(r#"{{"a":{},"headers":{{"cookie":["{secret}"]}}}}"#, json_string(&url));
        for redacted in [text(&url), json(&object), bytes(&line), bytes(&format!(r#"{{"a":{},"#, json_string(&url)))] {
            prop_assert!(!redacted.contains(&secret), "{}", redacted);
            prop_assert!(redacted.contains("[redacted]"), "{}", redacted);
        }
        // the names and the rest stay
        let (before, after) = url.split_once(&secret).unwrap();
        prop_assert_eq!(text(&url), format!("{before}[redacted]{}", after.replace("eyJa.b.c", JWT)));
    }

    #[test]
    fn text_without_secrets_is_borrowed(value in "[qxz019/?&;=#.%\\[\\]\"\\\\: Jye{}é-]{0,60}") {
        prop_assume!(!value.contains("eyJ"));
        let redaction = Redaction::default();
        prop_assert!(matches!(redaction.text(&value), Cow::Borrowed(same) if same == value));
        prop_assert!(matches!(redaction.words(&value), Cow::Borrowed(same) if same == value));
        prop_assert!(matches!(redaction.bytes(value.as_bytes()), Cow::Borrowed(same) if same == value.as_bytes()));
        let object = format!("{{\"xyz\":{}}}", json_string(&value));
        prop_assert!(matches!(redaction.json(&object), Cow::Borrowed(same) if same == object));
    }

    #[test]
    fn json_stays_json(given in json_text()) {
        let redacted = json(&given);
        prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&redacted).is_ok(), "{}", redacted);
        prop_assert_eq!(frame(&redacted), frame(&given));
        prop_assert_eq!(json(&redacted), redacted);
    }

    #[test]
    fn twice_is_once(given in pieces(), garbage in prop::collection::vec(any::<u8>(), 0..40)) {
        let redaction = Redaction::default();
        let once = text(&given);
        prop_assert!(matches!(redaction.text(&once), Cow::Borrowed(same) if same == once), "{}", once);
        let once = bytes(&given);
        prop_assert!(matches!(redaction.bytes(once.as_bytes()), Cow::Borrowed(same) if same == once.as_bytes()), "{}", once);
        let once = json(&given);
        prop_assert_eq!(json(&once), once);
        let once = redaction.bytes(&garbage);
        prop_assert_eq!(&redaction.bytes(&once), &once);
    }

    #[test]
    fn before_and_after_embedding_are_the_same(given in pieces(), url in planted()) {
        for given in [given, url.0] {
            let embedded = json(&json_string(&given));
            let alone = match given.contains([' ', '"']) {
                true => Redaction::default().words(&given).into_owned(),
                false => text(&given),
            };
            prop_assert_eq!(serde_json::from_str::<String>(&embedded).unwrap(), alone);
        }
    }
}
