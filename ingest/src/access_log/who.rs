//! Who logged a line, and who spoke to whom: reporter, addresses, principals, service.

use crate::cluster::fqdn_of_sni;
use crate::destination_service::{From, Names, destination_service};
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
    pub(super) direction: Option<Direction>,
    /// The source's identity comes from a completed mutual TLS handshake.
    pub(super) verified: bool,
}

/// Sets the columns of the two sides, their addresses excepted.
pub(super) fn derive<'a>(line: &Line<'a>, decision: Decision, row: &mut Row<'a>) -> Who {
    let (reporter, direction) = reporter(&evidence(line, decision));
    row.set_text(Col::Reporter, reporter.map(Reporter::as_str));
    row.set_text(Col::Direction, direction.map(Direction::as_str));
    let (identity, unproven) = principals(line, reporter, decision == Decision::Deny, row);
    let names = Names {
        fqdn: line.cluster.and_then(|cluster| cluster.fqdn()),
        services: line.get(Key::UpstreamService),
        sni: line.get(Key::RequestedServerName),
        authority: line.get(Key::Authority),
    };
    let (service, from) = destination_service(names);
    let named = *row.get(Col::DestinationPrincipal) != Value::Null;
    let by_caller = service.is_some() && from == From::Caller;
    row.set_text(Col::DestinationService, service);
    if from == (From::Mesh { whole: true }) {
        line.fields.mark_taken(Key::UpstreamService);
    }
    row.set_text(Col::Claims, claims(line, direction, identity, (named && unproven, by_caller)));
    Who { reporter, direction, verified: identity == Identity::Verified }
}

fn evidence<'a>(line: &Line<'a>, decision: Decision) -> Evidence<'a> {
    Evidence {
        cluster: line.cluster,
        cluster_carried: line.carries(Key::UpstreamCluster),
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
        gateway_name: line.options.gateways.matches(line.get(Key::PodName), line.get(Key::PodServiceAccount)),
        client_in_own_pod: line.signs.client_in_own_pod,
        called_itself: line.signs.called_itself,
    }
}

/// What of the line only a caller says, as names of columns. A sidecar's inbound routes rewrite nothing: what says so there was sent along,
/// and so may be what stands there in the place of the path.
///
/// Whom a client calls is its own to say, and its sidecar believes it; on a server's line the caller may have named anybody.
fn claims(
    line: &Line<'_>,
    direction: Option<Direction>,
    identity: Identity,
    (unproven, by_caller): (bool, bool),
) -> Option<String> {
    let inbound = direction == Some(Direction::Inbound);
    let claims = [
        (inbound && line.signs.original_path_first, "path"),
        (inbound && line.signs.original_path, "original_path"),
        (inbound && line.signs.original_host, "original_host"),
        (line.signs.portless_client, "claimed_client_ip"),
        (identity == Identity::Claimed, "source_principal"),
        (unproven, "destination_principal"),
        (by_caller && direction != Some(Direction::Outbound), "destination_service"),
    ];
    let claims: Vec<&str> = claims.into_iter().filter_map(|(claimed, column)| claimed.then_some(column)).collect();
    (!claims.is_empty()).then(|| claims.join(","))
}

/// What the source's identity rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    /// A certificate, of a handshake that completed.
    Verified,
    /// A certificate of a handshake that failed, or of which nobody says that it completed.
    Claimed,
    /// None is logged.
    Unknown,
}

/// Sets the principals; says what the source's rests on, and whether nothing proves the destination's.
fn principals<'a>(line: &Line<'a>, reporter: Option<Reporter>, denied: bool, row: &mut Row<'a>) -> (Identity, bool) {
    let server_side = line.has(Key::DownstreamPeerUriSan) || line.has(Key::DownstreamLocalUriSan);
    let (source_keys, destination_keys) = identity::keys(reporter, server_side);
    let logged_source = first_principal(line, source_keys);
    let logged_destination = first_principal(line, destination_keys);
    // the handshake failed, or nobody says that it completed
    let failure = match reporter {
        Some(Reporter::Source) => Key::UpstreamTransportFailureReason,
        _ => Key::DownstreamTransportFailureReason,
    };
    let claimed = line.log_type == LogType::Listener
        || line.has(failure)
        || (reporter != Some(Reporter::Source) && may_have_failed(line, denied))
        || line.fields.is_ambiguous()
        || line.signs.of_strings;
    // a peer may show any certificate: the one that was refused is no proof of who it is
    let shown = line.get(Key::UpstreamPeerUriSan).and_then(Principal::of_sans);
    let refused = line.has(Key::UpstreamTransportFailureReason) && shown.is_some() && shown == logged_destination;
    let unproven = line.signs.of_strings || refused;
    let own = || own_principal(line);
    let logged = logged_source.is_some();
    let source = logged_source.or_else(|| (reporter == Some(Reporter::Source)).then(own)?);
    let destination = logged_destination.or_else(|| (reporter == Some(Reporter::Destination)).then(own)?);
    let identity = match (&source, logged) {
        (None, _) => Identity::Unknown,
        (Some(_), true) if claimed => Identity::Claimed,
        (Some(_), true) => Identity::Verified,
        // of the pod's own names; but they may be a caller's, too
        (Some(_), false) if line.signs.of_strings => Identity::Claimed,
        (Some(_), false) => Identity::Unknown,
    };
    if let Some(source) = source {
        row.set(Col::IdentityVerified, Value::Boolean(identity == Identity::Verified));
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
    (identity, unproven)
}

/// Whether the line may be a listener's, of a handshake that failed, in a format that does not say so. What a proxy did with the
/// connection shows that it came to stand.
fn may_have_failed(line: &Line<'_>, denied: bool) -> bool {
    let dealt_with = line.cluster.is_some() || line.signs.upstream_host || line.has(Key::ConnectionTerminationDetails);
    line.log_type == LogType::Tcp
        && line.access_log_type.is_none()
        && !line.carries(Key::DownstreamTransportFailureReason)
        && !(denied || dealt_with)
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

pub(super) fn set_principal<'a>(row: &mut Row<'a>, columns: [Col; 4], principal: Principal<'a>) {
    let [whole, namespace, service_account, trust_domain] = columns;
    row.set_text(whole, Some(principal.text));
    row.set_text(namespace, principal.parts.map(|parts| parts.namespace));
    row.set_text(service_account, principal.parts.map(|parts| parts.service_account));
    row.set_text(trust_domain, principal.parts.map(|parts| parts.trust_domain));
}
