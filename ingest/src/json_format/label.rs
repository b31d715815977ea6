//! One value of a JSON format: its operators, and what becomes of it.

use serde_json::Value;

use crate::format::recommended_as;
use crate::format_string::{TextFormat, distinct};
use crate::key::Key;
use crate::operator::{Operator, Piece, pieces};
use crate::parts::{What, Word};

/// One value of the format's object, at any depth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The key that has it in every line; of values in objects and lists the way to them, joined by dots: `tls.version`, `who.0`.
    pub name: String,
    /// The operators of its value.
    pub operators: Vec<Operator>,
    /// What becomes of the value.
    pub used: LabelUse,
    /// It stands in an object or a list.
    pub nested: bool,
    /// It stands in a list: where empty values are omitted, nobody knows which of its values is whose.
    pub in_list: bool,
    /// What reads it, if it holds operators and text.
    pub text: Option<TextFormat>,
}

/// What becomes of a label's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelUse {
    /// Columns are derived from it, as from that canonical key.
    Key(&'static str),
    /// Another label feeds that key; this one stays in `extra`.
    Repeats(&'static str),
    /// One operator, but no column has room for its value; it stays in `extra`.
    NoColumn,
    /// Operators and text, or several operators, in one value: of each operator the canonical key that it feeds. What feeds none
    /// stays in `extra`.
    Mixed(Vec<Option<&'static str>>),
    /// Text, a number or the like, the same in every line; it stays in `extra`.
    Literal,
    /// A value that Envoy refuses, or a start time that is not understood.
    Invalid(String),
}

impl Label {
    pub(super) fn new(name: &str, value: &Value, nested: bool, in_list: bool) -> Label {
        let mut label = Label {
            name: name.to_owned(),
            operators: Vec::new(),
            used: LabelUse::Literal,
            nested,
            in_list,
            text: None,
        };
        label.used = match value {
            Value::Object(_) | Value::Array(_) => LabelUse::Invalid("nested too deeply".to_owned()),
            Value::Null | Value::Bool(_) | Value::Number(_) => LabelUse::Literal,
            Value::String(text) => match pieces(text) {
                Ok(pieces) => label.compile(text, pieces),
                Err(error) => LabelUse::Invalid(error.to_string()),
            },
        };
        let schema = !nested && name == Key::LogSchema.name() && recommended_as(value.as_str()).is_some();
        if schema && label.used == LabelUse::Literal {
            label.used = LabelUse::Key(Key::LogSchema.name());
        }
        label
    }

    fn compile(&mut self, text: &str, pieces: Vec<Piece>) -> LabelUse {
        let pieces_count = pieces.len();
        self.operators.extend(pieces.into_iter().filter_map(|piece| match piece {
            Piece::Operator(operator) => Some(operator),
            Piece::Literal(_) => None,
        }));
        match (self.operators.as_slice(), pieces_count) {
            ([], _) => LabelUse::Literal,
            ([only], 1) => only.feeds().map_or(LabelUse::NoColumn, LabelUse::Key),
            (operators, _) => {
                // a line break within is nothing that a text format has
                self.text = Some(text)
                    .filter(|text| !text.contains(['\n', '\r']))
                    .and_then(|text| TextFormat::compile(text).ok());
                let feeds = |operator: &Operator| operator.feeds().filter(|_| self.text.is_some());
                LabelUse::Mixed(operators.iter().map(feeds).collect())
            }
        }
    }

    /// The key that its operator at that place feeds.
    pub(super) fn feeds(&self, place: usize) -> Option<&'static str> {
        match &self.used {
            LabelUse::Key(key) if place == 0 => Some(key),
            LabelUse::Mixed(keys) => keys.get(place).copied().flatten(),
            _ => None,
        }
    }

    pub(super) fn fills(&self) -> Vec<&'static str> {
        match &self.used {
            LabelUse::Key(key) => vec![key],
            LabelUse::Mixed(keys) => keys.iter().copied().flatten().collect(),
            _ => Vec::new(),
        }
    }

    /// Of each operator of a label with several: the name under which `extra` keeps its value, and the key that it feeds.
    pub(super) fn words(&self) -> Vec<(String, Option<&'static str>)> {
        let LabelUse::Mixed(keys) = &self.used else { return Vec::new() };
        let names = distinct(self.operators.iter().map(Operator::extra_name));
        names.into_iter().map(|name| format!("{}.{name}", self.name)).zip(keys.iter().copied()).collect()
    }

    pub(super) fn what(&self, omits_empty: bool) -> What {
        match (&self.used, &self.text) {
            (LabelUse::Key(key), _) => Key::from_name(key).map_or(What::Extra, What::Key),
            (LabelUse::Mixed(keys), Some(text)) if keys.iter().any(Option::is_some) => {
                let words =
                    self.words().into_iter().map(|(name, key)| Word { name, key: key.and_then(Key::from_name) });
                What::Text(text.clone().with_omit_empty_values(omits_empty), words.collect())
            }
            _ => What::Extra,
        }
    }
}
