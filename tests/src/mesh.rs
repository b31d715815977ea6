//! A mesh of real Envoys on loopback: well-behaved traffic of a small bank, attacks planted in it, harmless traffic
//! that looks like the attacks, and the access logs of all of it in three formats, and in three of a mesh's own.
//!
//! ```text
//!  topology ─▶ config ─▶ envoy (one process per pod, own loopback address)
//!     pki ────▶                ▲                            │ the access logs of each pod
//!              script ─ client ┘ ─▶ app                     ▼
//!                 └─▶ plan (what must and must not be found)  logs
//! ```
//!
//! [`run`] does everything. Contents and counts are deterministic; times, ports, the second octet of addresses,
//! certificates and request ids are not. Nothing leaves 127.0.0.0/8.

mod app;
mod check;
mod client;
mod clock;
mod config;
mod custom;
mod doors;
pub mod envoy;
mod error;
mod format;
mod jwt;
mod logs;
mod net;
mod pki;
mod plan;
mod policy;
mod running;
mod script;
mod topology;

use std::time::Duration;

pub use check::check;
pub use custom::{CUSTOM, CustomFormat};
pub use doors::{Doors, TEXT_SOURCE};
pub use error::MeshError;
pub use format::{Fields, Format, ISTIO_JSON, ISTIO_TEXT, RECOMMENDED, blank};
pub(crate) use format::{TEXT_FIELDS, text_line};
pub use logs::{Logs, PodLogs};
pub use plan::{Edge, LookAlike, Planted, Side, detection, markdown, truth};

/// How a run is spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// As fast as the mesh answers, inside one window of five minutes.
    #[default]
    Fast,
    /// Spread over so many minutes, each attack inside one window of five minutes.
    Minutes(u32),
}

impl Pace {
    fn total(self) -> Duration {
        match self {
            Self::Fast => Duration::ZERO,
            Self::Minutes(minutes) => Duration::from_secs(60) * minutes,
        }
    }
}

/// The outcome of a run.
#[derive(Debug)]
pub struct Run {
    /// All access logs.
    pub logs: Logs,
    /// What must be found in them.
    pub planted: Vec<Planted>,
    /// What must not be found in them.
    pub lookalikes: Vec<LookAlike>,
    _folder: tempfile::TempDir,
}

/// Starts a mesh, plays the script in it, ends it and collects its logs; with doors, it sends them there as well.
///
/// # Errors
/// If there is no Envoy, an Envoy does not start, or the mesh does not answer as the script expects.
pub async fn run(pace: Pace, doors: Option<Doors>) -> Result<Run, MeshError> {
    let binary = envoy::binary().await?;
    let mesh = running::Mesh::start(&binary, doors).await?;
    let played = script::play(&mesh, pace).await?;
    let (logs, folder) = mesh.stop().await?;
    Ok(Run { logs, planted: played.planted, lookalikes: played.lookalikes, _folder: folder })
}
