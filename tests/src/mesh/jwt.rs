//! Tokens of the bank's login, signed here (EdDSA) and checked by Envoy against a local JWKS.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{KeyPair, PublicKeyData, SigningKey};
use serde_json::{Value, json};

use super::{clock, error::MeshError};

/// Who signs the tokens that the mesh trusts.
pub(crate) const ISSUER: &str = "https://login.bank.example";
/// Whom they are for.
pub(crate) const AUDIENCE: &str = "orders-api";

/// The login server.
pub(crate) struct Login {
    key: KeyPair,
}

impl Login {
    /// A login with a new key.
    pub(crate) fn new() -> Result<Self, MeshError> {
        Ok(Self { key: KeyPair::generate_for(&rcgen::PKCS_ED25519)? })
    }

    /// The public key as Envoy wants it.
    pub(crate) fn jwks(&self) -> Value {
        json!({"keys": [{
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "login-1",
            "x": URL_SAFE_NO_PAD.encode(self.key.der_bytes()),
        }]})
    }

    /// A token of `issuer` for `subject` that ends `seconds` from now (negative: it ended).
    pub(crate) fn token(&self, issuer: &str, audience: &str, subject: &str, seconds: i64) -> Result<String, MeshError> {
        let now = i64::try_from(clock::now().as_secs()).unwrap_or(i64::MAX);
        let head = json!({"alg": "EdDSA", "typ": "JWT", "kid": "login-1"});
        let claims = json!({
            "iss": issuer, "sub": subject, "aud": [audience], "iat": now - 7200, "exp": now + seconds,
            "realm_access": {"roles": ["customer", "viewer"]},
        });
        let signed = format!("{}.{}", part(&head), part(&claims));
        let signature = self.key.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
