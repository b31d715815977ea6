//! A part of the loopback network of one's own: 127.x.0.0/16.
//!
//! Linux answers on all of 127.0.0.0/8 without any set-up. Every mesh claims one second octet by holding a listening
//! socket on 127.x.255.254, so that meshes of several test processes never share an address, and frees it when it ends
//! (or dies). Ports are the well-known ones unless another process listens on them on all addresses.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    net::{Ipv4Addr, SocketAddrV4, TcpListener},
};

use super::error::MeshError;

const CLAIM: u16 = 15999;
const OCTETS: std::ops::Range<u8> = 16..251;

/// The claimed part of the loopback network.
#[derive(Debug)]
pub(crate) struct Subnet {
    octet: u8,
    _claim: TcpListener,
}

impl Subnet {
    /// Claims a free part, looking from a random one on.
    pub(crate) fn claim() -> Result<Self, MeshError> {
        let random = RandomState::new().build_hasher().finish();
        let start = usize::try_from(random % OCTETS.len() as u64).unwrap_or_default();
        OCTETS
            .cycle()
            .skip(start)
            .take(OCTETS.len())
            .find_map(|octet| {
                let claim = TcpListener::bind((Ipv4Addr::new(127, octet, 255, 254), CLAIM)).ok()?;
                Some(Self { octet, _claim: claim })
            })
            .ok_or(MeshError::NoSubnet { port: CLAIM })
    }

    /// 127.x.`third`.`fourth`.
    pub(crate) fn ip(&self, third: u8, fourth: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.octet, third, fourth)
    }

    /// `preferred`, or a stand-in if another process listens on it on all addresses.
    fn port(&self, preferred: u16) -> Result<u16, MeshError> {
        (0..5)
            .map(|step| preferred + step * 100)
            .find(|port| TcpListener::bind(SocketAddrV4::new(self.ip(255, 253), *port)).is_ok())
            .ok_or(MeshError::NoPort(preferred))
    }
}

/// The ports of one mesh. Privileged ports (80, 443) occur only as original destinations, which nobody binds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    /// HTTP services and their containers.
    pub(crate) http: u16,
    /// gRPC services and their containers.
    pub(crate) grpc: u16,
    /// The TCP database.
    pub(crate) tcp: u16,
    /// The gateway's containers, for the Service ports 80 and 443.
    pub(crate) gateway_http: u16,
    /// As above, with TLS.
    pub(crate) gateway_https: u16,
    /// Envoy's admin endpoint.
    pub(crate) admin: u16,
    /// Envoy's outbound catch-all.
    pub(crate) outbound: u16,
    /// Where the programs behind the sidecars and the outside world listen.
    pub(crate) app: u16,
    /// A port that no Service has.
    pub(crate) odd: u16,
}

impl Ports {
    /// Finds ports that are free on the subnet.
    pub(crate) fn find(subnet: &Subnet) -> Result<Self, MeshError> {
        Ok(Self {
            http: subnet.port(8080)?,
            grpc: subnet.port(7070)?,
            tcp: subnet.port(5432)?,
            gateway_http: subnet.port(9080)?,
            gateway_https: subnet.port(9443)?,
            admin: subnet.port(15000)?,
            outbound: subnet.port(15001)?,
            app: subnet.port(18080)?,
            odd: subnet.port(4444)?,
        })
    }
}
