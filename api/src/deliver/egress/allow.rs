//! Which addresses a sink may connect to.
//!
//! | addresses | default | `allow_private = true` | named in `allow` |
//! |---|---|---|---|
//! | public | yes | yes | yes |
//! | loopback, private (RFC 1918, ULA), shared (CGNAT) | no | yes | yes |
//! | link-local (cloud metadata), benchmarking, documentation, reserved, translated (NAT64, 6to4, Teredo) | no | no | yes |
//! | unspecified, multicast, broadcast | no | no | no |
//!
//! An IPv6 address that carries an IPv4 address (mapped, compatible) is judged as that IPv4 address; one that a translator
//! turns into an IPv4 address needs permission for both.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// What is allowed besides public addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    private: bool,
    networks: Vec<Network>,
}

/// A refused address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{ip} is {kind}, which a sink may not connect to{way_out}")]
pub struct Refusal {
    ip: IpAddr,
    kind: &'static str,
    way_out: WayOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WayOut {
    AllowPrivate,
    AllowNetwork,
    None,
}

impl fmt::Display for WayOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AllowPrivate => {
                ": if the receiver really is there, set 'allow_private = true' or name its network in 'allow'"
            }
            Self::AllowNetwork => ": if the receiver really is there, name its network in 'allow'",
            Self::None => "",
        })
    }
}

impl Allow {
    /// Allows loopback and private addresses if `private`, and everything in `networks` that can be connected to at all.
    #[must_use]
    pub fn new(private: bool, networks: Vec<Network>) -> Self {
        Self { private, networks }
    }

    /// Whether `ip` may be connected to.
    ///
    /// # Errors
    /// If not; the refusal says why and what to do.
    pub fn check(&self, ip: IpAddr) -> Result<(), Refusal> {
        let (ip, carried) = unwrap(ip);
        if let Some(carried) = carried {
            self.check(carried.into())?;
        }
        let (kind, way_out) = match kind(ip) {
            Kind::Public => return Ok(()),
            Kind::Private(_) if self.private => return Ok(()),
            Kind::Private(kind) => (kind, WayOut::AllowPrivate),
            Kind::Special(kind) => (kind, WayOut::AllowNetwork),
            Kind::Never(kind) => return Err(Refusal { ip, kind, way_out: WayOut::None }),
        };
        if self.networks.iter().any(|network| network.contains(ip)) {
            return Ok(());
        }
        Err(Refusal { ip, kind, way_out })
    }
}

enum Kind {
    Public,
    Private(&'static str),
    Special(&'static str),
    Never(&'static str),
}

/// The address to judge, and the IPv4 address that a translator on the way would make of it.
fn unwrap(ip: IpAddr) -> (IpAddr, Option<Ipv4Addr>) {
    let IpAddr::V6(v6) = ip else { return (ip, None) };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return (v4.into(), None);
    }
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match v6.segments() {
        // ::a.b.c.d, the retired compatible form; ::1 and :: are themselves
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => (v4(high, low).into(), None),
        // NAT64 (RFC 6052) carries it at the end, 6to4 behind its prefix, Teredo inverted at the end
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => (ip, Some(v4(high, low))),
        [0x2002, high, low, ..] => (ip, Some(v4(high, low))),
        [0x2001, 0, _, _, _, _, high, low] => (ip, Some(v4(!high, !low))),
        _ => (ip, None),
    }
}

fn kind(ip: IpAddr) -> Kind {
    match ip {
        IpAddr::V4(ip) => kind_v4(ip),
        IpAddr::V6(ip) => kind_v6(ip),
    }
}

/// IANA's IPv4 special-purpose address registry.
fn kind_v4(ip: Ipv4Addr) -> Kind {
    match ip.octets() {
        [0, ..] => Kind::Never("an address of 'this network'"),
        [127, ..] => Kind::Private("a loopback address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Kind::Private("a private address"),
        [100, 64..=127, ..] => Kind::Private("a shared (CGNAT) address"),
        [169, 254, ..] => Kind::Special("a link-local address (cloud metadata lives there)"),
        [192, 0, 0, _] => Kind::Special("a protocol-assignment address"),
        [192, 88, 99, _] => Kind::Special("a 6to4 relay address"),
        [198, 18..=19, ..] => Kind::Special("a benchmarking address"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Kind::Special("a documentation address"),
        [224..=239, ..] => Kind::Never("a multicast address"),
        [255, 255, 255, 255] => Kind::Never("the broadcast address"),
        [240..=255, ..] => Kind::Special("a reserved address"),
        _ => Kind::Public,
    }
}

/// IANA's IPv6 special-purpose address registry: outside of 2000::/3 nothing is public.
fn kind_v6(ip: Ipv6Addr) -> Kind {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Kind::Never("the unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Private("a loopback address"),
        [0x64, 0xff9b, ..] => Kind::Special("a NAT64 address"),
        [0x100, 0, 0, 0, ..] => Kind::Special("a discard-only address"),
        [0x2001, 0, ..] => Kind::Special("a Teredo address"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Kind::Special("a documentation address"),
        [0x2001, 1..=0x1ff, ..] => Kind::Special("a protocol-assignment address"),
        [0x2002, ..] => Kind::Special("a 6to4 address"),
        [0x2000..=0x3fff, ..] => Kind::Public,
        [0xfc00..=0xfdff, ..] => Kind::Private("a unique local address"),
        [0xfe80..=0xfebf, ..] => Kind::Special("a link-local address"),
        [0xff00..=0xffff, ..] => Kind::Never("a multicast address"),
        _ => Kind::Special("a reserved address"),
    }
}

/// A network in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    length: u32,
}

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no network: write it like 10.0.0.0/8, fd00::/8 or, for one address, 10.1.2.3/32")]
pub struct ParseNetworkError(String);

impl Network {
    fn contains(&self, ip: IpAddr) -> bool {
        match (self.base, ip) {
            (IpAddr::V4(base), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - self.length).unwrap_or(0);
                base.to_bits() & mask == ip.to_bits() & mask
            }
            (IpAddr::V6(base), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - self.length).unwrap_or(0);
                base.to_bits() & mask == ip.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseNetworkError(text.to_owned());
        let (base, length) = text.split_once('/').ok_or_else(wrong)?;
        let base: IpAddr = base.parse().map_err(|_| wrong())?;
        let length: u32 = length.parse().map_err(|_| wrong())?;
        let longest = if base.is_ipv4() { 32 } else { 128 };
        if length > longest {
            return Err(wrong());
        }
        Ok(Self { base, length })
    }
}
