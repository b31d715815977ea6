//! From flags and configuration to the decoder's options.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ingest::mesh_config::LogFormat;
use ingest::{DecodeOptions, FieldMap, GatewayNames, JsonFormat, MeshFormats, Operator, Redaction, TextFormat};

use super::args::DecodeArgs;
use super::error::CliError;
use crate::render;

impl DecodeArgs {
    /// The decoder's options.
    pub(crate) fn options(&self) -> Result<Arc<DecodeOptions>, CliError> {
        self.options_with(&BTreeMap::new())
    }

    /// The decoder's options; `configured` are field pairs that flags win over.
    pub(crate) fn options_with(&self, configured: &BTreeMap<String, String>) -> Result<Arc<DecodeOptions>, CliError> {
        let mut pairs = configured.clone();
        if let Some(file) = &self.field_map {
            let text = std::fs::read_to_string(file).map_err(|error| {
                CliError::Fields(format!("the field map {} cannot be read: {error}", file.display()))
            })?;
            let read: BTreeMap<String, String> = toml::from_str(&text).map_err(|error| {
                CliError::Fields(format!(
                    "the field map {} is not right, write lines of yours = \"ours\": {}",
                    file.display(),
                    error.message()
                ))
            })?;
            pairs.extend(read);
        }
        let given = self.fields.iter().map(|pair| FieldMap::parse_pair(pair)).collect::<Result<Vec<_>, _>>();
        let given = given.map_err(|error| CliError::Fields(error.to_string()))?;
        // a flag wins over a file, but not over another flag
        FieldMap::from_pairs(given.iter().cloned()).map_err(|error| CliError::Fields(error.to_string()))?;
        pairs.extend(given);
        let gateways = match self.gateways.is_empty() {
            true => GatewayNames::default(),
            false => GatewayNames::new(&self.gateways).map_err(|error| CliError::Gateways(error.to_string()))?,
        };
        let mut options = DecodeOptions {
            gateways,
            max_line_bytes: self.max_line_bytes,
            max_nesting: self.max_nesting,
            fields: FieldMap::from_pairs(pairs).map_err(|error| CliError::Fields(error.to_string()))?,
            trust_domain: self.trust_domain.clone(),
            cluster_domain: self.cluster_domain.clone(),
            redaction: self.redaction(),
            ..DecodeOptions::default()
        };
        for format in &self.format_strings {
            let refused =
                |why: &dyn std::fmt::Display| CliError::Format(format!("the format `{format}` cannot be used: {why}"));
            let compiled = TextFormat::compile(without_line_break(format)).map_err(|error| refused(&error))?;
            if !compiled.fills().contains(&"start_time") {
                render::say(format_args!(
                    "the format `{format}` logs no start time: lines are dated by what they come in (CRI, docker, journald, a shipper's JSON), and are rejects where that says none"
                ));
            }
            say_unknown(&"--format-string", compiled.operators());
            options.add_text_format(compiled);
        }
        for file in &self.mesh_configs {
            add_mesh_config(&mut options, file)?;
        }
        Ok(Arc::new(options))
    }

    fn redaction(&self) -> Redaction {
        if self.keep_secrets {
            return Redaction::none();
        }
        let usual = Redaction::default();
        let names: Vec<String> = usual.names().map(str::to_owned).chain(self.secrets.iter().cloned()).collect();
        Redaction::with_names(names)
    }
}

/// A format string without the `\n` at its end that a shell's quotes, or a copy out of YAML, left as two characters.
pub(crate) fn without_line_break(format: &str) -> &str {
    format.strip_suffix("\\n").unwrap_or(format)
}

/// Reads the formats of a mesh's configuration.
fn add_mesh_config(options: &mut DecodeOptions, file: &Path) -> Result<(), CliError> {
    let wrong = |what: String| CliError::Format(format!("{}: {what}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(format!("it cannot be read: {error}")))?;
    let mesh = MeshFormats::parse(&text);
    for problem in &mesh.problems {
        render::say(format_args!("{}: {problem}", file.display()));
    }
    if mesh.providers.is_empty() {
        match (mesh.names_built_in(), mesh.has_mesh_config, mesh.problems.first()) {
            // its format is Istio's default text, which is known anyway
            (true, ..) => {}
            (_, true, None) => render::say(format_args!(
                "{}: this mesh switches no access log on (no accessLogFile, no Telemetry that names a provider of it): lines are read in the formats that are \
                 known anyway; 'meshwarden format istio' prints what to add",
                file.display()
            )),
            (.., problem) => {
                let hint =
                    "no access log is defined in it; give a MeshConfig, a ConfigMap with one, or Envoy's access_log";
                return Err(wrong(problem.map_or_else(|| hint.to_owned(), ToString::to_string)));
            }
        }
    }
    for provider in mesh.providers {
        let at = |error: &dyn std::fmt::Display| wrong(format!("{}: {error}", provider.place));
        match &provider.format {
            LogFormat::Text(format) => {
                let compiled = TextFormat::compile(format).map_err(|error| at(&error))?;
                say_unknown(&file.display(), compiled.operators());
                options.add_text_format(compiled.with_omit_empty_values(provider.omit_empty_values));
            }
            LogFormat::Json(labels) => {
                let compiled = JsonFormat::compile(labels).map_err(|error| at(&error))?;
                say_unknown(&file.display(), compiled.labels().iter().flat_map(|label| &label.operators));
                options.add_json_format(&compiled, provider.omit_empty_values).map_err(|error| at(&error))?;
            }
            // known anyway, or no lines
            LogFormat::Default(_) | LogFormat::Protobuf => {}
        }
    }
    Ok(())
}

/// A mistyped operator fills no column, and Envoy refuses it.
fn say_unknown<'o>(place: &dyn std::fmt::Display, operators: impl IntoIterator<Item = &'o Operator>) {
    for operator in operators.into_iter().filter(|operator| !operator.is_known() || operator.refused().is_some()) {
        let why = operator.refused().unwrap_or("it has no such operator; an extension may bring it");
        render::say(format_args!("{place}: Envoy 1.40 refuses {operator}: {why}"));
    }
}
