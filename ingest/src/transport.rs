//! How a hop was protected, as its reporter sees it: the column `transport_security`.
//!
//! "Carried" means that the line's format has the key, whatever its value. A null TLS version says plaintext only where
//! the format carries it: Istio's default formats do not, and then the answer is unknown.

/// The column `transport_security`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransportSecurity {
    MutualTls,
    Tls,
    Plaintext,
    Unknown,
}

impl TransportSecurity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            TransportSecurity::MutualTls => "mutual_tls",
            TransportSecurity::Tls => "tls",
            TransportSecurity::Plaintext => "plaintext",
            TransportSecurity::Unknown => "unknown",
        }
    }
}

/// What a server's line says about the hop from its client.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ServerHop<'a> {
    /// The client's identity comes from a handshake that completed.
    pub(crate) verified_peer: bool,
    pub(crate) tls_version: bool,
    /// The format carries what tells plaintext from TLS.
    pub(crate) carried: bool,
    pub(crate) filter_chain_not_found: bool,
    pub(crate) failure_reason: Option<&'a str>,
    pub(crate) sni: bool,
    /// The client is another listener of the same proxy (`envoy://`): the hop on the wire is another one.
    pub(crate) internal: bool,
}

impl ServerHop<'_> {
    pub(crate) fn security(&self) -> TransportSecurity {
        if self.verified_peer {
            TransportSecurity::MutualTls
        } else if self.tls_version {
            TransportSecurity::Tls
        } else if self.filter_chain_not_found {
            self.turned_away()
        } else if self.carried && !self.internal {
            TransportSecurity::Plaintext
        } else {
            TransportSecurity::Unknown
        }
    }

    /// A listener found no filter chain. Current Envoys give BoringSSL's reason when it was not TLS at all; older ones
    /// carry the key and leave it null (filled since November 2025), so then the missing server name decides.
    fn turned_away(&self) -> TransportSecurity {
        const NOT_TLS: [&str; 3] = ["HTTP_REQUEST", "WRONG_VERSION_NUMBER", "HTTPS_PROXY_REQUEST"];
        match self.failure_reason {
            Some(reason) if NOT_TLS.iter().any(|name| reason.contains(name)) => TransportSecurity::Plaintext,
            _ if self.sni => TransportSecurity::Tls,
            None => TransportSecurity::Plaintext,
            Some(_) => TransportSecurity::Unknown,
        }
    }
}

/// What a client's line says about the hop to its server.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ClientHop {
    pub(crate) peer: bool,
    pub(crate) tls_version: bool,
    /// The format carries the TLS version.
    pub(crate) carried: bool,
    pub(crate) http: bool,
    /// Forwarded to a host.
    pub(crate) upstream_host: bool,
    /// The host is another listener of the same proxy (`envoy://`): the tunnel behind it is another hop.
    pub(crate) internal: bool,
    /// The connection or its handshake failed: nothing went over it.
    pub(crate) failed: bool,
}

impl ClientHop {
    pub(crate) fn security(&self) -> TransportSecurity {
        if self.tls_version && self.peer {
            TransportSecurity::MutualTls
        } else if self.tls_version {
            TransportSecurity::Tls
        } else if self.http && self.upstream_host && self.carried && !self.internal && !self.failed {
            TransportSecurity::Plaintext
        } else {
            TransportSecurity::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::TransportSecurity::{MutualTls, Plaintext, Tls, Unknown};
    use super::*;

    #[test]
    fn server_hops() {
        let base = ServerHop::default();
        let nr = ServerHop { filter_chain_not_found: true, ..base };
        let http = Some("TLS_error|error:1000009c:SSL_routines:OPENSSL_internal:HTTP_REQUEST:TLS_error_end");
        for (hop, expected) in [
            (base, Unknown),
            (ServerHop { carried: true, ..base }, Plaintext),
            (ServerHop { carried: true, internal: true, ..base }, Unknown),
            (ServerHop { carried: true, tls_version: true, ..base }, Tls),
            (ServerHop { verified_peer: true, tls_version: true, ..base }, MutualTls),
            (ServerHop { verified_peer: true, ..base }, MutualTls),
            (nr, Plaintext),
            (ServerHop { failure_reason: http, ..nr }, Plaintext),
            (ServerHop { failure_reason: http, sni: true, ..nr }, Plaintext),
            (ServerHop { carried: true, ..nr }, Plaintext),
            (ServerHop { failure_reason: Some("TLS_error:other"), ..nr }, Unknown),
            (ServerHop { failure_reason: Some("TLS_error:other"), sni: true, ..nr }, Tls),
            (ServerHop { sni: true, ..nr }, Tls),
        ] {
            assert_eq!(hop.security(), expected, "{hop:?}");
        }
    }

    #[test]
    fn client_hops() {
        let base = ClientHop { carried: true, http: true, upstream_host: true, ..ClientHop::default() };
        for (hop, expected) in [
            (ClientHop { tls_version: true, peer: true, ..base }, MutualTls),
            (ClientHop { tls_version: true, ..base }, Tls),
            (ClientHop { peer: true, ..base }, Plaintext),
            (base, Plaintext),
            (ClientHop { carried: false, ..base }, Unknown),
            (ClientHop { http: false, ..base }, Unknown),
            (ClientHop { upstream_host: false, ..base }, Unknown),
            (ClientHop { internal: true, ..base }, Unknown),
            (ClientHop { failed: true, ..base }, Unknown),
        ] {
            assert_eq!(hop.security(), expected, "{hop:?}");
        }
    }
}
