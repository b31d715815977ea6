//! The canonical keys: the 70 of the recommended format (`formats/recommended.json`) and the one of Istio's default
//! format that it lacks (`upstream_service_time`).
//!
//! Every line, whatever its format, is first brought to these keys ([`crate::fields`]); the columns are derived from
//! them and from nothing else. A [`KeySet`] holds one bit per key: which keys a line *carries* (even with a null value)
//! and which values a column has taken.

macro_rules! keys {
    ($($variant:ident $name:literal),* $(,)?) => {
        /// One canonical key.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Key { $(#[doc = $name] $variant),* }

        impl Key {
            /// Every key, in the order of its bit.
            pub(crate) const ALL: &'static [Key] = &[$(Key::$variant),*];

            /// The key's name in the recommended format or Istio's default format.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Key::$variant => $name),* }
            }

            /// The key of that exact name.
            pub(crate) fn from_name(name: &str) -> Option<Key> {
                match name { $($name => Some(Key::$variant),)* _ => None }
            }
        }
    };
}

keys! {
    LogSchema "log_schema",
    StartTime "start_time",
    AccessLogType "access_log_type",
    StreamId "stream_id",
    ConnectionId "connection_id",
    PodName "pod_name",
    PodNamespace "pod_namespace",
    PodServiceAccount "pod_service_account",
    FilterChainName "filter_chain_name",
    RouteName "route_name",
    Method "method",
    Path "path",
    OriginalPath "original_path",
    Authority "authority",
    OriginalHost "original_host",
    Protocol "protocol",
    ContentType "content_type",
    ResponseCode "response_code",
    GrpcStatus "grpc_status",
    ResponseFlags "response_flags",
    ResponseCodeDetails "response_code_details",
    ConnectionTerminationDetails "connection_termination_details",
    UpstreamTransportFailureReason "upstream_transport_failure_reason",
    DownstreamTransportFailureReason "downstream_transport_failure_reason",
    BytesReceived "bytes_received",
    BytesSent "bytes_sent",
    Duration "duration",
    RequestId "request_id",
    Traceparent "traceparent",
    XForwardedFor "x_forwarded_for",
    UserAgent "user_agent",
    UpstreamHost "upstream_host",
    UpstreamCluster "upstream_cluster",
    UpstreamLocalAddress "upstream_local_address",
    UpstreamRequestAttemptCount "upstream_request_attempt_count",
    DownstreamLocalAddress "downstream_local_address",
    DownstreamRemoteAddress "downstream_remote_address",
    DownstreamDirectRemoteAddress "downstream_direct_remote_address",
    RequestedServerName "requested_server_name",
    DownstreamPeerUriSan "downstream_peer_uri_san",
    DownstreamLocalUriSan "downstream_local_uri_san",
    DownstreamTlsVersion "downstream_tls_version",
    DownstreamTlsCipher "downstream_tls_cipher",
    DownstreamPeerIssuer "downstream_peer_issuer",
    DownstreamPeerSubject "downstream_peer_subject",
    DownstreamPeerSerial "downstream_peer_serial",
    DownstreamPeerFingerprint256 "downstream_peer_fingerprint_256",
    DownstreamPeerCertVEnd "downstream_peer_cert_v_end",
    UpstreamPeerUriSan "upstream_peer_uri_san",
    UpstreamLocalUriSan "upstream_local_uri_san",
    UpstreamPeerDnsSan "upstream_peer_dns_san",
    UpstreamTlsVersion "upstream_tls_version",
    UpstreamTlsCipher "upstream_tls_cipher",
    PeerPrincipal "peer_principal",
    LocalPrincipal "local_principal",
    DownstreamPeer "downstream_peer",
    UpstreamPeer "upstream_peer",
    Rbac "rbac",
    RbacTcp "rbac_tcp",
    Audit "audit",
    JwtIss "jwt_iss",
    JwtSub "jwt_sub",
    JwtAud "jwt_aud",
    UpstreamService "upstream_service",
    ClusterId "cluster_id",
    Referer "referer",
    FapiInteractionId "fapi_interaction_id",
    ResponseFapiInteractionId "response_fapi_interaction_id",
    FapiCustomerIp "fapi_customer_ip",
    JwtRealmAccess "jwt_realm_access",
    UpstreamServiceTime "upstream_service_time",
}

/// How many canonical keys there are.
pub(crate) const KEY_COUNT: usize = Key::ALL.len();

/// A set of canonical keys, one bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KeySet(u128);

impl KeySet {
    /// No key.
    pub(crate) const EMPTY: KeySet = KeySet(0);

    /// Every key.
    pub(crate) const ALL: KeySet = KeySet((1 << KEY_COUNT) - 1);

    /// All keys of the recommended format: what a line that says `"log_schema":"meshwarden/1"` carries, whether or not
    /// `omit_empty_values` dropped its nulls.
    pub(crate) const RECOMMENDED: KeySet = KeySet(((1 << KEY_COUNT) - 1) & !(1 << Key::UpstreamServiceTime as u8));

    /// These keys.
    pub(crate) const fn of(keys: &[Key]) -> KeySet {
        let (mut set, mut place) = (KeySet::EMPTY, 0);
        while place < keys.len() {
            set = set.with(keys[place]);
            place += 1;
        }
        set
    }

    /// The keys of these names.
    pub(crate) fn of_names<'n>(names: impl Iterator<Item = &'n str>) -> KeySet {
        names.filter_map(Key::from_name).fold(KeySet::EMPTY, KeySet::with)
    }

    /// This set and `key`.
    pub(crate) const fn with(self, key: Key) -> KeySet {
        KeySet(self.0 | 1 << key as u8)
    }

    /// The keys that are in either.
    pub(crate) const fn union(self, other: KeySet) -> KeySet {
        KeySet(self.0 | other.0)
    }

    /// The keys that are in this set, but not in the other.
    pub(crate) const fn without(self, other: KeySet) -> KeySet {
        KeySet(self.0 & !other.0)
    }

    /// The keys that are in both.
    pub(crate) const fn within(self, other: KeySet) -> KeySet {
        KeySet(self.0 & other.0)
    }

    /// The bits of the first 64 keys.
    #[allow(clippy::cast_possible_truncation)] // the others are in `high`
    pub(crate) const fn low(self) -> u64 {
        self.0 as u64
    }

    /// The bits of the other keys.
    pub(crate) const fn high(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// The keys, in the order of their bits.
    #[inline]
    pub(crate) fn iter(self) -> impl Iterator<Item = Key> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let key = Key::ALL.get(left.trailing_zeros() as usize)?;
            left &= left.wrapping_sub(1);
            Some(*key)
        })
    }

    /// Whether `key` is in the set.
    pub(crate) const fn has(self, key: Key) -> bool {
        self.0 & (1 << key as u8) != 0
    }

    /// Whether the two share a key.
    pub(crate) const fn meets(self, other: KeySet) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is no key in it.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn the_recommended_format_has_exactly_these_keys() {
        let format: std::collections::BTreeMap<String, String> =
            serde_json::from_str(crate::format::recommended()).unwrap();
        for name in format.keys() {
            let key = Key::from_name(name).unwrap_or_else(|| panic!("no key for {name}"));
            assert!(KeySet::RECOMMENDED.has(key), "{name}");
            assert_eq!(key.name(), name);
        }
        assert_eq!(format.len(), 70);
        assert_eq!(KEY_COUNT, 71);
        assert!(!KeySet::RECOMMENDED.has(Key::UpstreamServiceTime));
    }
}
