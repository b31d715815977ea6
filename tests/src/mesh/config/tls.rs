//! TLS contexts: mutual with SPIFFE identities inside the mesh, one-way at the gateway.

use serde_json::{Value, json};

use super::Scope;
use crate::mesh::{
    pki::Leaf,
    topology::{Identity, Protocol},
};

/// The ALPN names by which Istio's sidecars know each other.
pub(super) const ISTIO_ALPN: [&str; 5] =
    ["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"];

fn certificate(leaf: &Leaf) -> Value {
    json!([{
        "certificate_chain": {"inline_string": leaf.certificate},
        "private_key": {"inline_string": leaf.key},
    }])
}

/// Istio's range. The impostor's proxy is older: with TLS 1.2 it learns why a server refuses its certificate (flag UF),
/// with TLS 1.3 it only sees the connection end (flag UC), because its own half of the handshake was already done.
fn tls_params(scope: &Scope<'_>) -> Value {
    let newest = if scope.pod.identity == Identity::Forged { "TLSv1_2" } else { "TLSv1_3" };
    json!({"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": newest})
}

fn transport_socket(context: &str, config: &Value) -> Value {
    let mut typed = config.clone();
    typed["@type"] = json!(format!("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{context}"));
    json!({"name": "envoy.transport_sockets.tls", "typed_config": typed})
}

/// A sidecar's server side: only callers with a certificate of the mesh.
pub(super) fn mutual_server(scope: &Scope<'_>, protocol: Protocol) -> Value {
    let alpn = if protocol == Protocol::Tcp { vec!["istio-peer-exchange", "istio"] } else { vec!["h2", "http/1.1"] };
    transport_socket(
        "DownstreamTlsContext",
        &json!({
            "require_client_certificate": true,
            "common_tls_context": {
                "alpn_protocols": alpn,
                "tls_params": tls_params(scope),
                "tls_certificates": certificate(scope.secrets.leaf),
                "validation_context": {
                    "trusted_ca": {"inline_string": scope.secrets.root},
                    "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"prefix": "spiffe://cluster.local/"}}],
                },
            },
        }),
    )
}

/// A sidecar's client side: the server must be who the service's pods are.
pub(super) fn mutual_client(scope: &Scope<'_>, protocol: Protocol, sni: &str, server: &str) -> Value {
    let alpn = match protocol {
        Protocol::Http => vec!["istio-http/1.1", "istio", "http/1.1"],
        Protocol::Grpc => vec!["istio-h2", "istio", "h2"],
        Protocol::Tcp => vec!["istio"],
    };
    transport_socket(
        "UpstreamTlsContext",
        &json!({
            "sni": sni,
            "common_tls_context": {
                "alpn_protocols": alpn,
                "tls_params": tls_params(scope),
                "tls_certificates": certificate(scope.secrets.leaf),
                "validation_context": {
                    "trusted_ca": {"inline_string": scope.secrets.root},
                    "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": server}}],
                },
            },
        }),
    )
}

/// The gateway's server side, mode SIMPLE.
pub(super) fn web_server(leaf: &Leaf) -> Value {
    transport_socket(
        "DownstreamTlsContext",
        &json!({"common_tls_context": {"alpn_protocols": ["h2", "http/1.1"], "tls_certificates": certificate(leaf)}}),
    )
}
