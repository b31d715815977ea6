//! The lists behind [`super::ACCESS_LOGS`] and [`super::REJECTS`], one entry per column:
//!
//! ```text
//! Variant "name" Type nullability, "unit", [keys that feed it], "operator or derivation", "ALS field", "what null means";
//! ```
//!
//! `required` columns are never null. An ALS field without a prefix is one of `common_properties`.

use super::{Column, ColumnType, FedBy};

macro_rules! columns {
    ($($variant:ident $name:literal $kind:ident $need:ident, $unit:literal,
       [$($key:literal),*], $operator:literal, $als:literal, $null:literal;)*) => {
        /// One column of `access_logs`; its number is its position.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub(crate) enum Col { $(#[doc = $name] $variant),* }

        /// Every column of the table `access_logs`, in order.
        pub static ACCESS_LOGS: &[Column] = &[$(column(
            $name, ColumnType::$kind, nullable!($need), $unit,
            FedBy { keys: &[$($key),*], operator: $operator, als: $als }, $null,
        )),*];

        /// How many columns `access_logs` has.
        pub(crate) const COLUMN_COUNT: usize = [$(Col::$variant),*].len();
    };
}

macro_rules! nullable {
    (required) => {
        false
    };
    (optional) => {
        true
    };
}

const fn column(
    name: &'static str,
    data_type: ColumnType,
    nullable: bool,
    unit: &'static str,
    fed_by: FedBy,
    null_means: &'static str,
) -> Column {
    Column { name, data_type, nullable, unit, fed_by, null_means }
}

columns! {
    // when and where from
    Time "time" Timestamp required, "µs since 1970, UTC: the start of the request or connection", ["start_time"], "%START_TIME%; of ztunnel, and of text formats that log no date, by the time at which the line was written", "start_time", "never: a line without it is a reject";
    EndedAt "ended_at" Timestamp required, "µs since 1970, UTC: when the line was written", ["duration"], "time + duration; time where the line has no duration; of ztunnel the time of its line", "start_time + duration", "never";
    ReceivedAt "received_at" Timestamp required, "µs since 1970, UTC", [], "the receiver's clock", "", "never";
    LogId "log_id" Text required, "source:line, lines counted from 1", [], "the line's position", "", "never";
    Source "source" Text required, "name of the input", [], "the receiver", "", "never";

    // who logged
    Reporter "reporter" Text optional, "source, destination, gateway, waypoint, ztunnel", ["upstream_cluster", "route_name"], "derived from the cluster, the route, the proxy's name and an RBAC denial; ztunnel's lines by their form", "upstream_cluster, identifier.node.id", "the line does not tell which proxy wrote it: do not count it twice; never null where rbac_decision is deny";
    Direction "direction" Text optional, "inbound, outbound", ["upstream_cluster", "route_name"], "derived with reporter", "upstream_cluster", "unknown";
    LogType "log_type" Text required, "http, tcp, listener", ["access_log_type", "method", "protocol", "response_code", "downstream_transport_failure_reason"], "derived", "the kind of entry", "never";
    AccessLogType "access_log_type" Text optional, "Envoy's AccessLogType", ["access_log_type"], "%ACCESS_LOG_TYPE%; TcpConnectionStart of ztunnel's `connection opened`", "access_log_type", "not logged: counts as the end of a request";
    NodePod "node_pod" Text optional, "Kubernetes name", ["pod_name"], "%ENVIRONMENT(POD_NAME)%", "identifier.node.id", "not logged";
    NodeNamespace "node_namespace" Text optional, "Kubernetes namespace", ["pod_namespace"], "%ENVIRONMENT(POD_NAMESPACE)%", "identifier.node.id", "not logged";
    NodeServiceAccount "node_service_account" Text optional, "Kubernetes service account", ["pod_service_account"], "%ENVIRONMENT(SERVICE_ACCOUNT)%", "identifier.node.metadata", "not logged";
    ClusterId "cluster_id" Text optional, "Istio's cluster id", ["cluster_id"], "%ENVIRONMENT(ISTIO_META_CLUSTER_ID)%", "identifier.node.metadata", "not logged";

    // who to whom
    SourcePrincipal "source_principal" Text optional, "trust-domain/ns/N/sa/S", ["downstream_peer_uri_san", "upstream_local_uri_san", "peer_principal"], "%DOWNSTREAM_PEER_URI_SAN% on server lines, %UPSTREAM_LOCAL_URI_SAN% on client lines", "tls_properties.peer_certificate_properties", "plaintext, or not logged";
    SourceNamespace "source_namespace" Text optional, "Kubernetes namespace", ["downstream_peer_uri_san", "upstream_local_uri_san", "peer_principal"], "the principal's ns part", "tls_properties.peer_certificate_properties", "no principal, or not one of Istio's form";
    SourceServiceAccount "source_service_account" Text optional, "Kubernetes service account", ["downstream_peer_uri_san", "upstream_local_uri_san", "peer_principal"], "the principal's sa part", "tls_properties.peer_certificate_properties", "no principal, or not one of Istio's form";
    SourceTrustDomain "source_trust_domain" Text optional, "trust domain", ["downstream_peer_uri_san", "upstream_local_uri_san", "peer_principal"], "the principal's first part", "tls_properties.peer_certificate_properties", "no principal, or not one of Istio's form";
    SourceIp "source_ip" Text optional, "IP address, canonical text", ["downstream_direct_remote_address", "downstream_remote_address", "upstream_local_address"], "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%, else %DOWNSTREAM_REMOTE_ADDRESS% unless its port is 0, else on client lines %UPSTREAM_LOCAL_ADDRESS% (the pod's own)", "downstream_direct_remote_address", "no direct address on the line (internal address, or only one taken from x-forwarded-for)";
    SourcePort "source_port" Int32 optional, "TCP port", ["downstream_direct_remote_address", "downstream_remote_address"], "with source_ip", "downstream_direct_remote_address", "as source_ip; or source_ip is from %UPSTREAM_LOCAL_ADDRESS%";
    ClaimedClientIp "claimed_client_ip" Text optional, "IP address, canonical text", ["downstream_remote_address"], "%DOWNSTREAM_REMOTE_ADDRESS% where it is not source_ip: from x-forwarded-for or PROXY, a claim", "downstream_remote_address", "the client is source_ip";
    DestinationPrincipal "destination_principal" Text optional, "trust-domain/ns/N/sa/S", ["downstream_local_uri_san", "upstream_peer_uri_san"], "%DOWNSTREAM_LOCAL_URI_SAN% on server lines, %UPSTREAM_PEER_URI_SAN% on client and gateway lines", "tls_properties.local_certificate_properties", "plaintext, handshake failed (except on a ztunnel's line, which then names whom it meant to reach), not logged, or a waypoint's line (destination_service names the destination)";
    DestinationNamespace "destination_namespace" Text optional, "Kubernetes namespace", ["downstream_local_uri_san", "upstream_peer_uri_san"], "the principal's ns part", "tls_properties.local_certificate_properties", "no principal, or not one of Istio's form";
    DestinationServiceAccount "destination_service_account" Text optional, "Kubernetes service account", ["downstream_local_uri_san", "upstream_peer_uri_san"], "the principal's sa part", "tls_properties.local_certificate_properties", "no principal, or not one of Istio's form";
    DestinationTrustDomain "destination_trust_domain" Text optional, "trust domain", ["downstream_local_uri_san", "upstream_peer_uri_san"], "the principal's first part", "tls_properties.local_certificate_properties", "no principal, or not one of Istio's form";
    DestinationIp "destination_ip" Text optional, "IP address, canonical text", ["upstream_host", "downstream_local_address"], "%UPSTREAM_HOST% on outbound lines, else %DOWNSTREAM_LOCAL_ADDRESS%", "upstream_remote_address, downstream_local_address", "an internal address, or not logged";
    DestinationPort "destination_port" Int32 optional, "TCP port; on inbound lines the workload's", ["upstream_host", "downstream_local_address"], "with destination_ip", "upstream_remote_address, downstream_local_address", "as destination_ip";
    DestinationService "destination_service" Text optional, "fully qualified host name", ["upstream_cluster", "upstream_service", "requested_server_name", "authority"], "the cluster's host, else %CLUSTER_METADATA(istio:services)%, else an outbound_ SNI, else authority, else SNI", "upstream_cluster", "the line names no host";
    IdentityVerified "identity_verified" Boolean optional, "true: the source principal comes from a completed mutual TLS handshake; false, too, where the line repeats a key, or is JSON of strings", ["downstream_peer_uri_san", "upstream_local_uri_san", "peer_principal"], "derived", "tls_properties", "no source principal";
    Claims "claims" Text optional, "names of columns, comma-separated", ["original_path", "original_host", "downstream_remote_address", "downstream_peer_uri_san"], "derived: what on this line only a caller says", "", "nothing on the line is a mere claim (what a caller always chooses, as user_agent and sni, is not listed); of claimed columns none may be counted as identity";
    Authority "authority" Text optional, "as sent by the caller, with port", ["authority"], "%REQ(:AUTHORITY)%", "request.authority", "not HTTP, none sent, or ambiguous_quoted in extra";
    OriginalHost "original_host" Text optional, "host before a rewrite", ["original_host"], "%REQ(X-ENVOY-ORIGINAL-HOST)%", "", "not rewritten; on inbound lines a value is forged";
    UpstreamCluster "upstream_cluster" Text optional, "Envoy cluster name without a trailing `;`", ["upstream_cluster"], "%UPSTREAM_CLUSTER_RAW%", "upstream_cluster", "no route, answered by the proxy, or a text line with two tails (ambiguous_quoted in extra)";
    UpstreamHost "upstream_host" Text optional, "ip:port as logged", ["upstream_host"], "%UPSTREAM_HOST%", "upstream_remote_address", "not forwarded";
    UpstreamLocalAddress "upstream_local_address" Text optional, "ip:port as logged; equals the server line's source_ip:source_port", ["upstream_local_address"], "%UPSTREAM_LOCAL_ADDRESS%", "upstream_local_address", "not forwarded";
    Sni "sni" Text optional, "TLS server name, chosen by the caller", ["requested_server_name"], "%REQUESTED_SERVER_NAME%", "tls_properties.tls_sni_hostname", "no TLS, not inspected, or ambiguous_server_name in extra";

    // what
    Method "method" Text optional, "HTTP method", ["method"], "%REQ(:METHOD)%", "request.request_method", "not HTTP, or rejected by the codec";
    Path "path" Text optional, "as logged; the recommended format drops the query", ["path"], "%REQ_WITHOUT_QUERY(:PATH)%", "request.path", "not HTTP, or rejected by the codec";
    OriginalPath "original_path" Text optional, "path before a rewrite", ["original_path"], "%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH)%", "request.original_path", "not rewritten; on inbound lines a value is forged";
    Protocol "protocol" Text optional, "HTTP/1.0, HTTP/1.1, HTTP/2, HTTP/3", ["protocol"], "%PROTOCOL%", "protocol_version", "not HTTP";
    UserAgent "user_agent" Text optional, "as sent", ["user_agent"], "%REQ(USER-AGENT)%", "request.user_agent", "none sent, or ambiguous_quoted in extra";
    Referer "referer" Text optional, "as sent", ["referer"], "%REQ(REFERER)%", "request.referer", "none sent, or not logged";
    ForwardedFor "forwarded_for" Text optional, "addresses, comma-separated, a claim", ["x_forwarded_for"], "%REQ(X-FORWARDED-FOR)%", "request.forwarded_for", "none sent, or ambiguous_quoted in extra";
    RequestId "request_id" Text optional, "as sent; inside the mesh the caller chooses it", ["request_id"], "%REQ(X-REQUEST-ID)%", "request.request_id", "not HTTP, or ambiguous_quoted in extra";
    StreamId "stream_id" Text optional, "Envoy's stream id", ["stream_id"], "%STREAM_ID%", "stream_id", "listener line, early rejection, or not logged";
    ConnectionId "connection_id" Int64 optional, "Envoy's number of the downstream connection, its own to each proxy", ["connection_id"], "%CONNECTION_ID%", "", "no connection, or not logged";
    TraceId "trace_id" Text optional, "32 hex digits", ["traceparent"], "%REQ(TRACEPARENT)%, its second part", "request.request_headers", "not traced, or no W3C trace context";
    RouteName "route_name" Text optional, "Envoy route name", ["route_name"], "%ROUTE_NAME%", "route_name", "no route, one without a name, or ambiguous_server_name in extra";
    FilterChainName "filter_chain_name" Text optional, "Envoy filter chain name", ["filter_chain_name"], "%FILTER_CHAIN_NAME%", "", "no chain matched, or not logged";
    ContentType "content_type" Text optional, "as sent", ["content_type"], "%REQ(CONTENT-TYPE)%", "request.request_headers", "none sent, or not logged";
    FapiInteractionId "fapi_interaction_id" Text optional, "as sent", ["fapi_interaction_id"], "%REQ(X-FAPI-INTERACTION-ID)%", "request.request_headers", "none sent, or not logged";
    ResponseFapiInteractionId "response_fapi_interaction_id" Text optional, "as answered", ["response_fapi_interaction_id"], "%RESP(X-FAPI-INTERACTION-ID)%", "response.response_headers", "none answered, or not logged";

    // outcome
    ResponseCode "response_code" Int32 optional, "HTTP status; 0: no response was sent, or not HTTP", ["response_code"], "%RESPONSE_CODE%", "response.response_code", "not logged";
    ResponseCodeDetails "response_code_details" Text optional, "Envoy's details", ["response_code_details"], "%RESPONSE_CODE_DETAILS%", "response.response_code_details", "TCP, or not logged (Istio before 1.9)";
    ResponseFlags "response_flags" Text optional, "flags joined by commas, as logged, in no fixed order", ["response_flags"], "%RESPONSE_FLAGS%", "response_flags", "no flag";
    GrpcStatus "grpc_status" Int32 optional, "gRPC status number", ["grpc_status"], "%GRPC_STATUS_NUMBER%", "response.response_trailers", "not gRPC, or not logged";
    BytesReceived "bytes_received" Int64 optional, "bytes of request body, or from the client", ["bytes_received"], "%BYTES_RECEIVED%", "request.request_body_bytes", "not logged";
    BytesSent "bytes_sent" Int64 optional, "bytes of response body, or to the client", ["bytes_sent"], "%BYTES_SENT%", "response.response_body_bytes", "not logged";
    DurationMs "duration_ms" Int64 optional, "ms", ["duration"], "%DURATION%", "duration", "not logged";
    UpstreamServiceTimeMs "upstream_service_time_ms" Int64 optional, "ms", ["upstream_service_time"], "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%", "time_to_first_upstream_rx_byte", "not forwarded, or not logged";
    UpstreamAttempts "upstream_attempts" Int32 optional, "tries", ["upstream_request_attempt_count"], "%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "upstream_request_attempt_count", "not logged";
    ConnectionTerminationDetails "connection_termination_details" Text optional, "Envoy's details", ["connection_termination_details"], "%CONNECTION_TERMINATION_DETAILS%; ztunnel's error", "connection_termination_details", "ended without a reason of the proxy's";
    UpstreamTransportFailureReason "upstream_transport_failure_reason" Text optional, "TLS or connect error", ["upstream_transport_failure_reason"], "%UPSTREAM_TRANSPORT_FAILURE_REASON%", "upstream_transport_failure_reason", "no failure";
    DownstreamTransportFailureReason "downstream_transport_failure_reason" Text optional, "TLS error, on listener lines", ["downstream_transport_failure_reason"], "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%", "downstream_transport_failure_reason", "no failure, or not logged";

    // security, derived at decode
    RbacDecision "rbac_decision" Text required, "allow, deny, unknown", ["rbac", "response_code_details", "connection_termination_details"], "%DYNAMIC_METADATA(envoy.filters.http.rbac)%, if the details do not contradict them; the details alone tell a denial where they are logged", "metadata", "never";
    RbacShadowDecision "rbac_shadow_decision" Text optional, "allow, deny, unknown: of the dry-run policies", ["rbac", "rbac_tcp"], "the istio_dry_run_ keys of the RBAC metadata", "metadata", "no dry-run policy judged it, or not logged";
    RbacPolicyNamespace "rbac_policy_namespace" Text optional, "Kubernetes namespace", ["rbac", "response_code_details", "connection_termination_details"], "the effective policy id", "metadata", "no policy matched, or not Istio's";
    RbacPolicy "rbac_policy" Text optional, "AuthorizationPolicy name, or the whole id where it is not Istio's", ["rbac", "response_code_details", "connection_termination_details"], "the effective policy id", "metadata", "no policy matched";
    RbacRule "rbac_rule" Int32 optional, "index in spec.rules, from 0", ["rbac", "response_code_details", "connection_termination_details"], "the effective policy id", "metadata", "no policy matched, or not Istio's";
    JwtIssuer "jwt_issuer" Text optional, "claim iss", ["jwt_iss"], "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:iss)%", "metadata", "no valid token, or not logged";
    JwtSubject "jwt_subject" Text optional, "claim sub", ["jwt_sub"], "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:sub)%", "metadata", "no valid token, or not logged";
    JwtAudience "jwt_audience" Text optional, "claim aud; a list as JSON text", ["jwt_aud"], "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:aud)%", "metadata", "no valid token, or not logged";
    JwtFailure "jwt_failure" Text optional, "Envoy's reason, spaces as _", ["response_code_details"], "text in jwt_authn_access_denied{...} of %RESPONSE_CODE_DETAILS%", "response.response_code_details", "not refused for its token";
    Audit "audit" Boolean optional, "true: an AUDIT policy matched", ["audit"], "%DYNAMIC_METADATA(envoy.common:access_log_hint)%", "metadata", "no AUDIT policy, or not logged";
    TransportSecurity "transport_security" Text required, "mutual_tls, tls, plaintext, unknown: of the hop from source to destination as the reporter sees it", ["downstream_tls_version", "upstream_tls_version", "peer_principal"], "derived; a peer identity alone proves mutual TLS, but no lack of it plaintext", "tls_properties", "never";
    TlsVersion "tls_version" Text optional, "TLSv1.2, TLSv1.3, ...", ["downstream_tls_version", "upstream_tls_version"], "%DOWNSTREAM_TLS_VERSION% on server lines, %UPSTREAM_TLS_VERSION% on client lines", "tls_properties.tls_version", "no TLS on that hop, or not logged";
    TlsCipher "tls_cipher" Text optional, "OpenSSL name", ["downstream_tls_cipher", "upstream_tls_cipher"], "%DOWNSTREAM_TLS_CIPHER% on server lines, %UPSTREAM_TLS_CIPHER% on client lines", "tls_properties.tls_cipher_suite", "no TLS on that hop, or not logged";
    PeerIssuer "peer_issuer" Text optional, "distinguished name", ["downstream_peer_issuer"], "%DOWNSTREAM_PEER_ISSUER%", "tls_properties.peer_certificate_properties.issuer", "no client certificate, or not logged";
    PeerSerial "peer_serial" Text optional, "hex", ["downstream_peer_serial"], "%DOWNSTREAM_PEER_SERIAL%", "", "no client certificate, or not logged";
    PeerFingerprint "peer_fingerprint" Text optional, "SHA-256, hex", ["downstream_peer_fingerprint_256"], "%DOWNSTREAM_PEER_FINGERPRINT_256%", "", "no client certificate, or not logged";
    PeerCertEnd "peer_cert_end" Timestamp optional, "µs since 1970, UTC", ["downstream_peer_cert_v_end"], "%DOWNSTREAM_PEER_CERT_V_END%", "", "no client certificate, or not logged";
    Egress "egress" Text optional, "in_mesh, registered, passthrough, blackhole, unknown", ["upstream_cluster", "route_name"], "derived, on client and gateway lines and ztunnel's outbound ones; Istio 1.9's black hole is told by a connection with the flag UH, without cluster and host", "upstream_cluster", "not a client's or gateway's line";
    EgressHost "egress_host" Text optional, "host name or address, lower case, no port; chosen by the caller", ["authority", "requested_server_name"], "authority of HTTP, else SNI", "request.authority, tls_properties.tls_sni_hostname", "in the mesh, or the line names no host";

    // the rest
    Signals "signals" Int64 required, "bits of schema::signals", [], "derived", "", "never";
    Edge "edge" Int64 required, "a stable hash of who called whom and how it ended", [], "derived from reporter, log_type, the principals, destination_service, outcome, decision, transport and egress", "", "never";
    Extra "extra" Text optional, "JSON object: every key that no column took, sorted; duplicate_keys: {key: [further values]} of a repeated key; of a text line ambiguous_quoted (quoted fields that a header's quotes made ambiguous, raw) and ambiguous_server_name (server name and route)", [], "any other key", "", "every key found its column";
}

/// Every column of the table `rejects`, in order: the lines that could not be decoded.
pub static REJECTS: &[Column] = &[
    reject("received_at", ColumnType::Timestamp, "µs since 1970, UTC", "the receiver's clock"),
    reject("source", ColumnType::Text, "name of the input", "the receiver"),
    reject("line", ColumnType::Int64, "line number from 1, blank lines included", "the line's position"),
    reject("byte_offset", ColumnType::Int64, "bytes from the start of the (inflated) input", "the line's position"),
    reject("reason", ColumnType::Text, "see RejectReason", "the decoder"),
    reject("detail", ColumnType::Text, "a sentence for a person", "the decoder"),
    reject("length", ColumnType::Int64, "bytes of the whole line, without its line end", "the line"),
    reject("sha256", ColumnType::Text, "hex, of the whole line", "the line"),
    reject("raw", ColumnType::Binary, "the line byte for byte; of a line over the bound the first 64 KiB", "the line"),
];

const fn reject(name: &'static str, data_type: ColumnType, unit: &'static str, operator: &'static str) -> Column {
    column(name, data_type, false, unit, FedBy { keys: &[], operator, als: "" }, "never")
}
