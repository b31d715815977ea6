//! What a run holds: the attacks planted in it, and the harmless traffic that looks like them.

use serde_json::{Value, json};

use super::format::Format;

/// Ids of the detections that must find the planted attacks.
pub mod detection {
    /// Many denials by authorization policy on one edge.
    pub const DENIED_SPIKE: &str = "authz.denied-spike";
    /// Many 403 of the application itself to one client.
    pub const HTTP_403_SPIKE: &str = "http.403-spike";
    /// Plaintext to a workload of the mesh, refused or accepted.
    pub const PLAINTEXT: &str = "mtls.plaintext-attempt";
    /// A connection to a host that nobody registered.
    pub const UNKNOWN_HOST: &str = "egress.unknown-host";
    /// Headers that broke lines of a text format.
    pub const AMBIGUOUS_LINE: &str = "log.ambiguous-line";
}

/// From whom to whom. Principals are in Istio's form (`cluster.local/ns/N/sa/S`) and are written only in the
/// recommended format; addresses carry no port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Who called, if it has an identity.
    pub source_principal: Option<String>,
    /// From which address.
    pub source_address: String,
    /// Who was called, if it has an identity.
    pub destination_principal: Option<String>,
    /// The Kubernetes service that was called.
    pub destination_service: Option<String>,
    /// The name that was called outside the mesh, as it stands in the log.
    pub destination_host: Option<String>,
    /// The address that was called.
    pub destination_address: String,
}

/// Which side's lines are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The proxy of the called workload.
    Destination,
    /// The proxy of the caller.
    Source,
}

/// An attack that must be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planted {
    /// Name in this run.
    pub name: &'static str,
    /// The detection that must find it, one of [`detection`].
    pub detection: &'static str,
    /// What happens, in one sentence.
    pub what: &'static str,
    /// From whom to whom.
    pub edge: Edge,
    /// Lines of it that `side` wrote.
    pub count: usize,
    /// Whose lines are counted.
    pub side: Side,
    /// The policy rule that denied it.
    pub policy: Option<&'static str>,
    /// Whether Istio's default formats carry what it takes to find it; the recommended format always does.
    pub in_default_formats: bool,
}

impl Planted {
    /// Whether a format carries what it takes to find it.
    pub fn found_in(&self, format: Format) -> bool {
        format == Format::Recommended || self.in_default_formats
    }
}

/// Harmless traffic that must not be reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookAlike {
    /// Name in this run.
    pub name: &'static str,
    /// The detection that it must not set off.
    pub detection: &'static str,
    /// What happens, and why it is harmless, in one sentence.
    pub what: &'static str,
    /// From whom to whom.
    pub edges: Vec<Edge>,
    /// Lines of it that `side` wrote, over all edges.
    pub count: usize,
    /// Whose lines are counted.
    pub side: Side,
}

impl Edge {
    fn json(&self) -> Value {
        json!({
            "source_principal": self.source_principal, "source_address": self.source_address,
            "destination_principal": self.destination_principal, "destination_service": self.destination_service,
            "destination_host": self.destination_host, "destination_address": self.destination_address,
        })
    }

    fn source(&self) -> String {
        let address = &self.source_address;
        self.source_principal.as_ref().map_or_else(|| format!("`{address}`"), |name| format!("`{name}` (`{address}`)"))
    }

    fn destination(&self) -> String {
        let address = &self.destination_address;
        let name = self.destination_host.as_ref().or(self.destination_service.as_ref());
        name.map_or_else(|| format!("`{address}`"), |name| format!("`{name}` (`{address}`)"))
    }
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Destination => "destination",
            Self::Source => "source",
        }
    }
}

/// The truth about a run as JSON.
pub fn truth(planted: &[Planted], lookalikes: &[LookAlike]) -> Value {
    let planted: Vec<_> = planted
        .iter()
        .map(|attack| {
            let found_in: Vec<_> =
                Format::ALL.into_iter().filter(|format| attack.found_in(*format)).map(Format::file_name).collect();
            json!({
                "name": attack.name, "detection": attack.detection, "what": attack.what, "edge": attack.edge.json(),
                "count": attack.count, "side": attack.side.name(), "policy": attack.policy, "found_in": found_in,
            })
        })
        .collect();
    let lookalikes: Vec<_> = lookalikes
        .iter()
        .map(|harmless| {
            json!({
                "name": harmless.name, "detection": harmless.detection, "what": harmless.what, "count": harmless.count,
                "side": harmless.side.name(), "edges": harmless.edges.iter().map(Edge::json).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({"planted": planted, "lookalikes": lookalikes})
}

/// The truth about a run as two Markdown tables.
pub fn markdown(planted: &[Planted], lookalikes: &[LookAlike]) -> String {
    let mut text = String::from(
        "| attack | detection | source | destination | lines | also in Istio's default formats |\n|---|---|---|---|---|---|\n",
    );
    for attack in planted {
        let (from, to) = (attack.edge.source(), attack.edge.destination());
        let default = if attack.in_default_formats { "yes" } else { "no" };
        text += &format!(
            "| {}: {} | `{}` | {from} | {to} | {} by the {} | {default} |\n",
            attack.name,
            attack.what,
            attack.detection,
            attack.count,
            attack.side.name()
        );
    }
    text += "\n| look-alike | must not set off | from | to | lines |\n|---|---|---|---|---|\n";
    for harmless in lookalikes {
        let list = |part: fn(&Edge) -> String| {
            let mut parts: Vec<_> = harmless.edges.iter().map(part).collect();
            parts.dedup();
            parts.join(", ")
        };
        text += &format!(
            "| {}: {} | `{}` | {} | {} | {} by the {} |\n",
            harmless.name,
            harmless.what,
            harmless.detection,
            list(Edge::source),
            list(Edge::destination),
            harmless.count,
            harmless.side.name()
        );
    }
    text
}
