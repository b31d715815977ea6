//! The script: rounds of benign traffic, and between them attacks, their look-alikes and oddities.
//!
//! Detections count per window of five minutes, aligned to the epoch. Fast, the whole script runs inside one window;
//! over minutes, every act of it does.

mod attacks;
mod benign;
mod calls;
mod lookalikes;
mod oddities;

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::{Duration, Instant},
};

use super::{
    Pace,
    client::{self, Request},
    clock,
    error::MeshError,
    plan::{Edge, LookAlike, Planted},
    running::Mesh,
    topology::Who,
};

const WINDOW: Duration = Duration::from_secs(300);
/// More than the whole script takes when it is fast.
const FAST: Duration = Duration::from_secs(30);
/// Acts between which the benign rounds are spread.
const ACTS: usize = 26;

/// What was played.
#[derive(Debug, Default)]
pub(crate) struct Played {
    pub(crate) planted: Vec<Planted>,
    pub(crate) lookalikes: Vec<LookAlike>,
}

/// Plays the script in a mesh.
pub(crate) async fn play(mesh: &Mesh, pace: Pace) -> Result<Played, MeshError> {
    let slot = pace.total() / u32::try_from(ACTS).unwrap_or(u32::MAX);
    let rounds = match pace {
        Pace::Fast => ACTS,
        Pace::Minutes(minutes) => ACTS.max(5 * usize::try_from(minutes).unwrap_or(ACTS)),
    };
    let mut stage = Stage { mesh, slot, played: Played::default() };
    room_in_window(if slot.is_zero() { FAST } else { Duration::ZERO }).await;
    let mut round = 0;
    for act in 0..ACTS {
        let ends = Instant::now() + slot;
        room_in_window(slot / 2).await;
        stage.act(act).await?;
        let until = (act + 1) * rounds / ACTS;
        while round < until {
            benign::round(&stage, round, rounds).await?;
            round += 1;
            let left = u32::try_from(until - round + 1).unwrap_or(1);
            tokio::time::sleep(ends.saturating_duration_since(Instant::now()) / left).await;
        }
    }
    Ok(stage.played)
}

/// Waits for the next window if this one ends too soon.
async fn room_in_window(needed: Duration) {
    let now = clock::now();
    let into = Duration::new(now.as_secs() % WINDOW.as_secs(), now.subsec_nanos());
    let left = WINDOW.saturating_sub(into);
    if left < needed {
        tokio::time::sleep(left).await;
    }
}

/// What the acts need: the mesh, the pace and the record of what was planted.
struct Stage<'mesh> {
    mesh: &'mesh Mesh,
    slot: Duration,
    played: Played,
}

impl Stage<'_> {
    async fn act(&mut self, act: usize) -> Result<(), MeshError> {
        match act {
            0 => lookalikes::dry_run(self).await,
            1 => attacks::denied_by_rule(self).await,
            2 => attacks::denied_by_none(self).await,
            3 => lookalikes::allowed(self).await,
            4 => lookalikes::grpc_refused_by_application(self).await,
            5 => attacks::denied_grpc(self).await,
            6 => attacks::denied_tcp(self).await,
            7 => lookalikes::allowed_tcp(self).await,
            8 => oddities::tokens(self).await,
            9 => lookalikes::scattered_403(self).await,
            10 => attacks::application_403(self).await,
            11 => attacks::plaintext_to_strict(self).await,
            12 => lookalikes::foreign_tls(self).await,
            13 => lookalikes::redirected_plaintext(self).await,
            14 => oddities::headers(self).await,
            15 => lookalikes::probes(self).await,
            16 => lookalikes::mutual_tls_to_permissive(self).await,
            17 => attacks::plaintext_to_permissive(self).await,
            18 => attacks::passthrough_http(self).await,
            19 => lookalikes::registered_http(self).await,
            20 => attacks::passthrough_tcp(self).await,
            21 => lookalikes::registered_tls(self).await,
            22 => oddities::gateway(self).await,
            23 => attacks::blocked_http(self).await,
            24 => attacks::black_hole(self).await,
            _ => oddities::handshakes(self).await,
        }
    }

    /// Waits between the `count` requests of an act, which fill a third of its slot.
    async fn between(&self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
        tokio::time::sleep(self.slot / 3 / count).await;
    }

    /// Calls a service over HTTP and insists on the status.
    async fn call(&self, from: Who, to: Who, request: impl Into<Vec<u8>>, status: u16) -> Result<(), MeshError> {
        let wanted = SocketAddrV4::new(self.mesh.topology.service_ip(to), self.mesh.topology.ports.http);
        let request = request.into();
        let first =
            request.split(|byte| *byte == b'\r').next().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
        let got = client::http(self.mesh.through(from, wanted), request).await?;
        insist(|| format!("{first:?} of {from:?} to {to:?}"), got, status)
    }

    /// `GET path` of a service.
    fn get(&self, to: Who, path: &str) -> Request {
        Request::get(&self.host(to), path)
    }

    /// The Host header of a service.
    fn host(&self, to: Who) -> String {
        let topology = &self.mesh.topology;
        format!("{}:{}", topology.pod(to).host(), topology.ports.http)
    }

    /// An edge inside the mesh.
    fn edge(&self, from: Who, to: Who) -> Edge {
        let source = self.mesh.topology.pod(from);
        Edge {
            source_principal: Some(source.principal()),
            source_address: source.ip.to_string(),
            ..self.edge_from(source.ip, to)
        }
    }

    /// An edge from an address without identity into the mesh.
    fn edge_from(&self, from: Ipv4Addr, to: Who) -> Edge {
        let pod = self.mesh.topology.pod(to);
        Edge {
            source_principal: None,
            source_address: from.to_string(),
            destination_principal: Some(pod.principal()),
            destination_service: Some(pod.host()),
            destination_host: None,
            destination_address: pod.ip.to_string(),
        }
    }

    /// An edge out of the mesh.
    fn egress(&self, from: Who, host: Option<&str>, to: Ipv4Addr) -> Edge {
        let source = self.mesh.topology.pod(from);
        Edge {
            source_principal: Some(source.principal()),
            source_address: source.ip.to_string(),
            destination_principal: None,
            destination_service: None,
            destination_host: host.map(str::to_owned),
            destination_address: to.to_string(),
        }
    }
}

fn insist<T: PartialEq + std::fmt::Debug>(what: impl FnOnce() -> String, got: T, expected: T) -> Result<(), MeshError> {
    if got == expected {
        return Ok(());
    }
    Err(MeshError::Unexpected { what: what(), got: format!("{got:?}"), expected: format!("{expected:?}") })
}
