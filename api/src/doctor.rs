//! The doctor: what a log, or the configuration of a mesh, lets meshwarden see, and what would open its eyes.
//!
//! ```text
//!  log  ─▶ read as scan does ─▶ formats, columns, rejects (log.rs) ────────────────┐
//!                                                                                  ├─▶ Report ─▶ text or JSON
//!  YAML ─▶ ingest::MeshFormats ─▶ each provider (provider.rs) ─▶ MeshReport ───────┘  (render.rs)
//!                            └──▶ each Telemetry (telemetry.rs), its filters (filter.rs)
//!  a service's tables ─▶ what arrived, what is silent, what is rejected (arrivals.rs) ─▶ text or JSON
//! ```
//! It reads and says; it changes nothing and asks no cluster.

mod arrivals;
mod eyes;
mod filter;
mod inputs;
mod log;
mod mesh;
mod provider;
mod render;
mod secrets;
mod telemetry;
mod twins;
mod wrap;

use serde::Serialize;

pub(crate) use arrivals::{Arrivals, Asked};
pub(crate) use eyes::{Remedy, queries};
pub(crate) use inputs::{Kind, kind};
pub(crate) use log::{LogReport, examine as examine_log};
pub(crate) use mesh::{MeshReport, examine as examine_mesh, examine_format, nothing};
pub(crate) use render::text;

/// All that was found out.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The logs, together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<LogReport>,
    /// One for each YAML.
    pub(crate) meshes: Vec<MeshReport>,
    /// Which detections read query strings, in one sentence.
    pub(crate) queries: String,
    /// Detections that were not loaded: file and reason.
    pub(crate) refused: Vec<String>,
    /// What would let every detection see everything; `None` if they do.
    pub(crate) remedy: Option<Remedy>,
}

/// Something that a person should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Note {
    /// How much it matters.
    pub(crate) weight: Weight,
    /// One sentence, perhaps with what to do.
    pub(crate) text: String,
}

/// How much a note matters, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Weight {
    /// It does not work.
    Wrong,
    /// It works, and hides or reveals something.
    Risk,
    /// Good to know.
    Note,
}

impl Weight {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Weight::Wrong => "wrong",
            Weight::Risk => "risk",
            Weight::Note => "note",
        }
    }
}

impl Note {
    pub(crate) fn wrong(text: impl Into<String>) -> Self {
        Note { weight: Weight::Wrong, text: text.into() }
    }

    pub(crate) fn risk(text: impl Into<String>) -> Self {
        Note { weight: Weight::Risk, text: text.into() }
    }

    pub(crate) fn hint(text: impl Into<String>) -> Self {
        Note { weight: Weight::Note, text: text.into() }
    }
}

/// The worst first, each once.
fn sorted(mut notes: Vec<Note>) -> Vec<Note> {
    notes.sort_by_key(|note| note.weight);
    let mut seen = std::collections::HashSet::new();
    notes.retain(|note| seen.insert(note.text.clone()));
    notes
}
