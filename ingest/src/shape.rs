//! The fast way to read a JSON line: a proxy writes the same keys in the same order line after line, so a line is checked against one that was
//! read before, byte for byte, and only its values are looked at.
//!
//! ```text
//!  line ─▶ a known shape? ── every key where it was expected, or left out ──▶ Fields
//!              │ no: other keys, another order, escapes in keys, anything odd
//!              └──▶ json::parse (the judge) ──▶ Fields, and the shape is learned
//! ```
//! A [`Shape`] is a list of keys with the bytes around them. Lines may leave keys out (`omit_empty_values`) and still fit. What was a run of nulls
//! when the shape was learned mostly is one again, and is passed over in one comparison. Whatever this module
//! accepts, [`crate::json::parse`] would accept with the same outcome; whatever it is not sure of, it leaves to it. It never says that a line
//! is wrong.

mod value;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use crate::field_map::{FieldMap, Resolved};
use crate::fields::{Field, Fields, is_null};
use crate::json::{self, SCHEMA};
use crate::key::{Key, KeySet};
use crate::reject::Refusal;
use value::Value;
pub(crate) use value::plain_until;

/// Shapes that are kept: HTTP, TCP and listener lines of a few proxies.
const SHAPES: usize = 32;
/// Most keys of a shape: a line that repeats a million keys is not a format.
const KEYS: usize = 512;
/// After this many shapes were learned nothing more is: the lines have no shape.
const LESSONS: u32 = 256;
/// Texts of objects and lists that are remembered as being JSON.
const NESTED: usize = 4096;
/// Longest text that is remembered, bytes.
const NESTED_LENGTH: usize = 4096;

/// The shapes seen so far.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    /// The one that fitted last is the first.
    shapes: Vec<Shape>,
    lessons: u32,
    nested: HashSet<Box<str>>,
}

/// The keys of a line, in their order.
#[derive(Debug)]
struct Shape {
    keys: Vec<ShapeKey>,
    /// For each key whose value was null: the nulls from it on.
    runs: Vec<Option<NullRun>>,
}

/// Keys one after the other whose values were null.
#[derive(Debug)]
struct NullRun {
    /// From behind the separator before the first key to the end of the last `null`. Shared: what begins within the run is its end.
    text: Arc<str>,
    /// Where this one begins in the text.
    from: usize,
    /// Place of the key after the last.
    next: usize,
    carries: KeySet,
}

/// One key of a shape.
#[derive(Debug)]
struct ShapeKey {
    /// From behind the separator (`{` or `,`) to the value: blanks, the quoted name, the colon.
    literal: Box<str>,
    name: Box<str>,
    feeds: Resolved,
    carries: KeySet,
}

impl Shapes {
    /// As [`json::parse`], faster.
    pub(crate) fn parse<'a>(
        &mut self,
        line: &'a str,
        names: &FieldMap,
        max_nesting: usize,
        fields: &mut Fields<'a>,
    ) -> Result<(), Refusal> {
        let Shapes { shapes, nested, .. } = self;
        for place in 0..shapes.len() {
            if shapes.get(place).and_then(|shape| shape.read(line, nested, max_nesting, fields)).is_some() {
                shapes.swap(0, place);
                return Ok(());
            }
            fields.clear();
        }
        json::parse(line, names, max_nesting, fields)?;
        self.learn(line, names);
        Ok(())
    }

    /// Takes in the shape of a line that the general parser accepted.
    fn learn(&mut self, line: &str, names: &FieldMap) {
        if self.lessons >= LESSONS {
            return;
        }
        self.lessons += 1;
        if let Some(shape) = Shape::of(line, names) {
            self.shapes.truncate(SHAPES - 1);
            self.shapes.insert(0, shape);
        }
    }
}

impl Shape {
    fn of(line: &str, names: &FieldMap) -> Option<Shape> {
        let mut keys: Vec<ShapeKey> = Vec::new();
        // where each key's literal begins and its value ends, and whether that is null
        let mut spans = Vec::new();
        let mut fed = KeySet::EMPTY;
        let mut at = 0;
        loop {
            let separator = if keys.is_empty() { "{" } else { "," };
            let rest = line.get(at..)?;
            let literal = rest.strip_prefix(separator)?;
            let name_at = literal.find('"')?;
            let (Value::String(Cow::Borrowed(name)), name_end) = value::value(literal, name_at)? else { return None };
            let colon = literal.get(name_end..)?;
            let blanks = colon.trim_start_matches([' ', '\t']);
            let after = blanks.strip_prefix(':')?.trim_start_matches([' ', '\t']);
            let literal = literal.get(..literal.len() - after.len())?;
            let feeds = names.resolve(name);
            let mut carries = KeySet::EMPTY;
            if let Resolved::Canonical(key) | Resolved::Mapped(key) = feeds {
                // two names for one key: which of them wins is the general parser's to say
                if fed.has(key) {
                    return None;
                }
                carries = carries.with(key);
                fed = fed.with(key);
            }
            if keys.len() >= KEYS || keys.iter().any(|key| *key.name == *name) || literal.get(..name_at)?.trim() != "" {
                return None;
            }
            let literal_at = at + separator.len();
            at = line.len() - after.len();
            keys.push(ShapeKey { literal: literal.into(), name: name.into(), feeds, carries });
            let (value, end) = value::value(line, at)?;
            spans.push((literal_at, end, value == Value::Null));
            at = end;
            if line.get(at..)? == "}" {
                let runs = NullRun::all(line, &keys, &spans);
                return Some(Shape { keys, runs });
            }
        }
    }

    /// Reads the line's values into empty fields, if it fits.
    fn read<'a>(
        &self,
        line: &'a str,
        known: &mut HashSet<Box<str>>,
        max_nesting: usize,
        fields: &mut Fields<'a>,
    ) -> Option<()> {
        let bytes = line.as_bytes();
        let mut carried = KeySet::EMPTY;
        let mut at = 0;
        let mut separator = b'{';
        let mut next = 0;
        while bytes.get(at) == Some(&separator) {
            let after = bytes.get(at + 1..)?;
            if let Some(Some(run)) = self.runs.get(next)
                && let Some(text) = run.text.as_bytes().get(run.from..)
                && after.starts_with(text)
            {
                at += 1 + text.len();
                next = run.next;
                carried = carried.union(run.carries);
                separator = b',';
                continue;
            }
            // usually the very next
            next += self.keys.get(next..)?.iter().position(|key| after.starts_with(key.literal.as_bytes()))?;
            let key = self.keys.get(next)?;
            next += 1;
            at += 1 + key.literal.len();
            carried = carried.union(key.carries);
            let start = at;
            let (value, end) = value::value(line, at)?;
            at = end;
            separator = b',';
            let json = line.get(start..end)?;
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text,
                Value::Plain(text) => Cow::Borrowed(text),
                Value::Nested(text) => {
                    is_json(text, known, max_nesting).then_some(())?;
                    Cow::Borrowed(text)
                }
            };
            if is_null(&text) {
                continue;
            }
            match key.feeds {
                Resolved::Canonical(key) => fields.set(key, Field { text, json: Some(json), logged_as: None }),
                Resolved::Mapped(feeds) => {
                    let name = Some(Cow::Owned(key.name.to_string()));
                    fields.set(feeds, Field { text, json: Some(json), logged_as: name });
                }
                Resolved::Unknown => fields.keep(Cow::Owned(key.name.to_string()), Cow::Borrowed(json)),
            }
        }
        if separator == b'{' || bytes.get(at..) != Some(b"}") {
            return None;
        }
        fields.carry(carried);
        if fields.get(Key::LogSchema) == Some(SCHEMA) {
            fields.mark_taken(Key::LogSchema);
            fields.carry(KeySet::RECOMMENDED);
        }
        Some(())
    }
}

impl NullRun {
    /// For each key the run that begins with it, if it is one of at least two. `spans`: where each key's literal begins, where its value ends,
    /// and whether that is null.
    fn all(line: &str, keys: &[ShapeKey], spans: &[(usize, usize, bool)]) -> Vec<Option<NullRun>> {
        let mut runs: Vec<Option<NullRun>> = keys.iter().map(|_| None).collect();
        let mut first = 0;
        for nulls in spans.chunk_by(|(_, _, one), (_, _, other)| one == other) {
            let next = first + nulls.len();
            let whole = nulls.first().zip(nulls.last()).filter(|((_, _, null), _)| *null && nulls.len() >= 2);
            if let Some(((start, ..), (_, end, _))) = whole {
                let text: Arc<str> = line.get(*start..*end).unwrap_or_default().into();
                let mut carries = KeySet::EMPTY;
                // from the last but one to the first: each carries what those after it carry, too
                for place in (first..next).rev() {
                    let (Some(key), Some((at, ..)), Some(run)) =
                        (keys.get(place), spans.get(place), runs.get_mut(place))
                    else {
                        continue;
                    };
                    carries = carries.union(key.carries);
                    if place + 1 < next {
                        *run = Some(NullRun { text: Arc::clone(&text), from: at - start, next, carries });
                    }
                }
            }
            first = next;
        }
        runs
    }
}

/// Whether a balanced text is JSON within the bound. The same few texts (policies, services) come again and again.
fn is_json(text: &str, known: &mut HashSet<Box<str>>, max_nesting: usize) -> bool {
    if known.contains(text) {
        return true;
    }
    // the line itself is level 1; the text holds no escapes, so there are no halves of surrogate pairs
    let mut depth = 1_usize;
    let mut in_string = false;
    for byte in text.bytes() {
        match byte {
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
        if depth > max_nesting {
            return false;
        }
    }
    let valid = serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok();
    if valid && text.len() <= NESTED_LENGTH {
        if known.len() >= NESTED {
            known.clear();
        }
        known.insert(text.into());
    }
    valid
}

#[cfg(test)]
mod tests;
