//! Addresses and blocks of addresses.

use std::net::{IpAddr, SocketAddr};

/// Whether `address` (`10.0.0.1`, `10.0.0.1:80`, `[::1]:80`) lies in `cidr` (`10.0.0.0/8`, or one address). `None` if either is none.
#[must_use]
pub fn cidr_contains(cidr: &str, address: &str) -> Option<bool> {
    let (network, bits) = match cidr.trim().split_once('/') {
        Some((network, bits)) => (network.parse::<IpAddr>().ok()?, Some(bits.parse::<u32>().ok()?)),
        None => (cidr.trim().parse::<IpAddr>().ok()?, None),
    };
    let address = ip_of(address)?;
    // an IPv4-mapped address is the IPv4 address it carries, or a block could be evaded by spelling
    Some(match (network.to_canonical(), address.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            same_prefix(network.to_bits().into(), address.to_bits().into(), bits.unwrap_or(32), 32)?
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            same_prefix(network.to_bits(), address.to_bits(), bits.unwrap_or(128), 128)?
        }
        _ => false,
    })
}

fn same_prefix(network: u128, address: u128, bits: u32, width: u32) -> Option<bool> {
    let rest = width.checked_sub(bits)?;
    Some(network.checked_shr(rest).unwrap_or(0) == address.checked_shr(rest).unwrap_or(0))
}

fn ip_of(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    text.parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}
