//! Where traffic left to: the columns `egress` and `egress_host`, on lines of clients and gateways. It stands on cluster
//! and route; of Istio 1.9's black hole, which was logged without a cluster, see [`crate::access_log`].

use crate::address;
use crate::cluster::{Cluster, fqdn_of_sni};

/// The column `egress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Egress {
    /// A Service of the cluster.
    InMesh,
    /// An external host that a ServiceEntry registers.
    Registered,
    /// An unregistered host, let through (ALLOW_ANY).
    Passthrough,
    /// An unregistered host, blocked (REGISTRY_ONLY).
    BlackHole,
    /// The line does not say.
    Unknown,
}

/// Of a client's or gateway's line.
pub(crate) fn egress(cluster: Option<Cluster<'_>>, route_name: Option<&str>, cluster_domain: &str) -> Egress {
    match (cluster, route_name) {
        (Some(Cluster::Passthrough), _) => Egress::Passthrough,
        (Some(Cluster::BlackHole), _) | (_, Some("block_all")) => Egress::BlackHole,
        (Some(cluster), _) => match cluster.fqdn() {
            Some(fqdn) if is_in_mesh(fqdn, cluster_domain) => Egress::InMesh,
            Some(_) => Egress::Registered,
            None => Egress::Unknown,
        },
        (None, Some("allow_any" | "allow_any_dynamic_dns")) => Egress::Passthrough,
        (None, _) => Egress::Unknown,
    }
}

impl Egress {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Egress::InMesh => "in_mesh",
            Egress::Registered => "registered",
            Egress::Passthrough => "passthrough",
            Egress::BlackHole => "blackhole",
            Egress::Unknown => "unknown",
        }
    }

    /// Whether the mesh does not know the host.
    pub(crate) fn is_unregistered(self) -> bool {
        matches!(self, Egress::Passthrough | Egress::BlackHole)
    }
}

/// The host that was asked for, as the caller names it: the authority of HTTP, else the SNI.
pub(crate) fn egress_host(egress: Egress, authority: Option<&str>, sni: Option<&str>) -> Option<String> {
    if egress == Egress::InMesh {
        return None;
    }
    authority.and_then(address::host).or_else(|| sni.map(|sni| fqdn_of_sni(sni).unwrap_or(sni)).and_then(address::host))
}

/// Kubernetes names are lower case; a ServiceEntry's need not be.
pub(crate) fn is_in_mesh(fqdn: &str, cluster_domain: &str) -> bool {
    let fqdn = fqdn.to_ascii_lowercase();
    fqdn.strip_suffix(&cluster_domain.to_ascii_lowercase()).is_some_and(|rest| rest.ends_with(".svc."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn kinds() {
        for (cluster, route, expected) in [
            (Some("outbound|80||a.ns.svc.cluster.local"), None, Egress::InMesh),
            (Some("outbound|80||a.ns.SVC.Cluster.Local"), None, Egress::InMesh),
            (Some("outbound|80||svc.cluster.local"), None, Egress::Registered),
            (Some("outbound|80||a.svc.cluster.local.evil.com"), None, Egress::Registered),
            (Some("outbound|443||api.stripe.com"), None, Egress::Registered),
            (Some("outbound_.443_._.a.ns.svc.cluster.local"), None, Egress::InMesh),
            (Some("PassthroughCluster"), Some("allow_any"), Egress::Passthrough),
            (Some("BlackHoleCluster"), None, Egress::BlackHole),
            (None, Some("block_all"), Egress::BlackHole),
            (None, Some("allow_any"), Egress::Passthrough),
            (None, Some("default"), Egress::Unknown),
            (None, None, Egress::Unknown),
            (Some("xds-grpc"), None, Egress::Unknown),
        ] {
            assert_eq!(egress(cluster.map(Cluster::parse), route, "cluster.local"), expected, "{cluster:?} {route:?}");
        }
    }

    #[test]
    fn hosts() {
        for (kind, authority, sni, expected) in [
            (Egress::InMesh, Some("a"), Some("b"), None),
            (Egress::Passthrough, Some("API.Evil.example:8443"), Some("b"), Some("api.evil.example")),
            (Egress::Passthrough, Some("10.0.0.1:80"), None, Some("10.0.0.1")),
            (Egress::BlackHole, None, Some("B.com"), Some("b.com")),
            (Egress::Registered, None, Some("outbound_.443_._.edition.cnn.com"), Some("edition.cnn.com")),
            (Egress::Unknown, None, None, None),
        ] {
            assert_eq!(egress_host(kind, authority, sni).as_deref(), expected, "{authority:?} {sni:?}");
        }
    }
}
