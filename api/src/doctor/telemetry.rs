//! Telemetry resources: who logs where, what their filters hide, and what is printed twice.
//!
//! Istio's rules, as `pilot/pkg/model/telemetry.go` has them: a rule without providers is about those of the rule or level before it; a lower
//! level's providers replace the upper one's; the last rule that names a provider gives its filter; where a Telemetry with accessLogging or
//! `defaultProviders.accessLogging` applies, `accessLogFile` is not used.

use std::collections::BTreeMap;

use ingest::MeshFormats;
use ingest::mesh_config::{AccessLogging, Mode, Provider, ProviderKind, Telemetry};
use serde::Serialize;

use super::{Note, filter, sorted};

/// The provider that every mesh has.
const BUILT_IN: &str = "envoy";

/// What is known of a Telemetry.
#[derive(Debug, Serialize)]
pub(crate) struct TelemetryReport {
    /// `namespace/name`.
    pub(crate) name: String,
    /// Its rules.
    pub(crate) rules: Vec<RuleReport>,
    /// What a person should know of all of them together.
    pub(crate) notes: Vec<Note>,
}

/// What is known of a rule.
#[derive(Debug, Serialize)]
pub(crate) struct RuleReport {
    /// Whom it makes log, and on which side.
    pub(crate) says: String,
    /// Its CEL expression.
    pub(crate) filter: Option<String>,
    /// What a person should know.
    pub(crate) notes: Vec<Note>,
}

/// Examines every Telemetry of a file; `all` is what all files say.
pub(crate) fn examine(file: &MeshFormats, all: &MeshFormats) -> Vec<TelemetryReport> {
    file.telemetries.iter().map(|telemetry| one(telemetry, all)).collect()
}

/// What the MeshConfig of a file does not do that it seems to; `mesh` is what all files say.
pub(crate) fn of_the_mesh(file: &MeshFormats, mesh: &MeshFormats) -> Vec<Note> {
    let mut notes = Vec::new();
    let by_file = built_in(mesh);
    let names = |names: &[String]| names.join(", ");
    if !file.default_providers.is_empty() {
        if by_file.is_some() && !mesh.default_providers.iter().any(|name| is(name, BUILT_IN)) {
            notes.push(Note::risk(format!(
                "accessLogFile is not used: defaultProviders.accessLogging ({}) stands in its place",
                names(&mesh.default_providers)
            )));
        }
        for name in mesh.default_providers.iter().filter(|name| provider(mesh, name).is_none() && !is(name, BUILT_IN)) {
            notes.push(Note::wrong(format!(
                "defaultProviders.accessLogging names {name}, which no extensionProviders here defines: it logs nothing"
            )));
        }
        let all: Vec<&str> = mesh.default_providers.iter().map(String::as_str).collect();
        notes.extend(twice(&all, mesh));
    }
    let used = |name: &str| {
        let named =
            mesh.telemetries.iter().flat_map(|telemetry| &telemetry.access_logging).flat_map(|rule| &rule.providers);
        named.chain(&mesh.default_providers).any(|other| is(other, name))
    };
    let extensions = file.providers.iter().filter_map(|provider| provider.name.as_deref());
    for name in extensions.filter(|name| !is(name, BUILT_IN) && !used(name)) {
        notes.push(Note::hint(format!("nothing here switches {name} on: a Telemetry has to name it (the one printed by 'meshwarden format istio' shows how)")));
    }
    sorted(notes)
}

fn one(telemetry: &Telemetry, mesh: &MeshFormats) -> TelemetryReport {
    let name = match &telemetry.namespace {
        Some(namespace) => format!("{namespace}/{}", telemetry.name),
        None => telemetry.name.clone(),
    };
    let mut notes = Vec::new();
    let mut inherited: Vec<String> = mesh.default_providers.clone();
    let mut rules = Vec::new();
    let mut filters: BTreeMap<&str, &str> = BTreeMap::new();
    for rule in &telemetry.access_logging {
        if !rule.providers.is_empty() {
            inherited.clone_from(&rule.providers);
        }
        let is_covered = is_covered(rule, &inherited, &telemetry.access_logging);
        rules.push(self::rule(rule, &inherited, is_covered, mesh));
        for name in &rule.providers {
            let expression = rule.filter.as_deref().unwrap_or_default();
            let before = filters.insert(name, expression);
            if before.is_some_and(|before| before != expression) {
                notes.push(Note::risk(format!(
                    "several rules name {name} with different filters: Istio uses that of the last one for all of them"
                )));
            }
        }
    }
    let of = |modes: &[Mode]| {
        let rules = telemetry.access_logging.iter().filter(|rule| !rule.disabled && modes.contains(&rule.mode));
        let mut active: Vec<&str> = Vec::new();
        for name in rules.flat_map(|rule| &rule.providers) {
            if !active.iter().any(|other| is(other, name)) {
                active.push(name);
            }
        }
        active
    };
    let active = of(&[Mode::Client, Mode::Server, Mode::ClientAndServer]);
    // no proxy logs a request on both sides
    let (client, server) = (of(&[Mode::Client, Mode::ClientAndServer]), of(&[Mode::Server, Mode::ClientAndServer]));
    notes.extend(twice(&client, mesh));
    if server != client {
        notes.extend(twice(&server, mesh));
    }
    if built_in(mesh).is_some() && !active.is_empty() && !active.iter().any(|name| is(name, BUILT_IN)) {
        notes.push(Note::hint(
            "where this applies, accessLogFile of the MeshConfig is not used: only the providers named here log",
        ));
    }
    notes.extend(one_sided(&telemetry.access_logging));
    TelemetryReport { name, rules, notes: sorted(notes) }
}

/// What stays unseen where rules make one side log only.
fn one_sided(rules: &[AccessLogging]) -> Option<Note> {
    let logs = |side: Mode| {
        let on_that_side = |rule: &&AccessLogging| rule.mode == side || rule.mode == Mode::ClientAndServer;
        rules.iter().filter(on_that_side).any(|rule| !rule.disabled)
    };
    match (logs(Mode::Client), logs(Mode::Server)) {
        (true, false) => Some(Note::risk(
            "no rule here makes the inbound side log, and it is the one that judges: denials, plaintext and the application's own 403 stay \
             unseen, unless a Telemetry of a level above makes it log",
        )),
        (false, true) => Some(Note::risk(
            "no rule here makes the outbound side or a gateway log: egress to unknown hosts, failed handshakes and what gateways turn away \
             stay unseen, unless a Telemetry of a level above makes them log",
        )),
        _ => None,
    }
}

/// Whether a rule that switches providers off leaves another one that logs on each of its sides.
fn is_covered(off: &AccessLogging, effective: &[String], rules: &[AccessLogging]) -> bool {
    let sides: &[Mode] = match off.mode {
        Mode::ClientAndServer => &[Mode::Client, Mode::Server],
        Mode::Client => &[Mode::Client],
        Mode::Server => &[Mode::Server],
    };
    let switched_off = |name: &String| effective.iter().any(|other| is(other, name));
    let logs_on = |side: &Mode| {
        let on =
            rules.iter().filter(|rule| !rule.disabled && (rule.mode == *side || rule.mode == Mode::ClientAndServer));
        on.flat_map(|rule| &rule.providers).any(|name| !switched_off(name))
    };
    !off.providers.is_empty() && sides.iter().all(logs_on)
}

fn rule(rule: &AccessLogging, effective: &[String], is_covered: bool, mesh: &MeshFormats) -> RuleReport {
    let mut notes = Vec::new();
    let side = match rule.mode {
        Mode::ClientAndServer => "on both sides",
        Mode::Client => "outbound and at gateways only (CLIENT)",
        Mode::Server => "inbound only (SERVER)",
    };
    let who = match (rule.providers.is_empty(), effective) {
        (true, []) => "the providers of the level above".to_owned(),
        (true, names) => format!("the providers of before ({})", names.join(", ")),
        (false, names) => names.join(", "),
    };
    let says = if rule.disabled { format!("disabled: {who} {side}") } else { format!("{who} {side}") };
    // of several providers one may be switched off: whoever else logs on that side sees the same
    if rule.disabled && !is_covered {
        notes.push(Note::risk(match rule.mode {
            Mode::ClientAndServer => "it switches logging off where it applies: no detection sees these workloads",
            Mode::Client => "it switches the outbound side and gateways off: egress to unknown hosts and what gateways turn away stay unseen",
            Mode::Server => "it switches the inbound side off, which judges by policy: denials and plaintext to these workloads stay unseen",
        }));
    }
    for name in rule.providers.iter().filter(|name| !is(name, BUILT_IN) && provider(mesh, name).is_none()) {
        notes.push(match mesh.providers.is_empty() {
            true => {
                Note::hint(format!("{name} is not defined here: give the MeshConfig, too, to have its format examined"))
            }
            false => Note::wrong(format!(
                "no extensionProviders here defines {name}: Istio passes it over, and nothing is logged by it"
            )),
        });
    }
    if let Some(expression) = rule.filter.as_deref().filter(|_| !rule.disabled) {
        notes.extend(filter::notes(expression));
    }
    RuleReport { says, filter: rule.filter.clone(), notes: sorted(notes) }
}

/// Providers of one workload that write into the same file.
fn twice(names: &[&str], mesh: &MeshFormats) -> Vec<Note> {
    let mut by_path: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in names {
        let path = match provider(mesh, name) {
            Some(provider) if provider.kind == ProviderKind::File => provider.path.as_deref().unwrap_or("/dev/stdout"),
            None if is(name, BUILT_IN) => "/dev/stdout",
            _ => continue,
        };
        by_path.entry(path).or_default().push(name);
    }
    let doubled = by_path.into_iter().filter(|(_, names)| names.len() > 1);
    doubled
        .map(|(path, names)| {
            let names = names.join(" and ");
            Note::risk(format!(
                "{names} both write to {path}: every request is printed {}, and counted so; keep one",
                times(&names)
            ))
        })
        .collect()
}

fn times(names: &str) -> &'static str {
    if names.matches(" and ").count() == 1 { "twice" } else { "several times" }
}

/// `accessLogFile`.
fn built_in(mesh: &MeshFormats) -> Option<&Provider> {
    provider(mesh, BUILT_IN)
}

fn provider<'m>(mesh: &'m MeshFormats, name: &str) -> Option<&'m Provider> {
    mesh.providers.iter().find(|provider| provider.name.as_deref().is_some_and(|other| is(other, name)))
}

/// Istio compares names without their case.
fn is(name: &str, other: &str) -> bool {
    name.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests;
