//! Who may come in: everybody who knows the token, or, where none is set, this machine – but not web pages that it happens to show.
//!
//! ```text
//!  token set ──▶ Authorization: Bearer <token>, or as a shipper sends it (Splunk, Basic, ApiKey) ──▶ in, else 401
//!  no token  ──▶ Host names this machine, and no Origin but this Host ──▶ in, else 403   (gRPC: no Origin)
//! ```
//! A browser sends what any page tells it to, to 127.0.0.1 as well; `Origin` and `Host` say which page that was (a name that was made to
//! point here, "DNS rebinding", is no name of this machine).

use std::borrow::Cow;
use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;

use super::config::{TOKEN_VARIABLE, Token};
use super::problem::{Kind, Problem};
use super::state::AppState;

/// The layer around everything but `/healthz` and `/readyz`.
pub(crate) async fn guard(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let verdict = match &state.config().token {
        Some(token) => knows(token, request.headers()),
        // a proxy calls a server by its cluster's name; no page makes a browser speak HTTP/2 without TLS
        None if is_grpc(&request) && !request.headers().contains_key(header::ORIGIN) => Ok(()),
        None => is_local(request.headers(), request.uri()),
    };
    match verdict {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn knows(token: &Token, headers: &HeaderMap) -> Result<(), Problem> {
    let refused = |detail: &str, challenge: &'static str| {
        Err(Problem::new(Kind::Unauthorized, detail)
            .with(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)))
    };
    let Some(offered) = headers.get(header::AUTHORIZATION) else {
        return refused("send the server's token as 'Authorization: Bearer <token>'", "Bearer realm=\"meshwarden\"");
    };
    match offered_token(offered.as_bytes()) {
        Some(offered) if token.is(&offered) => Ok(()),
        Some(_) => refused(
            "the token is not the server's: compare it with the server's MESHWARDEN_ADMIN_TOKEN",
            "Bearer realm=\"meshwarden\", error=\"invalid_token\"",
        ),
        None => refused("the Authorization header is no 'Bearer <token>'", "Bearer realm=\"meshwarden\""),
    }
}

/// The token in a header: `Bearer` is ours, `Splunk` the Event Collector's; of `Basic` it is the password, of Elasticsearch's `ApiKey` what follows the id.
fn offered_token(header: &[u8]) -> Option<Cow<'_, [u8]>> {
    let blank = header.iter().position(|byte| *byte == b' ')?;
    let (scheme, credentials) = header.split_at_checked(blank)?;
    let credentials = credentials.trim_ascii();
    match scheme.to_ascii_lowercase().as_slice() {
        b"bearer" | b"splunk" => Some(credentials.into()),
        b"basic" | b"apikey" => {
            let decoded = base64::engine::general_purpose::STANDARD.decode(credentials).ok()?;
            let colon = decoded.iter().position(|byte| *byte == b':')?;
            Some(decoded.get(colon + 1..)?.to_vec().into())
        }
        _ => None,
    }
}

fn is_grpc(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let path = request.uri().path();
    let is_method =
        path.starts_with("/opentelemetry.proto.collector.") || path.starts_with("/envoy.service.accesslog.");
    is_method && request.version() == Version::HTTP_2 && kind.starts_with(b"application/grpc")
}

fn is_local(headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
    let host = match (uri.authority(), headers.get(header::HOST)) {
        // HTTP/2 says it in the request line
        (Some(authority), _) => Some(authority.as_str().to_owned()),
        (None, Some(host)) => Some(String::from_utf8_lossy(host.as_bytes()).into_owned()),
        (None, None) => None,
    };
    if let Some(host) = &host
        && !names_this_machine(host)
    {
        return Err(Problem::new(
            Kind::Forbidden,
            format!(
                "without a token the server answers to 'localhost' and IP addresses only, not to '{host}': use 127.0.0.1, or set {TOKEN_VARIABLE}"
            ),
        ));
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
    let same = origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == host.as_deref());
    if same {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Forbidden,
        format!(
            "without a token the server refuses requests from pages of '{origin}': set {TOKEN_VARIABLE} and send it"
        ),
    ))
}

/// Whether a `Host` is `localhost` or an address, with or without a port.
fn names_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_token_and_only_the_token() {
        let token = Token::new("s3cret").unwrap();
        for (value, known) in [
            ("Bearer s3cret", true),
            ("bearer s3cret", true),
            ("Bearer  s3cret ", true),
            ("Bearer s3cre", false),
            ("Bearer ", false),
            ("Bearer", false),
            ("Basic s3cret", false),
            ("Splunk s3cret", true),
            ("Splunk s3cre", false),
            // any:s3cret, any:s3cre, s3cret
            ("Basic YW55OnMzY3JldA==", true),
            ("ApiKey YW55OnMzY3JldA==", true),
            ("Basic YW55OnMzY3Jl", false),
            ("Basic czNjcmV0", false),
            ("s3cret", false),
            ("", false),
        ] {
            assert_eq!(knows(&token, &headers(&[(header::AUTHORIZATION, value)])).is_ok(), known, "{value}");
        }
        assert!(knows(&token, &HeaderMap::new()).is_err());
    }

    #[test]
    fn other_sites_pages_stay_out() {
        for (host, origin, welcome) in [
            ("127.0.0.1:8080", None, true),
            ("localhost:8080", None, true),
            ("[::1]:8080", None, true),
            ("LocalHost", None, true),
            ("evil.example:8080", None, false),
            ("127.0.0.1.evil.example", None, false),
            ("localhost:8080", Some("http://localhost:8080"), true),
            ("localhost:8080", Some("http://evil.example"), false),
            ("localhost:8080", Some("null"), false),
            ("evil.example:8080", Some("http://evil.example:8080"), false),
        ] {
            let mut pairs = vec![(header::HOST, host)];
            pairs.extend(origin.map(|origin| (header::ORIGIN, origin)));
            assert_eq!(is_local(&headers(&pairs), &Uri::from_static("/")).is_ok(), welcome, "{host} {origin:?}");
        }
    }
}
