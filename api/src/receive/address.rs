//! Where proxies and collectors send: addresses of their own, beside that of the API.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::Deserialize;
use tokio::net::TcpListener;

use crate::http::{ListenError, Token, check_address};

/// An address to listen on, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum DoorAddress {
    Off,
    At(SocketAddr),
}

/// A text that is neither.
#[derive(Clone, Debug, thiserror::Error)]
#[error("'{0}' is neither an address with a port, such as 127.0.0.1:4317, nor off")]
pub(crate) struct NoAddress(String);

impl FromStr for DoorAddress {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        match text {
            "off" => Ok(Self::Off),
            text => text.parse().map(Self::At).map_err(|_| NoAddress(text.to_owned())),
        }
    }
}

impl TryFrom<String> for DoorAddress {
    type Error = NoAddress;

    fn try_from(text: String) -> Result<Self, NoAddress> {
        text.parse()
    }
}

/// The addresses; `None`: the protocol's own port on this machine, if it is free.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Doors {
    /// OTLP over gRPC, and Envoy's access log service.
    pub(crate) grpc: Option<DoorAddress>,
    /// OTLP over HTTP.
    pub(crate) http: Option<DoorAddress>,
    /// Whoever reaches them may send.
    pub(crate) without_token: bool,
}

/// A door that was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    /// What comes in by it.
    pub(crate) what: &'static str,
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
}

/// Why a door was not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DoorError {
    /// Strangers could reach it.
    #[error(
        "{0}; for proxies and collectors, whose mesh guards the address, --proxies-without-token lets them in without"
    )]
    Listen(#[from] ListenError),
    /// It is in use, or no address of this machine.
    #[error("cannot listen on {address} for {what}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What would come in by it.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

impl Doors {
    /// Opens the doors. One that nobody asked for, and whose port is in use, stays shut: a collector of this machine's may have it.
    pub(crate) async fn open(self, token: Option<&Token>) -> Result<Vec<Opened>, DoorError> {
        let mut opened = Vec::new();
        for (asked, port, what) in
            [(self.grpc, 4317, "OTLP over gRPC, and Envoy's access log service"), (self.http, 4318, "OTLP over HTTP")]
        {
            let address = match asked {
                Some(DoorAddress::Off) => continue,
                Some(DoorAddress::At(address)) => address,
                None => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
            };
            if !self.without_token {
                check_address(address, token)?;
            }
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    let address = listener.local_addr().unwrap_or(address);
                    opened.push(Opened { what, listener, address });
                }
                Err(error) if asked.is_none() => {
                    tracing::warn!(%address, %error, "no door for {what}");
                }
                Err(source) => return Err(DoorError::Bind { address, what, source }),
            }
        }
        Ok(opened)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn doors_open_where_they_may() {
        let at = |text: &str| Some(text.parse::<DoorAddress>().unwrap());
        let opened = |grpc, http, without_token| Doors { grpc, http, without_token }.open(None);
        let doors = opened(at("127.0.0.1:0"), at("off"), false).await.unwrap();
        assert_eq!(doors.len(), 1);
        let taken = doors.first().unwrap().address;
        let error = opened(at("off"), at(&taken.to_string()), false).await.unwrap_err();
        assert!(matches!(error, DoorError::Bind { address, .. } if address == taken), "{error}");
        let error = opened(at("0.0.0.0:0"), at("off"), false).await.unwrap_err().to_string();
        assert!(error.contains("--proxies-without-token"), "{error}");
        assert_eq!(opened(at("0.0.0.0:0"), at("off"), true).await.unwrap().len(), 1);
        assert!(opened(at("off"), at("off"), false).await.unwrap().is_empty());
        assert!("4317".parse::<DoorAddress>().is_err());
    }
}
