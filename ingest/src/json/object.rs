//! The members of one JSON object as they stand in the text: names decoded, values as their JSON text.
//!
//! ```text
//! {"log":"a\n","kubernetes":{"pod_name":"p"}}  ─▶  log = "a\n" (JSON text)   kubernetes = {"pod_name":"p"} (JSON text)
//! ```
//!
//! In the order of the line, a repeated name as often as it stands there. One level only: whoever wants more asks again.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Text, scan};
use crate::reject::{Refusal, RejectReason};

/// Name and JSON text of each member.
pub(crate) type Members<'a> = Vec<(Cow<'a, str>, &'a str)>;

/// The members of an object. Does not go into the values, so it needs no bound of nesting.
pub(crate) fn members(text: &str) -> serde_json::Result<Members<'_>> {
    Ok(serde_json::from_str::<Object<'_>>(text)?.0)
}

/// The members of a line that becomes a row, whose values others will read: within the bounds of `json/scan.rs`.
pub(crate) fn checked_members(line: &str, max_nesting: usize) -> Result<Members<'_>, Refusal> {
    scan::check(line, max_nesting)?;
    members(line).map_err(|error| Refusal::new(RejectReason::NotJson, error.to_string()))
}

/// A string decoded; `None` for a value of another kind.
pub(crate) fn string(json: &str) -> serde_json::Result<Option<Cow<'_, str>>> {
    match json.as_bytes().first() {
        Some(b'"') => Ok(Some(serde_json::from_str::<Text<'_>>(json)?.0)),
        _ => Ok(None),
    }
}

struct Object<'a>(Members<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Top;
        impl<'de> Visitor<'de> for Top {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<'de>, M::Error> {
                let mut members = Vec::new();
                while let Some((Text(name), raw)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    members.push((name, raw.get()));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Top)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn members_in_the_order_of_the_line() {
        let text = r#" { "b" : 1.50 , "a\n":{"x":[1]},"b":"\u00e9"} "#;
        let found: Vec<_> = members(text).unwrap();
        assert_eq!(found, [("b".into(), "1.50"), ("a\n".into(), r#"{"x":[1]}"#), ("b".into(), r#""\u00e9""#)]);
        for text in ["", "[]", "{", r#"{"a":1}x"#, r#"{"a":}"#, "null"] {
            assert!(members(text).is_err(), "{text}");
        }
    }

    #[test]
    fn strings() {
        assert_eq!(string(r#""a\tb""#).unwrap().as_deref(), Some("a\tb"));
        assert!(matches!(string(r#""ab""#).unwrap(), Some(Cow::Borrowed("ab"))));
        assert_eq!(string("1").unwrap(), None);
        assert!(string(r#""\ud83d""#).is_err());
    }

    #[test]
    fn lines_have_bounds() {
        assert_eq!(checked_members(r#"{"a":[[1]]}"#, 2).unwrap_err().reason, RejectReason::NestingTooDeep);
        assert_eq!(checked_members(r#"{"a":"\ud83d"}"#, 2).unwrap_err().reason, RejectReason::NotJson);
        assert_eq!(checked_members(r#"{"a"}"#, 2).unwrap_err().reason, RejectReason::NotJson);
        // far deeper than a recursive reader could go
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(members(&deep).unwrap().len(), 1);
    }
}
