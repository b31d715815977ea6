//! The plain reader of keys that say several things.
//!
//! What is not as the format has it stays whole in `extra`: a number where an object belongs, a list that is longer, a member that is not in
//! the format. A text that can be read in no way or in more than one, and an object with a repeated member, put the line in doubt: a caller may
//! have written some of it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Pairs, Values, text_of};
use crate::fields::{Fields, is_null};
use crate::format_string::TextFormat;
use crate::key::{Key, KeySet};
use crate::parts::{Part, What, Word};
use crate::rbac;

impl<'a> Values<'_, 'a> {
    /// Reads a value that says several things.
    pub(super) fn part(&mut self, part: &Part, json: &'a str) -> serde_json::Result<()> {
        let name = || Cow::Owned(part.name.clone());
        // what an object or a list has is carried when it is there
        if matches!(part.what, What::Key(_) | What::Text(..)) {
            self.fields.carry(part.keys());
        }
        match (&part.what, json.as_bytes().first()) {
            (_, Some(b'n')) => {}
            (What::Key(key), _) => self.value(*key, Some(name()), json)?,
            (What::Object(members), Some(b'{')) => {
                let Pairs { first, further } = serde_json::from_str(json)?;
                if !further.is_empty() {
                    self.fields.doubt();
                    self.fields.keep(name(), Cow::Borrowed(json));
                }
                let known = |key: &str| members.iter().find(|(name, _)| *name == key).map(|(_, part)| part);
                for (key, raw) in first {
                    match known(&key) {
                        Some(part) => self.part(part, raw.get())?,
                        None => self.keep(Cow::Owned(format!("{}.{key}", part.name)), raw.get())?,
                    }
                }
                for (part, raws) in further.iter().filter_map(|(key, raws)| Some((known(key)?, raws))) {
                    for raw in raws {
                        self.repeated_part(part, raw.get())?;
                    }
                }
            }
            (What::List(parts), Some(b'[')) => {
                let values: Vec<&RawValue> = serde_json::from_str(json)?;
                if values.len() != parts.len() {
                    // Envoy leaves nulls out of a list where it omits what is empty: nobody knows which value is whose
                    self.fields.doubt();
                    self.denials(part.keys(), json);
                    return self.keep(name(), json);
                }
                for (part, raw) in parts.iter().zip(values) {
                    self.part(part, raw.get())?;
                }
            }
            (What::Text(format, words), Some(b'"')) => {
                let text = text_of(json)?;
                if !is_null(&text) && !self.words(format, words, text) {
                    self.fields.doubt();
                    self.denials(part.keys(), &text_of(json)?);
                    self.keep(name(), json)?;
                }
            }
            (What::Extra | What::Object(_) | What::List(_) | What::Text(..), _) => self.keep(name(), json)?,
        }
        Ok(())
    }

    /// Reads a further value of that part.
    pub(super) fn repeated_part(&mut self, part: &Part, json: &'a str) -> serde_json::Result<()> {
        let mut fields = Fields::new();
        let mut values = Values { fields: &mut fields, ..*self };
        values.part(part, json)?;
        (self.strings, self.dashes) = (values.strings, values.dashes);
        fields.into_values().for_each(|(key, text)| self.fields.repeat(key, text));
        Ok(())
    }

    /// Of a text that cannot be read: whatever in it says that a policy denied the request counts, wherever the value ends.
    fn denials(&mut self, keys: KeySet, text: &str) {
        let details = [Key::ResponseCodeDetails, Key::ConnectionTerminationDetails];
        for key in details.into_iter().filter(|key| keys.has(*key)) {
            for denial in rbac::denials(text) {
                self.fields.repeat(key, Cow::Owned(denial.to_owned()));
            }
        }
    }

    /// Reads a text; whether it could be read.
    fn words(&mut self, format: &TextFormat, words: &[Word], text: Cow<'a, str>) -> bool {
        let Ok(spans) = format.read_plain(&text) else { return false };
        for (word, span) in words.iter().zip(spans) {
            let text = match &text {
                Cow::Borrowed(text) => Cow::Borrowed(text.get(span).unwrap_or_default()),
                Cow::Owned(text) => Cow::Owned(text.get(span).unwrap_or_default().to_owned()),
            };
            self.word(word, text);
        }
        true
    }
}

#[cfg(test)]
mod tests;
