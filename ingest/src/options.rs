//! What an operator may set about decoding: bounds, the mesh's domains, other names of keys, names of gateways.

use regex::Regex;
use thiserror::Error;

use crate::field_map::{FieldMap, FieldMapError};
use crate::format_string::{Target, TextFormat};
use crate::json_format::JsonFormat;
use crate::json_names::{JsonNames, LineNames};
use crate::operator::Operator;
use crate::redact::Redaction;
use crate::time;
use crate::time_format::{Lacks, TimeFormat};
use crate::wanted::Wanted;

/// How lines are decoded. The defaults suit a mesh with Istio's defaults.
#[derive(Debug, Clone)]
pub struct DecodeOptions {
    /// Longest line that is decoded, in bytes without its line end (1 MiB). A longer one is a reject.
    pub max_line_bytes: usize,
    /// Deepest nesting of objects and lists in a JSON line (64; the line itself is level 1).
    pub max_nesting: usize,
    /// Lines in a full batch, rows and rejects together (8192).
    pub batch_rows: usize,
    /// Other names under which a format logs the canonical keys.
    pub fields: FieldMap,
    /// The mesh's trust domain (`cluster.local`), for principals inferred from the names of the logging pod.
    pub trust_domain: String,
    /// The Kubernetes DNS domain (`cluster.local`): hosts under `.svc.` of it are in the mesh.
    pub cluster_domain: String,
    /// Which pods are gateways.
    pub gateways: GatewayNames,
    /// Which secrets are taken out of rows and rejects.
    pub redaction: Redaction,
    /// Formats of the mesh's configuration, beside the defaults.
    pub formats: Formats,
    /// Which columns are decoded (all).
    pub wanted: Wanted,
}

/// Formats of a mesh's configuration. Filled by [`DecodeOptions::add_text_format`] and [`DecodeOptions::add_json_format`].
#[derive(Debug, Clone, Default)]
pub struct Formats {
    /// Tried before the defaults.
    texts: Vec<TextFormat>,
    /// What labels mean, by format.
    names: JsonNames,
    /// Forms of the start time that the formats write.
    times: Vec<TimeFormat>,
}

impl DecodeOptions {
    /// Reads lines of a text format, too.
    pub fn add_text_format(&mut self, format: TextFormat) {
        self.formats.times.extend(format.operators().iter().filter_map(|operator| operator.start_time().cloned()));
        for (target, operator) in format.targets().iter().zip(format.operators()) {
            if let Target::Extra(name) = target {
                self.keep_secret(name, [operator]);
            }
        }
        self.formats.texts.push(format);
    }

    /// Reads lines of a JSON format by what its labels say, whatever they are called; `omits_empty`: its lines leave out what is null
    /// (`omit_empty_values`). A label may mean something else in another format: a line's keys tell of which it is.
    ///
    /// # Errors
    /// If [`DecodeOptions::fields`], as it is now, gives one of its labels another meaning.
    pub fn add_json_format(&mut self, format: &JsonFormat, omits_empty: bool) -> Result<(), FieldMapError> {
        self.formats.names.add(&self.fields, format, omits_empty)?;
        for (name, operators) in format.kept_under() {
            self.keep_secret(&name, operators);
        }
        self.formats.times.extend(format.start_time().cloned());
        Ok(())
    }

    /// What `extra` keeps under a name that says nothing is a secret all the same if the operator reads one.
    fn keep_secret<'o>(&mut self, name: &str, operators: impl IntoIterator<Item = &'o Operator>) {
        let secret = operators.into_iter().any(|operator| self.redaction.hides(operator));
        if secret && !self.redaction.is_secret(name) {
            self.redaction.add_label(name);
        }
    }

    /// Whether one of the configured text formats logs what is taken out.
    pub(crate) fn text_formats_hold_secrets(&self) -> bool {
        let mut operators = self.text_formats().iter().flat_map(TextFormat::operators);
        operators.any(|operator| self.redaction.hides(operator))
    }

    /// Text formats of the mesh's configuration.
    pub(crate) fn text_formats(&self) -> &[TextFormat] {
        &self.formats.texts
    }

    /// The names of a JSON line that has these keys.
    pub(crate) fn names_of(&self, has: impl Fn(&str) -> bool) -> LineNames<'_> {
        self.formats.names.of(&self.fields, has)
    }

    /// What a key of some line may mean.
    pub(crate) fn names(&self) -> &FieldMap {
        self.formats.names.any(&self.fields)
    }

    /// Whether a line may be read by other names than the canonical ones, the start time's too.
    #[inline]
    pub(crate) fn renames(&self) -> bool {
        !self.formats.texts.is_empty() || self.names().names_start_time()
    }

    /// Reads a start time: µs since 1970, UTC.
    #[inline]
    pub(crate) fn start_time(&self, text: &str) -> Option<i64> {
        match self.formats.times.is_empty() {
            true => time::parse(text),
            false => self.formats.times.iter().find_map(|format| format.parse(text)).or_else(|| time::parse(text)),
        }
    }

    /// The same of a time that may say no instant, of a line that started at about `about`.
    pub(crate) fn start_time_near(&self, text: &str, about: i64) -> Option<i64> {
        self.formats.times.iter().find_map(|format| format.parse_near(text, about))
    }

    /// Whether a start time is of a form that says no instant.
    pub(crate) fn is_no_instant(&self, text: &str) -> bool {
        self.formats.times.iter().any(|format| format.lacks() != Lacks::Nothing && format.accepts(text))
    }
}

impl Default for DecodeOptions {
    fn default() -> Self {
        DecodeOptions {
            max_line_bytes: 1 << 20,
            max_nesting: 64,
            batch_rows: 8192,
            fields: FieldMap::default(),
            trust_domain: "cluster.local".to_owned(),
            cluster_domain: "cluster.local".to_owned(),
            gateways: GatewayNames::default(),
            redaction: Redaction::default(),
            formats: Formats::default(),
            wanted: Wanted::default(),
        }
    }
}

/// Recognises gateways by the name of the pod or of its service account: no field of a log line tells a gateway from a
/// sidecar's outbound side in every case.
#[derive(Debug, Clone)]
pub struct GatewayNames {
    patterns: Vec<Regex>,
}

/// Of istio-ingressgateway and its kin; pods of the Kubernetes Gateway API (`<gateway>-istio`, then hashes) are told by
/// their service account. Narrow on purpose: an application called payment-gateway that was taken for a gateway would be
/// a workload whose plaintext nobody sees.
const DEFAULT_PATTERNS: [&str; 3] =
    ["(^|-)(ingress|egress|east-?west)-?gateway(-|$)", "^(istio-)?gateway(-|$)", "-istio$"];

impl GatewayNames {
    /// Gateways are the pods whose name or service account matches one of these regular expressions (unanchored).
    pub fn new<P: AsRef<str>>(patterns: impl IntoIterator<Item = P>) -> Result<Self, GatewayNamesError> {
        let patterns = patterns.into_iter().map(|pattern| {
            Regex::new(pattern.as_ref()).map_err(|error| GatewayNamesError::BadPattern {
                pattern: pattern.as_ref().to_owned(),
                reason: error.to_string(),
            })
        });
        Ok(GatewayNames { patterns: patterns.collect::<Result<_, _>>()? })
    }

    /// Whether a pod of this name and service account is a gateway.
    #[must_use]
    pub fn matches(&self, pod: Option<&str>, service_account: Option<&str>) -> bool {
        let named = |name: Option<&str>| name.is_some_and(|name| self.patterns.iter().any(|p| p.is_match(name)));
        named(pod) || named(service_account)
    }
}

impl Default for GatewayNames {
    fn default() -> Self {
        // a test holds that all of them compile
        GatewayNames { patterns: DEFAULT_PATTERNS.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect() }
    }
}

/// Why names of gateways were refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GatewayNamesError {
    /// The text is no regular expression.
    #[error(
        "gateway name pattern `{pattern}` is not a regular expression ({reason}); to match a literal name, escape its special characters"
    )]
    BadPattern {
        /// What was given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn gateways_by_name() {
        let names = GatewayNames::default();
        assert_eq!(names.patterns.len(), DEFAULT_PATTERNS.len());
        for (pod, account, gateway) in [
            ("istio-ingressgateway-955654497-rv74f", "istio-ingressgateway-service-account", true),
            ("istio-egressgateway-7d9f-x", "", true),
            ("istio-eastwestgateway-7d9f-x", "", true),
            ("east-west-gateway-7d9f-x", "", true),
            ("gateway-6f5-x", "gateway", true),
            ("bookinfo-gateway-istio-6f5-x", "bookinfo-gateway-istio", true),
            ("public-istio-6f5-x", "public-istio", true),
            ("istio-gateway-6f5-x", "istio-gateway", true),
            ("payment-gateway-6f5-x", "payment-gateway", false),
            ("reviews-v1-6584ddcf65-k78wz", "bookinfo-reviews", false),
            ("gatewayed-app-1-2", "default", false),
            ("", "", false),
        ] {
            assert_eq!(names.matches(Some(pod), Some(account)), gateway, "{pod} {account}");
        }
        assert!(!names.matches(None, None));
        assert!(GatewayNames::new(["("]).unwrap_err().to_string().contains("escape"));
    }

    #[test]
    fn secrets_by_what_a_format_reads() {
        let json = serde_json::json!({
            "ts": "%START_TIME%", "x": "%REQ(AUTHORIZATION)%", "w": "%RESP(SET-COOKIE)%", "k": "%REQ(X-TENANT)%",
            "both": "Bearer %REQ(X-A?X-API-KEY)%", "cel": "%CEL(request.headers['authorization'])%",
        });
        let mut options = DecodeOptions::default();
        options.add_json_format(&JsonFormat::compile(&json).unwrap(), false).unwrap();
        let text = r#"%START_TIME% "%REQ(COOKIE)%" "%QUERY_PARAM(token)%" "%REQ(X-TENANT)%""#;
        options.add_text_format(TextFormat::compile(text).unwrap());
        let extra = |line: &str| {
            let mut decoder = crate::Decoder::new(options.clone().into(), "in", chrono::DateTime::UNIX_EPOCH);
            decoder.push(line.repeat(3).as_bytes());
            let rows = decoder.finish().unwrap().rows;
            let extra = arrow::array::AsArray::as_string_view(rows.column_by_name("extra").unwrap()).clone();
            assert_eq!(rows.num_rows(), 3);
            assert_eq!(extra.value(0), extra.value(2));
            extra.value(1).to_owned()
        };
        let line = r#"{"ts":"2026-11-22T14:39:24.727Z","x":"Bearer abc","w":"sid=abc","k":"abc","both":"Bearer abc","cel":"Bearer abc"}"#;
        let redacted = r#"{"both":"[redacted]","cel":"[redacted]","k":"abc","w":"[redacted]","x":"[redacted]"}"#;
        assert_eq!(extra(&format!("{line}\n")), redacted);
        let line = "2026-11-22T14:39:24.727Z \"sid=abc\" \"abc\" \"abc\"\n";
        let redacted = r#"{"query_param(token)":"[redacted]","req(cookie)":"[redacted]","req(x-tenant)":"abc"}"#;
        assert_eq!(extra(line), redacted);
    }
}
