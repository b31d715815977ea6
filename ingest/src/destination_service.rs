//! The column `destination_service`: the host that was called, by the most trustworthy name on the line.
//!
//! The cluster's name and its metadata come from the mesh's configuration; SNI and authority are the caller's words.

use std::borrow::Cow;

use serde::Deserialize;

use crate::address::{self, Address};
use crate::cluster::fqdn_of_sni;

/// What a line says about the host.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Names<'a> {
    /// Of the cluster's name.
    pub(crate) fqdn: Option<&'a str>,
    /// `%CLUSTER_METADATA(istio:services)%`, JSON text.
    pub(crate) services: Option<&'a str>,
    pub(crate) sni: Option<&'a str>,
    pub(crate) authority: Option<&'a str>,
}

/// Who gave the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// The mesh's configuration; `whole`: `services` did, and says nothing more.
    Mesh { whole: bool },
    /// The caller, by authority or SNI.
    Caller,
}

/// The host, and who gave its name.
pub(crate) fn destination_service(names: Names<'_>) -> (Option<Cow<'_, str>>, From) {
    if let Some(fqdn) = names.fqdn {
        return (Some(Cow::Borrowed(fqdn)), From::Mesh { whole: false });
    }
    let services: Vec<Service> = names.services.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let only = services.len() == 1;
    if let Some(service) = services.into_iter().next() {
        return (Some(Cow::Owned(service.host)), From::Mesh { whole: only });
    }
    let host = (names.sni.and_then(fqdn_of_sni).map(Cow::Borrowed))
        .or_else(|| names.authority.and_then(host_name).map(Cow::Owned))
        .or_else(|| names.sni.and_then(address::host).map(Cow::Owned));
    (host, From::Caller)
}

#[derive(Deserialize)]
struct Service {
    host: String,
}

/// The host of an authority that is a name.
fn host_name(authority: &str) -> Option<String> {
    address::host(authority).filter(|host| Address::parse(host).is_none())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn the_most_trustworthy_name_wins() {
        let none = Names::default();
        let list = r#"[{"host":"a.ns.svc.cluster.local","name":"a","namespace":"ns"}]"#;
        let two = r#"[{"host":"a"},{"host":"b"}]"#;
        let istio_sni = Some("outbound_.80_._.s.ns.svc.cluster.local");
        let mesh = |whole| From::Mesh { whole };
        for (names, expected, from) in [
            (Names { fqdn: Some("f"), services: Some(list), ..none }, Some("f"), mesh(false)),
            (Names { services: Some(list), sni: istio_sni, ..none }, Some("a.ns.svc.cluster.local"), mesh(true)),
            (Names { services: Some(two), ..none }, Some("a"), mesh(false)),
            (Names { services: Some("[]"), sni: Some("s.com"), ..none }, Some("s.com"), From::Caller),
            (Names { services: Some("{"), sni: Some("s.com"), ..none }, Some("s.com"), From::Caller),
            (Names { sni: istio_sni, authority: Some("evil"), ..none }, Some("s.ns.svc.cluster.local"), From::Caller),
            (Names { sni: Some("S.com"), authority: Some("Host.:80"), ..none }, Some("host"), From::Caller),
            (Names { sni: Some("S.com"), authority: Some("10.0.0.1:80"), ..none }, Some("s.com"), From::Caller),
            (Names { authority: Some("[::1]:80"), ..none }, None, From::Caller),
            (Names { authority: Some("user:pass@word@Api.shop:80"), ..none }, Some("api.shop"), From::Caller),
            (Names { authority: Some("user:[redacted]@10.0.0.1"), ..none }, None, From::Caller),
            (none, None, From::Caller),
        ] {
            assert_eq!(destination_service(names), (expected.map(Cow::Borrowed), from), "{names:?}");
        }
    }
}
