//! Loggers that send over the network what others write into files: OTLP over gRPC and over HTTP, and Envoy's access log service.
//!
//! OTLP carries the recommended format as Istio's `envoyOtelAls` would with its keys as labels, and once as Istio sends it without labels: the text alone, and
//! one label for the pod.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::error::MeshError;
use super::format::{ISTIO_TEXT, RECOMMENDED};

/// Where logs are sent.
#[derive(Debug, Clone, Copy)]
pub struct Doors {
    /// OTLP over gRPC, and ALS.
    pub grpc: SocketAddr,
    /// OTLP over HTTP.
    pub http: SocketAddr,
}

/// The column `source` of rows that came as text and one label.
pub const TEXT_SOURCE: &str = "otlp-text";

const GRPC: &str = "meshwarden_grpc";
const HTTP: &str = "meshwarden_http";

/// What a logger hangs on: Envoy has a logger of its own for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Http,
    Connections,
    Listener,
}

/// The clusters that loggers send to.
pub(crate) fn clusters(doors: Doors) -> [Value; 2] {
    let cluster = |name: &str, to: SocketAddr, options: &str| {
        let address = json!({"socket_address": {"address": to.ip(), "port_value": to.port()}});
        json!({
            "name": name, "type": "STATIC", "connect_timeout": "10s",
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]},
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {options: {}},
            }},
        })
    };
    [cluster(GRPC, doors.grpc, "http2_protocol_options"), cluster(HTTP, doors.http, "http_protocol_options")]
}

/// One logger for each way.
pub(crate) fn loggers(doors: Doors, of: Of, pod: &str) -> Result<Vec<Value>, MeshError> {
    let keys: serde_json::Map<String, Value> = serde_json::from_str(RECOMMENDED).map_err(|why| MeshError::Log {
        file: "ingest/formats/recommended.json".to_owned(),
        line: why.line(),
        why: why.to_string(),
    })?;
    let label = |key: &str, value: &Value| json!({"key": key, "value": {"string_value": value}});
    let all: Vec<Value> = keys.iter().map(|(key, operator)| label(key, operator)).collect();
    let grpc = json!({"grpc_service": {"envoy_grpc": {"cluster_name": GRPC}}});
    let http = json!({"http_service": {"http_uri": {
        "uri": format!("http://{}/v1/logs", doors.http), "cluster": HTTP, "timeout": "10s",
    }}});
    let text = json!({"grpc_service": {
        "envoy_grpc": {"cluster_name": GRPC},
        "initial_metadata": [{"key": "x-meshwarden-source", "value": TEXT_SOURCE}],
    }});
    let mut loggers = vec![
        otlp(&grpc, ISTIO_TEXT, &all),
        otlp(&http, "-", &all),
        otlp(&text, ISTIO_TEXT.trim_end(), &[label("pod_name", &json!(pod))]),
    ];
    loggers.push(als(of));
    Ok(loggers)
}

fn otlp(service: &Value, text: &str, labels: &[Value]) -> Value {
    let mut config = json!({
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
        "log_name": "mesh",
        "disable_builtin_labels": true,
        "buffer_flush_interval": "0.2s",
        "body": {"string_value": text},
        "attributes": {"values": labels},
        "formatters": [{
            "name": "envoy.formatter.req_without_query",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery"},
        }],
    });
    if let (Some(config), Some(service)) = (config.as_object_mut(), service.as_object()) {
        config.extend(service.clone());
    }
    json!({"name": "envoy.access_loggers.open_telemetry", "typed_config": config})
}

fn als(of: Of) -> Value {
    let (logger, kind, log_name) = match of {
        Of::Http => ("envoy.access_loggers.http_grpc", "HttpGrpcAccessLogConfig", "http_envoy_accesslog"),
        Of::Connections => ("envoy.access_loggers.tcp_grpc", "TcpGrpcAccessLogConfig", "tcp_envoy_accesslog"),
        Of::Listener => ("envoy.access_loggers.tcp_grpc", "TcpGrpcAccessLogConfig", "listener_envoy_accesslog"),
    };
    let mut config = json!({
        "@type": format!("type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.{kind}"),
        "common_config": {
            "log_name": log_name, "transport_api_version": "V3", "buffer_flush_interval": "0.2s",
            "grpc_service": {"envoy_grpc": {"cluster_name": GRPC}},
            "filter_state_objects_to_log": ["upstream_peer", "downstream_peer"],
        },
    });
    if let Some(config) = config.as_object_mut().filter(|_| of == Of::Http) {
        let headers = [
            "traceparent",
            "content-type",
            "x-envoy-original-host",
            "x-fapi-interaction-id",
            "x-fapi-customer-ip-address",
        ];
        config.insert("additional_request_headers_to_log".to_owned(), json!(headers));
        config.insert("additional_response_headers_to_log".to_owned(), json!(["x-fapi-interaction-id", "grpc-status"]));
        config.insert("additional_response_trailers_to_log".to_owned(), json!(["grpc-status"]));
    }
    json!({"name": logger, "typed_config": config})
}
