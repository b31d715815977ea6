//! Envoy's addresses: `10.0.0.1:80`, `[2a02::7]:80`, and those that are no network address (`envoy://...`, a pipe).

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address of a connection's end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    /// An IPv4-mapped IPv6 address is the IPv4 one.
    pub(crate) ip: IpAddr,
    /// `None`: the text has none. 0 in `%DOWNSTREAM_REMOTE_ADDRESS%`: the address was taken from `x-forwarded-for`.
    pub(crate) port: Option<u16>,
    /// Bytes at the start of the text that are the address in its canonical form; 0: it was written otherwise.
    quad: u8,
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        (self.ip, self.port) == (other.ip, other.port)
    }
}

impl Eq for Address {}

impl Address {
    /// Reads an IP address with or without a port. `None` for anything else.
    #[inline]
    pub(crate) fn parse(text: &str) -> Option<Address> {
        let bytes = text.as_bytes();
        match quad(bytes) {
            Some((ip, length)) => {
                let port = match bytes.get(usize::from(length)..) {
                    Some([b':', port @ ..]) => Some(digits(port)?),
                    _ => None,
                };
                Some(Address { ip: IpAddr::V4(ip), port, quad: length })
            }
            None => Address::general(text),
        }
    }

    /// Whatever is not an IPv4 address in its canonical form.
    #[cold]
    fn general(text: &str) -> Option<Address> {
        let (ip, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (ip, port) = rest.split_once(']')?;
                (
                    IpAddr::V6(ip.parse::<Ipv6Addr>().ok()?),
                    port.strip_prefix(':')
                        .map_or_else(|| port.is_empty().then_some(None), |port| parse_port(port).map(Some))?,
                )
            }
            None => match text.parse::<IpAddr>() {
                Ok(ip) => (ip, None),
                Err(_) => {
                    let (ip, port) = text.rsplit_once(':')?;
                    // an IPv6 address with a port has brackets
                    (IpAddr::V4(ip.parse().ok()?), Some(parse_port(port)?))
                }
            },
        };
        Some(Address { ip: ip.to_canonical(), port, quad: 0 })
    }

    /// The IP address in its canonical form; `from` is the text that the address was read from, which mostly has it.
    #[inline]
    pub(crate) fn ip_text(self, from: &str) -> Cow<'_, str> {
        match from.get(..usize::from(self.quad)) {
            Some(quad) if self.quad > 0 => Cow::Borrowed(quad),
            _ => Cow::Owned(self.ip.to_string()),
        }
    }
}

/// An IPv4 address in its canonical form, alone or before a colon, and its length. What is written otherwise is `None`, and for the
/// general parser.
#[inline]
fn quad(bytes: &[u8]) -> Option<(Ipv4Addr, u8)> {
    let mut octets = [0_u8; 4];
    let mut rest = bytes;
    for (place, octet) in octets.iter_mut().enumerate() {
        if place > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let digit = |byte: &u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
        let first = digit(rest.first()?)?;
        let (value, length) = match (rest.get(1).and_then(digit), rest.get(2).and_then(digit)) {
            // a zero before other digits, and more than three digits, are the general parser's
            (Some(second), Some(third)) if first > 0 => (first * 100 + second * 10 + third, 3),
            (Some(second), None) if first > 0 => (first * 10 + second, 2),
            (None, _) => (first, 1),
            _ => return None,
        };
        *octet = u8::try_from(value).ok()?;
        rest = rest.get(length..)?;
    }
    let length = u8::try_from(bytes.len() - rest.len()).ok()?;
    matches!(rest.first(), None | Some(b':')).then(|| (Ipv4Addr::from(octets), length))
}

/// Whether an address is one of Envoy's own listeners inside the process (`envoy://connect_originate/...`).
pub(crate) fn is_internal(text: &str) -> bool {
    text.starts_with("envoy://")
}

/// The host of an authority: without user, port and trailing dot, in lower case. Brackets of an IPv6 address are gone.
pub(crate) fn host(authority: &str) -> Option<String> {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match Address::parse(authority) {
        Some(address) => return Some(address.ip.to_string()),
        None => match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        },
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    (!host.is_empty()).then(|| host.to_lowercase())
}

/// A port in digits only: `u16::from_str` would also take a sign.
pub(crate) fn parse_port(text: &str) -> Option<u16> {
    digits(text.as_bytes())
}

#[inline]
fn digits(bytes: &[u8]) -> Option<u16> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0_u16, |port, byte| {
        let digit = byte.is_ascii_digit().then(|| u16::from(byte - b'0'))?;
        port.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("10.0.0.1:80", Some(("10.0.0.1", Some(80)))),
            ("10.0.0.1:0", Some(("10.0.0.1", Some(0)))),
            ("10.0.0.1", Some(("10.0.0.1", None))),
            ("[2a02:cf40::4e36]:5000", Some(("2a02:cf40::4e36", Some(5000)))),
            ("[2A02:CF40:0:0::4E36]", Some(("2a02:cf40::4e36", None))),
            ("::1", Some(("::1", None))),
            ("[::ffff:10.0.0.1]:80", Some(("10.0.0.1", Some(80)))),
            ("10.0.0.1:080", Some(("10.0.0.1", Some(80)))),
            ("255.255.255.255:65535", Some(("255.255.255.255", Some(65535)))),
            ("0:0:0:0:0:ffff:1.2.3.4", Some(("1.2.3.4", None))),
            ("256.0.0.1:80", None),
            ("1.2.3.04:80", None),
            ("1.2.3.4.5", None),
            ("1.2.3.4/8", None),
            ("1.2.3", None),
            ("1.2.3.0004", None),
            ("10.0.0.1:65536", None),
            ("10.0.0.1:+80", None),
            ("10.0.0.1:", None),
            ("[::1", None),
            ("[::1]80", None),
            ("[10.0.0.1]:80", None),
            ("envoy://connect_originate/10.244.1.24:9080", None),
            ("envoy://internal_client_address/", None),
            ("@/var/run/pipe", None),
            ("REDACTED_IP2:46505", None),
            ("", None),
            (":80", None),
        ] {
            let parsed = Address::parse(text).map(|address| (address.ip_text(text).into_owned(), address.port));
            assert_eq!(parsed, expected.map(|(ip, port)| (ip.to_owned(), port)), "{text}");
        }
    }

    #[test]
    fn hosts() {
        for (authority, expected) in [
            ("Reviews:9080", Some("reviews")),
            ("api.stripe.com.", Some("api.stripe.com")),
            ("api.stripe.com.:443", Some("api.stripe.com")),
            ("10.0.0.1:80", Some("10.0.0.1")),
            ("[::1]:80", Some("::1")),
            ("host:port", Some("host:port")),
            (":80", None),
            (".", None),
            ("", None),
        ] {
            assert_eq!(host(authority).as_deref(), expected, "{authority}");
        }
    }
}
