//! Harmless traffic of the same volume as the attacks.

use std::net::SocketAddrV4;

use super::{
    Stage, benign,
    calls::{PARTNER, STRIPE},
    insist,
};
use crate::mesh::{
    client::{self, Request, Way},
    error::MeshError,
    plan::{Edge, LookAlike, Side, detection},
    topology::Who,
};

pub(super) async fn dry_run(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 60;
    for number in 0..count {
        let request = stage.get(Who::Payments, &format!("/v1/export/{number}")).agent("frontend/1.8");
        stage.call(Who::Frontend, Who::Payments, request, 200).await?;
        stage.between(count).await;
    }
    let edges = vec![stage.edge(Who::Frontend, Who::Payments)];
    let what = "frontend exports from payments: a policy on trial would deny it, none that is enforced does";
    stage.spare(detection::DENIED_SPIKE, "dry-run-denied", what, edges, count);
    let trickle = benign::trickle(stage);
    stage.played.lookalikes.push(trickle);
    Ok(())
}

pub(super) async fn allowed(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 50;
    for _ in 0..count {
        let request = stage.get(Who::Payments, "/v1/balances").agent("orders/3.1");
        stage.call(Who::Orders, Who::Payments, request, 200).await?;
        stage.between(count).await;
    }
    let edges = vec![stage.edge(Who::Orders, Who::Payments)];
    stage.spare(detection::DENIED_SPIKE, "allowed", "orders asks payments for balances, which it may", edges, count);
    Ok(())
}

pub(super) async fn grpc_refused_by_application(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 40;
    for _ in 0..count {
        stage.grpc(Who::Frontend, "/shop.Orders/Forbidden", "7").await?;
        stage.between(count).await;
    }
    let edges = vec![stage.edge(Who::Frontend, Who::Orders)];
    let what = "orders itself answers gRPC calls with status 7; no policy denied them";
    stage.spare(detection::DENIED_SPIKE, "grpc-refused-by-application", what, edges, count);
    Ok(())
}

pub(super) async fn allowed_tcp(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 30;
    for _ in 0..count {
        stage.ledger(Who::Orders, true).await?;
        stage.between(count).await;
    }
    let edges = vec![stage.edge(Who::Orders, Who::LedgerDb)];
    stage.spare(
        detection::DENIED_SPIKE,
        "allowed-tcp",
        "orders connects to the ledger's database, which it may",
        edges,
        count,
    );
    Ok(())
}

pub(super) async fn scattered_403(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let clients = [Who::Frontend, Who::Recommender, Who::Reports, Who::Batch];
    let each = 10;
    for number in 0..each {
        for from in clients {
            let path = if number % 2 == 0 { "/forbidden-by-app/coupons" } else { "/forbidden-by-app/gifts" };
            stage.call(from, Who::Orders, stage.get(Who::Orders, path).agent("app/1"), 403).await?;
        }
        stage.between(each).await;
    }
    let edges = clients.into_iter().map(|from| stage.edge(from, Who::Orders)).collect();
    let what = "four clients are refused by orders itself ten times each, on two routes";
    stage.spare(detection::HTTP_403_SPIKE, "scattered-403", what, edges, each * clients.len());
    Ok(())
}

/// A PERMISSIVE HTTP port takes Istio's own TLS and plaintext, and no other TLS.
pub(super) async fn foreign_tls(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 30;
    let topology = &stage.mesh.topology;
    let from = topology.outsider(8);
    let pod = SocketAddrV4::new(topology.pod(Who::LegacyAccounts).ip, topology.ports.http);
    for _ in 0..count {
        client::refused_tls(Way::direct(from, pod), &stage.mesh.browser, "accounts.bank.example").await?;
        stage.between(count).await;
    }
    let edges = vec![stage.edge_from(from, Who::LegacyAccounts)];
    let what = "a machine outside the mesh speaks TLS that is not Istio's: the same flag NR as plaintext, but with a server name";
    stage.spare(detection::PLAINTEXT, "foreign-tls", what, edges, count);
    Ok(())
}

pub(super) async fn redirected_plaintext(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 30;
    let topology = &stage.mesh.topology;
    let from = topology.customer(9);
    let gateway = SocketAddrV4::new(topology.pod(Who::Gateway).ip, topology.ports.gateway_http);
    for _ in 0..count {
        let request = Request::get("shop.example", "/").agent("Mozilla/5.0");
        let status = client::http(Way::direct(from, gateway), request).await?;
        insist(|| "plaintext to the gateway".to_owned(), status, 301)?;
        stage.between(count).await;
    }
    let edges = vec![stage.edge_from(from, Who::Gateway)];
    let what = "a customer comes to the gateway in plaintext and is sent to https";
    stage.spare(detection::PLAINTEXT, "redirected-plaintext", what, edges, count);
    Ok(())
}

pub(super) async fn probes(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 25;
    for _ in 0..count {
        benign::probe(stage).await?;
        stage.between(count).await;
    }
    let edges = vec![stage.edge_from(stage.mesh.topology.node(), Who::LegacyAccounts)];
    let what = "the kubelet probes legacy-accounts in plaintext, faster than usual";
    stage.spare(detection::PLAINTEXT, "probes", what, edges, count);
    Ok(())
}

pub(super) async fn mutual_tls_to_permissive(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 25;
    for number in 0..count {
        let request = stage.get(Who::LegacyAccounts, &format!("/accounts/{}", 8000 + number)).agent("orders/3.1");
        stage.call(Who::Orders, Who::LegacyAccounts, request, 200).await?;
        stage.between(count).await;
    }
    let edges = vec![stage.edge(Who::Orders, Who::LegacyAccounts)];
    let what = "orders reads accounts of the PERMISSIVE pod by mutual TLS";
    stage.spare(detection::PLAINTEXT, "mutual-tls-to-permissive", what, edges, count);
    Ok(())
}

pub(super) async fn registered_http(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 15;
    for from in [Who::Thumbnailer, Who::Batch] {
        for _ in 0..count {
            stage.partner(from).await?;
            stage.between(2 * count).await;
        }
    }
    let edge = |from| stage.egress(from, Some(PARTNER.0), PARTNER.1);
    let edges = vec![edge(Who::Thumbnailer), edge(Who::Batch)];
    stage.spare(
        detection::UNKNOWN_HOST,
        "registered-http",
        "the same workloads call a registered partner",
        edges,
        2 * count,
    );
    Ok(())
}

pub(super) async fn registered_tls(stage: &mut Stage<'_>) -> Result<(), MeshError> {
    let count = 20;
    for from in [Who::Notebook, Who::Batch] {
        for _ in 0..count {
            stage.stripe(from).await?;
            stage.between(2 * count).await;
        }
    }
    let edge = |from| stage.egress(from, Some(STRIPE.0), STRIPE.1);
    let edges = vec![edge(Who::Notebook), edge(Who::Batch)];
    let what = "the same workloads call a registered payment provider by TLS, logged as TCP";
    stage.spare(detection::UNKNOWN_HOST, "registered-tls", what, edges, 2 * count);
    Ok(())
}

impl Stage<'_> {
    fn spare(
        &mut self,
        detection: &'static str,
        name: &'static str,
        what: &'static str,
        edges: Vec<Edge>,
        count: usize,
    ) {
        let side = if detection == detection::UNKNOWN_HOST { Side::Source } else { Side::Destination };
        self.played.lookalikes.push(LookAlike { name, detection, what, edges, count, side });
    }
}
