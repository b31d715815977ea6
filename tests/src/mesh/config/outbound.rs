//! `virtualOutbound` and the listeners it hands connections to: what a sidecar lets its program reach.
//!
//! ```text
//!   program ─▶ virtualOutbound (binds) ─┬▶ 0.0.0.0_<http port>  services by Host, then allow_any | block_all
//!     PROXY header: wanted address      ├▶ 0.0.0.0_80           registered hosts, then allow_any | block_all
//!                                       ├▶ 0.0.0.0_443          registered SNI, then Passthrough | BlackHole
//!                                       ├▶ 10.96.0.n_<tcp port> the database
//!                                       └▶ anything else: PassthroughCluster | BlackHoleCluster
//! ```

use serde_json::{Value, json};

use super::{Scope, address, retry_policy, tls_inspector};
use crate::mesh::{
    error::MeshError,
    topology::{Outbound, Pod, Protocol, Who},
};

/// Host names that `ServiceEntry` objects register, by port.
pub(super) const PARTNER: &str = "api.partner.example";
pub(super) const STRIPE: &str = "api.stripe.example";

pub(super) fn listeners(scope: &Scope<'_>) -> Result<Vec<Value>, MeshError> {
    let ports = scope.topology.ports;
    Ok(vec![
        catch_all(scope)?,
        http(scope, ports.http, services(scope, ports.http))?,
        http(scope, ports.grpc, services(scope, ports.grpc))?,
        http(scope, 80, vec![virtual_host(PARTNER, 80, &format!("outbound|80||{PARTNER}"))])?,
        tls_hosts(scope)?,
        database(scope)?,
    ])
}

/// Not in Istio: the PROXY protocol filter, in place of `envoy.filters.listener.original_dst`.
fn catch_all(scope: &Scope<'_>) -> Result<Value, MeshError> {
    Ok(json!({
        "name": "virtualOutbound",
        "traffic_direction": "OUTBOUND",
        "address": address(scope.pod.ip, scope.topology.ports.outbound),
        "use_original_dst": true,
        "listener_filters": [{
            "name": "envoy.filters.listener.proxy_protocol",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"},
        }],
        "access_log": scope.listener_logs()?,
        "filter_chains": [{"name": "virtualOutbound-catchall-tcp", "filters": [anywhere(scope)?]}],
    }))
}

/// Where an unregistered connection goes.
fn anywhere(scope: &Scope<'_>) -> Result<Value, MeshError> {
    let cluster = match scope.pod.outbound {
        Outbound::AllowAny => "PassthroughCluster",
        Outbound::RegistryOnly => "BlackHoleCluster",
    };
    scope.tcp_proxy(cluster, cluster)
}

fn virtual_listener(scope: &Scope<'_>, ip: std::net::Ipv4Addr, port: u16) -> Result<Value, MeshError> {
    Ok(json!({
        "name": format!("{ip}_{port}"),
        "traffic_direction": "OUTBOUND",
        "address": address(ip, port),
        "bind_to_port": false,
        "access_log": scope.listener_logs()?,
    }))
}

fn http(scope: &Scope<'_>, port: u16, mut hosts: Vec<Value>) -> Result<Value, MeshError> {
    hosts.push(match scope.pod.outbound {
        Outbound::AllowAny => json!({
            "name": "allow_any", "domains": ["*"],
            "routes": [{"name": "allow_any", "match": {"prefix": "/"}, "route": {"cluster": "PassthroughCluster", "timeout": "0s"}}],
        }),
        Outbound::RegistryOnly => json!({
            "name": "block_all", "domains": ["*"],
            "routes": [{"name": "block_all", "match": {"prefix": "/"}, "direct_response": {"status": 502}}],
        }),
    });
    let routes = json!({"name": port.to_string(), "validate_clusters": false, "virtual_hosts": hosts});
    let any = std::net::Ipv4Addr::UNSPECIFIED;
    let mut listener = virtual_listener(scope, any, port)?;
    let filter = scope.http(&format!("outbound_0.0.0.0_{port}"), false, Vec::new(), &routes)?;
    listener["filter_chains"] = json!([{"filters": [filter]}]);
    Ok(listener)
}

fn services(scope: &Scope<'_>, port: u16) -> Vec<Value> {
    let serves = |pod: &&Pod| pod.ports.iter().any(|(number, protocol)| *number == port && *protocol != Protocol::Tcp);
    let host = |pod: &Pod| virtual_host(&pod.host(), port, &format!("outbound|{port}||{}", pod.host()));
    scope.topology.pods.iter().filter(serves).map(host).collect()
}

fn virtual_host(host: &str, port: u16, cluster: &str) -> Value {
    json!({
        "name": format!("{host}:{port}"),
        "domains": [host, format!("{host}:{port}")],
        "routes": [{
            "name": "default", "match": {"prefix": "/"},
            "route": {"cluster": cluster, "timeout": "0s", "retry_policy": retry_policy()},
        }],
    })
}

fn tls_hosts(scope: &Scope<'_>) -> Result<Value, MeshError> {
    let mut listener = virtual_listener(scope, std::net::Ipv4Addr::UNSPECIFIED, 443)?;
    let cluster = format!("outbound|443||{STRIPE}");
    listener["listener_filters"] = json!([tls_inspector()]);
    listener["filter_chains"] = json!([{
        "filter_chain_match": {"server_names": [STRIPE], "transport_protocol": "tls"},
        "filters": [scope.tcp_proxy(&cluster, &cluster)?],
    }]);
    listener["default_filter_chain"] = json!({"name": "PassthroughFilterChain", "filters": [anywhere(scope)?]});
    Ok(listener)
}

fn database(scope: &Scope<'_>) -> Result<Value, MeshError> {
    let ports = scope.topology.ports;
    let mut listener = virtual_listener(scope, scope.topology.service_ip(Who::LedgerDb), ports.tcp)?;
    let cluster = format!("outbound|{}||{}", ports.tcp, scope.topology.pod(Who::LedgerDb).host());
    listener["filter_chains"] = json!([{"filters": [scope.tcp_proxy(&cluster, &cluster)?]}]);
    Ok(listener)
}
