//! What a line says about security: RBAC, JWT, transport, egress, and the signals made of them.

use crate::egress::{Egress, egress, egress_host};
use crate::jwt;
use crate::key::Key;
use crate::log_type::{LogType, is_request};
use crate::rbac::{Decision, Details, Metadata, Policy};
use crate::reporter::Reporter;
use crate::row::{Row, Value};
use crate::schema::{Col, signals};
use crate::transport::{ClientHop, ServerHop, TransportSecurity};

use super::Line;
use super::who::Who;

/// Sets the security columns, those of RBAC excepted.
pub(super) fn derive<'a>(line: &Line<'a>, who: &Who, decision: Decision, row: &mut Row<'a>) {
    let failure = line.get(Key::ResponseCodeDetails).and_then(jwt::failure);
    row.set_text(Col::JwtFailure, failure);
    if let Some(matched @ ("true" | "false")) = line.get(Key::Audit) {
        line.fields.mark_taken(Key::Audit);
        row.set(Col::Audit, Value::Boolean(matched == "true"));
    }
    let transport = transport(line, who, row);
    let egress = left_to(line, who.reporter, row);
    row.set(Col::Signals, Value::Int64(signals_of(line, who.reporter, decision, transport, egress)));
}

/// Sets the columns of RBAC. Apart, because who judged a request also tells who wrote its line.
pub(super) fn rbac<'a>(line: &Line<'a>, row: &mut Row<'a>) -> Decision {
    let metadata = |key: Key| line.get(key).map(Metadata::parse).unwrap_or_default();
    let (http, tcp) = (metadata(Key::Rbac), metadata(Key::RbacTcp));
    // of a repeated key any value may be the genuine one: a denial counts
    let keys = [Key::ResponseCodeDetails, Key::ConnectionTerminationDetails].into_iter();
    let details: Vec<&str> = keys.flat_map(|key| line.get(key).into_iter().chain(line.fields.further(key))).collect();
    // a caller that adds the details must not outvote the metadata
    let logged = line.carries(Key::ResponseCodeDetails) && !line.signs.of_strings;
    let details = Details { texts: &details, of_responses: logged };
    let repeated: Vec<Metadata> = line.fields.further(Key::Rbac).map(Metadata::parse).collect();
    let first = http.decide(details);
    if http.only_enforced() && first.0 != Decision::Unknown {
        line.fields.mark_taken(Key::Rbac);
    }
    let others = repeated.iter().map(|metadata| metadata.decide(details));
    let denied = std::iter::once(first).chain(others).find(|(decision, _)| *decision == Decision::Deny);
    let (decision, Policy { namespace, name, rule }) = denied.unwrap_or(first);
    row.set_text(Col::RbacDecision, Some(decision.as_str()));
    row.set_text(Col::RbacPolicyNamespace, namespace.map(str::to_owned));
    row.set_text(Col::RbacPolicy, name.map(str::to_owned));
    if let Some(rule) = rule {
        row.set(Col::RbacRule, Value::Int32(rule));
    }
    let shadow = http.shadow(false).or_else(|| tcp.shadow(true));
    row.set_text(Col::RbacShadowDecision, shadow.map(Decision::as_str));
    decision
}

fn transport<'a>(line: &Line<'a>, who: &Who, row: &mut Row<'a>) -> TransportSecurity {
    let client_side = who.reporter == Some(Reporter::Source)
        || (who.reporter.is_none() && !line.has(Key::DownstreamTlsVersion) && line.has(Key::UpstreamTlsVersion));
    let (version, cipher) = match client_side {
        true => (Key::UpstreamTlsVersion, Key::UpstreamTlsCipher),
        false => (Key::DownstreamTlsVersion, Key::DownstreamTlsCipher),
    };
    row.set_text(Col::TlsVersion, line.take(version));
    row.set_text(Col::TlsCipher, line.take(cipher));
    let carried = line.carries(version);
    let security = if client_side {
        let flags = line.get(Key::ResponseFlags).unwrap_or_default();
        let hop = ClientHop {
            peer: line.has(Key::UpstreamPeerUriSan),
            tls_version: line.has(version),
            carried,
            http: line.log_type == LogType::Http,
            upstream_host: line.signs.upstream_host,
            internal: line.signs.host_internal,
            failed: line.has(Key::UpstreamTransportFailureReason) || flags.split(',').any(|flag| flag == "UF"),
        };
        hop.security()
    } else {
        let hop = ServerHop {
            verified_peer: who.verified,
            tls_version: line.has(version),
            // at a waypoint the TLS is the tunnel's, outside of what it logs: only the tunnel's peer tells. Without a
            // reporter the line may be a client's.
            carried: match who.reporter {
                Some(Reporter::Waypoint) => carried && line.carries(Key::PeerPrincipal),
                Some(_) => carried,
                None => false,
            },
            filter_chain_not_found: line.filter_chain_not_found,
            failure_reason: line.get(Key::DownstreamTransportFailureReason),
            sni: line.has(Key::RequestedServerName),
            internal: line.signs.client_internal,
        };
        hop.security()
    };
    row.set_text(Col::TransportSecurity, Some(security.as_str()));
    security
}

fn left_to<'a>(line: &Line<'a>, reporter: Option<Reporter>, row: &mut Row<'a>) -> Option<Egress> {
    if !matches!(reporter, Some(Reporter::Source | Reporter::Gateway)) {
        return None;
    }
    let kind = match line.black_hole {
        true => Egress::BlackHole,
        false => egress(line.cluster, line.get(Key::RouteName), &line.options.cluster_domain),
    };
    row.set_text(Col::Egress, Some(kind.as_str()));
    let host = egress_host(kind, line.get(Key::Authority), line.get(Key::RequestedServerName));
    row.set_text(Col::EgressHost, host);
    Some(kind)
}

fn signals_of(
    line: &Line<'_>,
    reporter: Option<Reporter>,
    decision: Decision,
    transport: TransportSecurity,
    egress: Option<Egress>,
) -> i64 {
    let ambiguous = bit(line.fields.is_ambiguous(), signals::AMBIGUOUS);
    if !is_request(line.access_log_type) {
        return ambiguous;
    }
    let by_app = line.response_code == Some(403) && line.get(Key::ResponseCodeDetails) == Some("via_upstream");
    ambiguous
        | match reporter {
            Some(Reporter::Source) => egress.map_or(0, |egress| bit(egress.is_unregistered(), signals::EGRESS_UNKNOWN)),
            Some(Reporter::Destination) => {
                bit(decision == Decision::Deny, signals::DENIED)
                    | bit(by_app, signals::APP_403)
                    | bit(transport == TransportSecurity::Plaintext, signals::PLAINTEXT)
            }
            Some(Reporter::Waypoint) => {
                bit(decision == Decision::Deny, signals::DENIED) | bit(by_app, signals::APP_403)
            }
            Some(Reporter::Gateway | Reporter::Ztunnel) | None => bit(decision == Decision::Deny, signals::DENIED),
        }
}

fn bit(set: bool, signal: i64) -> i64 {
    if set { signal } else { 0 }
}
