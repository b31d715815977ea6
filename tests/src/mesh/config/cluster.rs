//! Clusters: the pod's own program, every service of the mesh by mutual TLS, registered hosts, and the two names for
//! what nobody registered.

use std::net::{Ipv4Addr, SocketAddrV4};

use serde_json::{Value, json};

use super::{Scope, endpoints, outbound, socket, tls};
use crate::mesh::topology::{Pod, Protocol};

pub(super) fn clusters(scope: &Scope<'_>) -> Vec<Value> {
    let mut clusters = vec![black_hole(), passthrough()];
    for (port, protocol) in &scope.pod.ports {
        clusters.push(inbound(scope, *port, *protocol));
    }
    for pod in &scope.topology.pods {
        for (port, protocol) in &pod.ports {
            clusters.push(service(scope, pod, *port, *protocol));
        }
    }
    let app = scope.topology.ports.app;
    let partner = SocketAddrV4::new(scope.topology.registered(1), app);
    let stripe = SocketAddrV4::new(scope.topology.registered(2), app);
    clusters.push(external(80, outbound::PARTNER, partner));
    clusters.push(external(443, outbound::STRIPE, stripe));
    clusters
}

/// No endpoints: HTTP and TCP end with flag UH.
fn black_hole() -> Value {
    json!({"name": "BlackHoleCluster", "type": "STATIC", "connect_timeout": "10s"})
}

/// Connects to the address that the PROXY header named.
fn passthrough() -> Value {
    json!({
        "name": "PassthroughCluster", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "10s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": {}},
        }},
    })
}

/// The program behind the sidecar; connections come from 127.0.0.6, as in Istio.
fn inbound(scope: &Scope<'_>, port: u16, protocol: Protocol) -> Value {
    let name = format!("inbound|{port}||");
    let mut cluster = cluster(&name, protocol, scope.topology.app(scope.pod));
    cluster["upstream_bind_config"] = json!({"source_address": socket(Ipv4Addr::new(127, 0, 0, 6), 0)});
    cluster["metadata"] = services(&[(&scope.pod.host(), scope.pod.workload, scope.pod.namespace)]);
    cluster
}

fn service(scope: &Scope<'_>, pod: &Pod, port: u16, protocol: Protocol) -> Value {
    let host = pod.host();
    let name = format!("outbound|{port}||{host}");
    let sni = format!("outbound_.{port}_._.{host}");
    let mut cluster = cluster(&name, protocol, SocketAddrV4::new(pod.ip, port));
    cluster["transport_socket"] = tls::mutual_client(scope, protocol, &sni, &pod.spiffe());
    cluster["metadata"] = services(&[(&host, pod.workload, pod.namespace)]);
    cluster
}

fn external(port: u16, host: &str, to: SocketAddrV4) -> Value {
    let mut cluster = cluster(&format!("outbound|{port}||{host}"), Protocol::Http, to);
    cluster["metadata"] = services(&[(host, host, "istio-system")]);
    cluster
}

fn cluster(name: &str, protocol: Protocol, to: SocketAddrV4) -> Value {
    let http = match protocol {
        Protocol::Grpc => json!({"http2_protocol_options": {}}),
        Protocol::Http | Protocol::Tcp => json!({"http_protocol_options": {}}),
    };
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "10s",
        "load_assignment": endpoints(name, to),
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": http,
        }},
    })
}

fn services(services: &[(&str, &str, &str)]) -> Value {
    let services: Vec<_> = services
        .iter()
        .map(|(host, name, namespace)| json!({"host": host, "name": name, "namespace": namespace}))
        .collect();
    json!({"filter_metadata": {"istio": {"services": services}}})
}
