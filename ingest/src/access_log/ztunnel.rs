//! One of ztunnel's lines to one row: a connection of the ambient mesh, as the ztunnel of its source or of its destination saw it.
//!
//! ```text
//!              inbound (the destination's ztunnel)            outbound (the source's ztunnel)
//! decision     its error; allow where it ended without one     unknown: the other end judges, and says 401 at most
//! transport    mutual TLS with an identity, else plaintext     mutual TLS where the tunnel came to stand, else unknown
//! identities   proved by the handshake                         proved where the tunnel came to stand; what was meant, else
//! egress       -                                               passthrough without service and workload
//! ```
//!
//! **Time.** ztunnel writes when a connection *ends*: the line's time is the column `ended_at`, and `time` (the start) is that less
//! the duration.
//!
//! **Which lines.** `connection complete` is the one that counts. `connection opened` (debug) tells of the same connection before
//! policy judged it: `access_log_type` is TcpConnectionStart, so nothing counts it twice. `connection failed` is written before
//! ztunnel knows who speaks to whom: it names no identity, service or workload, so the lack of one means nothing (transport and
//! egress are unknown). All of them are connections: ztunnel does not see requests.
//!
//! **Bytes.** ztunnel says "sent" for what its own side sent: on outbound lines that is the client's request. The columns speak from
//! the client's and server's view on every line (received: from the client), so outbound lines are turned around.
//!
//! **Plaintext.** ztunnel prints identities only of mutual TLS, so a completed inbound line without one was plaintext. Outbound, without a
//! tunnel, ztunnel passes bytes on as they are: the application may have encrypted them, which ztunnel does not look for: unknown,
//! as of a sidecar's TCP. STRICT is the policy `istio_converted_static_strict` (or `converted_peer_authentication_<name>`): who is
//! denied by that spoke plaintext.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Context, who};
use crate::address::{self, Address};
use crate::egress::{Egress, is_in_mesh};
use crate::identity::Principal;
use crate::key::{Key, KeySet};
use crate::log_type::LogType;
use crate::rbac::{Decision, Policy};
use crate::redact::Redaction;
use crate::reject::{Refusal, RejectReason, shown};
use crate::reporter::{Direction, Reporter};
use crate::row::{Row, Value};
use crate::schema::{Col, signals};
use crate::time;
use crate::transport::TransportSecurity;
use crate::ztunnel::{Connection, Members, Name};
use crate::{edge, extra};

/// The keys whose columns a ztunnel line can fill. `route_name` and `upstream_cluster` stand for what Envoy's lines derive from route and
/// cluster (reporter, direction, egress).
const CARRIED: KeySet = KeySet::EMPTY
    .with(Key::StartTime)
    .with(Key::Duration)
    .with(Key::AccessLogType)
    .with(Key::RouteName)
    .with(Key::UpstreamCluster)
    .with(Key::DownstreamDirectRemoteAddress)
    .with(Key::DownstreamLocalAddress)
    .with(Key::DownstreamPeerUriSan)
    .with(Key::PeerPrincipal)
    .with(Key::DownstreamLocalUriSan)
    .with(Key::UpstreamService)
    .with(Key::ConnectionTerminationDetails)
    .with(Key::BytesReceived)
    .with(Key::BytesSent);

const SOURCE: [Col; 4] =
    [Col::SourcePrincipal, Col::SourceNamespace, Col::SourceServiceAccount, Col::SourceTrustDomain];

const DESTINATION: [Col; 4] =
    [Col::DestinationPrincipal, Col::DestinationNamespace, Col::DestinationServiceAccount, Col::DestinationTrustDomain];

/// What the line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Opened,
    Complete,
    /// Refused before ztunnel knew who speaks to whom.
    Failed,
}

/// What the derivations want to know.
#[derive(Debug, Clone, Copy)]
struct Line<'c, 'a> {
    connection: &'c Connection<'a>,
    stage: Stage,
    direction: Direction,
    denial: Option<Policy<'c>>,
}

/// Decodes a line that [looks like](crate::ztunnel::looks_like) one of ztunnel's into a row, and says which keys' columns it can fill.
pub(crate) fn decode<'a>(line: &'a str, context: &Context<'a>, row: &mut Row<'a>) -> Result<KeySet, Refusal> {
    let mut connection = Connection::parse(line, context.options.max_nesting)?;
    set_times(&mut connection, row)?;
    row.set(Col::ReceivedAt, Value::Timestamp(context.received_at.timestamp_micros()));
    row.set_text(Col::LogId, Some(format!("{}:{}", context.source, context.line)));
    row.set_text(Col::Source, Some(context.source));
    row.set_text(Col::Reporter, Some(Reporter::Ztunnel.as_str()));
    row.set_text(Col::LogType, Some(LogType::Tcp.as_str()));

    let line = Line::of(&connection)?;
    derive(line, &context.options.cluster_domain, row);
    let direction = line.direction;
    set_addresses(&mut connection, row);
    set_principal(&mut connection, Name::SourceIdentity, SOURCE, row);
    set_principal(&mut connection, Name::DestinationIdentity, DESTINATION, row);
    set_numbers(&mut connection, direction, row);
    connection.take(Name::Direction);
    let redaction = &context.options.redaction;
    row.set_text(
        Col::ConnectionTerminationDetails,
        connection.take(Name::Error).map(|error| redacted(error, redaction)),
    );
    let edge = edge::id(row);
    row.set(Col::Edge, Value::Int64(edge));

    let (left, further) = connection.left_over();
    row.set_text(Col::Extra, extra::of(with_further(left, further), redaction));
    Ok(CARRIED)
}

impl<'c, 'a> Line<'c, 'a> {
    fn of(connection: &'c Connection<'a>) -> Result<Self, Refusal> {
        let stage = match connection.text(Name::Message) {
            Some("connection opened") => Stage::Opened,
            Some("connection failed") => Stage::Failed,
            _ => Stage::Complete,
        };
        let direction = match connection.text(Name::Direction) {
            Some("inbound") => Direction::Inbound,
            Some("outbound") => Direction::Outbound,
            other => {
                let other = shown(other.unwrap_or_default());
                let detail = format!("the direction of ztunnel's line is `{other}`, neither inbound nor outbound");
                return Err(Refusal::new(RejectReason::NotAnAccessLog, detail));
            }
        };
        let denial = connection.text(Name::Error).into_iter().chain(connection.further(Name::Error)).find_map(denial);
        Ok(Line { connection, stage, direction, denial })
    }

    fn has(&self, name: Name) -> bool {
        self.connection.text(name).is_some()
    }

    /// ztunnel prints identities of mutual TLS only.
    fn identified(&self) -> bool {
        self.has(Name::SourceIdentity) || self.has(Name::DestinationIdentity)
    }

    fn decision(&self) -> Decision {
        let ended_well = self.stage == Stage::Complete && !self.has(Name::Error);
        match self.denial {
            Some(_) => Decision::Deny,
            None if ended_well && self.direction == Direction::Inbound => Decision::Allow,
            None => Decision::Unknown,
        }
    }

    /// The identities are those of a handshake that completed. An inbound line has them from the tunnel that it came through. An outbound one
    /// has them before there is a tunnel: only what happened tells.
    fn handshake_completed(&self) -> bool {
        let error = self.connection.text(Name::Error);
        let revoked = error.is_some_and(|error| error.contains("peer certificate revoked"));
        match (self.stage, self.direction) {
            (Stage::Failed, _) => false,
            _ if revoked => false,
            (_, Direction::Inbound) => true,
            (Stage::Opened, Direction::Outbound) => false,
            (Stage::Complete, Direction::Outbound) => {
                // the answer of the tunnel's other end, or an end of what went through it
                const BEHIND: [&str; 4] = ["http status: ", "send: ", "receive: ", "while closing connection: "];
                let moved = |name: Name| self.connection.text(name).is_some_and(|bytes| bytes != "0");
                error.is_none_or(|error| BEHIND.iter().any(|start| error.starts_with(start)))
                    || moved(Name::BytesSent)
                    || moved(Name::BytesReceived)
            }
        }
    }

    fn transport(&self) -> TransportSecurity {
        let strict = self.denial.and_then(|policy| policy.name).is_some_and(is_strict);
        match self.direction {
            _ if self.identified() && self.handshake_completed() => TransportSecurity::MutualTls,
            Direction::Inbound if strict && !self.identified() => TransportSecurity::Plaintext,
            // an inner address is that of a tunnel, which is TLS
            Direction::Inbound if self.stage != Stage::Failed && !self.identified() && !self.tunnelled() => {
                TransportSecurity::Plaintext
            }
            _ => TransportSecurity::Unknown,
        }
    }

    fn tunnelled(&self) -> bool {
        self.has(Name::DestinationHboneAddr)
    }

    fn egress(&self, cluster_domain: &str) -> Option<Egress> {
        if self.direction == Direction::Inbound {
            return None;
        }
        Some(match self.connection.text(Name::DestinationService) {
            Some(service) if is_in_mesh(service, cluster_domain) => Egress::InMesh,
            Some(_) => Egress::Registered,
            None if self.stage == Stage::Failed => Egress::Unknown,
            None if self.has(Name::DestinationWorkload) || self.tunnelled() => Egress::InMesh,
            None => Egress::Passthrough,
        })
    }

    /// See [`signals`]; a line that does not count has none.
    fn signals(&self, transport: TransportSecurity, egress: Option<Egress>) -> i64 {
        let inbound = self.direction == Direction::Inbound;
        let bit = |set: bool, signal: i64| if set { signal } else { 0 };
        if self.stage == Stage::Opened {
            return 0;
        }
        bit(inbound && self.denial.is_some(), signals::DENIED)
            | bit(inbound && transport == TransportSecurity::Plaintext, signals::PLAINTEXT)
            | bit(egress.is_some_and(Egress::is_unregistered), signals::EGRESS_UNKNOWN)
    }
}

/// Sets what is derived from several values.
fn derive(line: Line<'_, '_>, cluster_domain: &str, row: &mut Row<'_>) {
    row.set_text(Col::Direction, Some(line.direction.as_str()));
    if line.stage == Stage::Opened {
        row.set_text(Col::AccessLogType, Some("TcpConnectionStart"));
    }
    row.set_text(Col::RbacDecision, Some(line.decision().as_str()));
    let Policy { namespace, name, .. } = line.denial.unwrap_or_default();
    row.set_text(Col::RbacPolicyNamespace, namespace.map(str::to_owned));
    row.set_text(Col::RbacPolicy, name.map(str::to_owned));
    let transport = line.transport();
    row.set_text(Col::TransportSecurity, Some(transport.as_str()));
    let egress = line.egress(cluster_domain);
    row.set_text(Col::Egress, egress.map(Egress::as_str));
    row.set(Col::Signals, Value::Int64(line.signals(transport, egress)));
    if line.connection.text(Name::SourceIdentity).and_then(Principal::of_sans).is_some() {
        // what it rests on must stand there once
        let names = [Name::SourceIdentity, Name::Direction, Name::Message, Name::Error];
        let repeated = names.into_iter().any(|name| line.connection.further(name).next().is_some());
        let verified = line.handshake_completed() && !repeated;
        row.set(Col::IdentityVerified, Value::Boolean(verified));
        row.set_text(Col::Claims, (!verified).then_some("source_principal"));
    }
}

/// A text in which the other end may have a say, without secrets.
fn redacted<'a>(text: Cow<'a, str>, redaction: &Redaction) -> Cow<'a, str> {
    match redaction.words(&text) {
        Cow::Owned(redacted) => Cow::Owned(redacted),
        Cow::Borrowed(_) => text,
    }
}

/// `None`: no denial by policy. Without a name where no policy in particular denied.
fn denial(error: &str) -> Option<Policy<'_>> {
    let rest = error.strip_prefix("connection closed due to policy rejection")?;
    if rest.is_empty() {
        return Some(Policy::default());
    }
    let policy = rest.strip_prefix(": ")?.strip_prefix("explicitly denied by: ");
    Some(policy.map_or_else(Policy::default, |policy| match policy.split_once('/') {
        Some((namespace, name)) => Policy { namespace: Some(namespace), name: Some(name), rule: None },
        None => Policy { name: Some(policy), ..Policy::default() },
    }))
}

/// Istio's own names of policies that stand for PeerAuthentication: no name of Kubernetes holds a `_`.
fn is_strict(policy: &str) -> bool {
    policy == "istio_converted_static_strict" || policy.starts_with("converted_peer_authentication_")
}

fn set_times(connection: &mut Connection<'_>, row: &mut Row<'_>) -> Result<(), Refusal> {
    let text = connection.take(Name::Time).ok_or_else(|| {
        Refusal::new(RejectReason::BadTime, "one of ztunnel's lines without its time: it cannot be placed")
    })?;
    let ended = time::parse(&text).ok_or_else(|| {
        let detail = format!("the time `{}` of ztunnel's line is not RFC 3339 of the years 1970 to 9999", shown(&text));
        Refusal::new(RejectReason::BadTime, detail)
    })?;
    let duration = connection.text(Name::Duration).and_then(milliseconds);
    if let Some(duration) = duration {
        connection.take(Name::Duration);
        row.set(Col::DurationMs, Value::Int64(duration));
    }
    // before 1970: a duration that cannot be
    let started = duration.and_then(|ms| ms.checked_mul(1000)).and_then(|micros| ended.checked_sub(micros));
    row.set(Col::Time, Value::Timestamp(started.filter(|start| *start >= 0).unwrap_or(ended)));
    row.set(Col::EndedAt, Value::Timestamp(ended));
    Ok(())
}

/// Milliseconds of `1006ms`.
fn milliseconds(duration: &str) -> Option<i64> {
    let digits = duration.strip_suffix("ms")?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn set_addresses<'a>(connection: &mut Connection<'a>, row: &mut Row<'a>) {
    set_address(connection, Name::SourceAddr, [Col::SourceIp, Col::SourcePort], row);
    let inner = connection.look(Name::DestinationHboneAddr);
    // through a gateway of another network the tunnel's inner address is a name
    let named = inner.as_deref().filter(|inner| Address::parse(inner).is_none());
    if let Some(service) = connection.take(Name::DestinationService) {
        row.set_text(Col::DestinationService, Some(service));
    } else {
        row.set_text(Col::DestinationService, named.and_then(address::host));
    }
    match (&inner, named) {
        (Some(_), Some(named)) => {
            let port = named.rsplit_once(':').and_then(|(_, port)| address::parse_port(port));
            if let Some(port) = port {
                row.set(Col::DestinationPort, Value::Int32(i32::from(port)));
            }
        }
        (Some(_), None) => {
            set_address(connection, Name::DestinationHboneAddr, [Col::DestinationIp, Col::DestinationPort], row);
        }
        (None, _) => set_address(connection, Name::DestinationAddr, [Col::DestinationIp, Col::DestinationPort], row),
    }
}

/// Takes an address, if it is one.
fn set_address<'a>(connection: &mut Connection<'a>, name: Name, [ip, port]: [Col; 2], row: &mut Row<'a>) {
    let Some(text) = connection.look(name) else { return };
    let Some(address) = Address::parse(&text) else { return };
    connection.take(name);
    row.set_text(
        ip,
        Some(match text {
            Cow::Borrowed(text) => address.ip_text(text),
            Cow::Owned(_) => Cow::Owned(address.ip.to_string()),
        }),
    );
    if let Some(number) = address.port {
        row.set(port, Value::Int32(i32::from(number)));
    }
}

/// Takes an identity, if it is one.
fn set_principal<'a>(connection: &mut Connection<'a>, name: Name, columns: [Col; 4], row: &mut Row<'a>) {
    let set = match connection.look(name) {
        Some(Cow::Borrowed(identity)) => {
            Principal::of_sans(identity).map(|principal| who::set_principal(row, columns, principal))
        }
        // a shipper escaped what needs no escapes
        Some(Cow::Owned(identity)) => Principal::of_sans(&identity).map(|Principal { text, parts }| {
            let part = |part: Option<&str>| part.map(str::to_owned);
            let [namespace, account, domain] = [
                parts.map(|parts| parts.namespace),
                parts.map(|parts| parts.service_account),
                parts.map(|parts| parts.trust_domain),
            ];
            let texts = [Some(text.into_owned()), part(namespace), part(account), part(domain)];
            for (column, text) in columns.into_iter().zip(texts) {
                row.set_text(column, text);
            }
        }),
        None => None,
    };
    if set.is_some() {
        connection.take(name);
    }
}

/// Sets the bytes from the client and to the client. ztunnel tells them as sent and received by its own side.
fn set_numbers(connection: &mut Connection<'_>, direction: Direction, row: &mut Row<'_>) {
    let (from_client, to_client) = match direction {
        Direction::Inbound => (Name::BytesReceived, Name::BytesSent),
        Direction::Outbound => (Name::BytesSent, Name::BytesReceived),
    };
    for (name, column) in [(from_client, Col::BytesReceived), (to_client, Col::BytesSent)] {
        let digits = connection.text(name).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        if let Some(number) = digits.and_then(|digits| digits.parse().ok()) {
            connection.take(name);
            row.set(column, Value::Int64(number));
        }
    }
}

/// What is left over, and the further values of repeated keys as `"duplicate_keys":{"key":[values]}`.
fn with_further<'c>(mut left: Members<'c>, further: Members<'c>) -> Members<'c> {
    const DUPLICATES: &str = "duplicate_keys";
    if further.is_empty() {
        return left;
    }
    let mut lists: BTreeMap<&str, Vec<Cow<'_, str>>> = BTreeMap::new();
    // a key of the line that has the name of ours
    let own = left.extract_if(.., |(key, _)| *key == DUPLICATES).collect::<Members<'_>>();
    for (key, json) in own.into_iter().chain(further) {
        lists.entry(key).or_default().push(json);
    }
    let lists = lists.into_iter().map(|(key, values)| (key, Cow::Owned(format!("[{}]", values.join(",")))));
    left.extend(extra::object(lists.collect()).map(|lists| (DUPLICATES, Cow::Owned(lists))));
    left
}

#[cfg(test)]
mod tests;
