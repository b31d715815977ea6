//! Which names are sensitive.
//!
//! ```text
//! user%5BPass-Word%5D ──decode──▶ user[Pass-Word] ──innermost part, lower case, no - and _──▶ password
//! ```
//! Empty parts and numbers are passed over: of `password[]` and `password[0]` the part `password` counts. So are digits at the end: `password2`.
//! Everybody names tokens and signatures after themselves: `gitlab_token`, `deployToken` and `q-signature` are sensitive for their last word, but a
//! `page_token` is only a place in a list.

use super::params::{Sign, sign};

/// Longest part that is told from another, bytes; longer ones are told by their first so many.
const LONGEST: usize = 64;

/// Sensitive as a parameter, harmless as a member of JSON: `"code":"UNAVAILABLE"` is a status.
const PARAMETERS_ONLY: [&[u8]; 1] = [b"code"];

/// Names that are sensitive also at the end of a longer one, if they are by themselves: `userPassword`, `my_access_token`.
const ENDINGS: [&[u8]; 10] = [
    b"password",
    b"passwd",
    b"passphrase",
    b"secret",
    b"accesstoken",
    b"refreshtoken",
    b"authtoken",
    b"sessiontoken",
    b"apikey",
    b"secretkey",
];

/// Last words that make any name a sensitive one, if they are by themselves.
const LAST_WORDS: [&[u8]; 2] = [b"token", b"signature"];

/// Tokens that say where a list goes on.
const PLACES: [&[u8]; 10] = [
    b"pagetoken",
    b"nexttoken",
    b"continuationtoken",
    b"continuetoken",
    b"paginationtoken",
    b"pagingtoken",
    b"cursortoken",
    b"resumptiontoken",
    b"skiptoken",
    b"synctoken",
];

/// The sensitive names.
#[derive(Debug, Clone)]
pub(super) struct Names {
    given: Vec<String>,
    /// As they are looked up, by their length.
    by_length: Vec<Vec<Box<[u8]>>>,
    endings: Vec<&'static [u8]>,
    last_words: Vec<&'static [u8]>,
    /// Keys of JSON under which a format keeps secrets, as they are.
    labels: Vec<Box<[u8]>>,
}

impl Names {
    pub(super) fn new(given: Vec<String>) -> Self {
        let mut by_length: Vec<Vec<Box<[u8]>>> = vec![Vec::new(); LONGEST + 1];
        for name in &given {
            let part = innermost(name.as_bytes());
            if let Some(same_length) = by_length.get_mut(part.length).filter(|_| part.length > 0)
                && !same_length.iter().any(|known| **known == *part.bytes())
            {
                same_length.push(part.bytes().into());
            }
        }
        let (endings, last_words) = (Vec::new(), Vec::new());
        let mut names = Names { given, by_length, endings, last_words, labels: Vec::new() };
        names.endings = ENDINGS.into_iter().filter(|ending| names.has(ending)).collect();
        names.last_words = LAST_WORDS.into_iter().filter(|word| names.has(word)).collect();
        names
    }

    pub(super) fn add_label(&mut self, label: &str) {
        self.labels.push(label.as_bytes().into());
    }

    pub(super) fn given(&self) -> impl Iterator<Item = &str> {
        self.given.iter().map(String::as_str)
    }

    /// Whether the value of a parameter of that name is a secret.
    #[inline]
    pub(super) fn parameter(&self, name: &[u8]) -> bool {
        self.is_known(name) || {
            let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
            digits > 0 && name.get(..name.len() - digits).is_some_and(|name| self.is_known(name))
        }
    }

    #[inline]
    fn is_known(&self, name: &[u8]) -> bool {
        match plain_length(name) {
            Some(length) => {
                self.of_length(length).any(|known| same(known, name))
                    || self.endings.iter().any(|ending| length > ending.len() && ends_in(name, ending))
                    || (self.last_words.iter().any(|word| is_last_word(name, word))
                        && !PLACES.iter().any(|place| ends_in(name, place)))
            }
            None => {
                let part = innermost(name);
                self.has(part.bytes())
                    || self.endings.iter().any(|ending| part.bytes().ends_with(ending))
                    || (self.last_words.contains(&part.last_word())
                        && !PLACES.iter().any(|place| part.bytes().ends_with(place)))
            }
        }
    }

    /// Whether the value of a member of JSON with that key is a secret.
    #[inline]
    pub(super) fn member(&self, name: &[u8]) -> bool {
        (self.parameter(name) && !PARAMETERS_ONLY.contains(&innermost(name).bytes()))
            || self.labels.iter().any(|label| **label == *name)
    }

    fn has(&self, part: &[u8]) -> bool {
        self.of_length(part.len()).any(|known| known == part)
    }

    fn of_length(&self, length: usize) -> impl Iterator<Item = &[u8]> {
        self.by_length.get(length).into_iter().flatten().map(|name| &**name)
    }
}

/// How many bytes of a name count, if it has but one part and nothing encoded: almost all are so, and are compared where they stand.
#[inline]
fn plain_length(name: &[u8]) -> Option<usize> {
    let mut length = 0;
    for byte in name {
        match byte {
            b'%' | b'[' | b']' | b'.' => return None,
            b'-' | b'_' => {}
            _ => length += 1,
        }
    }
    (length <= LONGEST).then_some(length)
}

#[inline]
fn same(known: &[u8], name: &[u8]) -> bool {
    let counting = name.iter().filter(|byte| !matches!(byte, b'-' | b'_'));
    counting.map(u8::to_ascii_lowercase).eq(known.iter().copied())
}

#[inline]
fn ends_in(name: &[u8], ending: &[u8]) -> bool {
    let counting = name.iter().rev().filter(|byte| !matches!(byte, b'-' | b'_'));
    counting.map(u8::to_ascii_lowercase).take(ending.len()).eq(ending.iter().rev().copied())
}

/// Whether a name of several words ends in this one: a separator or an upper-case letter begins it.
#[inline]
fn is_last_word(name: &[u8], word: &[u8]) -> bool {
    let Some((before, last)) = name.len().checked_sub(word.len()).and_then(|at| name.split_at_checked(at)) else {
        return false;
    };
    let begins = |before: &u8| is_boundary(*before, last.first().copied().unwrap_or_default());
    last.eq_ignore_ascii_case(word) && before.last().is_some_and(begins)
}

fn is_boundary(before: u8, byte: u8) -> bool {
    matches!(before, b'-' | b'_') || (byte.is_ascii_uppercase() && !before.is_ascii_uppercase())
}

/// A part of a name as it is looked up.
#[derive(Clone, Copy)]
struct Part {
    bytes: [u8; LONGEST],
    length: usize,
    /// It holds something that is no digit.
    is_name: bool,
    /// Where its last word begins, if it has several.
    last_word: usize,
    /// The byte before, as it was.
    before: u8,
}

impl Part {
    const EMPTY: Part = Part { bytes: [0; LONGEST], length: 0, is_name: false, last_word: 0, before: 0 };

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Its last word; empty of a single one.
    fn last_word(&self) -> &[u8] {
        self.bytes().get(self.last_word..).filter(|_| self.last_word > 0).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        if is_boundary(self.before, byte) {
            self.last_word = self.length;
        }
        self.before = byte;
        self.is_name |= !byte.is_ascii_digit();
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte.to_ascii_lowercase();
            self.length += 1;
        }
    }
}

/// The last part that is a name.
fn innermost(name: &[u8]) -> Part {
    let mut last = Part::EMPTY;
    let mut part = Part::EMPTY;
    let mut at = 0;
    while let Some(Sign { means, length, .. }) = sign(name, at) {
        at += length;
        match means {
            b'[' | b']' | b'.' => {
                if part.is_name {
                    last = part;
                }
                part = Part::EMPTY;
            }
            b'-' | b'_' => part.before = means,
            byte => part.push(byte),
        }
    }
    if part.is_name { part } else { last }
}
