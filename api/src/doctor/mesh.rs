//! One YAML: its providers, its Telemetries, and what was not understood.

use ingest::MeshFormats;
use ingest::mesh_config::MeshProblem;
use query::detect::Pack;
use serde::Serialize;

use super::provider::{self, ProviderReport};
use super::telemetry::{self, TelemetryReport};
use super::{Note, sorted};

/// What is known of a mesh's configuration.
#[derive(Debug, Serialize)]
pub(crate) struct MeshReport {
    /// The file.
    pub(crate) input: String,
    /// Who logs, and in which format.
    pub(crate) providers: Vec<ProviderReport>,
    /// Who logs where.
    pub(crate) telemetries: Vec<TelemetryReport>,
    /// What a person should know of the whole.
    pub(crate) notes: Vec<Note>,
}

/// Examines a configuration.
pub(crate) fn examine(input: &str, text: &str, pack: &Pack) -> MeshReport {
    let mesh = MeshFormats::parse(text);
    let problems = mesh.problems.iter().map(|problem| Note::wrong(problem.to_string()));
    let notes = problems.chain(telemetry::of_the_mesh(&mesh)).collect();
    MeshReport {
        input: input.to_owned(),
        providers: mesh.providers.iter().map(|provider| provider::examine(provider, pack)).collect(),
        telemetries: telemetry::examine(&mesh),
        notes: sorted(notes),
    }
}

impl MeshReport {
    /// Whether there is nothing in it that concerns access logs.
    pub(crate) fn is_empty(&self) -> bool {
        self.providers.is_empty() && self.telemetries.is_empty()
    }
}

/// Whether a text is a configuration that concerns access logs.
pub(crate) fn is_configuration(text: &str) -> bool {
    let mesh = MeshFormats::parse(text);
    !(mesh.providers.is_empty() && mesh.telemetries.is_empty() && mesh.default_providers.is_empty())
}

/// How a text that concerns nothing here is called.
pub(crate) fn nothing() -> String {
    MeshProblem::Nothing.to_string()
}
