//! The line that an entry becomes: the keys of the recommended format, always the same ones in the same order, and behind them what only some meshes send.

use super::entry::{Entry, Kind};
use super::tls::{Names, Tls, cipher};
use super::{Node, flags};
use crate::protocol::lines::{Lines, Object, number, text, time};
use crate::protocol::structs::{Members, any, inner, structure, value};
use crate::protocol::wire::{Message, WireError};

impl Entry<'_> {
    /// Appends the entry as a line.
    pub(super) fn write(&self, kind: Kind, node: &Node, lines: &mut Lines) -> Result<(), WireError> {
        let mut outcome = Ok(());
        lines.object(|line| outcome = self.members(kind, node, line));
        outcome
    }

    fn members(&self, kind: Kind, node: &Node, line: &mut Object<'_>) -> Result<(), WireError> {
        line.key("start_time");
        match self.start_time {
            Some((seconds, nanos)) => line.with(|out| time(out, seconds, nanos)),
            None => line.null(),
        }
        line.text("access_log_type", self.log_type(kind, node).as_bytes());
        line.text("stream_id", self.stream_id);
        line.members(&node.members);
        line.text("route_name", self.route_name);
        match kind {
            Kind::Http => self.http(line),
            Kind::Tcp => self.tcp(node, line)?,
        }
        // 0, as in a log: no response was sent, or it is not HTTP
        line.number("response_code", Some(self.code.unwrap_or(0)));
        line.key("response_flags");
        try_with(line, |out| flags::write(out, self.flags))?;
        for (key, reason) in [
            ("connection_termination_details", self.termination),
            ("upstream_transport_failure_reason", self.upstream_failure),
            ("downstream_transport_failure_reason", self.downstream_failure),
        ] {
            words(line, key, reason);
        }
        line.number("bytes_received", Some(self.received));
        line.number("bytes_sent", Some(self.sent));
        line.number("duration", self.duration.and_then(millis));
        address(line, "upstream_host", self.upstream_remote)?;
        // of a request that never got that far it is missing here, where a log has it: null would say that there was none
        if !self.upstream_cluster.is_empty() {
            line.text("upstream_cluster", self.upstream_cluster);
        }
        address(line, "upstream_local_address", self.upstream_local)?;
        line.number("upstream_request_attempt_count", Some(self.attempts));
        address(line, "downstream_local_address", self.downstream_local)?;
        address(line, "downstream_remote_address", self.downstream_remote)?;
        address(line, "downstream_direct_remote_address", self.downstream_direct)?;
        self.tls(line);
        self.security(line)?;
        self.others(line)
    }

    /// `NotSet` is what a listener's log says of itself, and what Envoys say that do not know better.
    fn log_type(&self, kind: Kind, node: &Node) -> &'static str {
        match self.log_type {
            0 if kind == Kind::Tcp && node.of_a_listener => "NotSet",
            1 => "TcpUpstreamConnected",
            2 => "TcpPeriodic",
            3 => "TcpConnectionEnd",
            4 => "DownstreamStart",
            5 => "DownstreamPeriodic",
            6 => "DownstreamEnd",
            7 => "UpstreamPoolReady",
            8 => "UpstreamPeriodic",
            9 => "UpstreamEnd",
            10 => "DownstreamTunnelSuccessfullyEstablished",
            11 => "UdpTunnelUpstreamConnected",
            12 => "UdpPeriodic",
            13 => "UdpSessionEnd",
            14 => "TcpConnectionStart",
            _ => "",
        }
    }

    fn http(&self, line: &mut Object<'_>) {
        let method = match self.method {
            1 => "GET",
            2 => "HEAD",
            3 => "POST",
            4 => "PUT",
            5 => "DELETE",
            6 => "CONNECT",
            7 => "OPTIONS",
            8 => "TRACE",
            9 => "PATCH",
            _ => "",
        };
        let protocol = match self.protocol {
            1 => "HTTP/1.0",
            2 => "HTTP/1.1",
            3 => "HTTP/2",
            4 => "HTTP/3",
            _ => "",
        };
        line.text("method", method.as_bytes());
        line.text("path", self.path);
        line.text("original_path", self.original_path);
        line.text("authority", self.authority);
        line.text("protocol", protocol.as_bytes());
        line.text("response_code_details", self.details);
        line.text("request_id", self.request_id);
        line.text("x_forwarded_for", self.forwarded_for);
        line.text("user_agent", self.user_agent);
        line.text("referer", self.referer);
        line.number("upstream_service_time", self.first_upstream_rx.and_then(millis));
    }

    /// A listener's log has the flag NR where no filter chain was found, and no field for the details that say so.
    fn tcp(&self, node: &Node, line: &mut Object<'_>) -> Result<(), WireError> {
        if node.of_a_listener && self.log_type == 0 && flags::has_no_route(self.flags)? {
            line.text("response_code_details", b"filter_chain_not_found");
        }
        Ok(())
    }

    fn tls(&self, line: &mut Object<'_>) {
        let Tls { sni, local, peer, .. } = &self.tls;
        line.text("requested_server_name", sni);
        names(line, "downstream_peer_uri_san", &peer.uri);
        names(line, "downstream_local_uri_san", &local.uri);
        line.text("downstream_tls_version", self.tls.version().as_bytes());
        line.key("downstream_tls_cipher");
        match (self.tls.cipher, cipher(self.tls.cipher)) {
            (0, _) => line.null(),
            (_, Some(name)) => line.string(name.as_bytes()),
            (number, None) => line.string(format!("0x{number:04x}").as_bytes()),
        }
        line.text("downstream_peer_issuer", peer.issuer);
        line.text("downstream_peer_subject", peer.subject);
    }

    /// Metadata and filter state that policies leave.
    fn security(&self, line: &mut Object<'_>) -> Result<(), WireError> {
        for (key, name) in [("rbac", HTTP_RBAC), ("rbac_tcp", NETWORK_RBAC)] {
            line.key(key);
            match self.metadata.get(name) {
                Some(decision) => try_with(line, |out| structure(out, decision, 0))?,
                None => line.null(),
            }
        }
        line.key("audit");
        let hint = match self.metadata.get(COMMON) {
            Some(common) => Members::of(common)?.get(b"access_log_hint"),
            None => None,
        };
        match hint {
            Some(hint) => try_with(line, |out| value(out, hint, 0))?,
            None => line.null(),
        }
        let payload = match self.metadata.get(JWT) {
            Some(tokens) => Members::of(tokens)?.get(b"payload").map(inner).transpose()?.flatten(),
            None => None,
        };
        let claims = payload.map(Members::of).transpose()?.unwrap_or_default();
        for (key, claim) in
            [("jwt_iss", "iss"), ("jwt_sub", "sub"), ("jwt_aud", "aud"), ("jwt_realm_access", "realm_access")]
        {
            line.key(key);
            match claims.get(claim.as_bytes()) {
                Some(claim) => try_with(line, |out| value(out, claim, 0))?,
                None => line.null(),
            }
        }
        for (key, name) in [
            ("peer_principal", &b"io.istio.peer_principal"[..]),
            ("local_principal", b"io.istio.local_principal"),
            ("downstream_peer", b"downstream_peer"),
            ("upstream_peer", b"upstream_peer"),
        ] {
            line.key(key);
            match self.filter_state.get(name) {
                Some(state) => any(line, state)?,
                None => line.null(),
            }
        }
        Ok(())
    }

    /// What only some meshes send: headers and tags that they were told to, other filters' metadata and state.
    fn others(&self, line: &mut Object<'_>) -> Result<(), WireError> {
        for (list, headers) in
            HEADERS.iter().zip([&self.request_headers, &self.response_headers, &self.response_trailers])
        {
            let List { key, known } = list;
            let in_headers = std::ptr::eq(headers, &self.response_trailers)
                && self.response_headers.get(GRPC_STATUS.0.as_bytes()).is_some();
            for (header, canonical) in *known {
                if let Some(value) = headers.get(header.as_bytes()).filter(|_| !in_headers) {
                    line.text(canonical, value);
                }
            }
            let is_known = |name: &[u8]| known.iter().any(|(header, _)| header.as_bytes() == name);
            if headers.iter().any(|(name, _)| !is_known(name)) {
                line.key(key);
                line.object(|object| {
                    for (name, value) in headers.iter().filter(|(name, _)| !is_known(name)) {
                        object.their_key(name);
                        object.string(value);
                    }
                });
            }
        }
        if !self.custom_tags.is_empty() {
            line.key("custom_tags");
            line.object(|object| {
                for (name, value) in self.custom_tags.iter() {
                    object.their_key(name);
                    object.string(value);
                }
            });
        }
        let known = |name: &[u8]| [HTTP_RBAC, NETWORK_RBAC, COMMON, JWT].contains(&name);
        if self.metadata.iter().any(|(name, _)| !known(name)) {
            line.key("metadata");
            line.try_object(|object| {
                for (name, filter) in self.metadata.iter().filter(|(name, _)| !known(name)) {
                    object.their_key(name);
                    try_with(object, |out| structure(out, filter, 1))?;
                }
                Ok::<_, WireError>(())
            })?;
        }
        let known = |name: &[u8]| {
            matches!(
                name,
                b"io.istio.peer_principal" | b"io.istio.local_principal" | b"downstream_peer" | b"upstream_peer"
            )
        };
        if self.filter_state.iter().any(|(name, _)| !known(name)) {
            line.key("filter_state");
            line.try_object(|object| {
                for (name, state) in self.filter_state.iter().filter(|(name, _)| !known(name)) {
                    object.their_key(name);
                    any(object, state)?;
                }
                Ok::<_, WireError>(())
            })?;
        }
        for (key, dns) in
            [("downstream_peer_dns_san", &self.tls.peer.dns), ("downstream_local_dns_san", &self.tls.local.dns)]
        {
            if !dns.is_empty() {
                names(line, key, dns);
            }
        }
        if !self.tls.ja3.is_empty() {
            line.text("ja3_fingerprint", self.tls.ja3);
        }
        if !self.scheme.is_empty() && !matches!(self.scheme, b"http" | b"https") {
            line.text("scheme", self.scheme);
        }
        Ok(())
    }
}

const HTTP_RBAC: &[u8] = b"envoy.filters.http.rbac";
const NETWORK_RBAC: &[u8] = b"envoy.filters.network.rbac";
const COMMON: &[u8] = b"envoy.common";
const JWT: &[u8] = b"envoy.filters.http.jwt_authn";

/// Headers that a log may have been told to carry.
struct List {
    /// Under which all but the known ones go.
    key: &'static str,
    /// Header and canonical key.
    known: &'static [(&'static str, &'static str)],
}

/// Among the trailers, or, of an answer without a body, among the headers.
const GRPC_STATUS: (&str, &str) = ("grpc-status", "grpc_status");

const HEADERS: [List; 3] = [
    List {
        key: "request_headers",
        known: &[
            ("traceparent", "traceparent"),
            ("content-type", "content_type"),
            ("x-envoy-original-host", "original_host"),
            ("x-fapi-interaction-id", "fapi_interaction_id"),
            ("x-fapi-customer-ip-address", "fapi_customer_ip"),
        ],
    },
    List { key: "response_headers", known: &[("x-fapi-interaction-id", "response_fapi_interaction_id"), GRPC_STATUS] },
    List { key: "response_trailers", known: &[GRPC_STATUS] },
];

/// Writes what may fail after its key.
fn try_with(line: &mut Object<'_>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), WireError>) -> Result<(), WireError> {
    let mut outcome = Ok(());
    line.with(|out| outcome = write(out));
    outcome
}

/// Writes a text as logs do that separate their fields by blanks.
fn words(line: &mut Object<'_>, key: &'static str, text: &[u8]) {
    if text.iter().any(u8::is_ascii_whitespace) {
        let joined: Vec<u8> = text.iter().map(|byte| if byte.is_ascii_whitespace() { b'_' } else { *byte }).collect();
        line.text(key, &joined);
    } else {
        line.text(key, text);
    }
}

fn names(line: &mut Object<'_>, key: &'static str, names: &Names<'_>) {
    names.with(|all| line.text(key, all));
}

/// Whole milliseconds, as `%DURATION%` counts them; none, where it is negative.
fn millis((seconds, nanos): (i64, i64)) -> Option<u64> {
    let millis = seconds.checked_mul(1000)?.checked_add(nanos / 1_000_000)?;
    u64::try_from(millis).ok()
}

/// Writes a `config.core.v3.Address` as a log does: `ip:port`, a pipe's path, `envoy://listener/endpoint`.
fn address(line: &mut Object<'_>, key: &'static str, bytes: &[u8]) -> Result<(), WireError> {
    line.key(key);
    let mut fields = Message::new(bytes);
    let mut found = None;
    while let Some((field, value)) = fields.next()? {
        if matches!(field, 1..=3) {
            found = Some((field, value.bytes()));
        }
    }
    let Some((kind, bytes)) = found else {
        line.null();
        return Ok(());
    };
    let (mut first, mut second, mut port) = (&[][..], &[][..], None);
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match (kind, field) {
            (1, 2) | (2, 1) | (3, 1) => first = value.bytes(),
            (1, 3) => port = Some(value.number()),
            (3, 2) => second = value.bytes(),
            _ => {}
        }
    }
    // an address has no character that JSON escapes; a pipe's path and a listener's name may
    match kind {
        1 if plain(first) => line.with(|out| {
            let v6 = first.contains(&b':');
            out.push(b'"');
            if v6 {
                out.push(b'[');
            }
            out.extend_from_slice(first);
            if v6 {
                out.push(b']');
            }
            out.push(b':');
            number(out, port.unwrap_or(0));
            out.push(b'"');
        }),
        3 => {
            let mut all = b"envoy://".to_vec();
            all.extend_from_slice(first);
            all.push(b'/');
            all.extend_from_slice(second);
            line.string(&all);
        }
        _ => line.with(|out| text(out, first)),
    }
    Ok(())
}

/// Hex digits, dots and colons.
fn plain(address: &[u8]) -> bool {
    !address.is_empty() && address.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':'))
}
