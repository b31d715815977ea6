//! By which names a JSON line is read: two formats may give one label two meanings, so the line's keys tell which of them it is of.
//!
//! ```text
//!  keys of a line ─▶ the configured format of which the fewest labels are missing ─┬▶ at most half: its names
//!                                                                                 └▶ more, or none is configured: the operator's own (--field)
//! ```
//! A label that somebody left out of the format since, or added to it, changes nothing. A shipper may drop what is null, which is most of many lines: where no
//! format fits and nothing has the canonical name of the start time, the labels that are never null tell the format.

use std::collections::HashSet;

use crate::field_map::{FieldMap, FieldMapError, Resolved};
use crate::json_format::JsonFormat;
use crate::key::{Key, KeySet};
use crate::line_format::PathSource;

/// The names of every configured JSON format, and those that hold for any other line.
#[derive(Debug, Clone, Default)]
pub(crate) struct JsonNames {
    formats: Vec<OfFormat>,
    /// Istio's default and the recommended format, if a configured one has a name of theirs for something else.
    known: Vec<OfFormat>,
    /// Every meaning that a name has somewhere: of what is put around a line it matters only that a key is a record's.
    any: FieldMap,
}

/// The names of one format.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OfFormat {
    map: FieldMap,
    labels: HashSet<String>,
    path: PathSource,
    /// It logs no start time.
    timeless: bool,
    /// Keys that its lines carry though they may be left out: what is not there is null.
    carries: KeySet,
    /// Labels that every line has.
    required: HashSet<String>,
    /// Labels that a line has even where somebody dropped what is null; empty where no start time is among them.
    never_null: HashSet<String>,
}

/// The names by which one line is read.
#[derive(Debug, Clone)]
pub(crate) struct LineNames<'n> {
    pub(crate) map: &'n FieldMap,
    /// What the format's configuration says about paths.
    pub(crate) path: PathSource,
    /// Whether it has every label of a format that logs no start time.
    pub(crate) timeless: bool,
    /// Keys that the line carries though it may leave them out.
    pub(crate) carries: KeySet,
    /// The names of other formats that fit as well, and mean something else by one of the line's keys.
    pub(crate) rivals: Vec<&'n FieldMap>,
    names: &'n JsonNames,
}

impl JsonNames {
    /// Takes in a format's names, beside the operator's own.
    pub(crate) fn add(&mut self, own: &FieldMap, format: &JsonFormat, omits_empty: bool) -> Result<(), FieldMapError> {
        let mut map = own.clone();
        map.add_format(format, omits_empty)?;
        self.any.add_any(own);
        self.any.add_any(&map);
        let names = |keep: &dyn Fn(&str) -> bool| format.names().filter(|name| keep(name)).map(str::to_owned).collect();
        let never_null = format.never_null();
        let required = names(&|name| !omits_empty || never_null.contains(name));
        // one that stands alone, under a name of its own
        let dated = |name: &&str| matches!(map.resolve(name), Resolved::Mapped(Key::StartTime));
        let dated = never_null.iter().any(dated);
        let never_null = names(&|name| dated && never_null.contains(name));
        let (labels, path) = (names(&|_| true), format.path_source());
        let carries = if omits_empty { format.carries_omitting() } else { KeySet::EMPTY };
        let timeless = !format.carries().has(Key::StartTime);
        let names = OfFormat { map, labels, path, timeless, carries, required, never_null };
        // providers often share a format
        if !self.formats.contains(&names) {
            // where a label has a known format's name and another meaning, lines of that format are not this one's
            let bends = |key: &&Key| names.map.resolve(key.name()) != own.resolve(key.name());
            if self.known.is_empty() && Key::ALL.iter().any(|key| bends(&key)) {
                self.known = OfFormat::known(own);
            }
            self.formats.push(names);
        }
        Ok(())
    }

    /// The names of a line that has these keys.
    pub(crate) fn of<'n>(&'n self, own: &'n FieldMap, has: impl Fn(&str) -> bool) -> LineNames<'n> {
        let count = |labels: &HashSet<String>| labels.iter().filter(|label| has(label)).count();
        let best = self.formats.iter().chain(&self.known).filter_map(|format| {
            let missing = format.required.len() - count(&format.required);
            (missing * 2 <= format.required.len()).then(|| (missing, std::cmp::Reverse(count(&format.labels)), format))
        });
        let mut fitting: Vec<_> = best.collect();
        if fitting.is_empty() && !has(Key::StartTime.name()) {
            let thinned =
                |format: &&OfFormat| !format.never_null.is_empty() && format.never_null.iter().all(|name| has(name));
            let thinned = self.formats.iter().filter(thinned);
            fitting = thinned.map(|format| (0, std::cmp::Reverse(count(&format.labels)), format)).collect();
        }
        fitting.sort_by_key(|(missing, present, _)| (*missing, *present));
        match fitting.split_first() {
            Some(((missing, present, format), others)) => {
                let alike = others.iter().take_while(|(m, p, _)| (m, p) == (missing, present));
                // what the mesh's configuration says goes before what meshes write without one
                let configured = |format: &OfFormat| self.formats.contains(format);
                let rivals = alike.filter(|(.., other)| configured(other) && format.means_other_than(other, &has));
                let rivals = rivals.map(|(.., other)| &other.map).collect();
                let OfFormat { map, path, carries, .. } = format;
                let timeless = format.timeless && *missing == 0;
                LineNames { map, path: *path, timeless, carries: *carries, rivals, names: self }
            }
            None => LineNames {
                map: own,
                path: PathSource::default(),
                timeless: false,
                carries: KeySet::EMPTY,
                rivals: Vec::new(),
                names: self,
            },
        }
    }

    /// What a name may mean, whichever format a line is of.
    pub(crate) fn any<'n>(&'n self, own: &'n FieldMap) -> &'n FieldMap {
        if self.formats.is_empty() { own } else { &self.any }
    }
}

impl OfFormat {
    /// The formats that meshes write without a configuration of their own; any key that may be null may be missing.
    fn known(own: &FieldMap) -> Vec<OfFormat> {
        let recommended = serde_json::from_str(crate::format::recommended()).ok();
        let recommended = recommended.and_then(|format| JsonFormat::compile(&format).ok());
        let of = |format: JsonFormat| OfFormat {
            map: own.clone(),
            labels: format.names().map(str::to_owned).collect(),
            path: PathSource::default(),
            timeless: false,
            carries: KeySet::EMPTY,
            required: format.never_null().into_iter().map(str::to_owned).collect(),
            never_null: HashSet::new(),
        };
        [Some(JsonFormat::istio()), recommended].into_iter().flatten().map(of).collect()
    }

    /// Whether a key of the line means something else by the other format.
    fn means_other_than(&self, other: &OfFormat, has: impl Fn(&str) -> bool) -> bool {
        let labels = self.labels.union(&other.labels).filter(|label| has(label));
        labels.into_iter().any(|label| self.map.resolve(label) != other.map.resolve(label))
    }
}

impl JsonFormat {
    /// Labels that mean something else in another format of the same labels: no line tells of which of the two it is, so each is read by both,
    /// its identities are none, and it has the signal `ambiguous`.
    #[must_use]
    pub fn confused_with(&self, other: &JsonFormat) -> Vec<&str> {
        let labels = |format: &JsonFormat| format.names().map(str::to_owned).collect::<HashSet<_>>();
        let map = |format: &JsonFormat| {
            let mut map = FieldMap::default();
            map.add_format(format, false).map(|()| map)
        };
        let (Ok(one), Ok(another)) = (map(self), map(other)) else { return Vec::new() };
        if labels(self) != labels(other) {
            return Vec::new();
        }
        self.names().filter(|label| one.resolve(label) != another.resolve(label)).collect()
    }
}

impl LineNames<'_> {
    /// Whether a line that leaves the key out may have to be read by other names.
    pub(crate) fn depend_on(&self, key: &str) -> bool {
        match self.names.formats.as_slice() {
            [] => false,
            [only] if self.names.known.is_empty() => only.required.contains(key),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::field_map::Resolved;

    fn format(json: &str) -> JsonFormat {
        JsonFormat::compile(&serde_json::from_str(json).unwrap()).unwrap()
    }

    fn resolve(names: &JsonNames, keys: &[&str], key: &str) -> Option<Key> {
        match names.of(&FieldMap::default(), |name| keys.contains(&name)).map.resolve(key) {
            Resolved::Mapped(key) => Some(key),
            _ => None,
        }
    }

    #[test]
    fn a_label_means_what_the_lines_own_format_says() {
        let mut names = JsonNames::default();
        let own = FieldMap::default();
        let first = format(r#"{"t":"%START_TIME%","src":"%DOWNSTREAM_PEER_URI_SAN%","code":"%RESPONSE_CODE%"}"#);
        let second =
            format(r#"{"t":"%START_TIME%","src":"%REQ(USER-AGENT)%","what":"%REQ(:PATH)%","m":"%REQ(:METHOD)%"}"#);
        names.add(&own, &first, false).unwrap();
        names.add(&own, &second, false).unwrap();
        let san = Some(Key::DownstreamPeerUriSan);
        let agent = Some(Key::UserAgent);
        for (keys, expected) in [
            (&["t", "src", "code"][..], san),
            (&["t", "src", "what", "m"], agent),
            // a shipper's key, and a label that was not there yet
            (&["t", "src", "code", "kubernetes"], san),
            (&["t", "src", "what", "kubernetes"], agent),
            // the same of both: the one with fewer labels misses less
            (&["t", "src"], san),
            // of none of them
            (&["start_time", "src"], None),
        ] {
            assert_eq!(resolve(&names, keys, "src"), expected, "{keys:?}");
        }
        assert!(matches!(names.any(&own).resolve("src"), Resolved::Mapped(_)));
    }

    #[test]
    fn formats_that_mean_the_same_are_no_tie() {
        let mut names = JsonNames::default();
        let own = FieldMap::default();
        let shared = format(r#"{"t":"%START_TIME%","who":"%DOWNSTREAM_PEER_URI_SAN%","a":"%PROTOCOL%"}"#);
        names.add(&own, &shared, false).unwrap();
        names.add(&own, &shared, false).unwrap();
        let more = r#"{"t":"%START_TIME%","who":"%DOWNSTREAM_PEER_URI_SAN%","b":"%DURATION%"}"#;
        names.add(&own, &format(more), false).unwrap();
        let tied = |names: &JsonNames| names.of(&own, |key| ["t", "who"].contains(&key)).rivals.len();
        assert_eq!((names.formats.len(), tied(&names)), (2, 0));
        let other = r#"{"t":"%START_TIME%","who":"%REQ(USER-AGENT)%","c":"%DURATION%"}"#;
        names.add(&own, &format(other), false).unwrap();
        assert_eq!(tied(&names), 1);
    }

    #[test]
    fn lines_of_a_known_format_keep_its_names() {
        let own = FieldMap::default();
        let mut names = JsonNames::default();
        let slim = format(r#"{"start_time":"%START_TIME%","response_code":"%RESPONSE_CODE%","path":"%REQ(X-PATH)%"}"#);
        names.add(&own, &slim, false).unwrap();
        let istio = JsonFormat::istio();
        let of_istio: Vec<&str> = istio.names().collect();
        let of = |keys: &[&str]| match names.of(&own, |key| keys.contains(&key)).map.resolve("path") {
            Resolved::Canonical(Key::Path) => "the path",
            Resolved::Unknown => "something else",
            other => panic!("{other:?}"),
        };
        assert_eq!(of(&of_istio), "the path");
        assert_eq!(of(&["start_time", "response_code", "path"]), "something else");
        // a shipper's keys beside them
        assert_eq!(of(&["start_time", "response_code", "path", "kubernetes", "stream"]), "something else");
        assert!(names.of(&own, |key| of_istio.contains(&key)).rivals.is_empty());
    }

    #[test]
    fn equal_labels_with_other_meanings_are_confused() {
        let one = format(r#"{"t":"%START_TIME%","a":"%RESPONSE_CODE%","b":{"x":"%PROTOCOL%"}}"#);
        for (other, labels) in [
            (r#"{"t":"%START_TIME%","a":"%RESPONSE_CODE%","b":{"x":"%PROTOCOL%"}}"#, &[][..]),
            (r#"{"t":"%START_TIME%","a":"%DURATION%","b":{"x":"%PROTOCOL%"}}"#, &["a"]),
            (r#"{"t":"%START_TIME%","a":"%DURATION%","b":"%PROTOCOL%"}"#, &["a", "b"]),
            (r#"{"t":"%START_TIME%","a":"%DURATION%","c":"%PROTOCOL%"}"#, &[]),
        ] {
            assert_eq!(one.confused_with(&format(other)), labels, "{other}");
        }
    }

    #[test]
    fn a_shipper_may_have_dropped_what_is_null() {
        let mut names = JsonNames::default();
        let labels = r#"{"ts":"%START_TIME%","code":"%RESPONSE_CODE%","a":"%REQ(:PATH)%","b":"%REQ(:METHOD)%","c":"%PROTOCOL%","d":"%REQ(X)%","e":"%ROUTE_NAME%"}"#;
        names.add(&FieldMap::default(), &format(labels), false).unwrap();
        assert_eq!(resolve(&names, &["ts", "code", "a"], "ts"), Some(Key::StartTime));
        assert_eq!(resolve(&names, &["ts", "code"], "code"), Some(Key::ResponseCode));
        // Istio's own line, which may say what a caller chose
        assert_eq!(resolve(&names, &["start_time", "ts", "code"], "code"), None);
        assert_eq!(resolve(&names, &["ts", "a", "b"], "ts"), None);
        let mut timeless = JsonNames::default();
        let labels = r#"{"code":"%RESPONSE_CODE%","a":"%REQ(:PATH)%","b":"%REQ(:METHOD)%"}"#;
        timeless.add(&FieldMap::default(), &format(labels), false).unwrap();
        assert_eq!(resolve(&timeless, &["code"], "code"), None);
    }

    #[test]
    fn empty_values_may_be_left_out() {
        let mut names = JsonNames::default();
        let labels =
            r#"{"t":"%START_TIME%","a":"%REQ(:PATH)%","b":"%REQ(:METHOD)%","c":"%PROTOCOL%","n":"%RESPONSE_CODE%"}"#;
        names.add(&FieldMap::default(), &format(labels), true).unwrap();
        assert_eq!(resolve(&names, &["t", "n"], "n"), Some(Key::ResponseCode));
        assert_eq!(resolve(&names, &["a", "b", "c"], "a"), None);
        let line = |keys: &'static [&str]| move |key: &str| keys.contains(&key);
        let own = FieldMap::default();
        let of = names.of(&own, line(&["t", "n"]));
        assert!(of.depend_on("n") && !of.depend_on("a"));
    }
}
