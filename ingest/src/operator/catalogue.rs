//! The command operators of Envoy 1.40: what class their values are of, what they take, and which key they feed.
//!
//! Where class or key depend on the argument (headers, metadata, filter state), the operator's own file decides first.

use crate::key::Key;
use crate::operator::ValueClass;
use crate::operator::ValueClass::{Address, Details, Flags, Number, Protocol, Text, Word};

/// What is known of an operator.
#[derive(Debug)]
pub(super) struct Entry {
    name: &'static str,
    pub(super) class: ValueClass,
    pub(super) takes: Takes,
    /// The key that it feeds without an argument.
    pub(super) key: Option<Key>,
    /// A peer chooses the value.
    pub(super) caller: bool,
}

/// Which argument and length an operator takes; Envoy refuses a configuration with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Neither.
    Nothing,
    /// An argument at will, no length.
    Argument,
    /// An argument, no length.
    NeedsArgument,
    /// An argument, and a length at will.
    NeedsArgumentTakesLength,
    /// Both at will.
    Anything,
}

impl Takes {
    pub(super) fn refuses(self, argument: &Option<Box<str>>, length: Option<usize>) -> Option<&'static str> {
        // empty parentheses are no argument
        let argument = argument.as_deref().is_some_and(|argument| !argument.is_empty());
        match self {
            Takes::Nothing if argument => Some("Envoy takes no argument here"),
            Takes::NeedsArgument | Takes::NeedsArgumentTakesLength if !argument => {
                Some("Envoy wants an argument in parentheses")
            }
            Takes::Nothing | Takes::Argument | Takes::NeedsArgument if length.is_some() => {
                Some("Envoy takes no length here")
            }
            _ => None,
        }
    }
}

/// The entry of that name.
pub(super) fn find(name: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.name == name)
}

const fn plain(name: &'static str, class: ValueClass) -> Entry {
    Entry { name, class, takes: Takes::Nothing, key: None, caller: false }
}

impl Entry {
    const fn key(mut self, key: Key) -> Entry {
        self.key = Some(key);
        self
    }

    const fn takes(mut self, takes: Takes) -> Entry {
        self.takes = takes;
        self
    }

    const fn callers(mut self) -> Entry {
        self.caller = true;
        self
    }
}

static CATALOGUE: &[Entry] = &[
    // headers and paths
    plain("REQ", Text).takes(Takes::NeedsArgumentTakesLength).callers(),
    plain("REQ_WITHOUT_QUERY", Text).takes(Takes::NeedsArgumentTakesLength).callers(),
    plain("RESP", Text).takes(Takes::NeedsArgumentTakesLength).callers(),
    plain("TRAILER", Text).takes(Takes::NeedsArgumentTakesLength).callers(),
    plain("PATH", Text).takes(Takes::Anything).callers(),
    plain("QUERY_PARAM", Text).takes(Takes::NeedsArgumentTakesLength).callers(),
    plain("QUERY_PARAMS", Text).takes(Takes::Anything).callers(),
    plain("LOCAL_REPLY_BODY", Text),
    // the response
    plain("RESPONSE_CODE", Number).key(Key::ResponseCode),
    // may hold blanks with its argument
    plain("RESPONSE_CODE_DETAILS", Details).takes(Takes::Argument).key(Key::ResponseCodeDetails),
    plain("RESPONSE_FLAGS", Flags).key(Key::ResponseFlags),
    plain("RESPONSE_FLAGS_LONG", Flags),
    plain("GRPC_STATUS", Word).takes(Takes::Argument),
    plain("GRPC_STATUS_NUMBER", Number).key(Key::GrpcStatus),
    plain("PROTOCOL", Protocol).key(Key::Protocol),
    plain("UPSTREAM_PROTOCOL", Protocol),
    // how it ended
    plain("CONNECTION_TERMINATION_DETAILS", Word).key(Key::ConnectionTerminationDetails),
    plain("UPSTREAM_TRANSPORT_FAILURE_REASON", Text).key(Key::UpstreamTransportFailureReason).callers(),
    plain("DOWNSTREAM_TRANSPORT_FAILURE_REASON", Text).key(Key::DownstreamTransportFailureReason).callers(),
    plain("DOWNSTREAM_LOCAL_CLOSE_REASON", Text),
    plain("UPSTREAM_LOCAL_CLOSE_REASON", Text),
    plain("DOWNSTREAM_DETECTED_CLOSE_TYPE", Word),
    plain("UPSTREAM_DETECTED_CLOSE_TYPE", Word),
    plain("ACCESS_LOG_TYPE", Word).key(Key::AccessLogType),
    // times and durations
    plain("START_TIME", Text).takes(Takes::Argument).key(Key::StartTime),
    plain("START_TIME_LOCAL", Word).takes(Takes::Argument),
    plain("EMIT_TIME", Word).takes(Takes::Argument),
    plain("EMIT_TIME_LOCAL", Word).takes(Takes::Argument),
    plain("DURATION", Number).key(Key::Duration),
    plain("COMMON_DURATION", Number).takes(Takes::NeedsArgument),
    plain("REQUEST_DURATION", Number),
    plain("REQUEST_TX_DURATION", Number),
    plain("RESPONSE_DURATION", Number),
    plain("RESPONSE_TX_DURATION", Number),
    plain("DOWNSTREAM_HANDSHAKE_DURATION", Number),
    plain("UPSTREAM_CONNECTION_POOL_READY_DURATION", Number),
    plain("ROUNDTRIP_DURATION", Number),
    // sizes and counts
    plain("BYTES_RECEIVED", Number).key(Key::BytesReceived),
    plain("BYTES_SENT", Number).key(Key::BytesSent),
    plain("BYTES_RETRANSMITTED", Number),
    plain("PACKETS_RETRANSMITTED", Number),
    plain("REQUEST_HEADERS_BYTES", Number),
    plain("RESPONSE_HEADERS_BYTES", Number),
    plain("RESPONSE_TRAILERS_BYTES", Number),
    plain("DOWNSTREAM_WIRE_BYTES_RECEIVED", Number),
    plain("DOWNSTREAM_WIRE_BYTES_SENT", Number),
    plain("DOWNSTREAM_HEADER_BYTES_RECEIVED", Number),
    plain("DOWNSTREAM_HEADER_BYTES_SENT", Number),
    plain("DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED", Number),
    plain("DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT", Number),
    plain("UPSTREAM_WIRE_BYTES_RECEIVED", Number),
    plain("UPSTREAM_WIRE_BYTES_SENT", Number),
    plain("UPSTREAM_HEADER_BYTES_RECEIVED", Number),
    plain("UPSTREAM_HEADER_BYTES_SENT", Number),
    plain("UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED", Number),
    plain("UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT", Number),
    plain("UPSTREAM_REQUEST_ATTEMPT_COUNT", Number).key(Key::UpstreamRequestAttemptCount),
    // ids; a stream's is the request id, which a caller inside the mesh chooses freely
    plain("STREAM_ID", Text).key(Key::StreamId).callers(),
    plain("CONNECTION_ID", Number).key(Key::ConnectionId),
    plain("UPSTREAM_CONNECTION_ID", Number),
    plain("UPSTREAM_CONNECTION_IDS_ATTEMPTED", Text),
    plain("UNIQUE_ID", Word),
    plain("TRACE_ID", Word).callers(),
    plain("SPAN_ID", Word).callers(),
    plain("HOSTNAME", Word),
    plain("ENVIRONMENT", Text).takes(Takes::NeedsArgumentTakesLength),
    // routing: people name routes, with blanks if they like; Istio generates the other names
    plain("ROUTE_NAME", Text).key(Key::RouteName),
    plain("VIRTUAL_CLUSTER_NAME", Text),
    plain("FILTER_CHAIN_NAME", Word).key(Key::FilterChainName),
    plain("LISTENER_NAME", Word),
    plain("UPSTREAM_CLUSTER", Word).key(Key::UpstreamCluster),
    plain("UPSTREAM_CLUSTER_RAW", Word).key(Key::UpstreamCluster),
    // addresses; a caller inside the mesh chooses the remote one by x-forwarded-for, but it is always an address
    plain("UPSTREAM_HOST", Address).key(Key::UpstreamHost),
    plain("UPSTREAM_REMOTE_ADDRESS", Address).key(Key::UpstreamHost),
    plain("UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Address).takes(Takes::Argument).key(Key::UpstreamHost),
    plain("UPSTREAM_REMOTE_PORT", Number),
    plain("UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID", Text),
    plain("UPSTREAM_LOCAL_ADDRESS", Address).key(Key::UpstreamLocalAddress),
    plain("UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", Address).takes(Takes::Argument).key(Key::UpstreamLocalAddress),
    plain("UPSTREAM_LOCAL_PORT", Number),
    plain("UPSTREAM_HOST_NAME", Word),
    plain("UPSTREAM_HOST_NAME_WITHOUT_PORT", Word),
    plain("UPSTREAM_HOSTS_ATTEMPTED", Text),
    plain("UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT", Text),
    plain("UPSTREAM_HOST_NAMES_ATTEMPTED", Text),
    plain("UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT", Text),
    plain("DOWNSTREAM_LOCAL_ADDRESS", Address).key(Key::DownstreamLocalAddress),
    plain("DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", Address).takes(Takes::Argument).key(Key::DownstreamLocalAddress),
    plain("DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID", Text),
    plain("DOWNSTREAM_LOCAL_PORT", Number),
    plain("DOWNSTREAM_DIRECT_LOCAL_ADDRESS", Address),
    plain("DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT", Address).takes(Takes::Argument),
    plain("DOWNSTREAM_DIRECT_LOCAL_PORT", Number),
    plain("DOWNSTREAM_REMOTE_ADDRESS", Address).key(Key::DownstreamRemoteAddress).callers(),
    plain("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Address)
        .takes(Takes::Argument)
        .key(Key::DownstreamRemoteAddress)
        .callers(),
    plain("DOWNSTREAM_REMOTE_PORT", Number),
    plain("DOWNSTREAM_DIRECT_REMOTE_ADDRESS", Address).key(Key::DownstreamDirectRemoteAddress),
    plain("DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", Address)
        .takes(Takes::Argument)
        .key(Key::DownstreamDirectRemoteAddress),
    plain("DOWNSTREAM_DIRECT_REMOTE_PORT", Number),
    plain("REQUESTED_SERVER_NAME", Text).takes(Takes::Argument).key(Key::RequestedServerName).callers(),
    plain("UPSTREAM_SERVER_NAME", Text).callers(),
    // TLS
    plain("DOWNSTREAM_TLS_VERSION", Word).key(Key::DownstreamTlsVersion),
    plain("DOWNSTREAM_TLS_CIPHER", Word).key(Key::DownstreamTlsCipher),
    plain("DOWNSTREAM_TLS_SESSION_ID", Word),
    plain("DOWNSTREAM_TLS_GROUP", Word),
    plain("TLS_JA3_FINGERPRINT", Word),
    plain("TLS_JA4_FINGERPRINT", Word),
    plain("UPSTREAM_TLS_VERSION", Word).key(Key::UpstreamTlsVersion),
    plain("UPSTREAM_TLS_CIPHER", Word).key(Key::UpstreamTlsCipher),
    plain("UPSTREAM_TLS_SESSION_ID", Word),
    plain("UPSTREAM_TLS_GROUP", Word),
    // the other end's certificate may say anything; the own one is of the mesh
    plain("DOWNSTREAM_PEER_URI_SAN", Text).key(Key::DownstreamPeerUriSan).callers(),
    plain("DOWNSTREAM_PEER_DNS_SAN", Text).callers(),
    plain("DOWNSTREAM_PEER_IP_SAN", Text).callers(),
    plain("DOWNSTREAM_PEER_EMAIL_SAN", Text).callers(),
    plain("DOWNSTREAM_PEER_OTHERNAME_SAN", Text).callers(),
    plain("DOWNSTREAM_PEER_SUBJECT", Text).key(Key::DownstreamPeerSubject).callers(),
    plain("DOWNSTREAM_PEER_ISSUER", Text).key(Key::DownstreamPeerIssuer).callers(),
    plain("DOWNSTREAM_PEER_SERIAL", Word).key(Key::DownstreamPeerSerial).callers(),
    plain("DOWNSTREAM_PEER_FINGERPRINT_256", Word).key(Key::DownstreamPeerFingerprint256).callers(),
    plain("DOWNSTREAM_PEER_FINGERPRINT_1", Word).callers(),
    plain("DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256", Word).callers(),
    plain("DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1", Word).callers(),
    plain("DOWNSTREAM_PEER_CHAIN_SERIALS", Word).callers(),
    plain("DOWNSTREAM_PEER_CERT", Word).callers(),
    plain("DOWNSTREAM_PEER_CERT_V_START", Word).takes(Takes::Argument).callers(),
    plain("DOWNSTREAM_PEER_CERT_V_END", Word).takes(Takes::Argument).key(Key::DownstreamPeerCertVEnd).callers(),
    plain("DOWNSTREAM_LOCAL_URI_SAN", Word).key(Key::DownstreamLocalUriSan),
    plain("DOWNSTREAM_LOCAL_DNS_SAN", Word),
    plain("DOWNSTREAM_LOCAL_IP_SAN", Word),
    plain("DOWNSTREAM_LOCAL_EMAIL_SAN", Text),
    plain("DOWNSTREAM_LOCAL_OTHERNAME_SAN", Text),
    plain("DOWNSTREAM_LOCAL_SUBJECT", Text),
    plain("UPSTREAM_PEER_URI_SAN", Text).key(Key::UpstreamPeerUriSan).callers(),
    plain("UPSTREAM_PEER_DNS_SAN", Text).key(Key::UpstreamPeerDnsSan).callers(),
    plain("UPSTREAM_PEER_IP_SAN", Text).callers(),
    plain("UPSTREAM_PEER_SUBJECT", Text).callers(),
    plain("UPSTREAM_PEER_ISSUER", Text).callers(),
    plain("UPSTREAM_PEER_CERT", Word).callers(),
    plain("UPSTREAM_PEER_CERT_V_START", Word).takes(Takes::Argument).callers(),
    plain("UPSTREAM_PEER_CERT_V_END", Word).takes(Takes::Argument).callers(),
    plain("UPSTREAM_LOCAL_URI_SAN", Word).key(Key::UpstreamLocalUriSan),
    plain("UPSTREAM_LOCAL_DNS_SAN", Word),
    plain("UPSTREAM_LOCAL_IP_SAN", Word),
    // metadata and expressions
    plain("DYNAMIC_METADATA", Text).takes(Takes::NeedsArgumentTakesLength).callers(),
    plain("CLUSTER_METADATA", Text).takes(Takes::NeedsArgument),
    plain("UPSTREAM_METADATA", Text).takes(Takes::NeedsArgument),
    plain("METADATA", Text).takes(Takes::NeedsArgumentTakesLength),
    plain("FILTER_STATE", Text).takes(Takes::NeedsArgumentTakesLength).callers(),
    plain("UPSTREAM_FILTER_STATE", Text).takes(Takes::NeedsArgumentTakesLength).callers(),
    plain("CEL", Text).takes(Takes::NeedsArgumentTakesLength).callers(),
    plain("TYPED_CEL", Text).takes(Takes::NeedsArgumentTakesLength).callers(),
];
