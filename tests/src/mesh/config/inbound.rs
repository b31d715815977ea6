//! `virtualInbound`: what a sidecar accepts. STRICT ports have only mutual-TLS chains, PERMISSIVE ports also one for
//! plaintext; what matches no chain leaves a listener line with flag NR.

use serde_json::{Value, json};

use super::{Scope, address, tls, tls_inspector};
use crate::mesh::{
    error::MeshError,
    jwt,
    topology::{Mtls, Protocol},
};

pub(super) fn listener(scope: &Scope<'_>) -> Result<Value, MeshError> {
    let ip = scope.pod.ip;
    let mut addresses = scope.pod.ports.iter().map(|(port, _)| address(ip, *port));
    let mut chains = Vec::new();
    for (port, protocol) in &scope.pod.ports {
        chains.extend(port_chains(scope, *port, *protocol)?);
    }
    let first = addresses.next();
    let more: Vec<_> = addresses.map(|address| json!({"address": address})).collect();
    Ok(json!({
        "name": "virtualInbound",
        "traffic_direction": "INBOUND",
        "address": first,
        "additional_addresses": more,
        "listener_filters": [tls_inspector()],
        "listener_filters_timeout": "0s",
        "access_log": scope.listener_logs()?,
        "filter_chains": chains,
    }))
}

fn port_chains(scope: &Scope<'_>, port: u16, protocol: Protocol) -> Result<Vec<Value>, MeshError> {
    let filters = filters(scope, port, protocol)?;
    let name = format!("{}_{port}", scope.pod.ip);
    let mutual = |matches: Value| {
        json!({
            "name": name, "filter_chain_match": matches, "filters": filters,
            "transport_socket": tls::mutual_server(scope, protocol),
        })
    };
    Ok(match scope.pod.mtls {
        Mtls::Strict => vec![mutual(json!({"destination_port": port, "transport_protocol": "tls"}))],
        Mtls::Permissive => {
            let istio = json!({
                "destination_port": port, "transport_protocol": "tls", "application_protocols": tls::ISTIO_ALPN,
            });
            let plain = json!({
                "name": name, "filters": filters,
                "filter_chain_match": {"destination_port": port, "transport_protocol": "raw_buffer"},
            });
            vec![mutual(istio), plain]
        }
    })
}

fn filters(scope: &Scope<'_>, port: u16, protocol: Protocol) -> Result<Vec<Value>, MeshError> {
    let cluster = format!("inbound|{port}||");
    if protocol == Protocol::Tcp {
        let mut filters = scope.pod.policies.network_filters();
        filters.push(scope.tcp_proxy(&cluster, &cluster)?);
        return Ok(filters);
    }
    let mut filters = Vec::new();
    if scope.pod.checks_tokens {
        filters.push(jwt_filter(scope.secrets.jwks));
    }
    filters.extend(scope.pod.policies.http_filters());
    let routes = json!({
        "name": cluster,
        "validate_clusters": false,
        "virtual_hosts": [{
            "name": format!("inbound|http|{port}"), "domains": ["*"],
            "routes": [{"name": "default", "match": {"prefix": "/"}, "route": {"cluster": cluster, "timeout": "0s"}}],
        }],
    });
    Ok(vec![scope.http(&format!("inbound_{}_{port}", scope.pod.ip), false, filters, &routes)?])
}

/// `RequestAuthentication`: rejects bad tokens, accepts missing ones.
fn jwt_filter(jwks: &Value) -> Value {
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"origins-0": {
                "issuer": jwt::ISSUER,
                "audiences": [jwt::AUDIENCE],
                "local_jwks": {"inline_string": jwks.to_string()},
                "payload_in_metadata": "payload",
            }},
            "rules": [{"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": [
                {"provider_name": "origins-0"}, {"allow_missing": {}},
            ]}}}],
            "bypass_cors_preflight": true,
        },
    })
}
