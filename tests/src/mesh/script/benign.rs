//! One round of everyday traffic. A round touches every edge of the bank once or twice; over all rounds, one client
//! is also denied a steady twelve times, too rarely to be a spike.

use std::net::SocketAddrV4;

use super::{Stage, insist};
use crate::mesh::{
    client::{self, Request, Way},
    error::MeshError,
    jwt,
    plan::{LookAlike, Side, detection},
    running::SHOP,
    topology::Who,
};

/// Denials of the steady trickle in a whole run.
const TRICKLE: usize = 12;
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";

pub(super) async fn round(stage: &Stage<'_>, round: usize, rounds: usize) -> Result<(), MeshError> {
    let customer = format!("c{:04}", 1000 + round % 7);
    web(stage, round).await?;
    shop(stage, round, &customer).await?;
    bank(stage, round).await?;
    internet(stage, round).await?;
    probe(stage).await?;
    if (round + 1) * TRICKLE / rounds != round * TRICKLE / rounds {
        let status = stage.get(Who::Payments, "/admin/status").agent("batch/2.3");
        stage.call(Who::Batch, Who::Payments, status, 403).await?;
    }
    Ok(())
}

/// The trickle as a look-alike of a spike.
pub(super) fn trickle(stage: &Stage<'_>) -> LookAlike {
    LookAlike {
        name: "denied-trickle",
        detection: detection::DENIED_SPIKE,
        what: "a batch job asks for a forbidden status page now and then, all through the run",
        edges: vec![stage.edge(Who::Batch, Who::Payments)],
        count: TRICKLE,
        side: Side::Destination,
    }
}

async fn web(stage: &Stage<'_>, round: usize) -> Result<(), MeshError> {
    let topology = &stage.mesh.topology;
    let gateway = SocketAddrV4::new(topology.pod(Who::Gateway).ip, topology.ports.gateway_https);
    let customer = topology.customer(u8::try_from(1 + round % 5).unwrap_or(1));
    let page = Request::get(SHOP, &format!("/products/{}?utm_source=mail", 100 + round % 20)).agent(BROWSER);
    let basket = Request::new("POST", SHOP, "/basket")
        .agent(BROWSER)
        .header("referer", "https://shop.example/products")
        .body(64);
    let way = Way::direct(customer, gateway);
    let status = client::https(way, &stage.mesh.browser, SHOP, page).await?;
    insist(|| "a page of the shop".to_owned(), status, 200)?;
    let status = client::https(way, &stage.mesh.browser, SHOP, basket).await?;
    insist(|| "a basket of the shop".to_owned(), status, 200)
}

async fn shop(stage: &Stage<'_>, round: usize, customer: &str) -> Result<(), MeshError> {
    let token = stage.mesh.login.token(jwt::ISSUER, jwt::AUDIENCE, customer, 3600)?;
    let account = stage
        .get(Who::Orders, "/v1/account/orders")
        .agent("frontend/1.8")
        .header("authorization", format!("Bearer {token}"));
    stage.call(Who::Frontend, Who::Orders, account, 200).await?;
    let order = Request::new("POST", &stage.host(Who::Orders), "/v1/orders")
        .agent("frontend/1.8")
        .header("traceparent", format!("00-4bf92f3577b34da6a3ce929d{round:08x}-00f067aa0ba902b7-01"));
    stage.call(Who::Frontend, Who::Orders, order.body(256), 200).await?;
    let list = stage.get(Who::Orders, &format!("/v1/orders?page={round}")).agent("reports/0.9");
    stage.call(Who::Reports, Who::Orders, list, 200).await?;
    stage.grpc(Who::Frontend, "/shop.Orders/List", "0").await
}

async fn bank(stage: &Stage<'_>, round: usize) -> Result<(), MeshError> {
    let charge = Request::new("POST", &stage.host(Who::Payments), "/v1/charges")
        .agent("orders/3.1")
        .header("x-fapi-interaction-id", format!("93bac548-d2de-4546-b106-{round:012}"))
        .body(128);
    stage.call(Who::Orders, Who::Payments, charge, 200).await?;
    let path = if round.is_multiple_of(4) { "/v1/refunds" } else { "/v1/balances" };
    stage.call(Who::Orders, Who::Payments, stage.get(Who::Payments, path).agent("orders/3.1"), 200).await?;
    let account = stage.get(Who::LegacyAccounts, &format!("/accounts/{}", 7000 + round)).agent("frontend/1.8");
    stage.call(Who::Frontend, Who::LegacyAccounts, account, 200).await?;
    stage.ledger(Who::Payments, true).await
}

async fn internet(stage: &Stage<'_>, round: usize) -> Result<(), MeshError> {
    if round.is_multiple_of(2) { stage.partner(Who::Orders).await } else { stage.stripe(Who::Payments).await }
}

/// The kubelet asks the PERMISSIVE pod for its health, in the clear.
pub(super) async fn probe(stage: &Stage<'_>) -> Result<(), MeshError> {
    let topology = &stage.mesh.topology;
    let pod = SocketAddrV4::new(topology.pod(Who::LegacyAccounts).ip, topology.ports.http);
    let request = Request::get(&pod.to_string(), "/healthz").agent("kube-probe/1.31").header("accept", "*/*");
    let status = client::http(Way::direct(topology.node(), pod), request).await?;
    insist(|| "a probe of the kubelet".to_owned(), status, 200)
}
