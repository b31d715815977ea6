//! JSON lines: the recommended format, Istio's default, and any other through the field map.
//!
//! ```text
//! bounds (json/scan.rs) ─▶ top level as (key, JSON text) pairs ─▶ canonical keys, or kept for extra
//! ```
//!
//! Values stay JSON text until a column wants them: numbers beyond 64 bits and objects are kept exactly.
//!
//! Envoy's `json_format` cannot repeat a key; a text template that imitates JSON can, for it does not escape what a
//! header holds: a caller writes keys of its own, before or after the genuine one. So of a repeated key the first value
//! counts for the columns, the others are kept in `extra` as `"duplicate_keys":{"key":[values]}`, an identity that rests
//! on a repeated key is not verified, a denial in any of the values is one, and the row has the signal `ambiguous`.
//! A key that the template does not have is not repeated: of a line of strings no key proves an identity or hides a line.

pub(crate) mod object;
mod parts;
mod scan;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::field_map::{FieldMap, Resolved};
use crate::fields::{Field, Fields, is_null, json_string};
use crate::format::recommended_as;
use crate::json_names::LineNames;
use crate::key::{Key, KeySet};
use crate::line_format::{LineFormat, Told, is_of_strings};
use crate::options::DecodeOptions;
use crate::parts::Word;
use crate::reject::{Refusal, RejectReason};

/// Where `extra` keeps the further values of repeated keys.
const DUPLICATES: &str = "duplicate_keys";

/// Reads a line that starts with `{`, and tells by which names.
pub(crate) fn parse<'a, 'o>(
    line: &'a str,
    options: &'o DecodeOptions,
    fields: &mut Fields<'a>,
) -> Result<LineNames<'o>, Refusal> {
    scan::check(line, options.max_nesting)?;
    let not_json = |error: serde_json::Error| {
        let hint = "a text template that imitates JSON breaks on quotes in a header; use json_format";
        Refusal::new(RejectReason::NotJson, format!("{error} ({hint})"))
    };
    let Pairs { first: mut pairs, mut further } = serde_json::from_str(line).map_err(not_json)?;
    let line_names = options.names_of(|name| pairs.contains_key(name));
    let names = line_names.map;
    let mut values = Values { fields, strings: KeySet::EMPTY, dashes: KeySet::EMPTY };
    values.fields.carry(line_names.carries);
    for rival in &line_names.rivals {
        values.fields.doubt();
        values.rival(names, rival, &pairs).map_err(not_json)?;
    }
    if !further.is_empty() {
        // a key of the line that has the name of ours
        if let Some((name, raw)) = pairs.remove_entry(DUPLICATES) {
            further.entry(name).or_default().insert(0, raw);
        }
        for (name, raws) in &further {
            match names.resolve(name) {
                Resolved::Canonical(key) | Resolved::Mapped(key) => {
                    for raw in raws {
                        values.repeated(key, raw.get()).map_err(not_json)?;
                    }
                }
                Resolved::Several(part) => {
                    values.fields.doubt();
                    for raw in raws {
                        values.repeated_part(part, raw.get()).map_err(not_json)?;
                    }
                }
                Resolved::Unknown => {}
            }
        }
        values.fields.keep(Cow::Borrowed(DUPLICATES), Cow::Owned(duplicates(&further)));
    }
    for (name, raw) in pairs {
        let json = raw.get();
        let read = match names.resolve(&name) {
            Resolved::Canonical(key) => {
                values.fields.carry(KeySet::EMPTY.with(key));
                values.value(key, None, json)
            }
            Resolved::Mapped(key) => {
                values.fields.carry(KeySet::EMPTY.with(key));
                values.value(key, Some(name), json)
            }
            Resolved::Several(part) => values.part(part, json),
            Resolved::Unknown => values.keep(name, json),
        };
        read.map_err(not_json)?;
    }
    let Values { fields, strings, dashes } = values;
    if is_of_strings(strings, dashes) {
        let told = Told::new(LineFormat::StringJson, line_names.path);
        fields.tell(told.timeless(line_names.timeless));
        return Ok(line_names);
    }
    let schema = recommended_as(fields.get(Key::LogSchema));
    if schema.is_some() {
        fields.mark_taken(Key::LogSchema);
        fields.carry(KeySet::RECOMMENDED);
    }
    let format = LineFormat::of_json(schema, fields.carried(), fields.has_rest());
    fields.tell(Told::new(format, line_names.path).timeless(line_names.timeless));
    Ok(line_names)
}

/// The names of the top level, if a line is JSON.
pub(crate) fn names(line: &str) -> Option<impl Iterator<Item = Cow<'_, str>>> {
    let Pairs { first, .. } = line.starts_with('{').then(|| serde_json::from_str(line).ok()).flatten()?;
    Some(first.into_keys())
}

/// The values of one line, and what tells JSON of Envoy's from a template: keys that have a string, and those that have `"-"`.
struct Values<'f, 'a> {
    fields: &'f mut Fields<'a>,
    strings: KeySet,
    dashes: KeySet,
}

impl<'a> Values<'_, 'a> {
    /// A key's value; `logged_as` is its name, where it is not the canonical one.
    fn value(&mut self, key: Key, logged_as: Option<Cow<'a, str>>, json: &'a str) -> serde_json::Result<()> {
        let text = text_of(json)?;
        if json.starts_with('"') {
            match text.as_ref() {
                "" => {}
                "-" => self.dashes = self.dashes.with(key),
                _ => self.strings = self.strings.with(key),
            }
        }
        if !is_null(&text) {
            self.fields.set(key, Field { text, json: Some(Cow::Borrowed(json)), logged_as });
        }
        Ok(())
    }

    /// An operator's value in a text.
    fn word(&mut self, word: &Word, text: Cow<'a, str>) {
        let name = Cow::Owned(word.name.clone());
        match word.key {
            _ if is_null(&text) => {}
            Some(key) => self.fields.set(key, Field { text, json: None, logged_as: Some(name) }),
            None => self.fields.keep(name, json_string(&text)),
        }
    }

    /// A value that feeds no column.
    fn keep(&mut self, name: Cow<'a, str>, json: &'a str) -> serde_json::Result<()> {
        if !is_null(&text_of(json)?) {
            self.fields.keep(name, Cow::Borrowed(json));
        }
        Ok(())
    }

    /// A further value of a key.
    fn repeated(&mut self, key: Key, json: &'a str) -> serde_json::Result<()> {
        let text = text_of(json)?;
        if text == "-" && json.starts_with('"') {
            self.dashes = self.dashes.with(key);
        }
        self.fields.repeat(key, text);
        Ok(())
    }

    /// What the line's keys say by another format that fits as well: a denial is one by either.
    fn rival(
        &mut self,
        names: &FieldMap,
        rival: &FieldMap,
        pairs: &BTreeMap<Cow<'a, str>, &'a RawValue>,
    ) -> serde_json::Result<()> {
        for (name, raw) in pairs {
            match rival.resolve(name) {
                other if other == names.resolve(name) => {}
                Resolved::Canonical(key) | Resolved::Mapped(key) => {
                    let text = text_of(raw.get())?;
                    if !is_null(&text) {
                        self.fields.repeat(key, text);
                    }
                }
                Resolved::Several(part) => self.repeated_part(part, raw.get())?,
                Resolved::Unknown => {}
            }
        }
        Ok(())
    }
}

/// A string decoded, null as an empty one, and anything else as its JSON text.
fn text_of(json: &str) -> serde_json::Result<Cow<'_, str>> {
    Ok(match json.as_bytes().first() {
        Some(b'n') => Cow::Borrowed(""),
        Some(b'"') => serde_json::from_str::<Text<'_>>(json)?.0,
        _ => Cow::Borrowed(json),
    })
}

/// `{"key":[values]}`, the values byte for byte.
fn duplicates(further: &BTreeMap<Cow<'_, str>, Vec<&RawValue>>) -> String {
    let lists = further.iter().map(|(name, values)| {
        let values: Vec<&str> = values.iter().map(|raw| raw.get()).collect();
        format!("{}:[{}]", json_string(name), values.join(","))
    });
    format!("{{{}}}", lists.collect::<Vec<_>>().join(","))
}

/// A string, borrowed from the line where it has no escapes.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The top level of a line.
struct Pairs<'a> {
    /// Each key once.
    first: BTreeMap<Cow<'a, str>, &'a RawValue>,
    /// The further values of a repeated key.
    further: BTreeMap<Cow<'a, str>, Vec<&'a RawValue>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Top;
        impl<'de> Visitor<'de> for Top {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs<'de>, M::Error> {
                let mut pairs = Pairs { first: BTreeMap::new(), further: BTreeMap::new() };
                while let Some((Text(name), raw)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    match pairs.first.entry(name) {
                        Entry::Vacant(place) => {
                            place.insert(raw);
                        }
                        Entry::Occupied(place) => pairs.further.entry(place.key().clone()).or_default().push(raw),
                    }
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Top)
    }
}

#[cfg(test)]
mod tests;
