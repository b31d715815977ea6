//! Which format a line had, and what it came in, counted per batch: what somebody who looks at a log wants to know first.
//!
//! ```text
//!  line ─▶ Envelope (CRI, docker, ...) ─▶ record ─▶ row, and by its keys or its text a LineFormat ─▶ LineFormats: (format, envelope) ─▶ lines
//! ```
//! Only lines that became rows are counted. JSON is told by the canonical keys that the line carries: it is Istio's default if it has no other
//! keys than those 24, and all of them that are never null (`omitEmptyValues` leaves out the others).

use std::collections::BTreeMap;
use std::fmt;

use crate::format::Paths;
use crate::key::{Key, KeySet};

/// The format of a line that became a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineFormat {
    /// What `format istio` prints.
    RecommendedJson,
    /// What `format istio --with-query` prints.
    RecommendedJsonWithQuery,
    /// Istio's 24 keys.
    IstioJson,
    /// JSON with other keys.
    OtherJson,
    /// JSON all of whose values are strings: a text template that imitates JSON, or Istio before 1.8. A template escapes nothing, so a caller
    /// may have written any of its keys: none of them proves who called, and none hides a line.
    StringJson,
    /// Istio's text, from 1.9 on.
    IstioText,
    /// Istio's text before 1.9, and Envoy's own default.
    OlderText,
    /// A text format of the mesh's configuration.
    ConfiguredText,
    /// One that logs paths without their query strings, or none.
    ConfiguredTextWithoutQuery,
    /// A JSON format of the mesh's configuration that logs paths without their query strings, or none.
    ConfiguredJsonWithoutQuery,
    /// A connection of ztunnel's, as text.
    ZtunnelText,
    /// A connection of ztunnel's, as JSON.
    ZtunnelJson,
}

/// What a reader says of a line as a whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) format: LineFormat,
    /// The path is `%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%`: what a caller says was the original one, if it says so.
    pub(crate) original_path_first: bool,
    /// It is of a configured format that logs no start time: what it came in may date it.
    pub(crate) timeless: bool,
}

/// What a configuration says about the paths of its format's lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PathSource {
    /// Whether the path is `%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%`; unknown of a format that nobody configured.
    pub(crate) original_first: Option<bool>,
    /// No operator of it logs a query string with a path.
    pub(crate) without_query: bool,
}

/// What a line came in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Envelope {
    /// Nothing: the proxy's own line.
    #[default]
    None,
    /// The files of containerd and CRI-O.
    Cri,
    /// Docker's JSON files.
    Docker,
    /// JSON of Fluent Bit, Vector, Filebeat and their kin.
    Shipper,
    /// An entry of journald.
    Journald,
    /// Words of `kubectl logs --prefix` or `--timestamps`, stern or Ambassador before the line.
    Prefix,
}

/// How many lines had which format, in which envelope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineFormats {
    counts: BTreeMap<(LineFormat, Envelope), u64>,
}

/// The keys of Istio's default JSON format.
const ISTIO_JSON: KeySet = KeySet::of(&[
    Key::StartTime,
    Key::RouteName,
    Key::Method,
    Key::Path,
    Key::Protocol,
    Key::ResponseCode,
    Key::ResponseFlags,
    Key::ResponseCodeDetails,
    Key::ConnectionTerminationDetails,
    Key::BytesReceived,
    Key::BytesSent,
    Key::Duration,
    Key::UpstreamServiceTime,
    Key::XForwardedFor,
    Key::UserAgent,
    Key::RequestId,
    Key::Authority,
    Key::UpstreamHost,
    Key::UpstreamCluster,
    Key::UpstreamLocalAddress,
    Key::DownstreamLocalAddress,
    Key::DownstreamRemoteAddress,
    Key::RequestedServerName,
    Key::UpstreamTransportFailureReason,
]);

/// Those that have a value on every line.
const ISTIO_JSON_ALWAYS: KeySet = KeySet::of(&[
    Key::StartTime,
    Key::ResponseCode,
    Key::BytesReceived,
    Key::BytesSent,
    Key::Duration,
    Key::DownstreamLocalAddress,
    Key::DownstreamRemoteAddress,
]);

/// Keys whose value Envoy's JSON writes as a number.
const NUMBERS: KeySet = KeySet::of(&[Key::ResponseCode, Key::BytesReceived, Key::BytesSent, Key::Duration]);

/// Keys whose absent value is null in Envoy's JSON and `"-"` in a text template, and whose value no caller chooses.
const NEVER_DASHED: KeySet = KeySet::of(&[
    Key::ConnectionTerminationDetails,
    Key::DownstreamTransportFailureReason,
    Key::Protocol,
    Key::RouteName,
    Key::UpstreamCluster,
    Key::UpstreamHost,
    Key::UpstreamLocalAddress,
    Key::UpstreamTransportFailureReason,
]);

/// Keys that an envelope may add.
const OF_ENVELOPES: KeySet = KeySet::of(&[Key::PodName, Key::PodNamespace]);

/// Whether a JSON line is made of strings: by the keys that have a string that is not null, and by those that have `"-"`.
/// Source: Envoy's `json_format` keeps the type of a value that is one operator.
#[inline]
pub(crate) fn is_of_strings(strings: KeySet, dashes: KeySet) -> bool {
    !(strings.within(NUMBERS).is_empty() && dashes.within(NEVER_DASHED).is_empty())
}

impl Told {
    /// A line of that format; `path`: what its configuration says, if that is known. Of the defaults it is known, and JSON of
    /// strings that nobody configured imitates one, or is Istio's before 1.8: both take what a caller says.
    pub(crate) fn new(format: LineFormat, path: PathSource) -> Self {
        use LineFormat::{ConfiguredJsonWithoutQuery, ConfiguredText, ConfiguredTextWithoutQuery};
        use LineFormat::{IstioJson, IstioText, OlderText, OtherJson, StringJson};
        let by_default = matches!(format, IstioJson | IstioText | OlderText | StringJson);
        let format = match format {
            IstioJson | OtherJson if path.without_query => ConfiguredJsonWithoutQuery,
            ConfiguredText if path.without_query => ConfiguredTextWithoutQuery,
            format => format,
        };
        Told { format, original_path_first: path.original_first.unwrap_or(by_default), timeless: false }
    }
}

impl Told {
    /// The same, of a configured format that may log no start time.
    pub(crate) fn timeless(self, timeless: bool) -> Self {
        Told { timeless, ..self }
    }
}

impl Default for Told {
    fn default() -> Self {
        Told::new(LineFormat::OtherJson, PathSource::default())
    }
}

impl LineFormat {
    /// Every format.
    pub const ALL: [LineFormat; 12] = [
        LineFormat::RecommendedJson,
        LineFormat::RecommendedJsonWithQuery,
        LineFormat::IstioJson,
        LineFormat::OtherJson,
        LineFormat::StringJson,
        LineFormat::IstioText,
        LineFormat::OlderText,
        LineFormat::ConfiguredText,
        LineFormat::ConfiguredTextWithoutQuery,
        LineFormat::ConfiguredJsonWithoutQuery,
        LineFormat::ZtunnelText,
        LineFormat::ZtunnelJson,
    ];

    /// The name for a person.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            LineFormat::RecommendedJson => "recommended JSON",
            LineFormat::RecommendedJsonWithQuery => "recommended JSON with query",
            LineFormat::IstioJson => "Istio's default JSON",
            LineFormat::OtherJson => "other JSON",
            LineFormat::StringJson => "JSON of strings, as text templates write it",
            LineFormat::IstioText => "Istio's default text",
            LineFormat::OlderText => "older text of Istio or Envoy",
            LineFormat::ConfiguredText => "configured text",
            LineFormat::ConfiguredTextWithoutQuery => "configured text without query",
            LineFormat::ConfiguredJsonWithoutQuery => "configured JSON without query",
            LineFormat::ZtunnelText => "ztunnel text",
            LineFormat::ZtunnelJson => "ztunnel JSON",
        }
    }

    /// Of a JSON line: what its `log_schema` says, the keys that it carries, and whether a key of its own has a value that no column wants.
    #[inline]
    pub(crate) fn of_json(schema: Option<Paths>, carried: KeySet, foreign: bool) -> LineFormat {
        match schema {
            Some(Paths::WithoutQuery) => LineFormat::RecommendedJson,
            Some(Paths::WithQuery) => LineFormat::RecommendedJsonWithQuery,
            None => {
                let has = |keys: KeySet| keys.without(carried).is_empty();
                let no_others = carried.without(ISTIO_JSON.union(OF_ENVELOPES)).is_empty();
                let istio = !foreign && no_others && has(ISTIO_JSON_ALWAYS);
                if istio { LineFormat::IstioJson } else { LineFormat::OtherJson }
            }
        }
    }

    /// Of a text line of a default format, by the keys that it carries: Istio logs the details from 1.9 on.
    pub(crate) fn of_text(carried: KeySet) -> LineFormat {
        match carried.has(Key::ResponseCodeDetails) {
            true => LineFormat::IstioText,
            false => LineFormat::OlderText,
        }
    }

    /// Of a line of ztunnel's.
    pub(crate) fn of_ztunnel(line: &str) -> LineFormat {
        if line.starts_with('{') { LineFormat::ZtunnelJson } else { LineFormat::ZtunnelText }
    }
}

impl fmt::Display for LineFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Envelope {
    /// The name for a person; `None` where there is no envelope.
    #[must_use]
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Envelope::None => None,
            Envelope::Cri => Some("CRI"),
            Envelope::Docker => Some("docker"),
            Envelope::Shipper => Some("shipper's JSON"),
            Envelope::Journald => Some("journald"),
            Envelope::Prefix => Some("kubectl/stern prefix"),
        }
    }
}

impl LineFormats {
    /// Each format and envelope that was seen, and on how many lines.
    pub fn iter(&self) -> impl Iterator<Item = (LineFormat, Envelope, u64)> {
        self.counts.iter().map(|((format, envelope), lines)| (*format, *envelope, *lines))
    }

    /// How many lines had the format, whatever they came in.
    #[must_use]
    pub fn get(&self, format: LineFormat) -> u64 {
        self.iter().filter(|(other, ..)| *other == format).map(|(.., lines)| lines).sum()
    }

    /// Whether there are lines, and all of them are of formats that are known to leave query strings out.
    #[must_use]
    pub fn leave_queries_out(&self) -> bool {
        use LineFormat::{ConfiguredJsonWithoutQuery, ConfiguredTextWithoutQuery, RecommendedJson};
        let without =
            |format| matches!(format, RecommendedJson | ConfiguredTextWithoutQuery | ConfiguredJsonWithoutQuery);
        // connections have no query
        let of_ztunnel = |format| matches!(format, LineFormat::ZtunnelText | LineFormat::ZtunnelJson);
        let mut requests = self.iter().map(|(format, ..)| format).filter(|format| !of_ztunnel(*format)).peekable();
        requests.peek().is_some() && requests.all(without)
    }

    /// Adds the counts of other lines.
    pub fn merge(&mut self, other: &LineFormats) {
        for (format, envelope, lines) in other.iter() {
            self.count(format, envelope, lines);
        }
    }

    /// Counts lines.
    pub(crate) fn count(&mut self, format: LineFormat, envelope: Envelope, lines: u64) {
        *self.counts.entry((format, envelope)).or_default() += lines;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn json_is_told_by_its_keys() {
        let istio = ISTIO_JSON;
        for (schema, carried, foreign, expected) in [
            (Some(Paths::WithoutQuery), KeySet::RECOMMENDED, false, LineFormat::RecommendedJson),
            (Some(Paths::WithQuery), KeySet::RECOMMENDED, true, LineFormat::RecommendedJsonWithQuery),
            (None, istio, false, LineFormat::IstioJson),
            (None, istio, true, LineFormat::OtherJson),
            // omitEmptyValues; and names that an envelope brought along
            (None, ISTIO_JSON_ALWAYS.with(Key::Method).with(Key::PodName), false, LineFormat::IstioJson),
            (None, istio.with(Key::Rbac), false, LineFormat::OtherJson),
            (None, KeySet::of(&[Key::StartTime, Key::Method]), false, LineFormat::OtherJson),
            (None, KeySet::RECOMMENDED, false, LineFormat::OtherJson),
        ] {
            assert_eq!(LineFormat::of_json(schema, carried, foreign), expected);
        }
        assert_eq!(ISTIO_JSON.iter().count(), 24);
    }

    #[test]
    fn counts_add_up() {
        let mut formats = LineFormats::default();
        formats.count(LineFormat::IstioText, Envelope::None, 2);
        formats.count(LineFormat::IstioText, Envelope::Cri, 1);
        let mut all = formats.clone();
        all.merge(&formats);
        assert_eq!(all.get(LineFormat::IstioText), 6);
        let shown: Vec<String> = all.iter().map(|(f, e, n)| format!("{f} {:?} {n}", e.as_str())).collect();
        assert_eq!(shown, ["Istio's default text None 4", "Istio's default text Some(\"CRI\") 2"]);
        let mut names: Vec<_> = LineFormat::ALL.map(LineFormat::as_str).to_vec();
        names.dedup();
        assert_eq!(names.len(), 12);
    }

    #[test]
    fn a_configured_format_without_queries_is_told() {
        use LineFormat::*;
        let path = |without_query| PathSource { original_first: Some(false), without_query };
        for (format, expected) in [
            (OtherJson, ConfiguredJsonWithoutQuery),
            (IstioJson, ConfiguredJsonWithoutQuery),
            (ConfiguredText, ConfiguredTextWithoutQuery),
            (RecommendedJson, RecommendedJson),
            // a caller may have written a key of it
            (StringJson, StringJson),
        ] {
            assert_eq!(Told::new(format, path(true)).format, expected);
            assert_eq!(Told::new(format, path(false)).format, format);
        }
        let leave_out = |seen: &[LineFormat]| {
            let mut formats = LineFormats::default();
            seen.iter().for_each(|format| formats.count(*format, Envelope::None, 1));
            formats.leave_queries_out()
        };
        assert!(leave_out(&[ConfiguredJsonWithoutQuery, ConfiguredTextWithoutQuery, ZtunnelText]));
        assert!(!leave_out(&[ConfiguredJsonWithoutQuery, OtherJson]) && !leave_out(&[ZtunnelText]) && !leave_out(&[]));
    }
}
