//! Secrets are taken out of a line before a row, a sample of a reject or a report keeps them: Istio's default formats log query strings, and
//! tokens, passwords and authorization codes stand in those.
//!
//! ```text
//! path, referer, redirect target   text      ─┐                        /cb?state=7&code=[redacted]
//! user agent, authority, SNI, ...  words      ├▶ JWTs ─▶ parameters    [redacted-jwt]
//! extra, any other JSON            json       │          members       {"authorization":"[redacted]"}
//! the bytes of a reject            bytes     ─┘          all of these
//! ```
//!
//! * Names and everything around a value stay byte for byte, so that an investigation sees which parameter was sent, and that it was not empty
//!   (an empty value stays empty).
//! * What a name is: it is percent-decoded (as often as it is encoded), upper and lower case are alike, `-` and `_` do not count
//!   (`access-token`, `accessToken`), nor do digits at the end (`password2`), and of `user[password]` or `user.password` the innermost part counts.
//! * Where it may stand: in a query, a fragment or `;matrix=parameters` of a path, also in those of a URL that is itself percent-encoded within
//!   a parameter (`next=%2Fcb%3Fcode%3D7`).
//! * A JWT is told by its shape: `eyJ` starts the base64url of `{"`, and a header with blanks or line breaks before its first name starts as one of
//!   a few others. So is one whose dots are percent-encoded.
//!
//! Invariants: nothing is added where nothing was found (the value comes back borrowed); redacting twice is redacting once; time is linear in
//! the length, whatever the bytes. Absent on purpose: secrets in path segments, and in JSON within a JSON string.

mod json;
mod jwt;
mod names;
mod params;
mod raw;
mod splice;
mod user;

use std::borrow::Cow;

use crate::key::{Key, KeySet};
use crate::operator::Operator;
use names::Names;
use splice::{splice, then};

/// Stands for the value of a sensitive parameter or member.
const VALUE: &str = "[redacted]";
/// Stands for a JWT.
const JWT: &str = "[redacted-jwt]";

/// Parameters whose values are secrets, and headers that a format may log as keys of their own.
///
/// A name is here if whoever reads its value can act as somebody else: a credential, a session, a one-time code, or a signature that makes a
/// URL a key. Names that mostly mean something else are not, for a redacted value is one that no detection can read and no analyst can compare:
/// `key`, `id`, `state`, `nonce`, `user`, `email`, `sid`, `ticket`, `hash`, `page_token` (any other name whose last word is `token` or `signature` is one) and `X-Amz-Credential` (an id) are left alone.
/// `code` is here, though it may be a country: an authorization code in a redirect is what Istio's default formats leak most.
const DEFAULT_NAMES: [&str; 89] = [
    // tokens
    "token",
    "access_token",
    "refresh_token",
    "id_token",
    "auth_token",
    "session_token",
    "private_token",
    "api_token",
    "bearer",
    "bearer_token",
    "reset_token",
    "reset_password_token",
    "confirmation_token",
    "verification_token",
    "unlock_token",
    "invite_token",
    "invitation_token",
    "login_token",
    "magic_token",
    "csrf_token",
    "xsrf_token",
    "oauth_token",
    "user_token",
    "sso_token",
    "jwt",
    // what an OAuth, OpenID Connect or SAML login passes through the browser
    "code",
    "auth_code",
    "authorization_code",
    "code_verifier",
    "device_code",
    "user_code",
    "oauth_verifier",
    "assertion",
    "client_assertion",
    "SAMLResponse",
    "SAMLart",
    // passwords and codes that people type
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pass",
    "pwd",
    "new_password",
    "old_password",
    "current_password",
    "confirm_password",
    "password_confirm",
    "repeat_password",
    "password_confirmation",
    "otp",
    "totp",
    "pin",
    "mfa_code",
    "cvv",
    "cvc",
    // secrets of programs
    "secret",
    "client_secret",
    "app_secret",
    "api_secret",
    "oauth_token_secret",
    "api_key",
    "access_key",
    "secret_key",
    "private_key",
    "subscription_key",
    "auth",
    // signatures that make a URL a key: Amazon, Google, Azure, CloudFront, webhooks
    "signature",
    "sig",
    "hmac",
    "oauth_signature",
    "x-amz-signature",
    "x-amz-security-token",
    "x-goog-signature",
    // sessions
    "session",
    "session_id",
    "sessid",
    "jsessionid",
    "phpsessid",
    // headers
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
    "x-xsrf-token",
    "x-vault-token",
    "x-forwarded-access-token",
    "ocp-apim-subscription-key",
];

/// Which values are replaced before anything keeps a line. The default replaces JWTs wherever they stand and the values of parameters whose
/// names say that they are secrets.
#[derive(Debug, Clone)]
pub struct Redaction {
    /// `None`: nothing is replaced.
    names: Option<Names>,
}

impl Redaction {
    /// Keys whose value no caller writes.
    pub(crate) const PROXYS_OWN: KeySet = KeySet::of(&[
        Key::StartTime,
        Key::DownstreamDirectRemoteAddress,
        Key::DownstreamLocalAddress,
        Key::DownstreamRemoteAddress,
        Key::DownstreamPeerCertVEnd,
        Key::DownstreamPeerFingerprint256,
        Key::DownstreamPeerSerial,
        Key::UpstreamHost,
        Key::UpstreamLocalAddress,
    ]);

    /// Everything is kept as it was logged: for logs that hold no secrets, or where they were taken out before.
    #[must_use]
    pub fn none() -> Self {
        Redaction { names: None }
    }

    /// JWTs and the values of these parameters (and members of JSON) are replaced, no others. Upper and lower case, `-` and `_` are alike, and
    /// digits at the end do not count; of `user[password]` the innermost part does. To add to the default, chain its [`names`](Redaction::names).
    pub fn with_names<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Redaction { names: Some(Names::new(names.into_iter().map(Into::into).collect())) }
    }

    /// Whether the value of a header, or of a query's parameter, of that name is a secret.
    pub(crate) fn is_secret(&self, name: &str) -> bool {
        self.names.as_ref().is_some_and(|names| names.parameter(name.as_bytes()))
    }

    /// Whether an operator reads a header, or a query's parameter, whose value is a secret.
    #[must_use]
    pub fn hides(&self, operator: &Operator) -> bool {
        operator.of_names().any(|name| self.is_secret(name))
    }

    /// A format keeps a secret under that key: as a member of JSON, not as a parameter.
    pub(crate) fn add_label(&mut self, label: &str) {
        if let Some(names) = &mut self.names {
            names.add_label(label);
        }
    }

    /// Under which name `extra` keeps the value of a key that the log calls `logged_as`: what is known not to be a secret must not be taken for one
    /// because of its label.
    pub(crate) fn name_of<'n>(&self, key: Key, logged_as: Option<&'n str>) -> &'n str {
        let misleading = |name: &&str| self.names.as_ref().is_some_and(|names| names.member(name.as_bytes()));
        logged_as.filter(|name| !misleading(name)).unwrap_or(key.name())
    }

    /// The names of sensitive parameters, as they were given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().flat_map(Names::given)
    }

    /// A URL or path (or a query, or any text that may hold one): values of sensitive parameters and JWTs are replaced.
    #[inline]
    pub(crate) fn text<'a>(&self, value: &'a str) -> Cow<'a, str> {
        match &self.names {
            Some(names) => url(value, names),
            None => Cow::Borrowed(value),
        }
    }

    /// The value of a key, as what it is: a URL, or something else that a caller may write.
    #[inline]
    pub(crate) fn of<'a>(&self, key: Key, value: &'a str) -> Cow<'a, str> {
        const URLS: KeySet = KeySet::of(&[Key::Path, Key::OriginalPath, Key::Referer]);
        const HOSTS: KeySet = KeySet::of(&[Key::Authority, Key::OriginalHost]);
        if URLS.has(key) {
            self.text(value)
        } else if HOSTS.has(key) && value.contains('@') {
            self.host(value)
        } else if Self::PROXYS_OWN.has(key) {
            Cow::Borrowed(value)
        } else {
            self.words(value)
        }
    }

    /// What a caller calls, perhaps with the password of a user: `user:password@host`.
    fn host<'a>(&self, value: &'a str) -> Cow<'a, str> {
        let Some(names) = &self.names else { return Cow::Borrowed(value) };
        match splice::as_text(value, splice(value.as_bytes(), user::of_host(value.as_bytes()).into_iter(), VALUE)) {
            Cow::Borrowed(value) => words(value, names),
            Cow::Owned(redacted) => Cow::Owned(words(&redacted, names).into_owned()),
        }
    }

    /// Any other text that a caller controls: JWTs, values of what looks like a sensitive parameter, credentials behind their scheme.
    #[inline]
    pub(crate) fn words<'a>(&self, value: &'a str) -> Cow<'a, str> {
        self.names.as_ref().map_or(Cow::Borrowed(value), |names| words(value, names))
    }

    /// A JSON text: its strings as URLs, or as [`words`](Redaction::words) where no URL would have their bytes, and every string under a sensitive key. What was JSON still is.
    pub(crate) fn json<'a>(&self, json: &'a str) -> Cow<'a, str> {
        self.names.as_ref().map_or(Cow::Borrowed(json), |names| json::redact(json, names))
    }

    /// A line that could not be decoded, whatever it is: JWTs, values of what looks like a sensitive parameter or member, and what follows
    /// `Bearer` or `Basic` in an authorization header.
    pub(crate) fn bytes<'a>(&self, raw: &'a [u8]) -> Cow<'a, [u8]> {
        self.names.as_ref().map_or(Cow::Borrowed(raw), |names| raw::redact(raw, names))
    }
}

impl Default for Redaction {
    fn default() -> Self {
        Redaction::with_names(DEFAULT_NAMES)
    }
}

/// Whether a text has what every secret in a URL has.
#[inline]
fn may_be_secret(text: &str) -> bool {
    may_be_credentials(text) || has_any(text.as_bytes(), *b"=%J@:")
}

/// The same of a text that mostly is an address or a number: a header or a member of JSON has a blank or a quote beside its `:`.
#[inline]
pub(crate) fn may_be_secret_beside_a_port(text: &str) -> bool {
    may_be_credentials(text) || has_any(text.as_bytes(), *b"=%J@ \"")
}

/// Whether a text starts as the names of authentication schemes do.
#[inline]
fn may_be_credentials(text: &str) -> bool {
    matches!(text.as_bytes().first(), Some(b'B' | b'b'))
}

/// Whether one of the bytes stands in a text. Most texts are short, so a call for each would cost more than looking.
#[inline]
fn has_any<const N: usize>(text: &[u8], bytes: [u8; N]) -> bool {
    let is_one = |byte: &u8| bytes.iter().fold(false, |found, one| found | (byte == one));
    // a whole chunk without a branch is one of vectors
    let any = |chunk: &[u8; 16]| chunk.iter().fold(false, |found, byte| found | is_one(byte));
    let (chunks, rest) = text.as_chunks::<16>();
    chunks.iter().any(any)
        || match text.last_chunk::<16>() {
            Some(last) => any(last),
            None => rest.iter().any(is_one),
        }
}

#[inline]
fn words<'a>(value: &'a str, names: &Names) -> Cow<'a, str> {
    // a header has a `:`; for the others see `url`
    if !may_be_credentials(value) && !has_any(value.as_bytes(), *b"=J@:") {
        return Cow::Borrowed(value);
    }
    let redacted = jwt::redact(value.as_bytes());
    let redacted = then(redacted, |text| splice(text, raw::scheme_and_credentials(text), VALUE));
    let redacted = then(redacted, |text| splice(text, raw::credentials(text, names), VALUE));
    let redacted = then(redacted, |text| splice(text, raw::members(text, names), VALUE));
    let redacted = then(redacted, |text| splice(text, user::passwords(text), VALUE));
    splice::as_text(value, then(redacted, |text| splice(text, params::of_raw(text, names), VALUE)))
}

/// What may be a URL or any other text: none of the former has a blank or a quote.
#[inline]
fn url_or_words<'a>(value: &'a str, names: &Names) -> Cow<'a, str> {
    if value.contains([' ', '"']) { words(value, names) } else { url(value, names) }
}

/// JWTs first: what they leave behind may end a name, never the other way round.
#[inline]
fn url<'a>(value: &'a str, names: &Names) -> Cow<'a, str> {
    // a parameter has a `=`, percent-encoded or not, a JWT has a `J`, a user's part an `@`, a header and a member of JSON a `:`, and credentials start
    // with their scheme: most paths have none of them
    if !may_be_secret(value) {
        return Cow::Borrowed(value);
    }
    let redacted = jwt::redact(value.as_bytes());
    let redacted = then(redacted, |text| splice(text, raw::scheme_and_credentials(text), VALUE));
    let redacted = then(redacted, |text| splice(text, raw::credentials(text, names), VALUE));
    let redacted = then(redacted, |text| splice(text, user::passwords(text), VALUE));
    let redacted = then(redacted, |text| splice(text, raw::members(text, names), VALUE));
    splice::as_text(value, then(redacted, |text| splice(text, params::of_url(text, names), VALUE)))
}

#[cfg(test)]
mod tests;
