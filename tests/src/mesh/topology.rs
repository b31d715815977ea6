//! Who is in the mesh: the pods of a small bank and its shop, their identities, policies and addresses.
//!
//! ```text
//!   internet ─▶ ingress gateway ─▶ frontend ─▶ orders ─▶ payments ─▶ ledger-db (TCP)
//!                                   reports ──▶ ┘          ▲
//!   node ─▶ legacy-accounts (PERMISSIVE)          everybody ┘ (mostly denied)
//! ```
//!
//! Addresses: 127.x.1.n are pods, 127.x.0.1 is the node, 127.x.66.n machines outside the mesh, 127.x.100.n the
//! internet's callers, 127.x.200.n unregistered and 127.x.201.n registered hosts of the internet. Service addresses
//! (10.96.0.n) are never connected to: they are only what the callers' connections say they wanted (see `client`).

use std::net::{Ipv4Addr, SocketAddrV4};

use super::{
    net::{Ports, Subnet},
    policy::{Policies, Rule},
};

/// The workloads of the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Gateway,
    Frontend,
    Orders,
    Recommender,
    Thumbnailer,
    Impostor,
    Payments,
    LedgerDb,
    LegacyAccounts,
    Batch,
    Reports,
    Notebook,
    Retired,
}

/// How a container port is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    Grpc,
    Tcp,
}

/// What `PeerAuthentication` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mtls {
    Strict,
    Permissive,
}

/// `outboundTrafficPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outbound {
    AllowAny,
    RegistryOnly,
}

/// Which certificate a pod shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    Own,
    /// One of an untrusted root that claims to be `payments`.
    Forged,
    /// One that has run out.
    Expired,
}

/// One pod.
#[derive(Debug, Clone)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) workload: &'static str,
    pub(crate) namespace: &'static str,
    pub(crate) ip: Ipv4Addr,
    pub(crate) ports: Vec<(u16, Protocol)>,
    pub(crate) mtls: Mtls,
    pub(crate) outbound: Outbound,
    pub(crate) identity: Identity,
    pub(crate) checks_tokens: bool,
    pub(crate) policies: Policies,
}

impl Pod {
    /// The principal in Istio's form, without `spiffe://`.
    pub(crate) fn principal(&self) -> String {
        format!("cluster.local/ns/{}/sa/{}", self.namespace, self.workload)
    }

    /// The identity that its certificate carries.
    pub(crate) fn spiffe(&self) -> String {
        match self.identity {
            Identity::Own | Identity::Expired => format!("spiffe://{}", self.principal()),
            Identity::Forged => "spiffe://cluster.local/ns/bank/sa/payments".to_owned(),
        }
    }

    /// The host name of its service.
    pub(crate) fn host(&self) -> String {
        format!("{}.{}.svc.cluster.local", self.workload, self.namespace)
    }

    /// Istio's node id.
    pub(crate) fn node_id(&self) -> String {
        let kind = if self.is_gateway() { "router" } else { "sidecar" };
        format!("{kind}~{}~{}.{}~{}.svc.cluster.local", self.ip, self.name, self.namespace, self.namespace)
    }

    /// What istiod puts into the environment of the proxy.
    pub(crate) fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("POD_NAME", self.name.clone()),
            ("POD_NAMESPACE", self.namespace.to_owned()),
            ("SERVICE_ACCOUNT", self.workload.to_owned()),
            ("ISTIO_META_CLUSTER_ID", "Kubernetes".to_owned()),
            ("TRUST_DOMAIN", "cluster.local".to_owned()),
        ]
    }

    pub(crate) fn is_gateway(&self) -> bool {
        self.namespace == "istio-system"
    }
}

/// All pods and addresses of one mesh.
#[derive(Debug)]
pub(crate) struct Topology {
    pub(crate) subnet: Subnet,
    pub(crate) ports: Ports,
    pub(crate) pods: Vec<Pod>,
}

impl Topology {
    /// The bank and its shop, on the given addresses.
    pub(crate) fn new(subnet: Subnet, ports: Ports) -> Self {
        let pods = pods(&subnet, ports);
        Self { subnet, ports, pods }
    }

    pub(crate) fn pod(&self, who: Who) -> &Pod {
        &self.pods[who as usize]
    }

    /// The service address of a pod: what its callers ask the network for.
    pub(crate) fn service_ip(&self, who: Who) -> Ipv4Addr {
        Ipv4Addr::new(10, 96, 0, 10 + who as u8)
    }

    /// Where the program of a pod listens, behind its sidecar.
    pub(crate) fn app(&self, pod: &Pod) -> SocketAddrV4 {
        SocketAddrV4::new(pod.ip, self.ports.app)
    }

    /// The node, from where the kubelet probes.
    pub(crate) fn node(&self) -> Ipv4Addr {
        self.subnet.ip(0, 1)
    }

    /// A machine in the cluster's network that is not in the mesh.
    pub(crate) fn outsider(&self, number: u8) -> Ipv4Addr {
        self.subnet.ip(66, number)
    }

    /// A customer on the internet.
    pub(crate) fn customer(&self, number: u8) -> Ipv4Addr {
        self.subnet.ip(100, number)
    }

    /// A host of the internet that nobody registered.
    pub(crate) fn unregistered(&self, number: u8) -> Ipv4Addr {
        self.subnet.ip(200, number)
    }

    /// A host of the internet that a `ServiceEntry` names.
    pub(crate) fn registered(&self, number: u8) -> Ipv4Addr {
        self.subnet.ip(201, number)
    }
}

fn pods(subnet: &Subnet, ports: Ports) -> Vec<Pod> {
    let pod = |number: u8, namespace: &'static str, workload: &'static str, hash: &str| Pod {
        name: format!("{workload}-{hash}"),
        workload,
        namespace,
        ip: subnet.ip(1, number),
        ports: vec![(ports.http, Protocol::Http)],
        mtls: Mtls::Strict,
        outbound: Outbound::AllowAny,
        identity: Identity::Own,
        checks_tokens: false,
        policies: Policies::default(),
    };
    let http_and_grpc = vec![(ports.http, Protocol::Http), (ports.grpc, Protocol::Grpc)];
    vec![
        Pod { ports: Vec::new(), ..pod(10, "istio-system", "ingressgateway", "6c4d9b7f55-kx2vp") },
        pod(11, "shop", "frontend", "7d9c5b6f4-2xkqp"),
        Pod {
            ports: http_and_grpc,
            checks_tokens: true,
            policies: orders_policies(ports),
            ..pod(12, "shop", "orders", "5f7b9d8c6-m8t4z")
        },
        pod(13, "shop", "recommender", "84c6fd9b77-qq9lw"),
        pod(14, "shop", "thumbnailer", "6b8d7c9f5d-zt5hn"),
        Pod { identity: Identity::Forged, ..pod(15, "shop", "impostor", "59c7f8b6d4-7pw2x") },
        Pod { policies: payments_policies(), ..pod(16, "bank", "payments", "78f9c5d6bb-4nl8r") },
        Pod {
            ports: vec![(ports.tcp, Protocol::Tcp)],
            policies: ledger_policies(),
            ..pod(17, "bank", "ledger-db", "0")
        },
        Pod { mtls: Mtls::Permissive, ..pod(18, "bank", "legacy-accounts", "66d5b8c7f9-xv6jd") },
        Pod { outbound: Outbound::RegistryOnly, ..pod(19, "bank", "batch", "29381760-h5kzs") },
        pod(20, "analytics", "reports", "7f6c8d9b45-j3rwm"),
        pod(21, "analytics", "notebook", "5c9f7d8b64-d8vqk"),
        Pod { identity: Identity::Expired, ..pod(22, "bank", "retired", "6f5b9c7d84-s2gnx") },
    ]
}

const FRONTEND: &str = "cluster.local/ns/shop/sa/frontend";
const ORDERS: &str = "cluster.local/ns/shop/sa/orders";
const PAYMENTS: &str = "cluster.local/ns/bank/sa/payments";

fn orders_policies(ports: Ports) -> Policies {
    Policies {
        deny: vec![Rule::new("shop", "orders-require-login", 0).path_prefix("/v1/account").without_token()],
        allow: vec![
            Rule::new("shop", "orders-http", 0).port(ports.http),
            Rule::new("shop", "orders-grpc", 0).principals(&[FRONTEND]).port(ports.grpc),
        ],
        ..Policies::default()
    }
}

fn payments_policies() -> Policies {
    Policies {
        audit: vec![Rule::new("bank", "audit-refunds", 0).path_prefix("/v1/refunds")],
        deny: vec![Rule::new("bank", "deny-admin", 0).path_prefix("/admin/")],
        allow: vec![Rule::new("bank", "payments-callers", 0).principals(&[FRONTEND, ORDERS])],
        dry_run_deny: vec![Rule::new("bank", "try-deny-export", 0).path_prefix("/v1/export")],
        dry_run_allow: vec![Rule::new("bank", "try-orders-only", 0).principals(&[ORDERS])],
    }
}

fn ledger_policies() -> Policies {
    Policies {
        deny: vec![Rule::new("bank", "ledger-no-analytics", 0).source_namespace("analytics")],
        allow: vec![Rule::new("bank", "ledger-clients", 0).principals(&[ORDERS, PAYMENTS])],
        ..Policies::default()
    }
}
