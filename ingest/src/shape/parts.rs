//! Keys that say several things, read fast: whatever is not just as the format has it is left to the plain reader (`json/parts.rs`).

use super::nested::is_json;
use super::value::{self, Value};
use crate::fields::is_null;
use crate::format_string::{Read, TextFormat};
use crate::key::{Key, KeySet};
use crate::parts::{Part, What};
use crate::slots::{Layout, Slots};

/// Most members of an object.
const MEMBERS: usize = 64;

/// What a value says, with the numbers that names have in a shape's layout.
#[derive(Debug)]
pub(super) enum Place {
    Key(Key),
    Extra(usize),
    Object(Vec<(Box<str>, Place)>),
    List(Vec<Place>),
    Text(Box<TextFormat>, Vec<Feed>),
}

/// What an operator's value in a text feeds.
#[derive(Debug)]
pub(super) enum Feed {
    Key(Key),
    Extra(usize),
}

/// The keys of values that were read.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Those that the line has, null or not.
    pub(super) carried: KeySet,
    pub(super) present: KeySet,
    pub(super) quoted: KeySet,
    /// Those that have `"-"`.
    pub(super) dashed: KeySet,
    /// Those of a word in a text: strings, whatever they are by themselves.
    pub(super) of_texts: KeySet,
}

impl Place {
    /// The place of a part, and its names in the layout.
    pub(super) fn of(part: &Part, layout: &mut Layout) -> Place {
        match &part.what {
            What::Key(key) => {
                layout.map(*key, &part.name);
                Place::Key(*key)
            }
            What::Extra => Place::Extra(layout.add(&part.name)),
            What::Object(members) => {
                let members = members.iter().map(|(name, part)| (name.as_str().into(), Place::of(part, layout)));
                Place::Object(members.collect())
            }
            What::List(parts) => Place::List(parts.iter().map(|part| Place::of(part, layout)).collect()),
            What::Text(format, words) => {
                let feeds = words.iter().map(|word| match word.key {
                    Some(key) => {
                        layout.map(key, &word.name);
                        Feed::Key(key)
                    }
                    None => Feed::Extra(layout.add(&word.name)),
                });
                Place::Text(Box::new(format.clone()), feeds.collect())
            }
        }
    }

    /// Reads the value that stands at `at` of a line, at most `levels` objects and lists deep with the one around it; where it ends. `None`: the plain
    /// reader has to look.
    pub(super) fn read<'a>(
        &self,
        (line, at): (&'a str, usize),
        levels: usize,
        slots: &mut Slots<'a>,
        seen: &mut Seen,
    ) -> Option<usize> {
        let bytes = line.as_bytes();
        match (self, bytes.get(at)?) {
            (Place::Object(members), b'{') => {
                let levels = levels.checked_sub(1).filter(|levels| *levels > 0)?;
                let (mut at, mut next, mut had) = (at + 1, 0, 0_u64);
                if bytes.get(at) == Some(&b'}') {
                    return Some(at + 1);
                }
                loop {
                    let (Value::String(name), end) = value::value(line, at)? else { return None };
                    (bytes.get(end) == Some(&b':')).then_some(())?;
                    // mostly the next
                    let is_it = |place: &usize| members.get(*place).is_some_and(|(member, _)| **member == *name);
                    let place = Some(next).filter(is_it).or_else(|| (0..members.len()).find(is_it))?;
                    (place < MEMBERS && had & 1 << place == 0).then_some(())?;
                    had |= 1 << place;
                    next = place + 1;
                    let (_, member) = members.get(place)?;
                    at = member.read((line, end + 1), levels, slots, seen)?;
                    match bytes.get(at)? {
                        b',' => at += 1,
                        b'}' => return Some(at + 1),
                        _ => return None,
                    }
                }
            }
            (Place::List(places), b'[') => {
                let levels = levels.checked_sub(1).filter(|levels| *levels > 0)?;
                let mut at = at + 1;
                for (number, place) in places.iter().enumerate() {
                    if number > 0 {
                        (bytes.get(at) == Some(&b',')).then_some(())?;
                        at += 1;
                    }
                    at = place.read((line, at), levels, slots, seen)?;
                }
                (bytes.get(at) == Some(&b']')).then_some(at + 1)
            }
            _ => self.read_one((line, at), levels, slots, seen),
        }
    }

    /// The same for what is no object or list of the format.
    fn read_one<'a>(
        &self,
        (line, at): (&'a str, usize),
        levels: usize,
        slots: &mut Slots<'a>,
        seen: &mut Seen,
    ) -> Option<usize> {
        let (value, end) = value::value(line, at)?;
        match self {
            Place::Key(key) => seen.carried = seen.carried.with(*key),
            Place::Text(_, feeds) => {
                let keys = feeds.iter().filter_map(|feed| if let Feed::Key(key) = feed { Some(*key) } else { None });
                seen.carried = keys.fold(seen.carried, KeySet::with);
            }
            Place::Extra(_) | Place::Object(_) | Place::List(_) => {}
        }
        let text = match (value, self) {
            (Value::Null, _) => return Some(end),
            (Value::String(text), Place::Text(format, feeds)) if !is_null(text) => {
                let mut words = std::mem::take(&mut slots.words);
                let read = format.read(text, &mut words);
                for (feed, word) in feeds.iter().zip(&words).filter(|_| read == Read::Sure) {
                    match feed {
                        Feed::Key(key) if !is_null(word) => {
                            slots.put(*key, word);
                            seen.present = seen.present.with(*key);
                            seen.quoted = seen.quoted.with(*key);
                            seen.of_texts = seen.of_texts.with(*key);
                        }
                        Feed::Key(_) => {}
                        Feed::Extra(name) => slots.keep(*name, word, true),
                    }
                }
                slots.words = words;
                return (read == Read::Sure).then_some(end);
            }
            (Value::String(text), Place::Key(key)) => {
                match text {
                    "" => {}
                    "-" => seen.dashed = seen.dashed.with(*key),
                    text => {
                        slots.put(*key, text);
                        seen.present = seen.present.with(*key);
                        seen.quoted = seen.quoted.with(*key);
                    }
                }
                return Some(end);
            }
            (Value::String(text), Place::Extra(name)) => {
                slots.keep(*name, text, true);
                return Some(end);
            }
            (Value::String(text), _) if is_null(text) => return Some(end),
            (Value::Nested(text), Place::Key(_) | Place::Extra(_)) if is_json(text, levels) => text,
            (Value::Plain(text), Place::Key(_) | Place::Extra(_)) => text,
            _ => return None,
        };
        match self {
            Place::Key(key) => {
                slots.put(*key, text);
                seen.present = seen.present.with(*key);
            }
            Place::Extra(name) => slots.keep(*name, text, false),
            _ => return None,
        }
        Some(end)
    }
}
