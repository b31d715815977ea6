//! Calls that both everyday traffic and attacks make: gRPC, the ledger, hosts of the internet.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::{Stage, insist};
use crate::mesh::{
    client::{self, Request},
    error::MeshError,
    topology::Who,
};

/// Host names that the mesh knows, and their addresses as a resolver would give them.
pub(super) const PARTNER: (&str, Ipv4Addr) = ("api.partner.example", Ipv4Addr::new(198, 51, 100, 20));
pub(super) const STRIPE: (&str, Ipv4Addr) = ("api.stripe.example", Ipv4Addr::new(198, 51, 100, 43));

impl Stage<'_> {
    /// Calls a gRPC method of orders and insists on the grpc-status.
    pub(super) async fn grpc(&self, from: Who, method: &str, status: &str) -> Result<(), MeshError> {
        let topology = &self.mesh.topology;
        let wanted = SocketAddrV4::new(topology.service_ip(Who::Orders), topology.ports.grpc);
        let host = format!("{}:{}", topology.pod(Who::Orders).host(), topology.ports.grpc);
        let got = client::grpc(self.mesh.through(from, wanted), &host, method).await?;
        insist(|| format!("{method}, called by {from:?},"), got.as_str(), status)
    }

    /// Talks to the ledger and insists on an answer, or on none.
    pub(super) async fn ledger(&self, from: Who, answers: bool) -> Result<(), MeshError> {
        let topology = &self.mesh.topology;
        let wanted = SocketAddrV4::new(topology.service_ip(Who::LedgerDb), topology.ports.tcp);
        let got = client::tcp(self.mesh.through(from, wanted), b"SELECT 1;").await?;
        insist(|| format!("a query of {from:?} to the ledger"), got > 0, answers)
    }

    /// Calls the registered partner over HTTP.
    pub(super) async fn partner(&self, from: Who) -> Result<(), MeshError> {
        let (host, ip) = PARTNER;
        let request = Request::get(host, "/v2/rates").agent("rates/1.0");
        let got = client::http(self.mesh.through(from, SocketAddrV4::new(ip, 80)), request).await?;
        insist(|| format!("a request of {from:?} to {host}"), got, 200)
    }

    /// Calls the registered payment provider over TLS, which the sidecar sees as TCP with a server name.
    pub(super) async fn stripe(&self, from: Who) -> Result<(), MeshError> {
        let (host, ip) = STRIPE;
        let request = Request::get(host, "/v1/charges").agent("stripe-rs/1");
        let way = self.mesh.through(from, SocketAddrV4::new(ip, 443));
        let got = client::https(way, &self.mesh.browser, host, request).await?;
        insist(|| format!("a request of {from:?} to {host}"), got, 200)
    }
}
