//! Which proxy wrote a line: the client's sidecar (source), the server's (destination), a waypoint or a gateway.
//!
//! Every request is logged by both sides, so every count must pick one. The cluster's name tells the sides apart, except
//! a gateway from a sidecar's outbound side; for these it takes what only one of them does:
//!
//! ```text
//! cluster inbound|...                                         destination
//! cluster inbound-vip|...                                     waypoint
//! PassthroughCluster, BlackHoleCluster, block_all, allow_any  source: outboundTrafficPolicy is for sidecars only
//! cluster outbound|...   RBAC or JWT denial                   gateway: Istio applies neither on sidecar outbound
//!                        TLS ended here                       gateway: a sidecar's clients speak plaintext to it
//!                        called at the proxy's own IP         gateway: a sidecar's clients call somewhere else
//!                        caller's IP is the proxy's own       source: the application in the same pod
//!                        the pod's name                       gateway, see GatewayNames
//!                        else                                 source
//! no cluster             listener found no filter chain       destination (sidecar outbound always has a catch-all)
//!                        TCP, no healthy upstream, no host    source: the black hole of Istio 1.9
//!                        route_not_found, https redirect      gateway (a sidecar's routes have a catch-all, too)
//! ```
//!
//! An RBAC denial never stays without a reporter, for its line is the judge's own. With another cluster than Istio's (or
//! none) it is a gateway's if the pod's name says so, if the format has the cluster and it is null (a sidecar's inbound
//! denial has its cluster), or if the line shows HTTP behind a server name of the world outside; else the destination's.

use crate::cluster::Cluster;

/// The column `reporter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reporter {
    Source,
    Destination,
    Gateway,
    Waypoint,
    /// Of the ambient mesh: its lines are read by `access_log/ztunnel.rs`, and are told by their form.
    Ztunnel,
}

/// The column `direction`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Inbound,
    Outbound,
}

/// What a line says about the proxy that wrote it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Evidence<'a> {
    pub(crate) cluster: Option<Cluster<'a>>,
    /// The line's format has the cluster.
    pub(crate) cluster_carried: bool,
    pub(crate) route_name: Option<&'a str>,
    /// RBAC denied the request, and this line says so itself.
    pub(crate) denied: bool,
    /// Has the form that Istio 1.9 gave connections to its black hole.
    pub(crate) black_hole: bool,
    pub(crate) response_code: Option<i32>,
    pub(crate) response_code_details: Option<&'a str>,
    pub(crate) filter_chain_not_found: bool,
    /// Downstream TLS ended at this proxy.
    pub(crate) downstream_tls: bool,
    pub(crate) protocol: bool,
    pub(crate) sni: bool,
    /// The server name is one that Istio's proxies make for each other.
    pub(crate) mesh_sni: bool,
    /// The pod or its service account has a gateway's name.
    pub(crate) gateway_name: bool,
    /// The direct client has the address from which the proxy itself connects.
    pub(crate) client_in_own_pod: bool,
    /// The client is elsewhere, and called the address from which the proxy itself connects.
    pub(crate) called_itself: bool,
}

/// Who wrote the line and which way the request went; `None` where the line does not tell.
pub(crate) fn reporter(line: &Evidence<'_>) -> (Option<Reporter>, Option<Direction>) {
    use Direction::{Inbound, Outbound};
    match line.cluster {
        Some(Cluster::Inbound { .. } | Cluster::InboundPassthrough) => (Some(Reporter::Destination), Some(Inbound)),
        Some(Cluster::InboundVip { .. }) => (Some(Reporter::Waypoint), Some(Inbound)),
        Some(Cluster::Passthrough | Cluster::BlackHole) => (Some(Reporter::Source), Some(Outbound)),
        Some(Cluster::OutboundSni { .. }) => (Some(Reporter::Gateway), Some(Outbound)),
        // a sidecar denies nothing on its way out: then the route only has the name
        _ if line.route_name.is_some_and(is_sidecar_catch_all) && !line.denied => {
            (Some(Reporter::Source), Some(Outbound))
        }
        Some(Cluster::Outbound { .. }) => {
            let gateway = is_gateway(line);
            (Some(if gateway { Reporter::Gateway } else { Reporter::Source }), Some(Outbound))
        }
        Some(Cluster::Other) | None if line.filter_chain_not_found => {
            let reporter = if line.gateway_name { Reporter::Gateway } else { Reporter::Destination };
            (Some(reporter), Some(Inbound))
        }
        Some(Cluster::Other) | None if line.denied => match is_gateway_denial(line) {
            true => (Some(Reporter::Gateway), None),
            false => (Some(Reporter::Destination), Some(Inbound)),
        },
        None if line.black_hole && !line.gateway_name => (Some(Reporter::Source), Some(Outbound)),
        Some(Cluster::Other) | None => (is_gateway_answer(line).then_some(Reporter::Gateway), None),
    }
}

/// The routes that Istio gives sidecars for hosts that the mesh does not know.
pub(crate) fn is_sidecar_catch_all(route_name: &str) -> bool {
    matches!(route_name, "block_all" | "allow_any" | "allow_any_dynamic_dns")
}

/// Of a line with an outbound cluster.
fn is_gateway(line: &Evidence<'_>) -> bool {
    line.denied
        || line.response_code_details.is_some_and(|details| details.starts_with("jwt_authn_access_denied"))
        || line.downstream_tls
        // HTTP behind a server name: readable only where TLS ended
        || (line.protocol && line.sni)
        || line.called_itself
        || (line.gateway_name && !line.client_in_own_pod)
}

/// Of an RBAC denial without a cluster of Istio's.
fn is_gateway_denial(line: &Evidence<'_>) -> bool {
    let edge = line.protocol && line.sni && !line.mesh_sni;
    line.gateway_name || (line.cluster.is_none() && (line.cluster_carried || edge))
}

/// Of a line without a cluster: a gateway answered itself.
fn is_gateway_answer(line: &Evidence<'_>) -> bool {
    match line.response_code_details {
        Some("route_not_found") => line.cluster.is_none(),
        Some("direct_response") if line.response_code == Some(301) && line.route_name.is_none() => {
            line.cluster.is_none()
        }
        _ => line.gateway_name,
    }
}

impl Reporter {
    /// Every reporter.
    pub(crate) const ALL: [Reporter; 5] =
        [Reporter::Source, Reporter::Destination, Reporter::Gateway, Reporter::Waypoint, Reporter::Ztunnel];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Reporter::Source => "source",
            Reporter::Destination => "destination",
            Reporter::Gateway => "gateway",
            Reporter::Waypoint => "waypoint",
            Reporter::Ztunnel => "ztunnel",
        }
    }
}

impl Direction {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::Direction::{Inbound, Outbound};
    use super::Reporter::{Destination, Gateway, Source, Waypoint};
    use super::*;

    #[test]
    fn reporters() {
        let of = |cluster: &'static str| Evidence { cluster: Some(Cluster::parse(cluster)), ..Evidence::default() };
        let none = Evidence::default();
        let out = of("outbound|80||a.ns.svc.cluster.local");
        let denied = Evidence { denied: true, ..none };
        let other = of("backend");
        for (line, expected) in [
            (of("inbound|80||"), (Some(Destination), Some(Inbound))),
            (Evidence { gateway_name: true, ..of("inbound|80||") }, (Some(Destination), Some(Inbound))),
            (of("InboundPassthroughCluster"), (Some(Destination), Some(Inbound))),
            (of("inbound-vip|80|http|a"), (Some(Waypoint), Some(Inbound))),
            (of("PassthroughCluster"), (Some(Source), Some(Outbound))),
            (Evidence { gateway_name: true, ..of("PassthroughCluster") }, (Some(Source), Some(Outbound))),
            (of("BlackHoleCluster"), (Some(Source), Some(Outbound))),
            (Evidence { route_name: Some("block_all"), ..none }, (Some(Source), Some(Outbound))),
            (Evidence { route_name: Some("allow_any"), gateway_name: true, ..none }, (Some(Source), Some(Outbound))),
            (out, (Some(Source), Some(Outbound))),
            (Evidence { sni: true, ..out }, (Some(Source), Some(Outbound))),
            (Evidence { sni: true, protocol: true, ..out }, (Some(Gateway), Some(Outbound))),
            (Evidence { downstream_tls: true, ..out }, (Some(Gateway), Some(Outbound))),
            (Evidence { denied: true, ..out }, (Some(Gateway), Some(Outbound))),
            (
                Evidence { response_code_details: Some("jwt_authn_access_denied{x}"), ..out },
                (Some(Gateway), Some(Outbound)),
            ),
            (Evidence { response_code_details: Some("via_upstream"), ..out }, (Some(Source), Some(Outbound))),
            (Evidence { gateway_name: true, ..out }, (Some(Gateway), Some(Outbound))),
            (Evidence { gateway_name: true, client_in_own_pod: true, ..out }, (Some(Source), Some(Outbound))),
            (Evidence { called_itself: true, ..out }, (Some(Gateway), Some(Outbound))),
            (of("outbound_.80_._.a"), (Some(Gateway), Some(Outbound))),
            (Evidence { filter_chain_not_found: true, ..none }, (Some(Destination), Some(Inbound))),
            (Evidence { filter_chain_not_found: true, gateway_name: true, ..none }, (Some(Gateway), Some(Inbound))),
            (Evidence { response_code_details: Some("route_not_found"), ..none }, (Some(Gateway), None)),
            (
                Evidence { response_code_details: Some("direct_response"), response_code: Some(301), ..none },
                (Some(Gateway), None),
            ),
            (
                Evidence {
                    response_code_details: Some("direct_response"),
                    response_code: Some(301),
                    route_name: Some("r"),
                    ..none
                },
                (None, None),
            ),
            (Evidence { gateway_name: true, ..none }, (Some(Gateway), None)),
            (denied, (Some(Destination), Some(Inbound))),
            (Evidence { cluster_carried: true, ..denied }, (Some(Gateway), None)),
            (Evidence { gateway_name: true, ..denied }, (Some(Gateway), None)),
            (Evidence { protocol: true, sni: true, ..denied }, (Some(Gateway), None)),
            (Evidence { protocol: true, sni: true, mesh_sni: true, ..denied }, (Some(Destination), Some(Inbound))),
            (Evidence { route_name: Some("allow_any"), ..denied }, (Some(Destination), Some(Inbound))),
            (Evidence { denied: true, cluster_carried: true, ..other }, (Some(Destination), Some(Inbound))),
            (Evidence { denied: true, gateway_name: true, ..other }, (Some(Gateway), None)),
            (Evidence { black_hole: true, ..none }, (Some(Source), Some(Outbound))),
            (Evidence { black_hole: true, gateway_name: true, ..none }, (Some(Gateway), None)),
            (of("xds-grpc"), (None, None)),
            (none, (None, None)),
        ] {
            assert_eq!(reporter(&line), expected, "{line:?}");
        }
    }
}
