//! A running mesh: all Envoys and the programs behind them, from the first certificate to the last flushed line.

use std::{
    net::SocketAddrV4,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{
    app::{self, Speaks},
    client::Way,
    config::{self, Secrets},
    doors::Doors,
    envoy::Envoy,
    error::{Doing, MeshError},
    jwt::Login,
    logs::Logs,
    net::{Ports, Subnet},
    pki::{Authority, Leaf},
    topology::{Identity, Pod, Protocol, Topology, Who},
};

/// Host names of the gateway.
pub(crate) const SHOP: &str = "shop.example";
const BANK: &str = "bank.example";
const SETTLE: Duration = Duration::from_millis(300);
/// Loggers that send over the network do so every 200 ms, and in the end not at all.
const SENT: Duration = Duration::from_secs(2);

/// A mesh that answers.
pub(crate) struct Mesh {
    pub(crate) topology: Topology,
    pub(crate) login: Login,
    /// What a customer's browser does: trusts the web root, offers HTTP/1.1.
    pub(crate) browser: Arc<ClientConfig>,
    envoys: Vec<Envoy>,
    doors: Option<Doors>,
    folder: TempDir,
    _programs: JoinSet<()>,
}

impl Mesh {
    /// Starts every program and Envoy and waits until all are ready.
    pub(crate) async fn start(binary: &Path, doors: Option<Doors>) -> Result<Self, MeshError> {
        let subnet = Subnet::claim()?;
        let ports = Ports::find(&subnet)?;
        let topology = Topology::new(subnet, ports);
        let login = Login::new()?;
        let web = Authority::new("Example Web Trust")?;
        let folder = tempfile::Builder::new()
            .prefix("meshwarden-mesh-")
            .tempdir()
            .doing(|| "create a folder for a mesh".to_owned())?;

        let mut programs = JoinSet::new();
        start_programs(&topology, &web, &mut programs).await?;
        let envoys = start_envoys(binary, &topology, (&login, &web), folder.path(), doors).await?;
        let browser = Arc::new(browser(&web)?);
        Ok(Self { topology, login, browser, envoys, doors, folder, _programs: programs })
    }

    /// Ends all Envoys and collects their logs, whose files live in the returned folder.
    pub(crate) async fn stop(self) -> Result<(Logs, TempDir), MeshError> {
        // Connections that were just closed are still on their way through the proxies.
        tokio::time::sleep(SETTLE).await;
        if self.doors.is_some() {
            tokio::time::sleep(SENT).await;
        }
        let mut ending = JoinSet::new();
        for envoy in self.envoys {
            ending.spawn(envoy.stop());
        }
        while let Some(ended) = ending.join_next().await {
            ended.map_err(std::io::Error::other).doing(|| "end an envoy".to_owned())??;
        }
        let pods = self.topology.pods.iter().map(|pod| (pod, pod_folder(self.folder.path(), pod)));
        Ok((Logs::collect(pods)?, self.folder))
    }

    /// From the program of a pod through its sidecar to the address it wants.
    pub(crate) fn through(&self, from: Who, wanted: SocketAddrV4) -> Way {
        let sidecar = SocketAddrV4::new(self.topology.pod(from).ip, self.topology.ports.outbound);
        Way::through(sidecar, wanted)
    }
}

async fn start_programs(topology: &Topology, web: &Authority, programs: &mut JoinSet<()>) -> Result<(), MeshError> {
    for pod in &topology.pods {
        if let Some((_, protocol)) = pod.ports.first() {
            let speaks = if *protocol == Protocol::Tcp { Speaks::Tcp } else { Speaks::Http };
            app::serve(topology.app(pod), speaks, programs).await?;
        }
    }
    let ports = topology.ports;
    let stripe = Arc::new(web_server(&web.server("api.stripe.example")?)?);
    let internet = [
        (topology.registered(1), ports.app, Speaks::Http),
        (topology.registered(2), ports.app, Speaks::Https(stripe)),
        (topology.unregistered(1), ports.http, Speaks::Http),
        (topology.unregistered(2), ports.odd, Speaks::Tcp),
    ];
    for (ip, port, speaks) in internet {
        app::serve(SocketAddrV4::new(ip, port), speaks, programs).await?;
    }
    Ok(())
}

async fn start_envoys(
    binary: &Path,
    topology: &Topology,
    (login, web): (&Login, &Authority),
    folder: &Path,
    doors: Option<Doors>,
) -> Result<Vec<Envoy>, MeshError> {
    let trusted = Authority::new("cluster.local")?;
    let strange = Authority::new("cluster.local")?;
    let jwks = login.jwks();
    let names = [(SHOP, web.server(SHOP)?), (BANK, web.server(BANK)?)];
    let mut envoys = Vec::new();
    for pod in &topology.pods {
        let own = pod_folder(folder, pod);
        std::fs::create_dir_all(&own).doing(|| format!("create {}", own.display()))?;
        let leaf = match pod.identity {
            Identity::Own => trusted.workload(&pod.spiffe())?,
            Identity::Forged => strange.workload(&pod.spiffe())?,
            Identity::Expired => trusted.expired(&pod.spiffe())?,
        };
        let secrets = Secrets { leaf: &leaf, root: &trusted.root, web: &names, jwks: &jwks };
        let config = config::bootstrap(topology, pod, secrets, &own, doors)?;
        let path = own.join("envoy.json");
        std::fs::write(&path, config.to_string()).doing(|| format!("write {}", path.display()))?;
        envoys.push(Envoy::start(binary, pod, &path, own.join("envoy.log"))?);
    }
    for (envoy, pod) in envoys.iter_mut().zip(&topology.pods) {
        envoy.ready(SocketAddrV4::new(pod.ip, topology.ports.admin)).await?;
    }
    Ok(envoys)
}

fn pod_folder(folder: &Path, pod: &Pod) -> PathBuf {
    folder.join(&pod.name)
}

fn web_server(leaf: &Leaf) -> Result<ServerConfig, MeshError> {
    let doing = || "read a certificate that was just made".to_owned();
    let certificate =
        CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).map_err(std::io::Error::other).doing(doing)?;
    let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).map_err(std::io::Error::other).doing(doing)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_no_client_auth().with_single_cert(vec![certificate], key)?)
}

fn browser(web: &Authority) -> Result<ClientConfig, MeshError> {
    let doing = || "read a certificate that was just made".to_owned();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(web.root.as_bytes()).map_err(std::io::Error::other).doing(doing)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
