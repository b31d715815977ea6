//! One provider of a mesh's configuration: what its format fills, what it hides, what Envoy refuses, what it reveals.
//!
//! ```text
//!  Provider ─▶ Format: text, JSON, both (OTLP: body and attributes), or none (ALS) ─▶ keys, renamed labels, extra, notes, what detections see
//! ```

use std::collections::BTreeSet;

use ingest::format_string::{Ambiguity, AmbiguityKind};
use ingest::json_format::{Label, LabelUse};
use ingest::mesh_config::{DefaultFormat, LogFormat, LoggerFilter, Provider, ProviderKind};
use ingest::{Coverage, JsonFormat, Operator, TextFormat};
use query::detect::Pack;
use serde::Serialize;

use super::eyes::{Eye, Queries, eyes};
use super::{Note, filter, secrets, sorted};

/// What is to say of Istio's and Envoy's default path.
pub(crate) const ORIGINAL_PATH_FIRST: &str = "path is %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%: a caller in the mesh that sends that header chooses what \
    an inbound line says it called, also on a denied one; the recommended format logs :PATH and the header apart";

/// What is known of a provider.
#[derive(Debug, Serialize)]
pub(crate) struct ProviderReport {
    /// Istio's name; plain Envoy's loggers have none.
    pub(crate) name: Option<String>,
    /// Where it is defined.
    pub(crate) place: String,
    /// Where its lines go, and in which form.
    pub(crate) logs: String,
    /// The canonical keys that it fills.
    pub(crate) fills: Vec<&'static str>,
    /// The keys of the recommended format that it does not.
    pub(crate) lacks: Vec<&'static str>,
    /// Labels that call a key otherwise: (label, key).
    pub(crate) renamed: Vec<(String, String)>,
    /// What no column takes.
    pub(crate) extra: Vec<String>,
    /// What a person should know.
    pub(crate) notes: Vec<Note>,
    /// What detections see; empty where there is no format to tell by.
    pub(crate) detections: Vec<Eye>,
}

/// A provider's format, compiled.
#[derive(Debug, Default)]
struct Format {
    text: Option<TextFormat>,
    json: Option<JsonFormat>,
}

/// Examines a provider.
pub(crate) fn examine(provider: &Provider, pack: &Pack) -> ProviderReport {
    let mut notes = Vec::new();
    let format = Format::of(provider, &mut notes);
    let mut report = ProviderReport {
        name: provider.name.clone(),
        place: provider.place.clone(),
        logs: logs(provider, &format),
        fills: format.fills(),
        lacks: Vec::new(),
        renamed: Vec::new(),
        extra: Vec::new(),
        notes: Vec::new(),
        detections: Vec::new(),
    };
    if let Some(json) = &format.json {
        report.renamed = json.pairs();
        json.labels().iter().for_each(|label| label_notes(label, provider, &mut notes));
        notes.extend(json.misleading().into_iter().map(|name| {
            Note::risk(format!(
                "label {name} has the name of a key, but says something else, and would be taken for it: give it another name"
            ))
        }));
    }
    report.extra = format.extra();
    let several = format.json.as_ref().map(JsonFormat::say_several).unwrap_or_default();
    if !several.is_empty() {
        notes.push(Note::hint(format!(
            "{} say several things each: they fill columns only where the format is known, by --mesh-config and this YAML",
            several.join(", ")
        )));
    }
    if let Some(coverage) = format.coverage(provider.omit_empty_values) {
        report.lacks = recommended().into_iter().filter(|key| !report.fills.contains(key)).collect();
        report.detections = eyes(pack, &coverage, format.queries());
        format.notes(provider, &mut notes);
        schema_note(&report, &format, &mut notes);
    } else if format.is_protobuf(provider) {
        notes.push(Note::hint(
            "Envoy's access-log service has no format: its messages carry principals, TLS and the RBAC metadata as they are, but also whole \
             JWT payloads and query strings",
        ));
    }
    match &provider.filter {
        Some(LoggerFilter::Cel(expression)) => {
            notes.push(Note::hint(format!("its filter lets through: {expression}")));
            notes.extend(filter::notes(expression));
        }
        Some(LoggerFilter::Other(kind)) => notes.push(Note::risk(format!(
            "its filter, {kind}, drops lines: which of those that detections live on the doctor cannot tell"
        ))),
        None => {}
    }
    report.notes = sorted(notes);
    report
}

impl Format {
    fn of(provider: &Provider, notes: &mut Vec<Note>) -> Format {
        let mut format = Format::default();
        match (&provider.format, provider.format.text()) {
            (_, Some(text)) => match TextFormat::compile(text) {
                Ok(text) => format.text = Some(text.with_omit_empty_values(provider.omit_empty_values)),
                Err(error) => notes.push(Note::wrong(error.to_string())),
            },
            (LogFormat::Default(DefaultFormat::IstioJson), _) => format.json = Some(JsonFormat::istio()),
            (LogFormat::Json(labels), _) => format.add_json(labels, notes),
            _ => {}
        }
        if let Some(attributes) = &provider.attributes {
            format.add_json(attributes, notes);
        }
        format
    }

    fn add_json(&mut self, labels: &serde_json::Value, notes: &mut Vec<Note>) {
        match JsonFormat::compile(labels) {
            Ok(json) => self.json = Some(json),
            Err(error) => notes.push(Note::wrong(error.to_string())),
        }
    }

    fn is_protobuf(&self, provider: &Provider) -> bool {
        provider.format == LogFormat::Protobuf
    }

    fn fills(&self) -> Vec<&'static str> {
        let text = self.text.iter().flat_map(TextFormat::fills);
        let json = self.json.iter().flat_map(JsonFormat::fills);
        text.chain(json).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Of an OTLP record a column is carried by its body or its attributes; the better of the two is shown.
    fn coverage(&self, omits_empty: bool) -> Option<Coverage> {
        let carried =
            |coverage: &Coverage| ingest::schema::ACCESS_LOGS.iter().map(|c| coverage.get(c.name)).sum::<u64>();
        let text = self.text.as_ref().map(Coverage::of_text_format);
        let json = self.json.as_ref().map(|json| Coverage::of_json_format(json, omits_empty));
        text.into_iter().chain(json).max_by_key(carried)
    }

    fn operators(&self) -> impl Iterator<Item = &Operator> {
        let text = self.text.iter().flat_map(|format| format.operators());
        let json = self.json.iter().flat_map(|format| format.labels()).flat_map(|label| &label.operators);
        text.chain(json)
    }

    fn extra(&self) -> Vec<String> {
        let text = self.text.iter().flat_map(|format| format.operators());
        let mut extra: Vec<String> =
            text.filter(|operator| operator.feeds().is_none()).map(Operator::extra_name).collect();
        extra.extend(self.json.iter().flat_map(JsonFormat::extra));
        extra
    }

    /// A query string is logged by an operator that does not leave it out.
    fn queries(&self) -> Queries {
        if self.operators().any(Operator::logs_query) { Queries::Logged } else { Queries::LeftOut }
    }

    fn notes(&self, provider: &Provider, notes: &mut Vec<Note>) {
        for operator in self.operators() {
            if let Some(reason) = operator.refused() {
                notes.push(Note::wrong(format!(
                    "Envoy 1.40 refuses {operator}, and with it the whole listener: {reason}"
                )));
            } else if !operator.is_known() {
                notes.push(Note::risk(format!(
                    "Envoy 1.40 has no operator {operator}: without an extension that brings it, it refuses the whole listener"
                )));
            } else if let Some(formatter) = operator.needs_formatter()
                && provider.name.is_none()
                && !provider.formatters.iter().any(|known| known == formatter)
            {
                notes.push(Note::hint(format!(
                    "{operator} needs the formatter {formatter} beside the format, or Envoy refuses the listener"
                )));
            }
        }
        if self.operators().any(Operator::prefers_original_path) {
            notes.push(Note::risk(ORIGINAL_PATH_FIRST));
        }
        notes.extend(secrets::notes(self.operators()));
        if let Some(text) = &self.text
            && !(is_default(provider) && text.operators().len() > 10)
        {
            ambiguities(&text.ambiguities(), notes);
        }
        if let Some((operator, cluster)) = self.text.as_ref().and_then(TextFormat::unreadable_cluster) {
            notes.push(Note::wrong(format!(
                "no line with a cluster such as `{cluster}` can be read: {operator} holds the `|` that separates the values here, so that there are several \
                 readings, and the line is a reject; put double quotes around it, or log JSON"
            )));
        }
        for operator in self.operators().filter(|operator| operator.is_no_instant()) {
            notes.push(Note::risk(format!(
                "{operator} says no instant: lines are dated by what they come in (CRI, docker, journald, a shipper's JSON); where that says no time, each is a reject"
            )));
        }
        if !self.fills().contains(&"start_time") {
            notes.push(Note::wrong(
                "nothing logs the start time, so lines are dated by what they come in (CRI, docker, journald, a shipper's JSON), and each is a reject where that says no time: add %START_TIME(%Y-%m-%dT%H:%M:%S.%6fZ)%, in JSON under the name start_time",
            ));
        }
    }
}

fn is_default(provider: &Provider) -> bool {
    matches!(provider.format, LogFormat::Default(_))
}

/// What is to say of one label.
fn label_notes(label: &Label, provider: &Provider, notes: &mut Vec<Note>) {
    let name = &label.name;
    match &label.used {
        LabelUse::Invalid(reason) => notes.push(Note::wrong(format!("label {name}: {reason}"))),
        LabelUse::Repeats(key) => {
            notes.push(Note::hint(format!("label {name} repeats {key}, which another label feeds; it stays in extra")));
        }
        LabelUse::Key(_) | LabelUse::NoColumn | LabelUse::Mixed(_) | LabelUse::Literal => {}
    }
    if label.nested {
        for operator in label.operators.iter().filter(|operator| operator.needs_formatter().is_some()) {
            notes.push(Note::wrong(format!(
                "label {name}: Istio adds the formatter of {operator} only where a top-level label has it; inside an object Envoy \
                 refuses the whole listener"
            )));
        }
        if provider.kind == ProviderKind::OpenTelemetry {
            notes.push(Note::wrong(format!("attribute {name}: Istio sends an empty string for an object or a list")));
        }
    }
    if label.in_list && provider.omit_empty_values && matches!(label.used, LabelUse::Key(_) | LabelUse::Mixed(_)) {
        notes.push(Note::risk(format!(
            "label {name} stands in a list, from which omitEmptyValues drops what is empty: then nobody knows which value is whose, its columns are null, and \
             the row has the signal ambiguous; an object has names"
        )));
    }
    if let Some(format) = &label.text {
        notes.extend(format.ambiguities().into_iter().map(|Ambiguity { operator, literal, caller_controlled, .. }| {
            let who = if caller_controlled { ", which a caller may choose" } else { "" };
            Note::risk(format!(
                "label {name}: {operator} may hold the `{literal}` behind it{who}: such a label stays whole in extra, its columns are null, \
                 and the row has the signal ambiguous; a label of its own leaves no doubt"
            ))
        }));
    }
}

/// A format that says it is ours must be.
fn schema_note(report: &ProviderReport, format: &Format, notes: &mut Vec<Note>) {
    let says = format.json.iter().flat_map(|json| json.labels()).any(|label| label.used == LabelUse::Key("log_schema"));
    if says && !report.lacks.is_empty() {
        notes.push(Note::wrong(format!(
            "log_schema says that all {} keys are logged, but these are not: {}. Detections look evaluable that are not; leave log_schema \
             out, or add them",
            recommended().len(),
            report.lacks.join(", ")
        )));
    }
}

/// Positions of a text format in doubt: the bad ones each, mere quotes together.
fn ambiguities(found: &[Ambiguity], notes: &mut Vec<Note>) {
    let (quotes, bad): (Vec<&Ambiguity>, Vec<&Ambiguity>) =
        found.iter().partition(|ambiguity| ambiguity.kind == AmbiguityKind::Quote);
    notes.extend(bad.into_iter().map(|ambiguity| Note::risk(ambiguity.to_string())));
    let names: BTreeSet<&str> = quotes.iter().map(|ambiguity| ambiguity.operator.as_str()).collect();
    if !names.is_empty() {
        let names: Vec<&str> = names.into_iter().collect();
        notes.push(Note::hint(format!(
            "Envoy does not escape a double quote inside {}: a line with one is a reject where it can be read in two ways; JSON leaves no doubt",
            names.join(", ")
        )));
    }
}

/// Where its lines go, and in which form.
fn logs(provider: &Provider, format: &Format) -> String {
    let labels = |json: &JsonFormat| json.names().count();
    let form = match (&provider.format, &format.json, &format.text) {
        (LogFormat::Default(DefaultFormat::IstioJson), ..) => "Istio's default JSON".to_owned(),
        (LogFormat::Default(DefaultFormat::IstioText), ..) => "Istio's default text".to_owned(),
        (LogFormat::Default(DefaultFormat::EnvoyText), ..) => "Envoy's default text".to_owned(),
        (LogFormat::Json(_), Some(json), _) => match recommended().len() == labels(json) && json.pairs().is_empty() {
            true => format!("JSON with {} labels, as recommended", labels(json)),
            false => format!("JSON with {} labels", labels(json)),
        },
        (LogFormat::Text(_), _, Some(text)) => format!("text with {} operators", text.operators().len()),
        (LogFormat::Json(_) | LogFormat::Text(_), ..) => "a format that cannot be read".to_owned(),
        (LogFormat::Protobuf, ..) => "Envoy's messages".to_owned(),
    };
    let attributes = match (&provider.attributes, &format.json) {
        (Some(_), Some(json)) => format!(" and {} attributes", labels(json)),
        _ => String::new(),
    };
    let omits = if provider.omit_empty_values { ", empty values omitted" } else { "" };
    match provider.kind {
        ProviderKind::File => format!("{form}{omits}, to {}", provider.path.as_deref().unwrap_or("a file")),
        ProviderKind::OpenTelemetry => format!("{form}{attributes}{omits}, by OTLP"),
        ProviderKind::HttpAls => format!("{form}, by the access-log service, requests only"),
        ProviderKind::TcpAls => format!("{form}, by the access-log service, TCP connections only"),
    }
}

/// The keys of the recommended format.
pub(crate) fn recommended() -> Vec<&'static str> {
    let keys = serde_json::from_str(ingest::format::recommended()).ok();
    keys.and_then(|format| JsonFormat::compile(&format).ok()).map(|format| format.fills()).unwrap_or_default()
}
