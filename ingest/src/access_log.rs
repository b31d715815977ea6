//! One line to one row: detect the format, bring the line to canonical keys, derive the columns.
//!
//! ```text
//! {...  json ───────────┐
//! ...   configured text ├─▶ Fields ─▶ who.rs        reporter, addresses, principals
//! [...  text::parse ────┘             security.rs   RBAC, JWT, transport, egress, signals
//!                                     extra         what no column took
//! ztunnel's ─▶ ztunnel.rs             all of these, from its own words
//! ```
//!
//! Each derivation is a pure module of its own with its own table of cases; here they are only put together. This is the plain way, and the judge of
//! the fast one ([`known`]), which writes the rows of edges that were derived here before.

pub(crate) mod known;
mod security;
mod who;
mod ztunnel;

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use crate::cluster::{self, Cluster};
use crate::edge::{self, Signs};
use crate::endpoints::Addresses;
use crate::envelope::{Node, unopened};
use crate::extra::extra;
use crate::field_map::Resolved;
use crate::fields::Fields;
use crate::format_string::Misfit;
use crate::key::{Key, KeySet};
use crate::line_format::{LineFormat, PathSource, Told};
use crate::log_type::{self, LogType};
use crate::options::DecodeOptions;
use crate::reject::{Refusal, RejectReason, shown};
use crate::reporter::{Direction, Reporter};
use crate::row::{Row, Value};
use crate::schema::Col;
use crate::shape::Shapes;
use crate::{json, text, text_formats, time};
use who::Who;

/// What a row needs beside its line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) options: &'a DecodeOptions,
    pub(crate) source: &'a str,
    /// The line's number, from 1.
    pub(crate) line: u64,
    pub(crate) received_at: DateTime<Utc>,
    /// When the line was written, as what it came in says.
    pub(crate) written: Option<&'a str>,
}

/// What a row was derived from, and what its edge has to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Derived {
    /// The keys that the line carries.
    pub(crate) carried: KeySet,
    /// The keys all of whose value the columns hold.
    pub(crate) taken: KeySet,
    pub(crate) reporter: Option<Reporter>,
    pub(crate) direction: Option<Direction>,
}

/// Decodes one line that is not blank the plain way, hands its row on and tells its format; `node` is who logged it, where the line does not say. `shapes` learn
/// the line's.
pub(crate) fn decode(
    line: &[u8],
    node: &Node<'_>,
    context: &Context<'_>,
    shapes: Option<&mut Shapes>,
    row: impl FnOnce(&Row<'_>, &Derived),
) -> Result<LineFormat, Refusal> {
    decode_any(line, node, context, shapes, row).map_err(|refusal| match std::str::from_utf8(line) {
        // what Istio's components say about themselves may name clusters
        Ok(text) if crate::ztunnel::looks_like(trimmed(text)) => refusal,
        _ => refusal.of_line(line),
    })
}

fn decode_any(
    line: &[u8],
    node: &Node<'_>,
    context: &Context<'_>,
    shapes: Option<&mut Shapes>,
    row: impl FnOnce(&Row<'_>, &Derived),
) -> Result<LineFormat, Refusal> {
    let line = utf8(line, context.options)?;
    let (whole, line) = (untrimmed(&line), trimmed(&line));
    let options = context.options;
    let mut fields = Fields::new();
    let configured = text_formats::plain(whole, options.text_formats(), &mut fields);
    // whatever else it looks like, that is what a caller wrote
    if let Some(Err(ambiguous @ Misfit::Ambiguous { .. })) = configured {
        return Err(ambiguous.into());
    }
    // a configured format may begin with what a caller says, and that like a line of ztunnel's; a template may hold keys of a caller's
    let template = text_formats::is_of_a_template(whole, options.text_formats());
    let may_be_ztunnels = !matches!(configured, Some(Ok(()))) && !template && crate::ztunnel::looks_like(line);
    if may_be_ztunnels && !has_the_time(line, options) {
        return ztunnel_line(line, node, context, row).map(|()| LineFormat::of_ztunnel(line));
    }
    match (configured, line.as_bytes().first()) {
        (Some(Ok(())), _) => {}
        (configured, Some(b'{')) => {
            let names = json::parse(line, options, &mut fields);
            if let (true, Some(Err(misfit))) = (template, configured) {
                // what a caller wrote into it may have made it JSON of anything; its own keys may have other names
                if names.is_err() || fields.get(Key::StartTime).is_none() {
                    return Err(misfit.into());
                }
                fields.doubt();
                fields.tell(Told::new(LineFormat::StringJson, PathSource::default()).timeless(fields.told().timeless));
            } else if let (Some(shapes), names) = (shapes, names?) {
                shapes.learn(line, names);
            }
        }
        (configured, Some(b'[')) => {
            // whoever configures a format wants to hear where it does not fit
            text::parse(line, &mut fields)
                .map_err(|refusal| configured.and_then(Result::err).map_or(refusal, Into::into))?;
            fields.tell(Told::new(LineFormat::of_text(fields.carried()), PathSource::default()));
        }
        (Some(Err(misfit)), _) => return Err(misfit.into()),
        (None, _) => {
            let detail = "neither a JSON object, nor Istio's text format (which starts with `[time] \"`), nor a line of ztunnel's; a mesh's \
                          own text format is given by --format-string or --mesh-config";
            return Err(Refusal::new(RejectReason::NotAnAccessLog, detail));
        }
    }
    for (key, name) in node.names() {
        fields.add(key, name);
    }
    for (name, json) in &node.rest {
        fields.keep(Cow::Borrowed(name), Cow::Borrowed(json));
    }
    let format = fields.told().format;
    derive(fields, context, row)?;
    Ok(format)
}

/// Whether a JSON line has the start time under another name than the canonical one: ztunnel's have none.
fn has_the_time(line: &str, options: &DecodeOptions) -> bool {
    let names = options.names();
    let is_the_time = |name: &str| match names.resolve(name) {
        Resolved::Mapped(key) => key == Key::StartTime,
        Resolved::Several(part) => part.keys().has(Key::StartTime),
        Resolved::Canonical(_) | Resolved::Unknown => false,
    };
    names.names_start_time() && json::names(line).is_some_and(|mut names| names.any(|name| is_the_time(&name)))
}

/// Makes the row of a line of ztunnel's.
fn ztunnel_line(
    line: &str,
    node: &Node<'_>,
    context: &Context<'_>,
    row: impl FnOnce(&Row<'_>, &Derived),
) -> Result<(), Refusal> {
    let mut values = Row::new();
    let mut carried = ztunnel::decode(line, context, &mut values)?;
    for (key, name) in node.names() {
        let column = match key {
            Key::PodName => Col::NodePod,
            Key::PodNamespace => Col::NodeNamespace,
            // it says itself what it knows
            _ => continue,
        };
        carried = carried.with(key);
        values.set_text(column, Some(name));
    }
    row(&values, &Derived { carried, taken: KeySet::EMPTY, reporter: Some(Reporter::Ztunnel), direction: None });
    Ok(())
}

/// The line without the blanks that JSON may have around it, and without NULs behind it.
pub(crate) fn trimmed(line: &str) -> &str {
    line.trim_start_matches([' ', '\t', '\r']).trim_end_matches([' ', '\t', '\r', '\0'])
}

/// The same as a configured text format has it: blanks and tabs are its own, and what they separate may be empty.
pub(crate) fn untrimmed(line: &str) -> &str {
    line.trim_end_matches(['\r', '\0'])
}

/// Makes the row of a line's fields.
pub(crate) fn derive(
    mut fields: Fields<'_>,
    context: &Context<'_>,
    row: impl FnOnce(&Row<'_>, &Derived),
) -> Result<(), Refusal> {
    fields.redact(&context.options.redaction);
    let mut values = Row::new();
    let derived = row_of(&fields, context, &mut values)?;
    row(&values, &derived);
    Ok(())
}

/// Whether a line as it is, without anything around it, is one of a configured text format: in one way, or in several.
pub(crate) fn is_of_a_configured_format(line: &[u8], options: &DecodeOptions) -> bool {
    let formats = options.text_formats();
    if formats.is_empty() {
        return false;
    }
    let text = match std::str::from_utf8(line) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(latin1(line)),
    };
    text_formats::is_of_any(untrimmed(&text), formats)
}

fn latin1(line: &[u8]) -> String {
    line.iter().copied().map(char::from).collect()
}

/// The line as UTF-8. A text format of Envoy's passes on whatever bytes a header holds: such a line is read as Latin-1, as
/// Envoy's JSON does with such a value, or a caller could hide its requests. JSON of Envoy's is always UTF-8.
fn utf8<'a>(line: &'a [u8], options: &DecodeOptions) -> Result<Cow<'a, str>, Refusal> {
    let error = match std::str::from_utf8(line) {
        Ok(line) => return Ok(Cow::Borrowed(line)),
        Err(error) => error,
    };
    let latin1 = latin1(line);
    let configured = || text_formats::plain(untrimmed(&latin1), options.text_formats(), &mut Fields::new());
    if trimmed(&latin1).starts_with('[') || matches!(configured(), Some(Ok(()))) {
        return Ok(Cow::Owned(latin1));
    }
    let at = error.valid_up_to();
    Err(Refusal::new(RejectReason::NotUtf8, format!("byte {at} of the line is not UTF-8")))
}

/// Keys whose value is a text column as it is.
pub(crate) const TEXTS: &[(Key, Col)] = &[
    (Key::PodName, Col::NodePod),
    (Key::PodNamespace, Col::NodeNamespace),
    (Key::PodServiceAccount, Col::NodeServiceAccount),
    (Key::ClusterId, Col::ClusterId),
    (Key::Authority, Col::Authority),
    (Key::OriginalHost, Col::OriginalHost),
    (Key::UpstreamHost, Col::UpstreamHost),
    (Key::UpstreamLocalAddress, Col::UpstreamLocalAddress),
    (Key::RequestedServerName, Col::Sni),
    (Key::Method, Col::Method),
    (Key::Path, Col::Path),
    (Key::OriginalPath, Col::OriginalPath),
    (Key::Protocol, Col::Protocol),
    (Key::UserAgent, Col::UserAgent),
    (Key::Referer, Col::Referer),
    (Key::XForwardedFor, Col::ForwardedFor),
    (Key::RequestId, Col::RequestId),
    (Key::StreamId, Col::StreamId),
    (Key::RouteName, Col::RouteName),
    (Key::FilterChainName, Col::FilterChainName),
    (Key::ContentType, Col::ContentType),
    (Key::FapiInteractionId, Col::FapiInteractionId),
    (Key::ResponseFapiInteractionId, Col::ResponseFapiInteractionId),
    (Key::ResponseCodeDetails, Col::ResponseCodeDetails),
    (Key::ResponseFlags, Col::ResponseFlags),
    (Key::ConnectionTerminationDetails, Col::ConnectionTerminationDetails),
    (Key::UpstreamTransportFailureReason, Col::UpstreamTransportFailureReason),
    (Key::DownstreamTransportFailureReason, Col::DownstreamTransportFailureReason),
    (Key::JwtIss, Col::JwtIssuer),
    (Key::JwtSub, Col::JwtSubject),
    (Key::JwtAud, Col::JwtAudience),
    (Key::DownstreamPeerIssuer, Col::PeerIssuer),
    (Key::DownstreamPeerSerial, Col::PeerSerial),
    (Key::DownstreamPeerFingerprint256, Col::PeerFingerprint),
];

/// Keys whose value is a 64-bit number.
pub(crate) const INT64S: &[(Key, Col)] = &[
    (Key::BytesReceived, Col::BytesReceived),
    (Key::BytesSent, Col::BytesSent),
    (Key::ConnectionId, Col::ConnectionId),
    (Key::Duration, Col::DurationMs),
    (Key::UpstreamServiceTime, Col::UpstreamServiceTimeMs),
];

/// Keys whose value is a 32-bit number.
pub(crate) const INT32S: &[(Key, Col)] = &[
    (Key::ResponseCode, Col::ResponseCode),
    (Key::GrpcStatus, Col::GrpcStatus),
    (Key::UpstreamRequestAttemptCount, Col::UpstreamAttempts),
];

/// What several derivations want to know. They may ask for what names an edge, and for nothing else: see [`edge`].
struct Line<'a> {
    fields: &'a Fields<'a>,
    options: &'a DecodeOptions,
    signs: Signs,
    cluster: Option<Cluster<'a>>,
    /// `None` also where a caller may have written one that would hide the line.
    access_log_type: Option<&'a str>,
    log_type: LogType,
    filter_chain_not_found: bool,
    /// A connection to a host that the mesh does not know, blocked, as Istio 1.9 logs it: without the cluster.
    black_hole: bool,
    response_code: Option<i32>,
}

fn row_of<'a>(fields: &'a Fields<'a>, context: &Context<'a>, row: &mut Row<'a>) -> Result<Derived, Refusal> {
    let started = start_time(fields, context)?;
    for (key, column) in TEXTS {
        row.set_text(*column, fields.take(*key));
    }
    for (key, column) in INT64S {
        if let Some(number) = fields.take_integer(*key) {
            row.set(*column, Value::Int64(number));
        }
    }
    for (key, column) in INT32S {
        if let Some(number) = fields.take_integer(*key) {
            row.set(*column, Value::Int32(number));
        }
    }
    row.set(Col::Time, Value::Timestamp(started));
    let ended = time::ended_at(started, fields.take_integer(Key::Duration));
    row.set(Col::EndedAt, Value::Timestamp(ended));
    row.set(Col::ReceivedAt, Value::Timestamp(context.received_at.timestamp_micros()));
    row.set_text(Col::LogId, Some(format!("{}:{}", context.source, context.line)));
    row.set_text(Col::Source, Some(context.source));
    if let Some(end) = fields.get(Key::DownstreamPeerCertVEnd).and_then(time::parse) {
        fields.mark_taken(Key::DownstreamPeerCertVEnd);
        row.set(Col::PeerCertEnd, Value::Timestamp(end));
    }
    if let Some(id) = fields.get(Key::Traceparent).and_then(trace_id) {
        fields.mark_taken(Key::Traceparent);
        row.set_text(Col::TraceId, Some(id));
    }
    let cluster = fields.take(Key::UpstreamCluster);
    row.set_text(Col::UpstreamCluster, cluster.map(cluster::clean));

    let addresses = Addresses::of(fields.told(), |key| fields.get(key));
    let signs = addresses.signs(fields.told(), |key| fields.get(key));
    let line = Line::new(fields, context, signs, cluster.map(Cluster::parse));
    row.set_text(Col::AccessLogType, line.access_log_type);
    if line.access_log_type.is_some() {
        fields.mark_taken(Key::AccessLogType);
    }
    row.set_text(Col::LogType, Some(line.log_type.as_str()));
    let decision = security::rbac(&line, row);
    let who = who::derive(&line, decision, row);
    security::derive(&line, &who, decision, row);
    row.set(Col::Edge, Value::Int64(edge::id(row)));

    let ends = addresses.endpoints(who.reporter, who.direction);
    row.set_text(Col::SourceIp, ends.source_ip);
    row.set_text(Col::ClaimedClientIp, ends.claimed_client_ip);
    row.set_text(Col::DestinationIp, ends.destination_ip);
    for (column, port) in [(Col::SourcePort, ends.source_port), (Col::DestinationPort, ends.destination_port)] {
        if let Some(port) = port {
            row.set(column, Value::Int32(i32::from(port)));
        }
    }
    ends.taken.iter().for_each(|key| fields.mark_taken(key));
    row.set_text(Col::Extra, extra(fields, &context.options.redaction));
    let Who { reporter, direction, .. } = who;
    Ok(Derived { carried: fields.carried(), taken: fields.taken(), reporter, direction })
}

impl<'a> Line<'a> {
    fn new(fields: &'a Fields<'a>, context: &Context<'a>, signs: Signs, cluster: Option<Cluster<'a>>) -> Self {
        let response_code = fields.take_integer(Key::ResponseCode);
        let filter_chain_not_found =
            log_type::filter_chain_not_found(fields.get(Key::ResponseFlags), fields.get(Key::ResponseCodeDetails));
        let forgeable = signs.of_strings || fields.is_ambiguous();
        let access_log_type = fields.get(Key::AccessLogType).filter(|name| !forgeable || log_type::is_end(name));
        let log_type = LogType::of(log_type::Signs {
            access_log_type,
            filter_chain_not_found,
            transport_failed: fields.get(Key::DownstreamTransportFailureReason).is_some(),
            method: fields.get(Key::Method).is_some(),
            protocol: fields.get(Key::Protocol).is_some(),
            response_code,
        });
        let no_cluster = fields.carries(Key::UpstreamCluster) && cluster.is_none();
        let no_host = fields.carries(Key::UpstreamHost) && !signs.upstream_host;
        let unhealthy = fields.get(Key::ResponseFlags).is_some_and(|flags| flags.split(',').any(|flag| flag == "UH"));
        let black_hole = log_type == LogType::Tcp && unhealthy && no_cluster && no_host;
        let options = context.options;
        Line {
            fields,
            options,
            signs,
            cluster,
            access_log_type,
            log_type,
            filter_chain_not_found,
            black_hole,
            response_code,
        }
    }

    fn get(&self, key: Key) -> Option<&'a str> {
        debug_assert!(edge::TEXTS.has(key), "{key:?} does not name an edge");
        self.fields.get(key)
    }

    fn take(&self, key: Key) -> Option<&'a str> {
        debug_assert!(edge::TEXTS.has(key), "{key:?} does not name an edge");
        self.fields.take(key)
    }

    fn has(&self, key: Key) -> bool {
        self.get(key).is_some()
    }

    fn carries(&self, key: Key) -> bool {
        debug_assert!(edge::CARRIED.has(key), "whether {key:?} is carried does not name an edge");
        self.fields.carries(key)
    }
}

fn start_time(fields: &Fields<'_>, context: &Context<'_>) -> Result<i64, Refusal> {
    let options = context.options;
    let text = fields.take(Key::StartTime);
    if let Some(started) = text.and_then(|text| options.start_time(text)) {
        return Ok(started);
    }
    let started = || {
        let written = time::parse(context.written?)?;
        let duration = fields.take_integer::<i64>(Key::Duration).unwrap_or(0).max(0).checked_mul(1000)?;
        written.checked_sub(duration).filter(|started| *started >= 0)
    };
    match text {
        Some(text) => started().and_then(|about| options.start_time_near(text, about)).ok_or_else(|| {
            let detail = match options.is_no_instant(text) {
                true => "says no instant, and nothing that the line came in says when it was written",
                false => "is not RFC 3339, or seconds since 1970, of the years 1970 to 9999",
            };
            Refusal::new(RejectReason::BadTime, format!("start_time `{}` {detail}", shown(text)))
        }),
        // what else has no time is no access log
        None if fields.told().timeless => started().ok_or_else(|| {
            let detail =
                "the configured format logs no start time, and nothing that the line came in says when it was written";
            Refusal::new(RejectReason::BadTime, detail)
        }),
        None => Err(Refusal::new(
            RejectReason::NotAnAccessLog,
            match unopened(|name| fields.kept(name)) {
                Some(name) => format!(
                    "no start_time; its `{name}` begins like a line of a proxy's, but is not read, for a caller may have written it: beside it is a key that no log \
                     shipper is known to write. Let the shipper leave that out, or put it into `kubernetes`"
                ),
                None => "no start_time; if the format calls it otherwise, map that key to start_time".to_owned(),
            },
        )),
    }
}

/// The trace id of a W3C `traceparent`, `00-<32 hex>-<16 hex>-<2 hex>`.
pub(crate) fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.split('-');
    let mut part = |digits: usize| {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        parts.next().filter(|part| part.len() == digits && part.bytes().all(hex))
    };
    let (version, id, _parent, _flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    (version != "ff" && id.bytes().any(|digit| digit != b'0')).then_some(id)
}

#[cfg(test)]
mod tests;
