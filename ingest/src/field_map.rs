//! Other names of keys: a mesh whose JSON access-log format says `my_status` where the recommended one says
//! `response_code` maps the one to the other.
//!
//! A key that is mapped means what it is mapped to, even if it is itself a canonical name. Where a line carries both
//! the canonical name and a mapped one, the canonical wins and the other stays in `extra`.

use std::collections::{HashMap, HashSet};

use thiserror::Error;

use crate::json_format::JsonFormat;
use crate::key::Key;
use crate::parts::Part;

/// Maps keys of a custom JSON format to canonical ones. Empty by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldMap {
    keys: HashMap<String, Key>,
    /// Whether one of them is the start time.
    start_time: bool,
    /// Keys of the log that say several things.
    several: HashMap<String, Part>,
    /// Keys of the log that have a canonical name, but another meaning, which no column has.
    misleading: HashSet<String>,
}

impl FieldMap {
    /// From pairs of (key in the log, canonical key).
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, FieldMapError> {
        let mut keys: HashMap<String, Key> = HashMap::new();
        for (logged, canonical) in pairs {
            let key = canonical_key(&canonical)?;
            match keys.get(&logged) {
                Some(before) if *before != key => {
                    return Err(FieldMapError::MappedTwice { logged, first: before.name(), second: key.name() });
                }
                _ => keys.insert(logged, key),
            };
        }
        let start_time = keys.values().any(|key| *key == Key::StartTime);
        Ok(FieldMap { keys, start_time, ..FieldMap::default() })
    }

    /// Adds the names of a format; `omits_empty`: its lines leave out what is null.
    pub(crate) fn add_format(&mut self, format: &JsonFormat, omits_empty: bool) -> Result<(), FieldMapError> {
        let known = self.keys.iter().map(|(logged, key)| (logged.clone(), key.name().to_owned()));
        let FieldMap { keys, start_time, .. } = FieldMap::from_pairs(known.chain(format.pairs()))?;
        (self.keys, self.start_time) = (keys, start_time);
        self.misleading.extend(format.misleading().into_iter().map(str::to_owned));
        for part in format.parts(omits_empty) {
            self.start_time |= part.keys().has(Key::StartTime);
            self.several.insert(part.name.clone(), part);
        }
        Ok(())
    }

    /// Adds what another map says, where this one says nothing.
    pub(crate) fn add_any(&mut self, other: &FieldMap) {
        for (logged, key) in &other.keys {
            self.keys.entry(logged.clone()).or_insert(*key);
        }
        for (logged, part) in &other.several {
            self.several.entry(logged.clone()).or_insert_with(|| part.clone());
        }
        self.misleading.extend(other.misleading.iter().cloned());
        self.start_time |= other.start_time;
    }

    /// Splits and checks one `logged=canonical` pair, as given on a command line.
    pub fn parse_pair(pair: &str) -> Result<(String, String), FieldMapError> {
        match pair.split_once('=').map(|(logged, canonical)| (logged.trim(), canonical.trim())) {
            Some((logged, canonical)) if !logged.is_empty() && !canonical.is_empty() => {
                canonical_key(canonical)?;
                Ok((logged.to_owned(), canonical.to_owned()))
            }
            _ => Err(FieldMapError::NotAPair { pair: pair.to_owned() }),
        }
    }

    /// Every pair, sorted.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&str, &'static str)> {
        let mut pairs: Vec<_> = self.keys.iter().map(|(logged, key)| (logged.as_str(), key.name())).collect();
        pairs.sort_unstable();
        pairs
    }

    /// Whether the start time has another name.
    pub(crate) fn names_start_time(&self) -> bool {
        self.start_time
    }

    /// What a key of a line stands for.
    pub(crate) fn resolve(&self, name: &str) -> Resolved<'_> {
        match self.keys.get(name) {
            Some(key) => Resolved::Mapped(*key),
            None => match self.several.get(name) {
                Some(part) => Resolved::Several(part),
                None if self.misleading.contains(name) => Resolved::Unknown,
                None => Key::from_name(name).map_or(Resolved::Unknown, Resolved::Canonical),
            },
        }
    }
}

/// What a key of a line stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolved<'m> {
    /// The canonical name itself.
    Canonical(Key),
    /// Another name of it.
    Mapped(Key),
    /// Several things.
    Several(&'m Part),
    /// Nothing that feeds a column.
    Unknown,
}

/// Why a field map was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FieldMapError {
    /// No `=`, or an empty side.
    #[error(
        "`{pair}` is no field mapping; write it as key_in_the_log=canonical_key, for example my_status=response_code"
    )]
    NotAPair {
        /// What was given.
        pair: String,
    },
    /// The right side is not a key of the recommended format.
    #[error("`{canonical}` is not a key of the recommended format; {hint}")]
    UnknownKey {
        /// What was given.
        canonical: String,
        /// Near names.
        hint: String,
    },
    /// One key of the log was mapped to two.
    #[error("`{logged}` is mapped to both {first} and {second}; keep one of them")]
    MappedTwice {
        /// The key in the log.
        logged: String,
        /// What it was mapped to first.
        first: &'static str,
        /// What it was mapped to next.
        second: &'static str,
    },
}

fn canonical_key(name: &str) -> Result<Key, FieldMapError> {
    Key::from_name(name).ok_or_else(|| FieldMapError::UnknownKey { canonical: name.to_owned(), hint: near(name) })
}

/// The (at most five) canonical keys that look most like `name`.
fn near(name: &str) -> String {
    // a name from a command line or a file: bound the quadratic comparison
    let name: String = name.chars().take(64).collect();
    let mut scored: Vec<(usize, &str)> = Key::ALL
        .iter()
        .map(|key| {
            let contained = name.len() >= 3 && (key.name().contains(&name) || name.contains(key.name()));
            (if contained { 1 } else { edits(&name, key.name()) }, key.name())
        })
        .collect();
    scored.sort_unstable();
    let close: Vec<&str> =
        scored.iter().filter(|(distance, _)| *distance <= 1 + name.len() / 3).map(|(_, key)| *key).take(5).collect();
    match close.as_slice() {
        [] => "`meshwarden format` prints them all".to_owned(),
        close => format!("did you mean {}?", close.join(", ")),
    }
}

/// Levenshtein distance in characters.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (slot, to) in row.iter_mut().skip(1).zip(&b) {
            let here = (diagonal + usize::from(from != *to)).min(left + 1).min(*slot + 1);
            diagonal = std::mem::replace(slot, here);
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn edit_distances() {
        for (a, b, distance) in
            [("", "", 0), ("abc", "", 3), ("", "abc", 3), ("kitten", "sitting", 3), ("path", "path", 0)]
        {
            assert_eq!(edits(a, b), distance, "{a} {b}");
        }
    }

    #[test]
    fn pairs_are_checked() {
        assert_eq!(FieldMap::parse_pair("my_status = response_code"), Ok(("my_status".into(), "response_code".into())));
        for (pair, said) in [
            ("my_status", "is no field mapping"),
            ("=response_code", "is no field mapping"),
            ("a=", "is no field mapping"),
            ("a=respnse_code", "did you mean response_code"),
            ("a=zzzzzzzzzzzz", "prints them all"),
        ] {
            let error = FieldMap::parse_pair(pair).unwrap_err().to_string();
            assert!(error.contains(said), "{pair}: {error}");
        }
        let twice = [("a".into(), "path".into()), ("a".into(), "method".into())];
        assert!(FieldMap::from_pairs(twice).unwrap_err().to_string().contains("both path and method"));
    }

    #[test]
    fn keys_resolve() {
        let map = FieldMap::from_pairs([("status".into(), "response_code".into())]).unwrap();
        assert_eq!(map.resolve("status"), Resolved::Mapped(Key::ResponseCode));
        assert_eq!(map.resolve("response_code"), Resolved::Canonical(Key::ResponseCode));
        assert_eq!(map.resolve("other"), Resolved::Unknown);
        assert_eq!(map.pairs(), [("status", "response_code")]);
    }
}
