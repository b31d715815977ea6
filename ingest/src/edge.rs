//! What names the edge of a line – who called whom, and how it ended – derived once for each distinct edge.
//!
//! ```text
//!  Slots ─▶ the texts that name an edge ─▶ known? ── yes ─▶ its columns, ready
//!                                            └─ no ─▶ the plain way derives them, and they are remembered
//! ```
//! The columns of [`COLUMNS`] are derived from the texts of [`TEXTS`], from the [`Signs`] and from which of [`CARRIED`] the format carries, and from
//! nothing else ([`crate::access_log`] checks that in debug builds). So equal inputs have equal columns, and remembering cannot change a row.
//! A caller can invent texts (hosts, server names): a full memory starts anew.

mod id;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::key::{Key, KeySet};
use crate::literal::same;
use crate::reporter::{Direction, Reporter};
use crate::row::{Row, Value};
use crate::schema::Col;
use crate::slots::Slots;
pub(crate) use id::{NAMES, id};

/// Edges that are remembered.
const EDGES: usize = 8192;
/// Longest texts of an edge that are remembered, bytes.
const LENGTH: usize = 16 << 10;

/// Keys whose text names an edge.
pub(crate) const TEXTS: KeySet = KeySet::of(&[
    Key::AccessLogType,
    Key::Audit,
    Key::Authority,
    Key::ClusterId,
    Key::ConnectionTerminationDetails,
    Key::DownstreamLocalUriSan,
    Key::DownstreamPeerIssuer,
    Key::DownstreamPeerUriSan,
    Key::DownstreamTlsCipher,
    Key::DownstreamTlsVersion,
    Key::DownstreamTransportFailureReason,
    Key::FilterChainName,
    Key::GrpcStatus,
    Key::LocalPrincipal,
    Key::Method,
    Key::PeerPrincipal,
    Key::PodName,
    Key::PodNamespace,
    Key::PodServiceAccount,
    Key::Protocol,
    Key::Rbac,
    Key::RbacTcp,
    Key::RequestedServerName,
    Key::ResponseCode,
    Key::ResponseCodeDetails,
    Key::ResponseFlags,
    Key::RouteName,
    Key::UpstreamCluster,
    Key::UpstreamLocalUriSan,
    Key::UpstreamPeerUriSan,
    Key::UpstreamService,
    Key::UpstreamTlsCipher,
    Key::UpstreamTlsVersion,
    Key::UpstreamTransportFailureReason,
]);

/// Keys of which it counts whether the format carries them.
pub(crate) const CARRIED: KeySet = KeySet::of(&[
    Key::DownstreamTlsVersion,
    Key::DownstreamTransportFailureReason,
    Key::PeerPrincipal,
    Key::ResponseCodeDetails,
    Key::UpstreamCluster,
    Key::UpstreamHost,
    Key::UpstreamTlsVersion,
]);

/// The columns that an edge decides.
pub(crate) const COLUMNS: &[Col] = &[
    Col::Reporter,
    Col::Direction,
    Col::LogType,
    Col::AccessLogType,
    Col::NodePod,
    Col::NodeNamespace,
    Col::NodeServiceAccount,
    Col::ClusterId,
    Col::SourcePrincipal,
    Col::SourceNamespace,
    Col::SourceServiceAccount,
    Col::SourceTrustDomain,
    Col::DestinationPrincipal,
    Col::DestinationNamespace,
    Col::DestinationServiceAccount,
    Col::DestinationTrustDomain,
    Col::DestinationService,
    Col::IdentityVerified,
    Col::Claims,
    Col::Authority,
    Col::UpstreamCluster,
    Col::Sni,
    Col::Method,
    Col::Protocol,
    Col::RouteName,
    Col::FilterChainName,
    Col::ResponseCode,
    Col::ResponseCodeDetails,
    Col::ResponseFlags,
    Col::GrpcStatus,
    Col::ConnectionTerminationDetails,
    Col::UpstreamTransportFailureReason,
    Col::DownstreamTransportFailureReason,
    Col::RbacDecision,
    Col::RbacShadowDecision,
    Col::RbacPolicyNamespace,
    Col::RbacPolicy,
    Col::RbacRule,
    Col::JwtFailure,
    Col::Audit,
    Col::TransportSecurity,
    Col::TlsVersion,
    Col::TlsCipher,
    Col::PeerIssuer,
    Col::Egress,
    Col::EgressHost,
    Col::Signals,
    Col::Edge,
];

const COLUMN_BITS: u128 = {
    let (mut bits, mut place) = (0, 0);
    while place < COLUMNS.len() {
        bits |= 1 << COLUMNS[place] as usize;
        place += 1;
    }
    bits
};

/// Whether an edge decides the column of that number.
pub(crate) fn is_column(number: usize) -> bool {
    COLUMN_BITS >> number & 1 == 1
}

/// What else of a line it takes to derive the columns of its edge: not the texts, which are different on every line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Signs {
    /// The client, or the host, is another listener of the same proxy (`envoy://`).
    pub(crate) client_internal: bool,
    pub(crate) host_internal: bool,
    pub(crate) upstream_host: bool,
    /// The direct client has the address from which the proxy itself connects.
    pub(crate) client_in_own_pod: bool,
    /// The client is elsewhere, and called the address from which the proxy itself connects.
    pub(crate) called_itself: bool,
    pub(crate) original_path: bool,
    pub(crate) original_host: bool,
    /// The line is JSON of strings: a caller may have written any of its keys.
    pub(crate) of_strings: bool,
    /// There is a path, and it is what a caller says was the original one, if it says so.
    pub(crate) original_path_first: bool,
    /// The client's address has port 0: it was taken from a header.
    pub(crate) portless_client: bool,
}

/// An edge: its columns, and what the rest of a row needs to know of it.
#[derive(Debug)]
pub(crate) struct Edge {
    values: Vec<Value<'static>>,
    /// The keys of [`TEXTS`] all of whose text the columns hold.
    pub(crate) taken: KeySet,
    pub(crate) reporter: Option<Reporter>,
    pub(crate) direction: Option<Direction>,
    /// Bits of [`crate::schema::signals`].
    pub(crate) signals: i64,
    /// The keys of [`TEXTS`] in whose text there is no secret, should it come into `extra`.
    pub(crate) harmless: KeySet,
}

impl Edge {
    /// The edge of a row that was derived the plain way.
    pub(crate) fn of(row: &Row<'_>, taken: KeySet, reporter: Option<Reporter>, direction: Option<Direction>) -> Self {
        let values = COLUMNS.iter().map(|column| row.get(*column).to_owned()).collect();
        let signals = match row.get(Col::Signals) {
            Value::Int64(signals) => *signals,
            _ => 0,
        };
        Edge { values, taken: taken.within(TEXTS), reporter, direction, signals, harmless: KeySet::EMPTY }
    }

    /// Its values, in the order of [`COLUMNS`].
    pub(crate) fn values(&self) -> &[Value<'static>] {
        &self.values
    }
}

/// The edges seen before.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    /// By hash: two different edges of one hash take turns.
    known: HashMap<u64, Known, Prehashed>,
    hasher: RandomState,
    seed: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Known {
    texts: Texts,
    edge: Edge,
    /// The batch that it was last in, and its number there.
    numbered: (u64, u32),
}

/// What names an edge.
#[derive(Debug)]
struct Texts {
    present: KeySet,
    carried: KeySet,
    signs: Signs,
    /// One after the other, in the order of the keys.
    text: Box<str>,
    ends: Box<[u32]>,
}

/// The hash of what names a line's edge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hash(u64);

impl Edges {
    /// The hash of a line's edge.
    #[inline]
    pub(crate) fn hash(&mut self, slots: &Slots<'_>, signs: Signs) -> Hash {
        let hasher = &self.hasher;
        let (seed, factor) = *self.seed.get_or_insert_with(|| (hasher.hash_one(0), hasher.hash_one(1) | 1));
        let named = slots.present().within(TEXTS);
        let carried = slots.carried().within(CARRIED);
        let mut hash = fold(seed ^ signs.bits(), factor);
        hash = fold(hash ^ named.low() ^ carried.high(), factor ^ named.high() ^ carried.low().rotate_left(7));
        for key in named.iter() {
            // the texts' own hashes do not wait for each other
            hash = fold(hash ^ text_hash(seed, factor, slots.get(key).unwrap_or_default().as_bytes()), factor);
        }
        Hash(hash)
    }

    /// The edge of a line, and its number in the batch of that generation, if it has one.
    #[inline]
    pub(crate) fn get(&mut self, hash: Hash, slots: &Slots<'_>, signs: Signs) -> Option<(&Edge, &mut (u64, u32))> {
        let known = self.known.get_mut(&hash.0)?;
        known.texts.are_those_of(slots, signs).then_some((&known.edge, &mut known.numbered))
    }

    /// Remembers an edge; `harmless` says whether there is no secret in the value of a key.
    pub(crate) fn insert(
        &mut self,
        hash: Hash,
        slots: &Slots<'_>,
        signs: Signs,
        (mut edge, harmless): (Edge, impl Fn(Key) -> bool),
        numbered: (u64, u32),
    ) {
        let texts = Texts::of(slots, signs);
        if texts.text.len() > LENGTH {
            return;
        }
        if self.known.len() >= EDGES {
            self.known.clear();
        }
        edge.harmless =
            slots.present().within(TEXTS).iter().filter(|key| harmless(*key)).fold(KeySet::EMPTY, KeySet::with);
        self.known.insert(hash.0, Known { texts, edge, numbered });
    }
}

impl Texts {
    fn of(slots: &Slots<'_>, signs: Signs) -> Self {
        let present = slots.present().within(TEXTS);
        let mut text = String::new();
        let mut ends = Vec::new();
        for key in present.iter() {
            text.push_str(slots.get(key).unwrap_or_default());
            ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
        Texts { present, carried: slots.carried().within(CARRIED), signs, text: text.into(), ends: ends.into() }
    }

    #[inline]
    fn are_those_of(&self, slots: &Slots<'_>, signs: Signs) -> bool {
        if self.present != slots.present().within(TEXTS)
            || self.carried != slots.carried().within(CARRIED)
            || self.signs != signs
        {
            return false;
        }
        let bytes = self.text.as_bytes();
        let mut start = 0;
        self.present.iter().zip(&self.ends).all(|(key, end)| {
            let mine = bytes.get(start..*end as usize).unwrap_or_default();
            start = *end as usize;
            same(mine, slots.get(key).unwrap_or_default().as_bytes())
        })
    }
}

impl Signs {
    fn bits(self) -> u64 {
        let Signs {
            client_internal,
            host_internal,
            upstream_host,
            client_in_own_pod,
            called_itself,
            original_path,
            original_host,
            of_strings,
            original_path_first,
            portless_client,
        } = self;
        let bits = [
            client_internal,
            host_internal,
            upstream_host,
            client_in_own_pod,
            called_itself,
            original_path,
            original_host,
            of_strings,
            original_path_first,
            portless_client,
        ];
        bits.into_iter().fold(0, |bits, bit| bits << 1 | u64::from(bit))
    }
}

/// Mixes by a wide product. Fast; what is found by it is compared, so that equal hashes are no harm.
#[inline]
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    #[allow(clippy::cast_possible_truncation)] // both halves are used
    let (low, high) = (product as u64, (product >> 64) as u64);
    low ^ high
}

#[inline]
fn text_hash(seed: u64, factor: u64, bytes: &[u8]) -> u64 {
    let word = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let seed = seed ^ bytes.len() as u64;
    if bytes.len() < 8 {
        return fold(seed ^ bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), factor);
    }
    // the last sixteen bytes, some of them again
    let last = bytes.len().checked_sub(16).and_then(|at| bytes.get(at..)).and_then(|end| end.first_chunk());
    let mut hash = fold(seed ^ word(bytes.first_chunk()), factor ^ word(last))
        .wrapping_add(fold(seed.rotate_left(32) ^ word(bytes.last_chunk()), factor.rotate_left(32)));
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some((chunk, after)) = rest.split_first_chunk::<16>() {
        hash = fold(hash ^ word(chunk.first_chunk()), factor ^ word(chunk.last_chunk()));
        rest = after;
    }
    hash
}

/// Takes a hash as it is.
#[derive(Debug, Default, Clone, Copy)]
struct Prehashed(u64);

impl std::hash::Hasher for Prehashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = text_hash(self.0, 1, bytes);
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

impl BuildHasher for Prehashed {
    type Hasher = Prehashed;

    fn build_hasher(&self) -> Prehashed {
        Prehashed(0)
    }
}
