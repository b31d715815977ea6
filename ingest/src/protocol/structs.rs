//! `google.protobuf.Struct` and `Any` as JSON.

use super::lines::{Object, number, text};
use super::wire::{Message, Value, WireError, entry};

/// Values deeper than this are `null`: nobody's metadata is, and the stack is bounded.
pub(super) const DEEPEST: usize = 32;

/// Members of an object that stood on the wire in any order.
#[derive(Debug, Default)]
pub(super) struct Members<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> Members<'a> {
    /// The fields of a `Struct`, by name: a map has no order on the wire, and equal objects should become equal texts.
    pub(super) fn of(structure: &'a [u8]) -> Result<Self, WireError> {
        let mut members = Members::default();
        let mut fields = Message::new(structure);
        while let Some((field, value)) = fields.next()? {
            if field == 1 {
                members.add(entry(value.bytes())?);
            }
        }
        members.sort();
        Ok(members)
    }

    /// Adds a member.
    pub(super) fn add(&mut self, member: (&'a [u8], &'a [u8])) {
        self.0.push(member);
    }

    /// Brings them into order. Of several with one name the last counts, as everywhere in Protocol Buffers.
    pub(super) fn sort(&mut self) {
        // stable: the last one stays the last
        self.0.sort_by_key(|(name, _)| *name);
        self.0.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 = later.1;
            }
            same
        });
    }

    /// The value of that name.
    pub(super) fn get(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.0
            .binary_search_by_key(&name, |(name, _)| *name)
            .ok()
            .and_then(|at| self.0.get(at))
            .map(|(_, value)| *value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.0.iter().copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Writes a `Struct`.
pub(super) fn structure(out: &mut Vec<u8>, bytes: &[u8], depth: usize) -> Result<(), WireError> {
    if depth >= DEEPEST {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    out.push(b'{');
    for (at, (name, member)) in Members::of(bytes)?.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        text(out, name);
        out.push(b':');
        value(out, member, depth + 1)?;
    }
    out.push(b'}');
    Ok(())
}

/// Writes a `Value`.
pub(super) fn value(out: &mut Vec<u8>, bytes: &[u8], depth: usize) -> Result<(), WireError> {
    let mut kind = None;
    let mut fields = Message::new(bytes);
    while let Some(field) = fields.next()? {
        kind = Some(field);
    }
    match kind {
        Some((2, Value::Eight(bits))) => double(out, f64::from_bits(bits)),
        Some((3, Value::Bytes(string))) => text(out, string),
        Some((4, flag)) => out.extend_from_slice(if flag.number() == 0 { b"false" } else { b"true" }),
        Some((5, Value::Bytes(inner))) => structure(out, inner, depth)?,
        Some((6, Value::Bytes(inner))) if depth < DEEPEST => {
            out.push(b'[');
            let (mut fields, mut first) = (Message::new(inner), true);
            while let Some((field, item)) = fields.next()? {
                if field == 1 {
                    if !std::mem::replace(&mut first, false) {
                        out.push(b',');
                    }
                    value(out, item.bytes(), depth + 1)?;
                }
            }
            out.push(b']');
        }
        _ => out.extend_from_slice(b"null"),
    }
    Ok(())
}

/// The string in a `Value`, if it is one.
pub(super) fn string(bytes: &[u8]) -> Result<Option<&[u8]>, WireError> {
    let mut string = None;
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next()? {
        string = (field == 3).then(|| value.bytes());
    }
    Ok(string)
}

/// The `Struct` in a `Value`, if it is one.
pub(super) fn inner(bytes: &[u8]) -> Result<Option<&[u8]>, WireError> {
    let mut inner = None;
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next()? {
        inner = (field == 5).then(|| value.bytes());
    }
    Ok(inner)
}

/// Writes a number as JSON: whole ones without decimals, as Envoy does; `null`, if JSON has none for it.
pub(super) fn double(out: &mut Vec<u8>, value: f64) {
    // the largest up to which every whole number is one of its own
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= WHOLE {
        if value < 0.0 {
            out.push(b'-');
        }
        number(out, value.abs() as u64);
    } else {
        match serde_json::Number::from_f64(value) {
            Some(value) => out.extend_from_slice(value.to_string().as_bytes()),
            None => out.extend_from_slice(b"null"),
        }
    }
}

/// Writes an `Any` after its key: what Envoy packs its filter state into. Texts and structures as what they are, another type as its name.
pub(super) fn any(object: &mut Object<'_>, bytes: &[u8]) -> Result<(), WireError> {
    let (kind, content) = entry(bytes)?;
    let kind = kind.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    match kind {
        b"google.protobuf.Struct" => {
            let mut failed = None;
            object.with(|out| failed = structure(out, content, 0).err());
            failed.map_or(Ok(()), Err)
        }
        b"google.protobuf.StringValue" | b"google.protobuf.BytesValue" => {
            let (string, _) = entry(content)?;
            object.string(string);
            Ok(())
        }
        other => {
            object.object(|unknown| unknown.text("@type", other));
            Ok(())
        }
    }
}
