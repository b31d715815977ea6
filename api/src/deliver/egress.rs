//! The SSRF guard: the only place that connects to configured addresses, and the only one that builds an HTTP client for them.
//!
//! ```text
//! URL ──Endpoint::parse──▶ scheme, user, port, literal address ──▶ Http ──DNS──▶ [resolve + filter] ──▶ connect
//! host:port ─────────────────────────────────────────────────────▶ connect ───▶ [resolve + filter] ──▶ TCP
//! ```
//! Names are resolved and filtered in one step, so the address that was checked is the address that is connected, however often
//! a name changes its mind. Redirects are not followed, proxies from the environment are not used (either would connect past
//! the guard). What is allowed is said in [`Allow`].

mod allow;
#[cfg(test)]
mod tests;

pub use allow::{Allow, Network, ParseNetworkError, Refusal};

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect;
use tokio::net::TcpStream;
use url::{Host, Url};

/// Longest time for a connection to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An address that is not connected to, or could not be.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// No URL.
    #[error("'{url}' is no URL ({source}): write it like https://soc.example/hook")]
    Url {
        /// As configured.
        url: String,
        /// Why.
        source: url::ParseError,
    },
    /// `file:`, `unix:`, …
    #[error("'{scheme}:' is not spoken here: use https: or http:")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// `user:password@host`.
    #[error("the URL names a user: leave out everything before the '@', deliveries are signed with the secret instead")]
    User,
    /// A port that belongs to something else.
    #[error("port {port} belongs to another service than HTTP: use 80, 443 or a port above 1023")]
    Port {
        /// The port.
        port: u16,
    },
    /// A refused address.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Every address of a name was refused.
    #[error("'{host}' has no address that may be connected to: {refusal}")]
    AllRefused {
        /// The name.
        host: String,
        /// The first refusal.
        refusal: Refusal,
    },
    /// A name without addresses.
    #[error("'{host}' could not be resolved: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// No connection.
    #[error("no connection to '{address}': {source}")]
    Connect {
        /// Host and port.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The client could not be built.
    #[error("the HTTP client could not be built: {0}")]
    Client(#[source] reqwest::Error),
}

/// A URL that has been checked, and what else its host may resolve to.
#[derive(Clone, Debug)]
pub struct Endpoint {
    url: Url,
    allow: Allow,
}

impl Endpoint {
    /// Checks scheme, user, port and, where the host is an address in whatever notation, the address.
    ///
    /// # Errors
    /// If any of them is refused.
    pub fn parse(text: &str, allow: &Allow) -> Result<Self, EgressError> {
        let url = Url::parse(text).map_err(|source| EgressError::Url { url: without_user(text), source })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EgressError::Scheme { scheme: url.scheme().to_owned() });
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::User);
        }
        let port = url.port_or_known_default().unwrap_or(0);
        if port < 1024 && !matches!(port, 80 | 443) {
            return Err(EgressError::Port { port });
        }
        // the url crate has already read 2130706433, 0177.0.0.1 and 0x7f.1 as 127.0.0.1
        match url.host() {
            Some(Host::Ipv4(ip)) => allow.check(ip.into())?,
            Some(Host::Ipv6(ip)) => allow.check(ip.into())?,
            Some(Host::Domain(_)) => {}
            None => return Err(EgressError::Url { url: text.to_owned(), source: url::ParseError::EmptyHost }),
        }
        Ok(Self { url, allow: allow.clone() })
    }
}

/// A text that is no URL may still hold a password: show what follows the last `@`.
fn without_user(text: &str) -> String {
    text.rsplit('@').next().unwrap_or_default().to_owned()
}

/// An HTTP client for one checked endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    url: Url,
}

impl Http {
    /// Builds the client; a request may take `timeout` from the name to the end of the answer.
    #[allow(clippy::disallowed_methods)] // this is the place
    pub(crate) fn new(endpoint: Endpoint, timeout: Duration) -> Result<Self, EgressError> {
        let Endpoint { url, allow } = endpoint;
        let client = reqwest::Client::builder()
            .dns_resolver(Arc::new(Guard { allow, lookup }))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            .user_agent(concat!("meshwarden/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(EgressError::Client)?;
        Ok(Self { client, url })
    }

    /// Starts a POST to the endpoint.
    pub(crate) fn post(&self) -> reqwest::RequestBuilder {
        self.client.post(self.url.clone())
    }
}

/// Connects to `host:port` over TCP; addresses of the name are tried in turn.
pub(crate) async fn connect(host: &str, port: u16, allow: &Allow) -> Result<TcpStream, EgressError> {
    let address = format!("{host}:{port}");
    let addresses: Vec<SocketAddr> =
        resolve(host, allow, lookup).await?.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(addresses.as_slice())).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(source)) => Err(EgressError::Connect { address, source }),
        Err(_) => Err(EgressError::Connect { address, source: io::ErrorKind::TimedOut.into() }),
    }
}

/// Asks for the addresses of a name.
type Lookup = fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;

/// Asks the system's resolver.
fn lookup(host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
    Box::pin(async move {
        // a literal IPv6 address comes in brackets from a URL, without them from `host:port`
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    })
}

/// Resolves and filters in one step.
async fn resolve(host: &str, allow: &Allow, lookup: Lookup) -> Result<Vec<IpAddr>, EgressError> {
    let unresolved = |source| EgressError::Resolve { host: host.to_owned(), source };
    let mut allowed = Vec::new();
    let mut refused = None;
    for ip in lookup(host.to_owned()).await.map_err(unresolved)? {
        match allow.check(ip) {
            Ok(()) => allowed.push(ip),
            Err(refusal) => refused = refused.or(Some(refusal)),
        }
    }
    match (allowed.is_empty(), refused) {
        (false, _) => Ok(allowed),
        (true, Some(refusal)) => Err(EgressError::AllRefused { host: host.to_owned(), refusal }),
        (true, None) => Err(unresolved(io::Error::other("the name has no address"))),
    }
}

/// The resolver of the HTTP client.
struct Guard {
    allow: Allow,
    lookup: Lookup,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let allow = self.allow.clone();
        let lookup = self.lookup;
        Box::pin(async move {
            let addresses = resolve(name.as_str(), &allow, lookup).await?;
            // port 0: the client puts the URL's port there
            Ok(Box::new(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}
