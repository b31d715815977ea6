//! The two ends of a line's connection: which of its addresses is the client's, which the destination's, and which is only claimed.
//!
//! ```text
//!  downstream_direct_remote ─┐ the client, where there is one          upstream_host ─┐ the destination of an outbound line
//!  downstream_remote ────────┤ the client, unless its port is 0:       downstream_local ┘ else
//!                            │ then it is a claim (x-forwarded-for)
//!  upstream_local ───────────┘ on a client's line the pod's own
//! ```

use std::borrow::Cow;

use crate::address::{Address, is_internal};
use crate::edge::Signs;
use crate::key::{Key, KeySet};
use crate::line_format::{LineFormat, Told};
use crate::reporter::{Direction, Reporter};

/// The keys whose values are those addresses.
pub(crate) const KEYS: KeySet = KeySet::of(&[
    Key::DownstreamDirectRemoteAddress,
    Key::DownstreamRemoteAddress,
    Key::DownstreamLocalAddress,
    Key::UpstreamHost,
    Key::UpstreamLocalAddress,
]);

/// The addresses of one line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses<'a> {
    direct: Option<At<'a>>,
    remote: Option<At<'a>>,
    local: Option<At<'a>>,
    upstream: Option<At<'a>>,
    upstream_local: Option<At<'a>>,
}

/// An address and the text that it was read from.
#[derive(Debug, Clone, Copy)]
struct At<'a> {
    address: Address,
    text: &'a str,
}

/// Who is at the two ends.
#[derive(Debug, Default)]
pub(crate) struct Endpoints<'a> {
    pub(crate) source_ip: Option<Cow<'a, str>>,
    pub(crate) source_port: Option<u16>,
    pub(crate) claimed_client_ip: Option<Cow<'a, str>>,
    pub(crate) destination_ip: Option<Cow<'a, str>>,
    pub(crate) destination_port: Option<u16>,
    /// The keys all of whose text that says.
    pub(crate) taken: KeySet,
}

impl<'a> Addresses<'a> {
    /// Reads the addresses of a line. Of JSON of strings the direct one may be a caller's key: it must not contradict the other one, where that is
    /// the connection's.
    #[inline]
    pub(crate) fn of(told: Told, get: impl Fn(Key) -> Option<&'a str>) -> Self {
        let at = |key| get(key).and_then(At::parse);
        let remote = at(Key::DownstreamRemoteAddress);
        let connected = remote.filter(|remote| told.format == LineFormat::StringJson && remote.address.port != Some(0));
        let believed = |direct: &At<'_>| connected.is_none_or(|remote| remote.address.ip == direct.address.ip);
        Addresses {
            direct: at(Key::DownstreamDirectRemoteAddress).filter(believed),
            remote,
            local: at(Key::DownstreamLocalAddress),
            upstream: at(Key::UpstreamHost),
            upstream_local: at(Key::UpstreamLocalAddress),
        }
    }

    /// The values of [`KEYS`] that are there and no IP addresses.
    #[inline]
    pub(crate) fn others(&self, get: impl Fn(Key) -> Option<&'a str>) -> impl Iterator<Item = &'a str> {
        let read = [
            (Key::DownstreamDirectRemoteAddress, self.direct),
            (Key::DownstreamRemoteAddress, self.remote),
            (Key::DownstreamLocalAddress, self.local),
            (Key::UpstreamHost, self.upstream),
            (Key::UpstreamLocalAddress, self.upstream_local),
        ];
        read.into_iter().filter(|(_, at)| at.is_none()).filter_map(move |(key, _)| get(key))
    }

    /// What the addresses, the format and a few other values that no two lines share say about the line's edge.
    #[inline]
    pub(crate) fn signs(&self, told: Told, get: impl Fn(Key) -> Option<&'a str>) -> Signs {
        let ip = |at: Option<At<'_>>| at.map(|at| at.address.ip);
        let client = ip(self.direct).or(ip(self.remote));
        let own = ip(self.upstream_local);
        let client_in_own_pod = client.is_some() && client == own;
        let internal = |key| get(key).is_some_and(is_internal);
        Signs {
            client_internal: internal(Key::DownstreamDirectRemoteAddress) || internal(Key::DownstreamRemoteAddress),
            host_internal: internal(Key::UpstreamHost),
            upstream_host: get(Key::UpstreamHost).is_some(),
            client_in_own_pod,
            called_itself: client.is_some() && own.is_some() && !client_in_own_pod && ip(self.local) == own,
            original_path: get(Key::OriginalPath).is_some(),
            original_host: get(Key::OriginalHost).is_some(),
            of_strings: told.format == LineFormat::StringJson,
            original_path_first: told.original_path_first && get(Key::Path).is_some(),
            portless_client: self.remote.is_some_and(|remote| remote.address.port == Some(0)),
        }
    }

    /// Who is at the two ends of a line that this proxy wrote.
    #[inline]
    pub(crate) fn endpoints(&self, reporter: Option<Reporter>, direction: Option<Direction>) -> Endpoints<'a> {
        let mut ends = Endpoints::default();
        let mut take = |key| ends.taken = ends.taken.with(key);
        // port 0: not an end of the connection, but taken from x-forwarded-for
        let source = self.direct.or(self.remote.filter(|remote| remote.address.port != Some(0)));
        if self.direct.is_some() {
            take(Key::DownstreamDirectRemoteAddress);
        }
        // a client's line without the direct address: the client is in the pod, and its address is the one that the proxy
        // connects from (its port is not)
        let own = || self.upstream_local.filter(|_| reporter == Some(Reporter::Source) && self.remote.is_some());
        let client = source.or_else(own);
        ends.source_ip = client.map(At::ip);
        ends.source_port = source.and_then(|source| source.address.port);
        if let Some(remote) = self.remote {
            if client.map(|client| client.address.ip) != Some(remote.address.ip) {
                ends.claimed_client_ip = Some(remote.ip());
            }
            let portless = matches!(remote.address.port, None | Some(0));
            if source.map(|source| source.address) == Some(remote.address) || portless {
                take(Key::DownstreamRemoteAddress);
            }
        }
        let upstream = self.upstream.filter(|_| direction == Some(Direction::Outbound));
        let same = |upstream: At<'_>| self.local.is_some_and(|local| local.address == upstream.address);
        if self.local.is_some() && upstream.is_none_or(same) {
            take(Key::DownstreamLocalAddress);
        }
        let destination = upstream.or(self.local);
        ends.destination_ip = destination.map(At::ip);
        ends.destination_port = destination.and_then(|destination| destination.address.port);
        ends
    }
}

impl<'a> At<'a> {
    #[inline]
    fn parse(text: &'a str) -> Option<Self> {
        Some(At { address: Address::parse(text)?, text })
    }

    /// The IP address in its canonical form.
    #[inline]
    fn ip(self) -> Cow<'a, str> {
        self.address.ip_text(self.text)
    }
}
