//! Settings of the HTTP door, and the rule that keeps it shut to strangers.
//!
//! ```text
//!  listen on      token set     answer
//!  loopback       no            open to this machine; requests that another site's page sends are refused (see `access`)
//!  loopback       yes           asks for the token
//!  anything else  yes           asks for the token
//!  anything else  no            refused at start
//! ```

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use query::sql::Limits;
use sha2::{Digest, Sha256};

/// The environment variable that holds the token.
pub const TOKEN_VARIABLE: &str = "MESHWARDEN_ADMIN_TOKEN";

/// Settings of the HTTP door.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who knows it may come in.
    pub token: Option<Token>,
    /// Largest body of an ingest, bytes after inflating.
    pub max_body_bytes: u64,
    /// Bodies share memory for so many of the largest (`max_body_bytes`); others wait with their body unread.
    pub ingests: usize,
    /// Wall time of one ingest.
    pub ingest_timeout: Duration,
    /// Longest silence of a sender in the middle of a body.
    pub idle_timeout: Duration,
    /// What one query may cost.
    pub sql: Limits,
    /// Queries that run at once.
    pub queries: usize,
    /// Longest wait for a place among `ingests` or `queries`; then 503.
    pub queue_timeout: Duration,
    /// Longest wait of a list of findings for detection to catch up; then it says what is known.
    pub findings_wait: Duration,
    /// Wall time of any other request.
    pub request_timeout: Duration,
    /// From a connection's start or its last answer to the end of the next request's headers.
    pub header_timeout: Duration,
    /// Open connections; more wait to be accepted.
    pub connections: usize,
    /// How long requests under way may take to end after shutdown began.
    pub drain_timeout: Duration,
}

impl HttpConfig {
    /// The defaults, on this address.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            token: None,
            max_body_bytes: 100 << 20,
            ingests: 4,
            ingest_timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(30),
            sql: Limits::default(),
            queries: 8,
            queue_timeout: Duration::from_secs(10),
            findings_wait: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            header_timeout: Duration::from_secs(30),
            connections: 1024,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Holds address and token against each other: call it before binding.
///
/// # Errors
/// If others than this machine could reach the door and no token is set.
pub fn check_listen(config: &HttpConfig) -> Result<(), ListenError> {
    check_address(config.listen, config.token.as_ref())
}

/// The same for any address.
pub(crate) fn check_address(listen: SocketAddr, token: Option<&Token>) -> Result<(), ListenError> {
    let local = match listen.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
    };
    if local || token.is_some() { Ok(()) } else { Err(ListenError { listen }) }
}

/// An address that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{listen} can be reached from other machines and no token is set: set {TOKEN_VARIABLE} (callers then send 'Authorization: Bearer <token>'), \
     or listen on 127.0.0.1:{}",
    listen.port()
)]
pub struct ListenError {
    listen: SocketAddr,
}

/// The secret that callers send as `Authorization: Bearer <token>`. Only its SHA-256 is kept.
#[derive(Clone)]
pub struct Token([u8; 32]);

/// A text that cannot be a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nothing in it: an unset variable of a deployment, most likely.
    #[error("the token is empty: set {TOKEN_VARIABLE} to a long random text, or leave it unset")]
    Empty,
    /// A header could not carry it.
    #[error(
        "the token holds a space or a character outside ASCII, which a header cannot carry: use letters and digits"
    )]
    Characters,
}

impl Token {
    /// The token with this text; white space around it (a file's last line end) does not count.
    ///
    /// # Errors
    /// If it is empty, or holds what a header cannot carry.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Characters);
        }
        Ok(Self(Sha256::digest(text.as_bytes()).into()))
    }

    /// Whether this is it. Hashes are compared, all of their bytes: the time taken says nothing about the token.
    #[must_use]
    pub fn is(&self, offered: &[u8]) -> bool {
        let offered: [u8; 32] = Sha256::digest(offered).into();
        self.0.iter().zip(offered).fold(0, |different, (one, other)| different | (one ^ other)) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn strangers_need_a_token() {
        for (listen, token, refused) in [
            ("127.0.0.1:8080", false, false),
            ("127.8.7.6:8080", false, false),
            ("[::1]:8080", false, false),
            ("[::ffff:127.0.0.1]:8080", false, false),
            ("0.0.0.0:8080", false, true),
            ("[::]:8080", false, true),
            ("10.0.0.7:8080", false, true),
            ("0.0.0.0:8080", true, false),
        ] {
            let mut config = HttpConfig::new(listen.parse().unwrap());
            config.token = token.then(|| Token::new("secret").unwrap());
            assert_eq!(check_listen(&config).is_err(), refused, "{listen} {token}");
        }
        let error = check_listen(&HttpConfig::new("0.0.0.0:8080".parse().unwrap())).unwrap_err().to_string();
        for word in ["0.0.0.0:8080", "MESHWARDEN_ADMIN_TOKEN", "127.0.0.1:8080"] {
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_token_is_itself_and_nothing_else() {
        let token = Token::new("s3cret\n").unwrap();
        assert!(token.is(b"s3cret"));
        assert!(!token.is(b"s3cre") && !token.is(b"") && !token.is(b"s3cret\n"));
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert_eq!(Token::new(" ").unwrap_err(), TokenError::Empty);
        assert_eq!(Token::new("a b").unwrap_err(), TokenError::Characters);
    }
}
