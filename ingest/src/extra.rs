//! The column `extra`: whatever a line says that no column took, as the JSON text of an object.
//!
//! Keys are sorted by their bytes; values are the JSON text of the log, byte for byte, so numbers stay exact. Secrets are taken out of the whole.

use std::borrow::Cow;

use crate::fields::{Fields, push_json_string};
use crate::redact::Redaction;

/// The object, or `None` where every value found its column.
pub(crate) fn extra(fields: &Fields<'_>, redaction: &Redaction) -> Option<String> {
    of(fields.left_over(redaction).collect(), redaction)
}

/// The object of these keys and JSON texts; `None` without any.
pub(crate) fn of(left: Vec<(&str, Cow<'_, str>)>, redaction: &Redaction) -> Option<String> {
    let object = object(left)?;
    match redaction.json(&object) {
        Cow::Owned(redacted) => Some(redacted),
        Cow::Borrowed(_) => Some(object),
    }
}

/// The same, with whatever secrets are in it.
pub(crate) fn object(mut left: Vec<(&str, Cow<'_, str>)>) -> Option<String> {
    if left.is_empty() {
        return None;
    }
    left.sort();
    let mut object = String::from("{");
    for (name, json) in left {
        if object.len() > 1 {
            object.push(',');
        }
        push_json_string(&mut object, name);
        object.push(':');
        object.push_str(&json);
    }
    object.push('}');
    Some(object)
}
