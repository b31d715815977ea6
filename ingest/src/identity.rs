//! Principals: who is at the two ends of a line, and whether the source's identity was proved.
//!
//! ```text
//!                    source                                        destination
//! destination        downstream_peer_uri_san, else peer_principal  downstream_local_uri_san, else the pod's names
//! waypoint           downstream_peer_uri_san, else peer_principal  none: its own identity is not the destination's
//! gateway            downstream_peer_uri_san, else peer_principal  upstream_peer_uri_san
//! source             upstream_local_uri_san, else the pod's names  upstream_peer_uri_san
//! ```
//!
//! `peer_principal` is the filter state that Istio sets where the outer tunnel (HBONE) was authenticated; no caller can
//! set it. A principal is kept in Istio's form, `trust-domain/ns/N/sa/S`, without `spiffe://`.

use std::borrow::Cow;

use crate::key::Key;
use crate::reporter::Reporter;

/// An identity and, where it has Istio's form, its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) parts: Option<Parts<'a>>,
}

/// The parts of `trust-domain/ns/N/sa/S`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub(crate) trust_domain: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) service_account: &'a str,
}

impl<'a> Principal<'a> {
    /// The first SPIFFE id of a certificate's URI SANs, which Envoy joins by commas.
    pub(crate) fn of_sans(sans: &'a str) -> Option<Self> {
        let id = sans.split(',').find_map(|san| san.strip_prefix("spiffe://")).filter(|id| !id.is_empty())?;
        Some(Principal { text: Cow::Borrowed(id), parts: Parts::of(id) })
    }

    /// The identity that Istio gives a workload.
    pub(crate) fn of_workload(parts: Parts<'a>) -> Self {
        let Parts { trust_domain, namespace, service_account } = parts;
        let text = format!("{trust_domain}/ns/{namespace}/sa/{service_account}");
        Principal { text: Cow::Owned(text), parts: Some(parts) }
    }
}

impl<'a> Parts<'a> {
    fn of(principal: &'a str) -> Option<Self> {
        let mut parts = principal.split('/');
        let mut part = || parts.next().filter(|part| !part.is_empty());
        let (trust_domain, ns, namespace, sa, service_account) = (part()?, part()?, part()?, part()?, part()?);
        let istio = ns == "ns" && sa == "sa" && parts.next().is_none();
        istio.then_some(Parts { trust_domain, namespace, service_account })
    }
}

/// The keys to try for the source and the destination, in order. Without a known reporter, `server_side` says which
/// side's certificates the line shows.
pub(crate) fn keys(reporter: Option<Reporter>, server_side: bool) -> (&'static [Key], &'static [Key]) {
    const CALLER: &[Key] = &[Key::DownstreamPeerUriSan, Key::PeerPrincipal];
    match reporter {
        Some(Reporter::Source) => (&[Key::UpstreamLocalUriSan], &[Key::UpstreamPeerUriSan]),
        Some(Reporter::Destination) => (CALLER, &[Key::DownstreamLocalUriSan]),
        Some(Reporter::Waypoint) => (CALLER, &[]),
        Some(Reporter::Gateway) => (CALLER, &[Key::UpstreamPeerUriSan]),
        // names both sides itself
        Some(Reporter::Ztunnel) => (&[], &[]),
        None if server_side => (CALLER, &[Key::DownstreamLocalUriSan]),
        None => (&[Key::UpstreamLocalUriSan], &[Key::UpstreamPeerUriSan]),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn principals() {
        for (sans, text, parts) in [
            (
                "spiffe://cluster.local/ns/foo/sa/bar",
                Some("cluster.local/ns/foo/sa/bar"),
                Some(("cluster.local", "foo", "bar")),
            ),
            ("https://x,spiffe://td/ns/a/sa/b,spiffe://td/ns/c/sa/d", Some("td/ns/a/sa/b"), Some(("td", "a", "b"))),
            ("spiffe://td/ns/a/sa/b/c", Some("td/ns/a/sa/b/c"), None),
            ("spiffe://td/ns//sa/b", Some("td/ns//sa/b"), None),
            ("spiffe://td/sa/a/ns/b", Some("td/sa/a/ns/b"), None),
            ("spiffe://td", Some("td"), None),
            ("spiffe://", None, None),
            ("https://x", None, None),
            ("cluster.local/ns/foo/sa/bar", None, None),
            ("", None, None),
        ] {
            let principal = Principal::of_sans(sans);
            assert_eq!(principal.as_ref().map(|p| p.text.as_ref()), text, "{sans}");
            let found = principal.and_then(|p| p.parts).map(|p| (p.trust_domain, p.namespace, p.service_account));
            assert_eq!(found, parts, "{sans}");
        }
        let parts = Parts { trust_domain: "td", namespace: "a", service_account: "b" };
        assert_eq!(Principal::of_workload(parts).text, "td/ns/a/sa/b");
    }
}
