//! One YAML: its providers, its Telemetries, and what was not understood.

use std::collections::BTreeMap;

use ingest::mesh_config::{LogFormat, MeshProblem, Provider, ProviderKind};
use ingest::{JsonFormat, MeshFormats};
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
    /// It is a mesh, but nothing switches logging on.
    pub(crate) logs_nothing: bool,
    /// What a person should know of the whole.
    pub(crate) notes: Vec<Note>,
}

/// Examines configurations, of (file, text) each. They are of one mesh: a Telemetry may name providers of another file.
pub(crate) fn examine(texts: &[(String, String)], pack: &Pack) -> Vec<MeshReport> {
    let meshes: Vec<MeshFormats> = texts.iter().map(|(_, text)| MeshFormats::parse(text)).collect();
    let mut all = MeshFormats::default();
    meshes.iter().for_each(|mesh| all.merge(mesh));
    // where its MeshConfig is, for one of the files
    let mut built_in = all.built_in();
    let report = |((input, _), mesh): (&(String, String), &MeshFormats)| {
        let problems = mesh.problems.iter().map(|problem| Note::wrong(problem.to_string()));
        let built_in = if mesh.has_mesh_config { built_in.take() } else { None };
        let logs_nothing = mesh.has_mesh_config && all.is_silent();
        let silent = logs_nothing.then(|| {
            Note::wrong(
                "this mesh logs no access at all: no accessLogFile, no Telemetry with accessLogging and no defaultProviders.accessLogging switch a provider on, \
                 so every detection is blind. Add the YAML below, or accessLogFile: /dev/stdout for Istio's default text",
            )
        });
        MeshReport {
            input: input.clone(),
            providers: mesh
                .providers
                .iter()
                .chain(&built_in)
                .map(|provider| provider::examine(provider, pack))
                .collect(),
            telemetries: telemetry::examine(mesh, &all),
            logs_nothing,
            notes: sorted(
                problems
                    .chain(silent)
                    .chain(telemetry::of_the_mesh(mesh, &all))
                    .chain(confused(&mesh.providers))
                    .chain(several(&mesh.providers))
                    .collect(),
            ),
        }
    };
    texts.iter().zip(&meshes).map(report).collect()
}

/// Providers whose lines nobody can tell apart, and which mean different things by one label.
fn confused(providers: &[Provider]) -> Vec<Note> {
    let formats = providers.iter().filter_map(|provider| match &provider.format {
        LogFormat::Json(labels) => Some((provider.shown(), JsonFormat::compile(labels).ok()?)),
        _ => None,
    });
    let formats: Vec<(&str, JsonFormat)> = formats.collect();
    let pairs =
        formats.iter().enumerate().flat_map(|(at, one)| formats.iter().skip(at + 1).map(move |other| (one, other)));
    let notes = pairs.filter_map(|((one, first), (other, second))| {
        let labels = first.confused_with(second);
        (!labels.is_empty()).then(|| {
            Note::risk(format!(
                "{one} and {other} have the same labels, but mean different things by {}: no line tells of which of them it is, so none of its \
                 identities counts and each has the signal ambiguous; rename one label",
                labels.join(", ")
            ))
        })
    });
    notes.collect()
}

/// Loggers of one list of plain Envoy's that write into one file: each request is there as often as there are of them.
fn several(providers: &[Provider]) -> Vec<Note> {
    let mut files: BTreeMap<(usize, &str), Vec<&Provider>> = BTreeMap::new();
    for provider in providers.iter().filter(|provider| provider.kind == ProviderKind::File) {
        if let Some(list) = provider.list {
            let path = provider.path.as_deref().unwrap_or("/dev/stdout");
            files.entry((list, path)).or_default().push(provider);
        }
    }
    let doubled = files.into_iter().filter(|(_, loggers)| loggers.len() > 1);
    let notes = doubled.map(|((_, path), loggers)| {
        let names: Vec<&str> = loggers.iter().map(|provider| provider.shown()).collect();
        let filtered = if loggers.iter().any(|provider| provider.filter.is_some()) {
            " that their filters let through"
        } else {
            ""
        };
        Note::risk(format!(
            "{} all write to {path}: every request{filtered} is printed {} times, and counted so; keep one",
            names.join(" and "),
            loggers.len()
        ))
    });
    notes.collect()
}

/// Examines a format string by itself.
pub(crate) fn examine_format(input: &str, format: &str, pack: &Pack) -> MeshReport {
    let provider = Provider::of_format(input, LogFormat::Text(format.to_owned()));
    MeshReport {
        input: input.to_owned(),
        providers: vec![provider::examine(&provider, pack)],
        telemetries: Vec::new(),
        logs_nothing: false,
        notes: Vec::new(),
    }
}

impl MeshReport {
    /// Whether there is nothing in it that concerns access logs.
    pub(crate) fn is_empty(&self) -> bool {
        self.providers.is_empty() && self.telemetries.is_empty() && !self.logs_nothing
    }
}

/// Whether a text is a configuration that concerns access logs.
pub(crate) fn is_configuration(text: &str) -> bool {
    let mesh = MeshFormats::parse(text);
    mesh.has_mesh_config || !mesh.is_silent()
}

/// How a text that concerns nothing here is called.
pub(crate) fn nothing() -> String {
    MeshProblem::Nothing.to_string()
}
