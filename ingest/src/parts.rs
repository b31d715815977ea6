//! What a key of a line says, where that is several things: a mesh's JSON format may have objects, lists, and texts with several operators.
//!
//! ```text
//! "tls":{"v":"TLSv1.3","sni":"a.b"}   Object ─▶ v: downstream_tls_version, sni: requested_server_name
//! "req":"GET /a HTTP/1.1"             Text   ─▶ method, path, protocol
//! ```
//! The plain reader is `json/parts.rs`, the fast one `shape/parts.rs`.

use crate::format_string::TextFormat;
use crate::key::{Key, KeySet};

/// A value of a line's JSON, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// The way to it, joined by dots: what `extra` calls what no column takes.
    pub(crate) name: String,
    pub(crate) what: What,
}

/// What a value says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// The value of that key.
    Key(Key),
    /// Nothing that a column has.
    Extra,
    /// Of each of its members something.
    Object(Vec<(String, Part)>),
    /// Of the value at each place something.
    List(Vec<Part>),
    /// A text: one word of it per operator.
    Text(TextFormat, Vec<Word>),
}

/// An operator's value in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// The way to it; see [`Part::name`].
    pub(crate) name: String,
    /// `None`: no column has it.
    pub(crate) key: Option<Key>,
}

impl Part {
    /// Every key that it feeds.
    pub(crate) fn keys(&self) -> KeySet {
        let all = |keys: KeySet, part: &Part| keys.union(part.keys());
        match &self.what {
            What::Key(key) => KeySet::EMPTY.with(*key),
            What::Extra => KeySet::EMPTY,
            What::Object(members) => members.iter().map(|(_, part)| part).fold(KeySet::EMPTY, all),
            What::List(parts) => parts.iter().fold(KeySet::EMPTY, all),
            What::Text(_, words) => words.iter().filter_map(|word| word.key).fold(KeySet::EMPTY, KeySet::with),
        }
    }
}
