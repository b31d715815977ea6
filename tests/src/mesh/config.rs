//! The configuration of every Envoy, in the shape that istiod writes: `virtualInbound` with one filter chain per port
//! and kind of traffic, `virtualOutbound` and the listeners it hands connections to, a gateway, and the clusters
//! behind them.
//!
//! Two things differ from a cluster, because loopback has no iptables:
//! - a pod's inbound listener binds its ports directly, and the program behind it listens on another port;
//! - where a caller's connection wanted to go comes from a PROXY protocol header instead of `SO_ORIGINAL_DST`. After
//!   that header Envoy behaves as in a cluster: `virtualOutbound` hands the connection to the listener of that
//!   address, and `PassthroughCluster` connects to it.

mod cluster;
mod gateway;
mod inbound;
mod outbound;
mod tls;

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    path::Path,
};

use serde_json::{Value, json};

use super::{
    doors::{self, Doors, Of},
    error::MeshError,
    format,
    pki::Leaf,
    topology::{Pod, Topology},
};

/// What a pod's configuration is made of, besides the topology.
pub(crate) struct Secrets<'mesh> {
    /// The pod's own certificate.
    pub(crate) leaf: &'mesh Leaf,
    /// The mesh's root certificate, PEM.
    pub(crate) root: &'mesh str,
    /// The gateway's web certificates: host name and certificate.
    pub(crate) web: &'mesh [(&'static str, Leaf)],
    /// Public keys of the login.
    pub(crate) jwks: &'mesh Value,
}

/// Everything that the parts below need to know about the pod they configure.
struct Scope<'mesh> {
    topology: &'mesh Topology,
    pod: &'mesh Pod,
    secrets: Secrets<'mesh>,
    folder: &'mesh Path,
    doors: Option<Doors>,
}

/// The bootstrap configuration of a pod's Envoy, whose logs go to `folder`.
pub(crate) fn bootstrap(
    topology: &Topology,
    pod: &Pod,
    secrets: Secrets<'_>,
    folder: &Path,
    doors: Option<Doors>,
) -> Result<Value, MeshError> {
    let scope = Scope { topology, pod, secrets, folder, doors };
    let listeners = if pod.is_gateway() {
        gateway::listeners(&scope)?
    } else {
        let mut listeners = outbound::listeners(&scope)?;
        listeners.push(inbound::listener(&scope)?);
        listeners
    };
    let mut clusters = cluster::clusters(&scope);
    clusters.extend(doors.into_iter().flat_map(doors::clusters));
    Ok(json!({
        "admin": {"address": address(pod.ip, topology.ports.admin)},
        "cluster_manager": {"upstream_bind_config": {"source_address": socket(pod.ip, 0)}},
        // as istio-agent writes it, and what Envoy says of itself where it sends logs
        "node": {"metadata": {
            "NAME": pod.name, "NAMESPACE": pod.namespace, "SERVICE_ACCOUNT": pod.workload, "CLUSTER_ID": "Kubernetes",
        }},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }))
}

fn socket(ip: Ipv4Addr, port: u16) -> Value {
    json!({"address": ip, "port_value": port})
}

fn address(ip: Ipv4Addr, port: u16) -> Value {
    json!({"socket_address": socket(ip, port)})
}

fn endpoints(name: &str, to: SocketAddrV4) -> Value {
    json!({"cluster_name": name, "endpoints": [{"lb_endpoints": [
        {"endpoint": {"address": address(*to.ip(), to.port())}}
    ]}]})
}

impl Scope<'_> {
    /// All requests and connections are logged (in Istio: HTTP connection managers and TCP proxies).
    fn all_logs(&self, of: Of) -> Result<Value, MeshError> {
        self.access_logs(of, None)
    }

    /// Listeners log only what no filter chain matched.
    fn listener_logs(&self) -> Result<Value, MeshError> {
        self.access_logs(Of::Listener, Some(&json!({"response_flag_filter": {"flags": ["NR"]}})))
    }

    /// One logger for each format and each door; `filter` as Envoy's `AccessLogFilter`.
    fn access_logs(&self, of: Of, filter: Option<&Value>) -> Result<Value, MeshError> {
        let mut loggers = format::access_logs(self.folder)?;
        if let Some(doors) = self.doors {
            loggers.extend(doors::loggers(doors, of, &self.pod.name)?);
        }
        for logger in loggers.iter_mut().filter_map(Value::as_object_mut) {
            if let Some(filter) = filter {
                logger.insert("filter".to_owned(), filter.clone());
            }
        }
        Ok(loggers.into())
    }

    fn tcp_proxy(&self, stat_prefix: &str, cluster: &str) -> Result<Value, MeshError> {
        Ok(json!({
            "name": "envoy.filters.network.tcp_proxy",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": stat_prefix, "cluster": cluster, "access_log": self.all_logs(Of::Connections)?,
            },
        }))
    }

    /// An HTTP connection manager with `filters` before the router.
    fn http(&self, stat_prefix: &str, edge: bool, filters: Vec<Value>, routes: &Value) -> Result<Value, MeshError> {
        let mut filters = filters;
        filters.push(json!({
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
        }));
        Ok(json!({
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": stat_prefix,
                "server_name": "istio-envoy",
                "use_remote_address": edge,
                "normalize_path": true,
                "stream_idle_timeout": "0s",
                "request_timeout": "0s",
                "http_filters": filters,
                "route_config": routes,
                "access_log": self.all_logs(Of::Http)?,
            },
        }))
    }
}

/// Istio's default retries, on all its outbound routes: a failing handshake is tried three times.
fn retry_policy() -> Value {
    json!({
        "retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
        "num_retries": 2,
        "retriable_status_codes": [503],
        "retry_host_predicate": [{
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
        }],
        "host_selection_retry_max_attempts": 5,
    })
}

fn tls_inspector() -> Value {
    json!({
        "name": "envoy.filters.listener.tls_inspector",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"},
    })
}
