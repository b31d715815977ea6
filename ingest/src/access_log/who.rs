//! Who logged a line, and who spoke to whom: reporter, addresses, principals, service.

use std::borrow::Cow;

use crate::address::{Address, is_internal};
use crate::cluster::fqdn_of_sni;
use crate::destination_service::{Names, destination_service};
use crate::identity::{self, Parts, Principal};
use crate::key::Key;
use crate::log_type::LogType;
use crate::rbac::Decision;
use crate::reporter::{Direction, Evidence, Reporter, reporter};
use crate::row::{Row, Value};
use crate::schema::Col;

use super::Line;

/// What the security columns need to know about the two sides.
pub(super) struct Who {
    pub(super) reporter: Option<Reporter>,
    /// The source's identity comes from a completed mutual TLS handshake.
    pub(super) verified: bool,
}

/// Sets the columns of the two sides.
pub(super) fn derive<'a>(line: &Line<'a>, decision: Decision, row: &mut Row<'a>) -> Who {
    let (reporter, direction) = reporter(&evidence(line, decision));
    row.set_text(Col::Reporter, reporter.map(Reporter::as_str));
    row.set_text(Col::Direction, direction.map(Direction::as_str));
    addresses(line, reporter, direction, row);
    let verified = principals(line, reporter, row);

    let names = Names {
        fqdn: line.cluster.and_then(|cluster| cluster.fqdn()),
        services: line.get(Key::UpstreamService),
        sni: line.get(Key::RequestedServerName),
        authority: line.get(Key::Authority),
    };
    let (service, taken) = destination_service(names);
    row.set_text(Col::DestinationService, service);
    if taken {
        line.fields.mark_taken(Key::UpstreamService);
    }
    Who { reporter, verified }
}

fn evidence<'a>(line: &Line<'a>, decision: Decision) -> Evidence<'a> {
    let ip = |key: Key| line.get(key).and_then(Address::parse).map(|address| address.ip);
    let client = ip(Key::DownstreamDirectRemoteAddress).or_else(|| ip(Key::DownstreamRemoteAddress));
    let own = ip(Key::UpstreamLocalAddress);
    let client_in_own_pod = client.is_some() && client == own;
    Evidence {
        cluster: line.cluster,
        cluster_carried: line.fields.carries(Key::UpstreamCluster),
        denied: decision == Decision::Deny,
        black_hole: line.black_hole,
        route_name: line.get(Key::RouteName),
        response_code: line.response_code,
        response_code_details: line.get(Key::ResponseCodeDetails),
        filter_chain_not_found: line.filter_chain_not_found,
        downstream_tls: line.has(Key::DownstreamTlsVersion),
        protocol: line.has(Key::Protocol),
        sni: line.has(Key::RequestedServerName),
        mesh_sni: line.get(Key::RequestedServerName).is_some_and(|sni| fqdn_of_sni(sni).is_some()),
        gateway_name: gateway_name(line),
        client_in_own_pod,
        called_itself: client.is_some()
            && own.is_some()
            && !client_in_own_pod
            && ip(Key::DownstreamLocalAddress) == own,
    }
}

fn gateway_name(line: &Line<'_>) -> bool {
    let (pod, account) = (line.get(Key::PodName), line.get(Key::PodServiceAccount));
    let matches = || line.options.gateways.matches(pod, account);
    match (line.memo, pod.or(account)) {
        (_, None) => false,
        (Some(memo), _) => memo.is_gateway(pod.unwrap_or_default(), account.unwrap_or_default(), matches),
        (None, _) => matches(),
    }
}

fn addresses<'a>(line: &Line<'a>, reporter: Option<Reporter>, direction: Option<Direction>, row: &mut Row<'a>) {
    let fields = line.fields;
    let address = |key: Key| line.get(key).and_then(At::parse);
    let direct = address(Key::DownstreamDirectRemoteAddress);
    let remote = address(Key::DownstreamRemoteAddress);
    // port 0: not an end of the connection, but taken from x-forwarded-for
    let source = direct.or(remote.filter(|remote| remote.address.port != Some(0)));
    if direct.is_some() {
        fields.mark_taken(Key::DownstreamDirectRemoteAddress);
    }
    // a client's line without the direct address: the client is in the pod, and its address is the one that the proxy
    // connects from (its port is not)
    let own = || address(Key::UpstreamLocalAddress).filter(|_| reporter == Some(Reporter::Source) && remote.is_some());
    let client = source.or_else(own);
    row.set_text(Col::SourceIp, client.map(At::ip));
    if let Some(source) = source {
        set_port(row, Col::SourcePort, source.address);
    }
    if let Some(remote) = remote {
        let claimed = client.map(|client| client.address.ip) != Some(remote.address.ip);
        if claimed {
            row.set_text(Col::ClaimedClientIp, Some(remote.ip()));
        }
        let portless = matches!(remote.address.port, None | Some(0));
        if source.map(|source| source.address) == Some(remote.address) || portless {
            fields.mark_taken(Key::DownstreamRemoteAddress);
        }
    }

    let upstream = address(Key::UpstreamHost).filter(|_| direction == Some(Direction::Outbound));
    let destination = upstream.or_else(|| {
        let local = address(Key::DownstreamLocalAddress)?;
        fields.mark_taken(Key::DownstreamLocalAddress);
        Some(local)
    });
    if let Some(destination) = destination {
        row.set_text(Col::DestinationIp, Some(destination.ip()));
        set_port(row, Col::DestinationPort, destination.address);
    }
    let same =
        |upstream: At| address(Key::DownstreamLocalAddress).is_some_and(|local| local.address == upstream.address);
    if upstream.is_some_and(same) {
        fields.mark_taken(Key::DownstreamLocalAddress);
    }
}

/// An address and the text that it was read from.
#[derive(Debug, Clone, Copy)]
struct At<'a> {
    address: Address,
    text: &'a str,
}

impl<'a> At<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        Some(At { address: Address::parse(text)?, text })
    }

    /// The IP address in its canonical form.
    fn ip(self) -> Cow<'a, str> {
        self.address.ip_text(self.text)
    }
}

fn set_port(row: &mut Row<'_>, column: Col, address: Address) {
    if let Some(port) = address.port {
        row.set(column, Value::Int32(i32::from(port)));
    }
}

/// The keys that an identity rests on: certificates, whether the handshake completed, and whose line it is. Where a line
/// repeats one, a caller may have written it.
const IDENTITY: &[Key] = &[
    Key::DownstreamPeerUriSan,
    Key::DownstreamLocalUriSan,
    Key::UpstreamPeerUriSan,
    Key::UpstreamLocalUriSan,
    Key::PeerPrincipal,
    Key::LocalPrincipal,
    Key::DownstreamTransportFailureReason,
    Key::UpstreamTransportFailureReason,
    Key::AccessLogType,
    Key::UpstreamCluster,
    Key::RouteName,
];

/// Sets the principals; says whether the source's is verified.
fn principals<'a>(line: &Line<'a>, reporter: Option<Reporter>, row: &mut Row<'a>) -> bool {
    let server_side = line.has(Key::DownstreamPeerUriSan) || line.has(Key::DownstreamLocalUriSan);
    let (source_keys, destination_keys) = identity::keys(reporter, server_side);
    let logged_source = first_principal(line, source_keys);
    let logged_destination = first_principal(line, destination_keys);
    // the handshake failed, or nobody says that it completed
    let failure = match reporter {
        Some(Reporter::Source) => Key::UpstreamTransportFailureReason,
        _ => Key::DownstreamTransportFailureReason,
    };
    let claimed = line.log_type == LogType::Listener || line.has(failure) || line.fields.repeats(IDENTITY);
    let verified = logged_source.is_some() && !claimed;

    let own = || own_principal(line);
    let source = logged_source.or_else(|| (reporter == Some(Reporter::Source)).then(own)?);
    let destination = logged_destination.or_else(|| (reporter == Some(Reporter::Destination)).then(own)?);
    if let Some(source) = source {
        row.set(Col::IdentityVerified, Value::Boolean(verified));
        set_principal(
            row,
            [Col::SourcePrincipal, Col::SourceNamespace, Col::SourceServiceAccount, Col::SourceTrustDomain],
            source,
        );
    }
    if let Some(destination) = destination {
        let columns = [
            Col::DestinationPrincipal,
            Col::DestinationNamespace,
            Col::DestinationServiceAccount,
            Col::DestinationTrustDomain,
        ];
        set_principal(row, columns, destination);
    }
    verified
}

fn first_principal<'a>(line: &Line<'a>, keys: &[Key]) -> Option<Principal<'a>> {
    keys.iter().find_map(|key| {
        let sans = line.get(*key)?;
        let principal = Principal::of_sans(sans)?;
        // several SANs: the others stay in extra, with the whole
        if !sans.contains(',') {
            line.fields.mark_taken(*key);
        }
        Some(principal)
    })
}

/// The identity that Istio gives the pod that logged the line: from its names, not from a certificate.
fn own_principal<'a>(line: &Line<'a>) -> Option<Principal<'a>> {
    Some(Principal::of_workload(Parts {
        trust_domain: &line.options.trust_domain,
        namespace: line.get(Key::PodNamespace)?,
        service_account: line.get(Key::PodServiceAccount)?,
    }))
}

fn set_principal<'a>(row: &mut Row<'a>, columns: [Col; 4], principal: Principal<'a>) {
    let [whole, namespace, service_account, trust_domain] = columns;
    row.set_text(whole, Some(principal.text));
    row.set_text(namespace, principal.parts.map(|parts| parts.namespace));
    row.set_text(service_account, principal.parts.map(|parts| parts.service_account));
    row.set_text(trust_domain, principal.parts.map(|parts| parts.trust_domain));
}

/// Whether the client is another listener of the same proxy.
pub(super) fn client_is_internal(line: &Line<'_>) -> bool {
    [Key::DownstreamDirectRemoteAddress, Key::DownstreamRemoteAddress]
        .into_iter()
        .any(|key| line.get(key).is_some_and(is_internal))
}
