//! The ingress gateway: port 80 answers everything with a redirect, port 443 terminates TLS for two host names and
//! routes to the frontend.

use serde_json::{Value, json};

use super::{Scope, address, retry_policy, tls, tls_inspector};
use crate::mesh::{error::MeshError, topology::Who};

pub(super) fn listeners(scope: &Scope<'_>) -> Result<Vec<Value>, MeshError> {
    Ok(vec![plain(scope)?, secure(scope)?])
}

fn plain(scope: &Scope<'_>) -> Result<Value, MeshError> {
    let mut routes = routes(scope, "http.80");
    if let Some(hosts) = routes["virtual_hosts"].as_array_mut() {
        hosts.iter_mut().for_each(|host| host["require_tls"] = json!("ALL"));
    }
    let port = scope.topology.ports.gateway_http;
    Ok(json!({
        "name": format!("0.0.0.0_{port}"),
        "traffic_direction": "OUTBOUND",
        "address": address(scope.pod.ip, port),
        "access_log": scope.listener_logs()?,
        "filter_chains": [{"filters": [scope.http(&format!("outbound_0.0.0.0_{port}"), true, Vec::new(), &routes)?]}],
    }))
}

fn secure(scope: &Scope<'_>) -> Result<Value, MeshError> {
    let port = scope.topology.ports.gateway_https;
    let mut chains = Vec::new();
    for (host, leaf) in scope.secrets.web {
        let routes = routes(scope, "https.443.https.web.istio-system");
        chains.push(json!({
            "filter_chain_match": {"server_names": [host]},
            "filters": [scope.http(&format!("outbound_0.0.0.0_{port}"), true, Vec::new(), &routes)?],
            "transport_socket": tls::web_server(leaf),
        }));
    }
    Ok(json!({
        "name": format!("0.0.0.0_{port}"),
        "traffic_direction": "OUTBOUND",
        "address": address(scope.pod.ip, port),
        "listener_filters": [tls_inspector()],
        "access_log": scope.listener_logs()?,
        "filter_chains": chains,
    }))
}

fn routes(scope: &Scope<'_>, name: &str) -> Value {
    let frontend = scope.topology.pod(Who::Frontend).host();
    let cluster = format!("outbound|{}||{frontend}", scope.topology.ports.http);
    let host = |(host, _): &(&str, _)| {
        json!({
            "name": format!("{host}:443"), "domains": [host, format!("{host}:*")],
            "routes": [{
                "name": "web", "match": {"prefix": "/"},
                "route": {"cluster": cluster, "timeout": "0s", "retry_policy": retry_policy()},
            }],
        })
    };
    let hosts: Vec<_> = scope.secrets.web.iter().map(host).collect();
    json!({"name": name, "validate_clusters": false, "virtual_hosts": hosts})
}
