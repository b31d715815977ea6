//! The values of one line as the fast readers find them: pieces of the line, by canonical key, nothing copied and nothing decoded.
//!
//! ```text
//!  line ─▶ shape (JSON) or text format ─▶ Slots ─▶ an edge seen before? ── yes ─▶ cells of a batch
//!                                                          └─ no ─▶ Fields ─▶ the plain way, and the edge is remembered
//! ```
//! One `Slots` serves all lines of a block. A value that is null (absent, `null`, `""`, `"-"`) has no slot. Keys are never repeated: such a line
//! goes the plain way.

use std::borrow::Cow;

use crate::fields::{Field, Fields, is_null, push_json_string};
use crate::key::{KEY_COUNT, Key, KeySet};
use crate::line_format::Told;
use crate::redact::Redaction;

/// The values of one line.
#[derive(Debug)]
pub(crate) struct Slots<'a> {
    texts: [&'a str; KEY_COUNT],
    present: KeySet,
    quoted: KeySet,
    carried: KeySet,
    told: Told,
    /// Number of the name in the layout, text, and whether the text is that of a string.
    rest: Vec<(usize, &'a str, bool)>,
    /// Room for the values of a text while it is read.
    pub(crate) words: Vec<&'a str>,
}

/// What a format calls its values: the names of those that are kept in `extra`.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Names of what feeds no column, by number.
    names: Vec<Box<str>>,
    /// Where the log has another name for a key than the canonical one: its number.
    mapped: [Option<usize>; KEY_COUNT],
}

impl<'a> Slots<'a> {
    pub(crate) fn new() -> Self {
        Slots {
            texts: [""; KEY_COUNT],
            present: KeySet::EMPTY,
            quoted: KeySet::EMPTY,
            carried: KeySet::EMPTY,
            told: Told::default(),
            rest: Vec::new(),
            words: Vec::new(),
        }
    }

    /// Ready for the next line.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.present = KeySet::EMPTY;
        self.quoted = KeySet::EMPTY;
        self.carried = KeySet::EMPTY;
        self.rest.clear();
    }

    /// Sets a value that is a string.
    #[inline]
    pub(crate) fn set_string(&mut self, key: Key, text: &'a str) {
        if !is_null(text) {
            self.quoted = self.quoted.with(key);
            self.set_plain(key, text);
        }
    }

    /// Sets a value that is no null, of a key whose bit is at hand.
    #[inline]
    pub(crate) fn put(&mut self, key: Key, text: &'a str) {
        if let Some(slot) = self.texts.get_mut(key as usize) {
            *slot = text;
        }
    }

    /// Says which keys were [`put`](Slots::put), and which of them are strings.
    #[inline]
    pub(crate) fn mark(&mut self, present: KeySet, quoted: KeySet) {
        self.present = self.present.union(present);
        self.quoted = self.quoted.union(quoted);
    }

    /// Sets a value that is a number, a truth value, an object or a list: its JSON text.
    #[inline]
    pub(crate) fn set_plain(&mut self, key: Key, text: &'a str) {
        if let Some(slot) = self.texts.get_mut(key as usize) {
            *slot = text;
            self.present = self.present.with(key);
        }
    }

    /// Keeps a value that feeds no column: the number of its name in the layout, and its text.
    #[inline]
    pub(crate) fn keep(&mut self, name: usize, text: &'a str, string: bool) {
        if !(string && is_null(text)) {
            self.rest.push((name, text, string));
        }
    }

    /// Sets a value that the line does not carry itself.
    pub(crate) fn add(&mut self, key: Key, text: &'a str) {
        if !self.carried.has(key) {
            self.set_string(key, text);
            self.carry(KeySet::EMPTY.with(key));
        }
    }

    /// Says that the line's format has these keys.
    #[inline]
    pub(crate) fn carry(&mut self, keys: KeySet) {
        self.carried = self.carried.union(keys);
    }

    /// Says what the line is as a whole.
    #[inline]
    pub(crate) fn tell(&mut self, told: Told) {
        self.told = told;
    }

    /// What its reader said of the line as a whole.
    #[inline]
    pub(crate) fn told(&self) -> Told {
        self.told
    }

    /// Takes a value out: all is known that it says.
    pub(crate) fn drop_value(&mut self, key: Key) {
        self.present = self.present.without(KeySet::EMPTY.with(key));
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<&'a str> {
        if self.present.has(key) { self.texts.get(key as usize).copied() } else { None }
    }

    #[inline]
    pub(crate) fn present(&self) -> KeySet {
        self.present
    }

    #[inline]
    pub(crate) fn carried(&self) -> KeySet {
        self.carried
    }

    #[inline]
    pub(crate) fn has_rest(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Appends the JSON text of a value of `keys`, or of the rest, in the order of the names, as members of an object. Where the keys are `unsure`,
    /// secrets are taken out of their values; those of the rest stay in.
    pub(crate) fn write_extra(
        &self,
        (keys, unsure): (KeySet, bool),
        layout: &Layout,
        redaction: &Redaction,
        json: &mut String,
    ) {
        let named = keys.iter().map(|key| {
            let text = self.texts.get(key as usize).copied().unwrap_or_default();
            let text = if unsure { redaction.of(key, text) } else { Cow::Borrowed(text) };
            (redaction.name_of(key, layout.mapped(key)), text, self.quoted.has(key))
        });
        let rest = self.rest.iter().filter_map(|(name, text, quoted)| {
            Some((layout.names.get(*name)?.as_ref(), Cow::Borrowed(*text), *quoted))
        });
        // hardly ever more than a few
        let mut members: Vec<(&str, Cow<'_, str>, bool)> = named.chain(rest).collect();
        // of one name as their JSON texts would be: strings begin with a quote
        members.sort_by(|one, other| (one.0, !one.2, &one.1).cmp(&(other.0, !other.2, &other.1)));
        json.push('{');
        for (place, (name, text, quoted)) in members.into_iter().enumerate() {
            if place > 0 {
                json.push(',');
            }
            push_json_string(json, name);
            json.push(':');
            if quoted {
                push_json_string(json, &text);
            } else {
                json.push_str(&text);
            }
        }
        json.push('}');
    }

    /// The same for the plain way.
    pub(crate) fn fields(&self, layout: &Layout) -> Fields<'a> {
        let mut fields = Fields::new();
        for key in self.present.iter() {
            let text = self.texts.get(key as usize).copied().unwrap_or_default();
            let json = (!self.quoted.has(key)).then_some(Cow::Borrowed(text));
            let logged_as = layout.mapped(key).map(|name| Cow::Owned(name.to_owned()));
            fields.set(key, Field { text: Cow::Borrowed(text), json, logged_as });
        }
        for (name, text, quoted) in &self.rest {
            let Some(name) = layout.names.get(*name) else { continue };
            let json = if *quoted { crate::fields::json_string(text) } else { Cow::Borrowed(*text) };
            fields.keep(Cow::Owned(name.to_string()), json);
        }
        fields.carry(self.carried);
        fields.tell(self.told);
        fields
    }
}

impl Layout {
    /// A layout without names.
    pub(crate) fn new() -> Self {
        Layout { names: Vec::new(), mapped: [None; KEY_COUNT] }
    }

    /// Takes in a name of what feeds no column; its number.
    pub(crate) fn add(&mut self, name: &str) -> usize {
        self.names.push(name.into());
        self.names.len() - 1
    }

    /// Notes the log's own name for a key.
    pub(crate) fn map(&mut self, key: Key, name: &str) {
        let number = self.add(name);
        if let Some(mapped) = self.mapped.get_mut(key as usize) {
            *mapped = Some(number);
        }
    }

    fn mapped(&self, key: Key) -> Option<&str> {
        let number = self.mapped.get(key as usize).copied().flatten()?;
        self.names.get(number).map(AsRef::as_ref)
    }
}
