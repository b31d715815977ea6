//! Elasticsearch's `_bulk`: an action a line, a document after it.
//!
//! ```text
//! {"create":{"_index":"logs","_id":"1"}}
//! {"message":"<line>","kubernetes":{..}}        the line
//! ```
//! Source: Elasticsearch's reference, "Bulk API". A document is a line as it is: shippers put the envelope around it that files have, too. `delete` and
//! `update` change what is there already, which nobody can here: they are answered with an error each, and the others are taken.

use std::borrow::Cow;

use serde::Deserialize;

use super::lines::Lines;

/// Most actions of one body: each takes a kilobyte until it is answered.
pub const MOST: usize = 20_000;

/// An action, as the answer has to name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What was to be done.
    pub action: Action,
    /// The index, where the action names one.
    pub index: Option<String>,
    /// The document's id, where the action names one.
    pub id: Option<String>,
}

/// What an action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Adds a document.
    Index,
    /// Adds a document that must be new.
    Create,
    /// Changes one: not taken.
    Update,
    /// Takes one away: not taken.
    Delete,
}

impl Action {
    /// Its name in requests and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Action::Index => "index",
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }

    /// Whether its document is taken.
    #[must_use]
    pub fn is_taken(self) -> bool {
        matches!(self, Action::Index | Action::Create)
    }
}

/// Why a body is none: nothing of it is taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BulkError {
    /// A line that should be an action.
    #[error("Malformed action/metadata line [{0}], expected an object with one of [create, delete, index, update]")]
    Action(u64),
    /// The last action's document is missing.
    #[error("the action in line [{0}] has no document after it; the body must end with a newline")]
    NoDocument(u64),
    /// Too many actions.
    #[error("more than {MOST} actions in one body")]
    TooMany,
}

#[derive(Deserialize)]
struct Actions<'a> {
    #[serde(borrow)]
    index: Option<Meta<'a>>,
    #[serde(borrow)]
    create: Option<Meta<'a>>,
    #[serde(borrow)]
    update: Option<Meta<'a>>,
    #[serde(borrow)]
    delete: Option<Meta<'a>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "_index")]
    index: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "_id")]
    id: Option<Cow<'a, str>>,
}

/// Appends the documents of a body as lines; what is to be answered, in the order of the body.
///
/// # Errors
/// If it is none: then nothing is appended.
pub fn documents(body: &[u8], lines: &mut Lines) -> Result<Vec<Item>, BulkError> {
    let mark = lines.mark();
    let outcome = append(body, lines);
    if outcome.is_err() {
        lines.cut(mark);
    }
    outcome
}

fn append(body: &[u8], lines: &mut Lines) -> Result<Vec<Item>, BulkError> {
    let mut items = Vec::new();
    let mut rest =
        body.split_inclusive(|byte| *byte == b'\n').zip(1..).filter(|(line, _)| !line.trim_ascii().is_empty());
    while let Some((line, number)) = rest.next() {
        if items.len() == MOST {
            return Err(BulkError::TooMany);
        }
        let item = item(line).ok_or(BulkError::Action(number))?;
        if item.action != Action::Delete {
            let (document, _) = rest.next().ok_or(BulkError::NoDocument(number))?;
            if item.action.is_taken() {
                let document = document.strip_suffix(b"\n").unwrap_or(document);
                lines.plain(document.strip_suffix(b"\r").unwrap_or(document));
            }
        }
        items.push(item);
    }
    Ok(items)
}

fn item(line: &[u8]) -> Option<Item> {
    let Actions { index, create, update, delete } = serde_json::from_slice(line).ok()?;
    let all = [(Action::Index, index), (Action::Create, create), (Action::Update, update), (Action::Delete, delete)];
    let mut named = all.into_iter().filter_map(|(action, meta)| Some((action, meta?)));
    let (action, Meta { index, id }) = named.next()?;
    let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
    named.next().is_none().then(|| Item { action, index: owned(index), id: owned(id) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(body: &str) -> Result<(Vec<Item>, String), BulkError> {
        let mut lines = Lines::new();
        let items = documents(body.as_bytes(), &mut lines)?;
        Ok((items, String::from_utf8(lines.into_bytes()).unwrap()))
    }

    #[test]
    fn documents_become_lines() {
        let body = "{\"index\":{\"_index\":\"logs\",\"_id\":\"1\"}}\n{\"a\":1}\r\n\n{\"create\":{}}\n{\"message\":\"x\"}\n{\"delete\":{\"_id\":\"2\"}}\n{\"update\":{\"_id\":\"3\"}}\n{\"doc\":{}}\n{\"index\":{}}\nno json\n";
        let (items, lines) = of(body).unwrap();
        assert_eq!(lines, "{\"a\":1}\n{\"message\":\"x\"}\nno json\n");
        let actions: Vec<_> = items.iter().map(|item| (item.action.name(), item.id.as_deref())).collect();
        let expected =
            [("index", Some("1")), ("create", None), ("delete", Some("2")), ("update", Some("3")), ("index", None)];
        assert_eq!(actions, expected);
        assert_eq!(items.first().unwrap().index.as_deref(), Some("logs"));
        assert_eq!(of(""), Ok((vec![], String::new())));
    }

    #[test]
    fn what_is_none_takes_nothing() {
        for (body, error) in [
            ("{\"index\":{}}\n{}\n{\"a\":1}\n", BulkError::Action(3)),
            ("{\"index\":{},\"create\":{}}\n{}\n", BulkError::Action(1)),
            ("x\n", BulkError::Action(1)),
            ("{\"index\":{}}\n", BulkError::NoDocument(1)),
        ] {
            assert_eq!(of(body), Err(error), "{body}");
        }
        assert_eq!(of(&"{\"delete\":{}}\n".repeat(MOST + 1)), Err(BulkError::TooMany));
        let mut lines = Lines::new();
        assert!(documents(b"{\"index\":{}}\n{}\nx\n", &mut lines).is_err());
        assert!(lines.is_empty() && lines.bytes().is_empty());
    }
}
