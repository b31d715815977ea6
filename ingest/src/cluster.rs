//! Istio's names of Envoy clusters: which way a request went and to which host.
//!
//! ```text
//! inbound|8080||                          sidecar, inbound      (<= 1.7: inbound|80|http|svc.ns.svc.cluster.local)
//! InboundPassthroughCluster               sidecar, inbound, a port of no Service (older: ...Ipv4, ...Ipv6)
//! inbound-vip|9080|http|fqdn              waypoint
//! outbound|8000|subset|fqdn               sidecar outbound, or gateway
//! outbound_.8000_.subset_.fqdn            gateway with AUTO_PASSTHROUGH
//! PassthroughCluster, AllowAnyDynamicDNSCluster, BlackHoleCluster      sidecar, a host the mesh does not know
//! ```
//!
//! Some proxies (Istio 1.23 on) append a `;`.

use crate::address::parse_port;

/// What a cluster's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cluster<'a> {
    /// A sidecar's own workload.
    Inbound { port: u16, fqdn: Option<&'a str> },
    /// A sidecar's own workload, on a port of no Service.
    InboundPassthrough,
    /// A service behind a waypoint.
    InboundVip { port: u16, fqdn: &'a str },
    /// A registered host.
    Outbound { port: u16, subset: Option<&'a str>, fqdn: &'a str },
    /// A registered host, of a gateway that passes TLS on by its SNI.
    OutboundSni { port: u16, subset: Option<&'a str>, fqdn: &'a str },
    /// An unregistered host, let through.
    Passthrough,
    /// An unregistered host, blocked.
    BlackHole,
    /// None of Istio's names.
    Other,
}

/// A cluster's name without the `;` that some proxies append.
pub(crate) fn clean(name: &str) -> &str {
    name.strip_suffix(';').unwrap_or(name)
}

impl<'a> Cluster<'a> {
    /// Reads a cluster's name.
    pub(crate) fn parse(name: &'a str) -> Cluster<'a> {
        let name = clean(name);
        match name {
            "PassthroughCluster" | "AllowAnyDynamicDNSCluster" => Cluster::Passthrough,
            "BlackHoleCluster" => Cluster::BlackHole,
            "InboundPassthroughCluster" | "InboundPassthroughClusterIpv4" | "InboundPassthroughClusterIpv6" => {
                Cluster::InboundPassthrough
            }
            _ => Cluster::of_parts(name).unwrap_or(Cluster::Other),
        }
    }

    /// The service's host, where the name has one.
    pub(crate) fn fqdn(self) -> Option<&'a str> {
        match self {
            Cluster::Inbound { fqdn, .. } => fqdn,
            Cluster::InboundVip { fqdn, .. } | Cluster::Outbound { fqdn, .. } | Cluster::OutboundSni { fqdn, .. } => {
                Some(fqdn)
            }
            _ => None,
        }
    }

    fn of_parts(name: &'a str) -> Option<Cluster<'a>> {
        if let Some((port, subset, fqdn)) = sni_parts(name) {
            return Some(Cluster::OutboundSni { port, subset, fqdn });
        }
        let mut parts = name.split('|');
        let (direction, port, middle, fqdn) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let port = parse_port(port)?;
        let middle = (!middle.is_empty()).then_some(middle);
        let fqdn = (!fqdn.is_empty()).then_some(fqdn);
        match direction {
            "inbound" => Some(Cluster::Inbound { port, fqdn }),
            "inbound-vip" => Some(Cluster::InboundVip { port, fqdn: fqdn? }),
            "outbound" => Some(Cluster::Outbound { port, subset: middle, fqdn: fqdn? }),
            _ => None,
        }
    }
}

/// The host in a server name that Istio's proxies make for each other: `outbound_.8080_._.svc.ns.svc.cluster.local`.
pub(crate) fn fqdn_of_sni(sni: &str) -> Option<&str> {
    sni_parts(sni).map(|(_, _, fqdn)| fqdn)
}

fn sni_parts(name: &str) -> Option<(u16, Option<&str>, &str)> {
    let (port, rest) = name.strip_prefix("outbound_.")?.split_once("_.")?;
    let (subset, fqdn) = rest.split_once("_.")?;
    let subset = (!subset.is_empty()).then_some(subset);
    (!fqdn.is_empty()).then_some((parse_port(port)?, subset, fqdn))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn names() {
        use Cluster::{BlackHole, Inbound, InboundPassthrough, InboundVip, Other, Outbound, OutboundSni, Passthrough};
        let svc = "reviews.default.svc.cluster.local";
        for (name, cluster) in [
            ("inbound|8080||", Inbound { port: 8080, fqdn: None }),
            ("inbound|8080||;", Inbound { port: 8080, fqdn: None }),
            ("inbound|80|http|reviews.default.svc.cluster.local", Inbound { port: 80, fqdn: Some(svc) }),
            ("InboundPassthroughCluster", InboundPassthrough),
            ("InboundPassthroughClusterIpv4", InboundPassthrough),
            ("InboundPassthroughClusterIpv6", InboundPassthrough),
            ("inbound-vip|9080|http|reviews.default.svc.cluster.local", InboundVip { port: 9080, fqdn: svc }),
            ("inbound-vip|9080|http/v1|reviews.default.svc.cluster.local;", InboundVip { port: 9080, fqdn: svc }),
            ("outbound|80||api.stripe.com", Outbound { port: 80, subset: None, fqdn: "api.stripe.com" }),
            ("outbound|80|v1|reviews.default.svc.cluster.local", Outbound { port: 80, subset: Some("v1"), fqdn: svc }),
            (
                "outbound_.80_.v1_.reviews.default.svc.cluster.local",
                OutboundSni { port: 80, subset: Some("v1"), fqdn: svc },
            ),
            ("PassthroughCluster", Passthrough),
            ("AllowAnyDynamicDNSCluster;", Passthrough),
            ("BlackHoleCluster", BlackHole),
            ("outbound|80||", Other),
            ("outbound|80|", Other),
            ("outbound|80||a|b", Other),
            ("outbound|http||a", Other),
            ("outbound|+80||a", Other),
            ("outbound|||a", Other),
            ("inbound|8080||;;", Inbound { port: 8080, fqdn: Some(";") }),
            ("xds-grpc", Other),
            ("", Other),
        ] {
            assert_eq!(Cluster::parse(name), cluster, "{name}");
        }
    }

    #[test]
    fn server_names() {
        for (sni, fqdn) in [
            ("outbound_.9080_._.reviews.default.svc.cluster.local", Some("reviews.default.svc.cluster.local")),
            ("outbound_.9080_.v1_.reviews", Some("reviews")),
            ("outbound_.9080_.reviews", None),
            ("api.stripe.com", None),
            ("", None),
        ] {
            assert_eq!(fqdn_of_sni(sni), fqdn, "{sni}");
        }
    }
}
