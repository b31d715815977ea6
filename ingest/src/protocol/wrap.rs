//! The envelope of shippers, for records whose protocol names the pod beside the line.
//!
//! ```text
//! {"log":<line>,"kubernetes":{"pod_name":..,"namespace_name":..,"host":..},"time":..,"attributes":{..}}
//! ```

use super::lines::{Lines, Object};
use crate::envelope::Node;

/// Who logged a line and when, as a protocol says it beside the line.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Around {
    pub(super) pod: Option<Vec<u8>>,
    pub(super) namespace: Option<Vec<u8>>,
    pub(super) host: Option<Vec<u8>>,
    /// JSON of the time at which it was written; empty: not said.
    pub(super) time: Vec<u8>,
}

impl Around {
    /// The pod whose log the file of that path is; what is known already stays.
    pub(super) fn of_path(&mut self, path: &[u8]) {
        let node = std::str::from_utf8(path).ok().and_then(Node::of_path);
        if let Some(node) = node.filter(|_| self.pod.is_none()) {
            let owned = |name: std::borrow::Cow<'_, str>| name.into_owned().into_bytes();
            self.pod = node.pod.map(owned);
            self.namespace = self.namespace.take().or(node.namespace.map(owned));
        }
    }

    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    fn write(&self, line: &mut Object<'_>) {
        line.key("kubernetes");
        line.object(|object| {
            for (key, name) in [("pod_name", &self.pod), ("namespace_name", &self.namespace), ("host", &self.host)] {
                if let Some(name) = name {
                    object.text(key, name);
                }
            }
        });
        if !self.time.is_empty() {
            line.key("time");
            line.json(&self.time);
        }
    }

    /// Appends a line of text, in the envelope if there is anything to say or a line end in it. `attributes` writes the members of that name, if there are
    /// any.
    pub(super) fn text(&self, line: &[u8], attributes: Option<&dyn Fn(&mut Object<'_>)>, lines: &mut Lines) {
        let ended = line.strip_suffix(b"\n").unwrap_or(line);
        let is_plain = memchr::memchr2(b'\n', b'\r', ended).is_none();
        if self.is_nothing() && attributes.is_none() && is_plain {
            return lines.plain(line);
        }
        lines.object(|object| {
            object.key("log");
            object.string(line);
            self.write(object);
            if let Some(attributes) = attributes {
                object.key("attributes");
                object.object(attributes);
            }
        });
    }

    /// Appends a record that is JSON, in the envelope if there is a pod to name. What stands between its tokens may be line ends: they become blanks.
    pub(super) fn json(&self, json: &[u8], lines: &mut Lines) {
        let json: std::borrow::Cow<'_, [u8]> = match memchr::memchr2(b'\n', b'\r', json) {
            None => json.into(),
            // a string of JSON has none
            Some(_) => json.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect(),
        };
        if self.pod.is_none() && self.namespace.is_none() {
            return lines.plain(&json);
        }
        lines.object(|object| {
            object.key("log");
            object.json(&json);
            self.write(object);
        });
    }
}
