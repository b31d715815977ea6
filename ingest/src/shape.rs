//! The fast way to read a JSON line: a proxy writes the same keys in the same order line after line, so a line is checked against one that was
//! read before, byte for byte, and only its values are looked at.
//!
//! ```text
//!  line ─▶ a known shape? ── every key where it was expected, or left out ──▶ Slots
//!              │ no: other keys, another order, escapes, anything odd
//!              └──▶ json::parse (the judge) ──▶ Fields, and the shape is learned
//! ```
//! A [`Shape`] is a list of keys with the bytes around them. Lines may leave keys out (`omit_empty_values`) and still fit. What was a run of nulls
//! when the shape was learned mostly is one again, and is passed over in one comparison. Whatever this module
//! accepts, [`crate::json::parse`] would accept with the same outcome; whatever it is not sure of, it leaves to it. It never says that a line
//! is wrong.

mod nested;
mod parts;
mod value;

use std::sync::Arc;

use crate::envelope::names_a_pod;
use crate::field_map::Resolved;
use crate::fields::is_null;
use crate::format::recommended_as;
use crate::json_names::LineNames;
use crate::key::{Key, KeySet};
use crate::line_format::{LineFormat, PathSource, Told, is_of_strings};
use crate::literal::Literal;
use crate::slots::{Layout, Slots};
use nested::{Budget, Known};
use parts::{Place, Seen};
use value::Value;
pub(crate) use value::plain_until;

/// Shapes that are kept: HTTP, TCP and listener lines of a few proxies.
const SHAPES: usize = 32;
/// Most keys of a shape: a line that repeats a million keys is not a format.
const KEYS: usize = 512;
/// After this many shapes were learned nothing more is: the lines have no shape.
const LESSONS: u32 = 256;

/// The shapes seen so far.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    /// The one that fitted last is the first.
    shapes: Vec<Shape>,
    lessons: u32,
    nested: Budget,
}

/// The keys of a line, in their order.
#[derive(Debug)]
struct Shape {
    keys: Vec<ShapeKey>,
    layout: Layout,
    /// Of the format by whose names it is read.
    path: PathSource,
    /// Keys that its lines carry though they may leave them out.
    carries: KeySet,
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
    literal: Literal,
    name: Box<str>,
    /// A line without it may have to be read by other names.
    decides: bool,
    feeds: Feeds,
    carries: KeySet,
    /// If its value was null: the nulls from it on.
    run: Option<NullRun>,
    /// Objects and lists that it had.
    nested: Known,
}

/// Where a value goes.
#[derive(Debug)]
enum Feeds {
    Key(Key),
    /// Into `extra`, under the name of that number.
    Extra(usize),
    /// It says several things.
    Several(Place),
}

/// Whether a line fits a shape.
enum Fit {
    Yes,
    No,
    /// It has these keys, but a value that the plain parser has to look at: no other shape would do better.
    Odd,
}

impl Shapes {
    /// Reads a line into empty slots; the names of its values. `None`: the plain parser has to read it.
    pub(crate) fn read<'a>(&mut self, line: &'a str, max_nesting: usize, slots: &mut Slots<'a>) -> Option<&Layout> {
        let Shapes { shapes, nested, .. } = self;
        for place in 0..shapes.len() {
            match shapes.get_mut(place)?.read(line, nested, max_nesting, slots) {
                Fit::Yes => {
                    shapes.swap(0, place);
                    return shapes.first().map(|shape| &shape.layout);
                }
                Fit::No => slots.clear(),
                Fit::Odd => {
                    slots.clear();
                    return None;
                }
            }
        }
        None
    }

    /// Takes in the shape of a line that the general parser accepted.
    pub(crate) fn learn(&mut self, line: &str, names: LineNames<'_>) {
        if self.lessons >= LESSONS {
            return;
        }
        self.lessons += 1;
        if let Some(shape) = Shape::of(line, names) {
            while self.shapes.len() >= SHAPES {
                if let Some(forgotten) = self.shapes.pop() {
                    forgotten.keys.into_iter().for_each(|key| key.nested.forget(&mut self.nested));
                }
            }
            self.shapes.insert(0, shape);
        }
    }
}

impl Shape {
    fn of(line: &str, names: LineNames<'_>) -> Option<Shape> {
        let mut keys: Vec<ShapeKey> = Vec::new();
        let mut layout = Layout::new();
        // where each key's literal begins and its value ends, and whether that is null
        let mut spans = Vec::new();
        let mut fed = KeySet::EMPTY;
        let mut at = 0;
        loop {
            let separator = if keys.is_empty() { "{" } else { "," };
            let rest = line.get(at..)?;
            let literal = rest.strip_prefix(separator)?;
            let name_at = literal.find('"')?;
            let (Value::String(name), name_end) = value::value(literal, name_at)? else { return None };
            let colon = literal.get(name_end..)?;
            let blanks = colon.trim_start_matches([' ', '\t']);
            let after = blanks.strip_prefix(':')?.trim_start_matches([' ', '\t']);
            let literal = literal.get(..literal.len() - after.len())?;
            // who logged the line is for the envelope to say, which looks at the other keys, too
            if names_a_pod(name) {
                return None;
            }
            let mut carries = KeySet::EMPTY;
            let feeds = match names.map.resolve(name) {
                Resolved::Unknown => Feeds::Extra(layout.add(name)),
                Resolved::Several(part) if fed.meets(part.keys()) => return None,
                Resolved::Several(part) => {
                    fed = fed.union(part.keys());
                    Feeds::Several(Place::of(part, &mut layout))
                }
                // two names for one key: which of them wins is the general parser's to say
                Resolved::Canonical(key) | Resolved::Mapped(key) if fed.has(key) => return None,
                resolved @ (Resolved::Canonical(key) | Resolved::Mapped(key)) => {
                    carries = carries.with(key);
                    fed = fed.with(key);
                    if matches!(resolved, Resolved::Mapped(_)) {
                        layout.map(key, name);
                    }
                    Feeds::Key(key)
                }
            };
            if keys.len() >= KEYS || keys.iter().any(|key| *key.name == *name) || literal.get(..name_at)?.trim() != "" {
                return None;
            }
            let literal_at = at + separator.len();
            at = line.len() - after.len();
            let decides = names.depend_on(name);
            let (literal, name) = (Literal::new(literal), name.into());
            keys.push(ShapeKey { literal, name, decides, feeds, carries, run: None, nested: Known::default() });
            let (value, end) = value::value(line, at)?;
            spans.push((literal_at, end, value == Value::Null));
            at = end;
            if line.get(at..)? == "}" {
                NullRun::find_all(line, &mut keys, &spans);
                let LineNames { path, carries, rivals, .. } = names;
                // which of two formats it is of is in doubt: the general parser says so
                return rivals.is_empty().then_some(Shape { keys, layout, path, carries });
            }
        }
    }

    /// Reads the line's values into empty slots, if it fits.
    fn read<'a>(&mut self, line: &'a str, budget: &mut Budget, max_nesting: usize, slots: &mut Slots<'a>) -> Fit {
        let bytes = line.as_bytes();
        let mut carried = KeySet::EMPTY;
        let Seen { mut present, mut quoted, mut dashed, mut of_texts, .. } = Seen::default();
        let mut at = 0;
        let mut separator = b'{';
        let mut next = 0;
        while bytes.get(at) == Some(&separator) {
            let Some(after) = bytes.get(at + 1..) else { return Fit::No };
            let Some(key) = self.keys.get_mut(next) else { return Fit::No };
            if let Some(run) = &key.run
                && let Some(text) = run.text.as_bytes().get(run.from..)
                && after.starts_with(text)
            {
                at += 1 + text.len();
                next = run.next;
                carried = carried.union(run.carries);
                separator = b',';
                continue;
            }
            let key = match key.literal.starts(after) {
                true => key,
                false => {
                    let Some(skipped) =
                        self.keys.get(next..).and_then(|keys| keys.iter().position(|key| key.literal.starts(after)))
                    else {
                        return Fit::No;
                    };
                    if self.keys.iter().skip(next).take(skipped).any(|key| key.decides) {
                        return Fit::No;
                    }
                    next += skipped;
                    let Some(key) = self.keys.get_mut(next) else { return Fit::No };
                    key
                }
            };
            next += 1;
            at += 1 + key.literal.len();
            carried = carried.union(key.carries);
            separator = b',';
            if let Feeds::Several(place) = &key.feeds {
                let mut seen = Seen::default();
                let Some(end) = place.read((line, at), max_nesting, slots, &mut seen) else { return Fit::Odd };
                at = end;
                present = present.union(seen.present);
                quoted = quoted.union(seen.quoted);
                carried = carried.union(seen.carried);
                dashed = dashed.union(seen.dashed);
                of_texts = of_texts.union(seen.of_texts);
                continue;
            }
            // a key that feeds no column has no bit
            let bit = key.carries;
            if let Some(text) = key.nested.find(line, at) {
                at += text.len();
                match &key.feeds {
                    Feeds::Key(key) => {
                        slots.put(*key, text);
                        present = present.union(bit);
                    }
                    Feeds::Extra(name) => slots.keep(*name, text, false),
                    Feeds::Several(_) => {}
                }
                continue;
            }
            let Some((value, end)) = value::value(line, at) else { return Fit::Odd };
            at = end;
            match (value, &key.feeds) {
                (Value::Null, _) | (_, Feeds::Several(_)) => {}
                (Value::String(text), Feeds::Key(key)) => {
                    if !is_null(text) {
                        slots.put(*key, text);
                        present = present.union(bit);
                        quoted = quoted.union(bit);
                    } else if !text.is_empty() {
                        dashed = dashed.union(bit);
                    }
                }
                (Value::String(text), Feeds::Extra(name)) => slots.keep(*name, text, true),
                (Value::Plain(text), Feeds::Key(key)) => {
                    slots.put(*key, text);
                    present = present.union(bit);
                }
                (Value::Plain(text), Feeds::Extra(name)) => slots.keep(*name, text, false),
                (Value::Nested(text), feeds) => {
                    if !key.nested.admit(text, max_nesting, budget) {
                        return Fit::Odd;
                    }
                    match feeds {
                        Feeds::Key(key) => {
                            slots.put(*key, text);
                            present = present.union(bit);
                        }
                        Feeds::Extra(name) => slots.keep(*name, text, false),
                        Feeds::Several(_) => {}
                    }
                }
            }
        }
        let left_out = self.keys.iter().skip(next).any(|key| key.decides);
        if separator == b'{' || bytes.get(at..) != Some(b"}") || left_out {
            return Fit::No;
        }
        slots.mark(present, quoted);
        slots.carry(carried.union(self.carries));
        if is_of_strings(quoted.without(of_texts), dashed) {
            slots.tell(Told::new(LineFormat::StringJson, self.path));
            return Fit::Yes;
        }
        let schema = recommended_as(slots.get(Key::LogSchema));
        if schema.is_some() {
            slots.drop_value(Key::LogSchema);
            slots.carry(KeySet::RECOMMENDED);
        }
        let format = LineFormat::of_json(schema, slots.carried(), slots.has_rest());
        slots.tell(Told::new(format, self.path));
        Fit::Yes
    }
}

impl NullRun {
    /// Gives each key the run that begins with it, if it is one of at least two. `spans`: where each key's literal begins, where its value ends,
    /// and whether that is null.
    fn find_all(line: &str, keys: &mut [ShapeKey], spans: &[(usize, usize, bool)]) {
        let mut first = 0;
        for nulls in spans.chunk_by(|(_, _, one), (_, _, other)| one == other) {
            let next = first + nulls.len();
            let whole = nulls.first().zip(nulls.last()).filter(|((_, _, null), _)| *null && nulls.len() >= 2);
            if let Some(((start, ..), (_, end, _))) = whole {
                let text: Arc<str> = line.get(*start..*end).unwrap_or_default().into();
                let mut carries = KeySet::EMPTY;
                // from the last but one to the first: each carries what those after it carry, too
                for place in (first..next).rev() {
                    let (Some(key), Some((at, ..))) = (keys.get_mut(place), spans.get(place)) else { continue };
                    carries = carries.union(key.carries);
                    if place + 1 < next {
                        key.run = Some(NullRun { text: Arc::clone(&text), from: at - start, next, carries });
                    }
                }
            }
            first = next;
        }
    }
}

#[cfg(test)]
mod tests;
