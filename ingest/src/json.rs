//! JSON lines: the recommended format, Istio's default, and any other through the field map.
//!
//! ```text
//! bounds (json/scan.rs) ─▶ top level as (key, JSON text) pairs ─▶ canonical keys, or kept for extra
//! ```
//!
//! Values stay JSON text until a column wants them: numbers beyond 64 bits and objects are kept exactly. Of a key that
//! occurs twice the last value counts (Envoy's own formats cannot repeat one).

mod scan;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::field_map::{FieldMap, Resolved};
use crate::fields::{Field, Fields, is_null};
use crate::key::{Key, KeySet};
use crate::reject::{Refusal, RejectReason};

/// The marker of the recommended format, whatever nulls `omit_empty_values` drops.
const SCHEMA: &str = "meshwarden/1";

/// Reads a line that starts with `{`.
pub(crate) fn parse<'a>(line: &'a str, names: &FieldMap, max_nesting: usize) -> Result<Fields<'a>, Refusal> {
    scan::check(line, max_nesting)?;
    let not_json = |error: serde_json::Error| {
        let hint = "a text template that imitates JSON breaks on quotes in a header; use json_format";
        Refusal::new(RejectReason::NotJson, format!("{error} ({hint})"))
    };
    let Pairs(pairs) = serde_json::from_str(line).map_err(not_json)?;
    let mut fields = Fields::new();
    for (name, raw) in pairs {
        let resolved = names.resolve(&name);
        if let Resolved::Canonical(key) | Resolved::Mapped(key) = resolved {
            fields.carry(KeySet::EMPTY.with(key));
        }
        let json = raw.get();
        let text = match json.as_bytes().first() {
            Some(b'n') => continue,
            Some(b'"') => serde_json::from_str::<Text<'a>>(json).map_err(not_json)?.0,
            _ => Cow::Borrowed(json),
        };
        if is_null(&text) {
            continue;
        }
        match resolved {
            Resolved::Canonical(key) => fields.set(key, Field { text, json: Some(json), logged_as: None }),
            Resolved::Mapped(key) => fields.set(key, Field { text, json: Some(json), logged_as: Some(name) }),
            Resolved::Unknown => fields.keep(name, Cow::Borrowed(json)),
        }
    }
    if fields.get(Key::LogSchema) == Some(SCHEMA) {
        fields.mark_taken(Key::LogSchema);
        fields.carry(KeySet::RECOMMENDED);
    }
    Ok(fields)
}

/// A string, borrowed from the line where it has no escapes.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The top level of a line; each key once.
struct Pairs<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Top;
        impl<'de> Visitor<'de> for Top {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs<'de>, M::Error> {
                let mut pairs = BTreeMap::new();
                while let Some((Text(name), raw)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    pairs.insert(name, raw);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Top)
    }
}

#[cfg(test)]
mod tests;
