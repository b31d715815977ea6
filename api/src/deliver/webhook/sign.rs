//! Signatures of Standard Webhooks 1.0.0, symmetric (`v1`).
//!
//! ```text
//! signed bytes   <webhook-id> . <webhook-timestamp> . <body>
//! signature      "v1," base64(HMAC-SHA256(secret, signed bytes))
//! secret         "whsec_" base64(24 to 64 bytes)
//! ```
//! Several secrets give several signatures, separated by a space: a receiver that knows one of them accepts, so a secret is
//! rotated by configuring the new one beside the old one until the receiver has moved.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A secret shared with a receiver. It never shows.
#[derive(Clone)]
pub(crate) struct Secret(Hmac<Sha256>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A text that is no secret. The text is not shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// No prefix.
    #[error("it does not start with 'whsec_': make one with echo whsec_$(openssl rand -base64 32)")]
    Prefix,
    /// Not base64.
    #[error("what follows 'whsec_' is not base64: make one with echo whsec_$(openssl rand -base64 32)")]
    Base64,
    /// Too short or too long.
    #[error("it holds {0} bytes, which must be 24 to 64: make one with echo whsec_$(openssl rand -base64 32)")]
    Length(usize),
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let encoded = text.strip_prefix("whsec_").ok_or(SecretError::Prefix)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| SecretError::Base64)?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(SecretError::Length(bytes.len()));
        }
        let mac = Hmac::new_from_slice(&bytes).map_err(|_| SecretError::Length(bytes.len()))?;
        Ok(Self(mac))
    }
}

/// The value of `webhook-signature`: one signature per secret.
pub(super) fn signatures(secrets: &[Secret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signature = |secret: &Secret| {
        let mut mac = secret.0.clone();
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    };
    secrets.iter().map(signature).collect::<Vec<_>>().join(" ")
}
