//! A line brought to the canonical keys: the values, which keys the line carries, and what is left over.
//!
//! Null, `"-"`, `""` and a missing key are all null here: which of them a proxy writes depends on the operator, the
//! version and the options. A value that is read with [`Fields::take`] is one that a column keeps; all others that are
//! not null end up in `extra`.

use std::borrow::Cow;
use std::cell::Cell;

use crate::key::{KEY_COUNT, Key, KeySet};
use crate::line_format::Told;
use crate::redact::Redaction;
use crate::shape::plain_until;

/// A value that is not null.
#[derive(Debug, Clone)]
pub(crate) struct Field<'a> {
    /// A string decoded; a number, truth value, object or list as its JSON text.
    pub(crate) text: Cow<'a, str>,
    /// The JSON text; `None` where it is that of a string.
    pub(crate) json: Option<Cow<'a, str>>,
    /// The name in the log, where it is not the canonical one.
    pub(crate) logged_as: Option<Cow<'a, str>>,
}

/// The values of one line.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    slots: [Option<Field<'a>>; KEY_COUNT],
    carried: KeySet,
    /// The keys of the slots that hold a value.
    present: KeySet,
    taken: Cell<KeySet>,
    /// The values of a repeated key after its first.
    further: Vec<(Key, Cow<'a, str>)>,
    /// Name and JSON text of what feeds no column. Values are not null.
    rest: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    told: Told,
    ambiguous: bool,
}

impl<'a> Fields<'a> {
    pub(crate) fn new() -> Self {
        Fields {
            slots: std::array::from_fn(|_| None),
            carried: KeySet::EMPTY,
            present: KeySet::EMPTY,
            taken: Cell::new(KeySet::EMPTY),
            further: Vec::new(),
            rest: Vec::new(),
            told: Told::default(),
            ambiguous: false,
        }
    }

    /// Takes secrets out of what a caller can write. (What no column takes is redacted as a whole, see [`crate::extra`].)
    pub(crate) fn redact(&mut self, redaction: &Redaction) {
        for key in self.present.iter() {
            let Some(Some(field)) = self.slots.get_mut(key as usize) else { continue };
            let redacted = match redaction.of(key, &field.text) {
                Cow::Borrowed(_) => continue,
                Cow::Owned(redacted) => redacted,
            };
            // what is no string is its own JSON text
            if field.json.as_ref().is_some_and(|json| !json.starts_with('"')) {
                field.json = Some(Cow::Owned(redacted.clone()));
            } else {
                field.json = None;
            }
            field.text = Cow::Owned(redacted);
        }
        for (_, text) in &mut self.further {
            if let Cow::Owned(redacted) = redaction.words(text) {
                *text = Cow::Owned(redacted);
            }
        }
    }

    /// Says what the line is as a whole.
    pub(crate) fn tell(&mut self, told: Told) {
        self.told = told;
    }

    /// What its reader said of the line as a whole.
    pub(crate) fn told(&self) -> Told {
        self.told
    }

    /// Says that the line can be read in more than one way.
    pub(crate) fn doubt(&mut self) {
        self.ambiguous = true;
    }

    /// Whether the line can be read in more than one way, or says one thing twice.
    pub(crate) fn is_ambiguous(&self) -> bool {
        self.ambiguous || !self.further.is_empty()
    }

    /// Says that the line's format has these keys.
    pub(crate) fn carry(&mut self, keys: KeySet) {
        self.carried = self.carried.union(keys);
    }

    /// Sets a value that the line does not carry itself.
    pub(crate) fn add(&mut self, key: Key, text: &'a str) {
        if !self.carries(key) {
            self.carry(KeySet::EMPTY.with(key));
            if !is_null(text) {
                self.set(key, Field { text: Cow::Borrowed(text), json: None, logged_as: None });
            }
        }
    }

    /// Sets a key's value. A mapped name gives way to the canonical one, and to a mapped one that came later.
    pub(crate) fn set(&mut self, key: Key, field: Field<'a>) {
        let Some(slot) = self.slots.get_mut(key as usize) else { return };
        self.present = self.present.with(key);
        let loser = match slot {
            Some(before) if before.logged_as.is_none() && field.logged_as.is_some() => Some(field),
            _ => slot.replace(field),
        };
        if let Some(Field { logged_as: Some(name), text, json }) = loser {
            // two names say two things: a caller may have written one of them
            if slot.as_ref().is_some_and(|winner| winner.text != text) {
                self.further.push((key, text.clone()));
            }
            let json = json.unwrap_or_else(|| json_string(&text));
            self.rest.push((name, json));
        }
    }

    /// Keeps a value that feeds no column.
    pub(crate) fn keep(&mut self, name: Cow<'a, str>, json: Cow<'a, str>) {
        self.rest.push((name, json));
    }

    /// The JSON text of a value that feeds no column.
    pub(crate) fn kept(&self, name: &str) -> Option<&str> {
        self.rest.iter().find(|(kept, _)| kept == name).map(|(_, json)| json.as_ref())
    }

    /// Whether there is a value that feeds no column.
    pub(crate) fn has_rest(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Notes a further value of a key that the line repeats; it feeds no column, and may be null.
    pub(crate) fn repeat(&mut self, key: Key, text: Cow<'a, str>) {
        self.further.push((key, text));
    }

    /// Every value of a key, the further ones, too.
    pub(crate) fn into_values(self) -> impl Iterator<Item = (Key, Cow<'a, str>)> {
        let first = Key::ALL.iter().zip(self.slots).filter_map(|(key, field)| Some((*key, field?.text)));
        first.chain(self.further)
    }

    /// The values of a repeated key after its first.
    pub(crate) fn further(&self, key: Key) -> impl Iterator<Item = &str> {
        self.further.iter().filter(move |(repeated, _)| *repeated == key).map(|(_, text)| text.as_ref())
    }

    /// Whether the line's format has the key.
    pub(crate) fn carries(&self, key: Key) -> bool {
        self.carried.has(key)
    }

    /// Every key that the line's format has.
    pub(crate) fn carried(&self) -> KeySet {
        self.carried
    }

    /// A key's value.
    pub(crate) fn get(&self, key: Key) -> Option<&str> {
        self.slots.get(key as usize)?.as_ref().map(|field| field.text.as_ref())
    }

    /// A key's value, which a column keeps.
    pub(crate) fn take(&self, key: Key) -> Option<&str> {
        let value = self.get(key);
        if value.is_some() {
            self.mark_taken(key);
        }
        value
    }

    /// Says that a column keeps all that the key's value says.
    pub(crate) fn mark_taken(&self, key: Key) {
        self.taken.set(self.taken.get().with(key));
    }

    /// An integer, taken only if it is one.
    pub(crate) fn take_integer<N: std::str::FromStr>(&self, key: Key) -> Option<N> {
        let number = integer(self.get(key)?)?;
        self.mark_taken(key);
        Some(number)
    }

    /// Every key whose value a column keeps.
    pub(crate) fn taken(&self) -> KeySet {
        self.taken.get()
    }

    /// Name and JSON text of every value that no column took, in no particular order.
    pub(crate) fn left_over<'f>(&'f self, redaction: &Redaction) -> impl Iterator<Item = (&'f str, Cow<'f, str>)> {
        let canonical = self.present.without(self.taken.get()).iter().filter_map(|key| {
            let field = self.slots.get(key as usize)?.as_ref()?;
            let name = redaction.name_of(key, field.logged_as.as_deref());
            let json = field.json.as_deref().map_or_else(|| json_string(&field.text), Cow::Borrowed);
            Some((name, json))
        });
        canonical.chain(self.rest.iter().map(|(name, json)| (name.as_ref(), Cow::Borrowed(json.as_ref()))))
    }
}

/// An integer, as a number or as a string of digits. `403.0` is one, too: some collectors make every number a double.
#[inline]
pub(crate) fn integer<N: std::str::FromStr>(text: &str) -> Option<N> {
    let whole = match text.as_bytes() {
        [b'+', ..] => return None,
        bytes if bytes.iter().all(u8::is_ascii_digit) => text,
        _ => match text.split_once('.') {
            Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|digit| digit == b'0') => whole,
            _ => text,
        },
    };
    whole.parse().ok()
}

/// Whether a string is one of Envoy's ways to write null.
pub(crate) fn is_null(text: &str) -> bool {
    matches!(text, "" | "-")
}

/// Appends a string as JSON text.
pub(crate) fn push_json_string(json: &mut String, text: &str) {
    // most texts need no escapes
    if plain_until(text.as_bytes(), 0) == text.len() {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        json.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// A string as JSON text.
pub(crate) fn json_string(text: &str) -> Cow<'static, str> {
    let mut json = String::with_capacity(text.len() + 2);
    push_json_string(&mut json, text);
    Cow::Owned(json)
}
