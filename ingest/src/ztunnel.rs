//! ztunnel's lines (ambient mesh), text and JSON, to values by name.
//!
//! ```text
//! 2026-11-22T14:39:24.727123Z ⇥ info ⇥ access ⇥ connection complete ⇥ src.addr=10.0.0.1:5 src.workload="a" ... duration="5ms"
//! time                          level  scope    message               then key=value, between blanks
//!
//! {"level":"info","time":"2026-...","scope":"access","message":"connection complete","src.addr":"10.0.0.1:5",...,"duration":"5ms"}
//! ```
//!
//! In text a string stands in quotes, escaped as Rust's debug format does; addresses and numbers stand bare. Between the parts is a
//! tab, but copies of a terminal have blanks there, so both are read. No caller can add a key: what it may choose is quoted and
//! escaped. A repeated key is kept all the same: shippers repeat some.
//!
//! All parts of Istio log in this form, ztunnel under many scopes. Connections are of the scope `access`; whatever else is refused
//! with its name.

use std::borrow::Cow;

use crate::fields::{is_null, json_string};
use crate::json::object::{checked_members, string};
use crate::reject::{Refusal, RejectReason, shown};

macro_rules! names {
    ($($variant:ident $name:literal),* $(,)?) => {
        /// The names that a column or the parser wants.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub(crate) enum Name { $(#[doc = $name] $variant),* }

        const NAMES: &[&str] = &[$($name),*];

        impl Name {
            fn of(text: &str) -> Option<Name> {
                match text { $($name => Some(Name::$variant),)* _ => None }
            }
        }
    };
}

names! {
    Level "level",
    Time "time",
    Scope "scope",
    Message "message",
    SourceAddr "src.addr",
    SourceIdentity "src.identity",
    DestinationAddr "dst.addr",
    DestinationHboneAddr "dst.hbone_addr",
    DestinationService "dst.service",
    DestinationWorkload "dst.workload",
    DestinationIdentity "dst.identity",
    Direction "direction",
    BytesSent "bytes_sent",
    BytesReceived "bytes_recv",
    Duration "duration",
    Error "error",
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A string, decoded; in text also what stands bare and is no number.
    Text(Cow<'a, str>),
    /// Anything else, as its JSON text.
    Json(&'a str),
}

/// The values of one line. Null, `""` and `"-"` are as good as absent.
#[derive(Debug)]
pub(crate) struct Connection<'a> {
    slots: [Option<Value<'a>>; NAMES.len()],
    /// What has no name here.
    rest: Vec<(Cow<'a, str>, Value<'a>)>,
    /// The values of a repeated key after its first.
    further: Vec<(Cow<'a, str>, Value<'a>)>,
}

/// Names and JSON texts.
pub(crate) type Members<'c> = Vec<(&'c str, Cow<'c, str>)>;

/// Of ztunnel and istiod's agent; the last three are Envoy's and the agent's.
const LEVELS: [&str; 8] = ["error", "warn", "info", "debug", "trace", "warning", "critical", "fatal"];

const MESSAGES: [&str; 3] = ["connection complete", "connection opened", "connection failed"];

/// What separates the parts of a text line.
const BETWEEN: [char; 2] = ['\t', ' '];

/// Whether a line is one of ztunnel's (or another one of Istio's own log). A look at its start; of JSON in another order, at its keys.
pub(crate) fn looks_like(line: &str) -> bool {
    match line.as_bytes().first() {
        Some(b'{') => looks_like_json(line.as_bytes()),
        Some(b'0'..=b'9') => {
            let (time, rest) = word(line);
            time.len() <= 35 && time.as_bytes().get(10) == Some(&b'T') && LEVELS.contains(&word(rest).0)
        }
        // copies without the time
        Some(_) => {
            let (level, rest) = word(line);
            line.starts_with("src.addr=") || (LEVELS.contains(&level) && word(rest).0 == "access")
        }
        None => false,
    }
}

/// Whether a text line starts with a level of Istio's logs and a blank.
pub(crate) fn starts_with_level(line: &[u8]) -> bool {
    LEVELS.iter().any(|level| line.strip_prefix(level.as_bytes()).is_some_and(|rest| rest.starts_with(b" ")))
}

fn looks_like_json(line: &[u8]) -> bool {
    let scope = |text: &[u8]| member(text, b"\"scope\"").map(|value| value.starts_with(b"\"access\""));
    let head = line.get(..160).unwrap_or(line);
    let ours = match line.starts_with(b"{\"level\":\"") {
        true => scope(head).is_some(),
        false => scope(line) == Some(true) && member(line, b"\"src.addr\"").is_some(),
    };
    // a text template that imitates JSON lets a caller write keys, but has its own, too
    ours && member(line, b"\"start_time\"").is_none()
}

/// What follows the first `"name":`; the name alone may be a value.
fn member<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let value = |at: usize| line.get(at + name.len()..)?.trim_ascii_start().strip_prefix(b":");
    memchr::memmem::find_iter(line, name).find_map(value).map(<[u8]>::trim_ascii_start)
}

impl<'a> Connection<'a> {
    /// Reads a line.
    pub(crate) fn parse(line: &'a str, max_nesting: usize) -> Result<Self, Refusal> {
        let mut connection = Connection { slots: std::array::from_fn(|_| None), rest: Vec::new(), further: Vec::new() };
        match line.starts_with('{') {
            true => connection.json(line, max_nesting)?,
            false => connection.text_line(line)?,
        }
        match connection.text(Name::Scope) {
            Some("access") => {}
            scope => return Err(other_scope(scope.unwrap_or("none"))),
        }
        match connection.text(Name::Message) {
            Some(message) if MESSAGES.contains(&message) => Ok(connection),
            message => {
                let message = shown(message.unwrap_or_default());
                Err(not_a_connection(format!("the message `{message}` of ztunnel is not about a connection")))
            }
        }
    }

    /// A value's text: a string decoded, anything else as its JSON text.
    pub(crate) fn text(&self, name: Name) -> Option<&str> {
        Some(self.slots.get(name as usize)?.as_ref()?.text())
    }

    /// The same, with the lifetime of the line where it can be.
    pub(crate) fn look(&self, name: Name) -> Option<Cow<'a, str>> {
        Some(self.slots.get(name as usize)?.clone()?.into_text())
    }

    /// Takes a value's text, which a column keeps.
    pub(crate) fn take(&mut self, name: Name) -> Option<Cow<'a, str>> {
        Some(self.slots.get_mut(name as usize)?.take()?.into_text())
    }

    /// The values of a repeated key after its first.
    pub(crate) fn further(&self, name: Name) -> impl Iterator<Item = &str> {
        let of = move |key: &str| Name::of(key) == Some(name);
        self.further.iter().filter(move |(key, _)| of(key)).map(|(_, value)| value.text())
    }

    /// Name and JSON text of every value that no column took, each name once; and of the further values of repeated ones.
    pub(crate) fn left_over(&self) -> (Members<'_>, Members<'_>) {
        let slots = NAMES.iter().zip(&self.slots).filter_map(|(name, value)| Some((*name, value.as_ref()?.json())));
        let mut further: Members<'_> = self.further.iter().map(|(name, value)| (name.as_ref(), value.json())).collect();
        let mut rest: Members<'_> = self.rest.iter().map(|(name, value)| (name.as_ref(), value.json())).collect();
        // stable: of a repeated name the first value stays the first
        rest.sort_by(|a, b| a.0.cmp(b.0));
        let mut left: Members<'_> = slots.collect();
        for (name, json) in rest {
            match left.last() {
                Some((before, _)) if *before == name => further.push((name, json)),
                _ => left.push((name, json)),
            }
        }
        (left, further)
    }

    fn add(&mut self, name: Cow<'a, str>, value: Value<'a>) {
        if matches!(&value, Value::Text(text) if is_null(text)) || value == Value::Json("null") {
            return;
        }
        match Name::of(&name).and_then(|known| self.slots.get_mut(known as usize)) {
            Some(slot) if slot.is_none() => *slot = Some(value),
            Some(_) => self.further.push((name, value)),
            None => self.rest.push((name, value)),
        }
    }

    fn json(&mut self, line: &'a str, max_nesting: usize) -> Result<(), Refusal> {
        for (name, json) in checked_members(line, max_nesting)? {
            let text = string(json).map_err(|error| Refusal::new(RejectReason::NotJson, error.to_string()))?;
            self.add(name, text.map_or(Value::Json(json), Value::Text));
        }
        Ok(())
    }

    fn text_line(&mut self, line: &'a str) -> Result<(), Refusal> {
        let (time, rest) = word(line);
        if !time.starts_with(|first: char| first.is_ascii_digit()) {
            let detail = "one of ztunnel's lines without its time (a copy of the rest of it?): it cannot be placed";
            return Err(Refusal::new(RejectReason::BadTime, detail));
        }
        let (level, rest) = word(rest);
        let (scope, rest) = word(rest);
        // before the spans and their fields
        let scope = scope_of(scope);
        if scope != "access" {
            return Err(other_scope(scope));
        }
        let message = MESSAGES.iter().find_map(|message| {
            let rest = rest.strip_prefix(message)?;
            (rest.is_empty() || rest.starts_with(BETWEEN)).then_some((*message, rest))
        });
        let (message, fields) = message.unwrap_or_else(|| rest.split_once('\t').unwrap_or((rest, "")));
        let head = [("time", time), ("level", level), ("scope", scope), ("message", message)];
        for (name, text) in head {
            self.add(Cow::Borrowed(name), Value::Text(Cow::Borrowed(text)));
        }
        self.fields(fields)
    }

    /// `key=value`, between blanks.
    fn fields(&mut self, fields: &'a str) -> Result<(), Refusal> {
        let mut rest = fields.trim_start_matches(BETWEEN);
        while !rest.is_empty() {
            let (key, value) = (rest.split_once('='))
                .filter(|(key, _)| !key.is_empty() && !key.contains(|c: char| c.is_whitespace() || c == '"'))
                .ok_or_else(|| bad(format!("no key and `=` at `{}`", shown(rest))))?;
            let (value, after) = match value.strip_prefix('"') {
                Some(quoted) => unquoted(quoted)?,
                None => {
                    let (bare, after) = value.split_once(BETWEEN).unwrap_or((value, ""));
                    (bare_value(bare), after)
                }
            };
            self.add(Cow::Borrowed(key), value);
            rest = after.trim_start_matches(BETWEEN);
        }
        Ok(())
    }
}

impl<'a> Value<'a> {
    fn text(&self) -> &str {
        match self {
            Value::Text(text) => text,
            Value::Json(json) => json,
        }
    }

    fn into_text(self) -> Cow<'a, str> {
        match self {
            Value::Text(text) => text,
            Value::Json(json) => Cow::Borrowed(json),
        }
    }

    fn json(&self) -> Cow<'_, str> {
        match self {
            Value::Text(text) => json_string(text),
            Value::Json(json) => Cow::Borrowed(json),
        }
    }
}

/// A word and what follows the blanks after it.
fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(BETWEEN).unwrap_or((text, ""));
    (word, rest.trim_start_matches(BETWEEN))
}

/// A scope without the spans that are appended to it: `proxy::inbound` of `proxy::inbound:conn{id=1}`.
fn scope_of(word: &str) -> &str {
    let bytes = word.as_bytes();
    // two colons are part of it
    let single = |at: usize| bytes.get(at + 1) != Some(&b':') && (at == 0 || bytes.get(at - 1) != Some(&b':'));
    let end = bytes.iter().enumerate().position(|(at, byte)| *byte == b'{' || (*byte == b':' && single(at)));
    end.and_then(|end| word.get(..end)).unwrap_or(word)
}

fn bare_value(bare: &str) -> Value<'_> {
    let number = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
    match number && (bare == "0" || !bare.starts_with('0')) {
        true => Value::Json(bare),
        false => Value::Text(Cow::Borrowed(bare)),
    }
}

/// A string whose first quote is gone, and what follows its last one.
fn unquoted(text: &str) -> Result<(Value<'_>, &str), Refusal> {
    let mut decoded: Option<String> = None;
    let mut rest = text;
    loop {
        let stop = memchr::memchr2(b'"', b'\\', rest.as_bytes());
        let (plain, stop) =
            stop.and_then(|stop| rest.split_at_checked(stop)).ok_or_else(|| bad("a quote does not end"))?;
        if let Some(after) = stop.strip_prefix('"') {
            if !(after.is_empty() || after.starts_with(BETWEEN)) {
                return Err(bad(format!("no blank after a quoted value, at `{}`", shown(after))));
            }
            let value = match decoded {
                Some(mut decoded) => {
                    decoded.push_str(plain);
                    Cow::Owned(decoded)
                }
                None => Cow::Borrowed(plain),
            };
            return Ok((Value::Text(value), after));
        }
        let (character, after) =
            unescaped(stop).ok_or_else(|| bad(format!("no escape of Rust's: `{}`", shown(stop))))?;
        let decoded = decoded.get_or_insert_default();
        decoded.push_str(plain);
        decoded.push(character);
        rest = after;
    }
}

/// The character of an escape as Rust's debug format writes it, and what follows.
fn unescaped(text: &str) -> Option<(char, &str)> {
    let mut characters = text.strip_prefix('\\')?.chars();
    let character = match characters.next()? {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        'u' => {
            let hex = characters.as_str().strip_prefix('{')?;
            // at most six digits: a brace that is far away is not looked for
            let digits = hex.bytes().take(6).take_while(u8::is_ascii_hexdigit).count();
            let (digits, after) = hex.split_at_checked(digits)?;
            let code = u32::from_str_radix(digits, 16).ok()?;
            return Some((char::from_u32(code)?, after.strip_prefix('}')?));
        }
        plain @ ('\\' | '"' | '\'') => plain,
        _ => return None,
    };
    Some((character, characters.as_str()))
}

fn other_scope(scope: &str) -> Refusal {
    let detail = format!(
        "a line of Istio's own log, scope `{}`; ztunnel tells of connections under the scope `access`",
        shown(scope)
    );
    not_a_connection(detail)
}

fn not_a_connection(detail: impl Into<String>) -> Refusal {
    Refusal::new(RejectReason::NotAnAccessLog, detail)
}

fn bad(detail: impl Into<String>) -> Refusal {
    Refusal::new(RejectReason::BadTextFormat, detail)
}

#[cfg(test)]
mod tests;
