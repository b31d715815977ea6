//! Lines of the recommended format, as a sidecar would write them: for tests that need many, or exact ones.
//!
//! A [`Line`] starts with what every line carries and is bent with [`Line::with`]; `null`s of the format are left out (`omitEmptyValues`).

use std::fmt;

use serde_json::{Map, Value, json};

/// One access-log line.
#[derive(Clone, Debug)]
pub struct Line(Map<String, Value>);

/// `cluster.local/ns/bank/sa/<name>`.
#[must_use]
pub fn principal(name: &str) -> String {
    format!("cluster.local/ns/bank/sa/{name}")
}

/// RFC 3339 of µs since the epoch.
#[must_use]
pub fn time_text(micros: i64) -> String {
    chrono::DateTime::from_timestamp_micros(micros)
        .unwrap_or_default()
        .to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

impl Line {
    /// An HTTP request as the destination's sidecar logs it: mutual TLS, 200, allowed.
    #[must_use]
    pub fn inbound(micros: i64, source: &str, destination: &str) -> Self {
        let line = json!({
            "log_schema": "meshwarden/1", "start_time": time_text(micros), "access_log_type": "DownstreamEnd", "duration": 7,
            "pod_name": format!("{destination}-0"), "pod_namespace": "bank", "pod_service_account": destination,
            "method": "GET", "path": "/api", "authority": format!("{destination}.bank.svc.cluster.local:8080"), "protocol": "HTTP/1.1",
            "response_code": 200, "response_flags": "-", "response_code_details": "via_upstream", "bytes_received": 0, "bytes_sent": 12,
            "upstream_cluster": "inbound|8080||", "upstream_host": "10.0.0.2:8080", "downstream_local_address": "10.0.0.2:8080",
            "downstream_remote_address": "10.0.0.1:40000", "downstream_direct_remote_address": "10.0.0.1:40000",
            "requested_server_name": format!("outbound_.8080_._.{destination}.bank.svc.cluster.local"),
            "downstream_peer_uri_san": format!("spiffe://{}", principal(source)),
            "downstream_local_uri_san": format!("spiffe://{}", principal(destination)),
            "downstream_tls_version": "TLSv1.3", "downstream_tls_cipher": "TLS_AES_128_GCM_SHA256",
            "rbac": {"enforced_engine_result": "allowed"}
        });
        match line {
            Value::Object(line) => Self(line),
            _ => Self(Map::new()),
        }
    }

    /// The same request denied by a policy.
    #[must_use]
    pub fn denied(micros: i64, source: &str, destination: &str) -> Self {
        Self::inbound(micros, source, destination)
            .with("response_code", 403)
            .with("response_code_details", "rbac_access_denied_matched_policy[ns[bank]-policy[deny]-rule[0]]")
            .with("rbac", json!({"enforced_engine_result": "denied", "enforced_effective_policy_id": "ns[bank]-policy[deny]-rule[0]"}))
            .with("upstream_host", Value::Null)
    }

    /// The same request refused by the application itself.
    #[must_use]
    pub fn refused(micros: i64, source: &str, destination: &str) -> Self {
        Self::inbound(micros, source, destination).with("response_code", 403)
    }

    /// Plaintext that a STRICT workload turned away: a listener line without a request.
    #[must_use]
    pub fn plaintext_rejected(micros: i64, address: &str, destination: &str) -> Self {
        let line = Self::inbound(micros, "nobody", destination);
        let gone = [
            "method",
            "path",
            "authority",
            "protocol",
            "upstream_cluster",
            "upstream_host",
            "requested_server_name",
            "rbac",
        ];
        let gone = gone.into_iter().chain([
            "downstream_peer_uri_san",
            "downstream_local_uri_san",
            "downstream_tls_version",
            "downstream_tls_cipher",
        ]);
        gone.fold(line, |line, key| line.with(key, Value::Null))
            .with("access_log_type", "NotSet")
            .with("response_code", 0)
            .with("response_flags", "NR")
            .with("response_code_details", "filter_chain_not_found")
            .with(
                "downstream_transport_failure_reason",
                "TLS_error|error:1000009c:SSL_routines:OPENSSL_internal:HTTP_REQUEST:TLS_error_end",
            )
            .from_address(address)
    }

    /// Plaintext that a PERMISSIVE workload accepted.
    #[must_use]
    pub fn plaintext_accepted(micros: i64, address: &str, destination: &str) -> Self {
        let gone = [
            "downstream_peer_uri_san",
            "downstream_local_uri_san",
            "downstream_tls_version",
            "downstream_tls_cipher",
            "requested_server_name",
        ];
        gone.into_iter()
            .fold(Self::inbound(micros, "nobody", destination), |line, key| line.with(key, Value::Null))
            .from_address(address)
    }

    /// A call to a host outside of the mesh that no ServiceEntry names, as the caller's sidecar logs it.
    #[must_use]
    pub fn passthrough(micros: i64, source: &str, host: &str) -> Self {
        let gone = [
            "downstream_peer_uri_san",
            "downstream_local_uri_san",
            "downstream_tls_version",
            "downstream_tls_cipher",
            "requested_server_name",
            "rbac",
        ];
        gone.into_iter()
            .fold(Self::inbound(micros, "nobody", source), |line, key| line.with(key, Value::Null))
            .with("upstream_cluster", "PassthroughCluster")
            .with("route_name", "allow_any")
            .with("authority", host)
            .with("upstream_host", "203.0.113.9:80")
            .with("bytes_received", 100)
    }

    /// A connection as the ztunnel of its destination (`inbound`) or of its source (`outbound`) logs it: mutual TLS, complete.
    #[must_use]
    pub fn ztunnel(micros: i64, direction: &str, source: &str, destination: &str) -> Self {
        let line = json!({
            "level": "info", "time": time_text(micros), "scope": "access", "message": "connection complete",
            "src.addr": "10.0.0.1:40000", "src.workload": format!("{source}-0"), "src.namespace": "bank",
            "src.identity": format!("spiffe://{}", principal(source)),
            "dst.addr": "10.0.0.2:15008", "dst.hbone_addr": "10.0.0.2:8080",
            "dst.service": format!("{destination}.bank.svc.cluster.local"), "dst.workload": format!("{destination}-0"),
            "dst.namespace": "bank", "dst.identity": format!("spiffe://{}", principal(destination)),
            "direction": direction, "bytes_sent": 12, "bytes_recv": 34, "duration": "7ms"
        });
        match line {
            Value::Object(line) => Self(line),
            _ => Self(Map::new()),
        }
    }

    /// The same line with another value of one key; `null` takes the key away.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        match value.into() {
            Value::Null => self.0.remove(key),
            value => self.0.insert(key.to_owned(), value),
        };
        self
    }

    /// The same line from another address.
    #[must_use]
    pub fn from_address(self, address: &str) -> Self {
        let address = format!("{address}:40000");
        self.with("downstream_remote_address", address.as_str())
            .with("downstream_direct_remote_address", address.as_str())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Value::Object(self.0.clone()))
    }
}
