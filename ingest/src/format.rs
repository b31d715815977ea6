//! The access-log format that fills every column, as text to put into a mesh's configuration.
//!
//! `formats/recommended.json` is the one list of its keys and command operators; the functions here dress it as the YAML
//! that Istio and plain Envoy want, and make the variant of it that logs query strings:
//!
//! ```text
//!                 without query (the file)                          with query
//! log_schema      meshwarden/1                                      meshwarden/1+query
//! path            %REQ_WITHOUT_QUERY(:PATH)%                        %REQ(:PATH)%
//! original_path   %REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH)%        %REQ(X-ENVOY-ORIGINAL-PATH)%
//! ```
//! All other keys are equal (`referer` has its query in both), so both variants fill the same columns.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};

/// What `log_schema` says where paths are logged without their query.
pub(crate) const SCHEMA: &str = "meshwarden/1";
/// What `log_schema` says where paths are logged with their query.
pub(crate) const SCHEMA_WITH_QUERY: &str = "meshwarden/1+query";

/// Which variant of the recommended format a line's `log_schema` says it is of: it has every key of it, whatever nulls `omit_empty_values` drops.
#[inline]
pub(crate) fn recommended_as(log_schema: Option<&str>) -> Option<Paths> {
    match log_schema {
        Some(SCHEMA) => Some(Paths::WithoutQuery),
        Some(SCHEMA_WITH_QUERY) => Some(Paths::WithQuery),
        _ => None,
    }
}

/// What the recommended format logs of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paths {
    /// Nothing from the `?` on: no secret in a query reaches a log file.
    #[default]
    WithoutQuery,
    /// All of it, for detections that read payloads. Whoever reads the log files reads the secrets in them, too.
    WithQuery,
}

/// The recommended format: a JSON object of key to Envoy's command operators, as Envoy's `json_format` and Istio's
/// `labels` take it. Paths are logged without their query.
#[must_use]
pub fn recommended() -> &'static str {
    include_str!("../formats/recommended.json")
}

/// The recommended format, or its variant.
#[must_use]
pub fn json(paths: Paths) -> Cow<'static, str> {
    match paths {
        Paths::WithoutQuery => Cow::Borrowed(recommended()),
        Paths::WithQuery => {
            let with_query = recommended().replace("%REQ_WITHOUT_QUERY(", "%REQ(");
            Cow::Owned(with_query.replace(&format!("\"{SCHEMA}\""), &format!("\"{SCHEMA_WITH_QUERY}\"")))
        }
    }
}

/// For Istio: an extension provider for `meshConfig`, and the Telemetry resource that switches it on for the mesh.
///
/// From Istio 1.26 on `omitEmptyValues: true` beside `logFormat` saves nearly half of the bytes.
#[must_use]
pub fn istio_yaml(paths: Paths) -> String {
    format!(
        "\
# 1) meshConfig (spec.meshConfig of IstioOperator, meshConfig of the Helm values, or the ConfigMap istio)
extensionProviders:
- name: meshwarden
  envoyFileAccessLog:
    path: /dev/stdout
    logFormat:
      labels:
{}---
# 2) switch it on for the whole mesh; it replaces meshConfig.accessLogFile
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata:
  name: meshwarden
  namespace: istio-system
spec:
  accessLogging:
  - providers:
    - name: meshwarden
",
        labels(paths, 8)
    )
}

/// For plain Envoy: the `access_log` of an HTTP connection manager, a TCP proxy or a listener.
#[must_use]
pub fn envoy_yaml(paths: Paths) -> String {
    format!(
        "\
access_log:
- name: envoy.access_loggers.file
  typed_config:
    \"@type\": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
    path: /dev/stdout
    log_format:
      json_format:
{}{}",
        labels(paths, 8),
        formatters(paths)
    )
}

/// The extension that gives Envoy the operator `%REQ_WITHOUT_QUERY%`, where it is used.
fn formatters(paths: Paths) -> &'static str {
    match paths {
        Paths::WithoutQuery => {
            "      formatters:
      - name: envoy.formatter.req_without_query
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery
"
        }
        Paths::WithQuery => "",
    }
}

/// One `key: "operators"` per line. A JSON string is a YAML string, too.
fn labels(paths: Paths, indent: usize) -> String {
    let line =
        |(key, operators): (String, String)| format!("{:indent$}{key}: {}\n", "", serde_json::Value::from(operators));
    pairs(paths).into_iter().map(line).collect()
}

/// The keys and operators in the order of the file, which a map would sort.
fn pairs(paths: Paths) -> Vec<(String, String)> {
    struct InOrder;
    impl<'de> Visitor<'de> for InOrder {
        type Value = Vec<(String, String)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of strings")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = map.next_entry()? {
                pairs.push(pair);
            }
            Ok(pairs)
        }
    }
    // the file is part of the program, and a test reads it
    serde_json::Deserializer::from_str(&json(paths)).deserialize_map(InOrder).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const BOTH: [Paths; 2] = [Paths::WithoutQuery, Paths::WithQuery];

    #[test]
    fn every_form_has_every_key() {
        for paths in BOTH {
            assert_eq!(pairs(paths).len(), 70);
            for yaml in [istio_yaml(paths), envoy_yaml(paths)] {
                for (key, operators) in pairs(paths) {
                    assert!(yaml.contains(&format!("        {key}: \"{operators}\"\n")), "{key}");
                }
            }
        }
    }

    #[test]
    fn the_variants_differ_in_what_they_log_of_a_path() {
        let [without, with] = BOTH.map(pairs);
        let differ = without.iter().zip(&with).filter(|(without, with)| without != with);
        let differ: Vec<_> = differ
            .map(|((key, without), (same_key, with))| {
                assert_eq!(key, same_key);
                (key.as_str(), without.as_str(), with.as_str())
            })
            .collect();
        assert_eq!(
            differ,
            [
                ("log_schema", SCHEMA, SCHEMA_WITH_QUERY),
                ("path", "%REQ_WITHOUT_QUERY(:PATH)%", "%REQ(:PATH)%"),
                ("original_path", "%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH)%", "%REQ(X-ENVOY-ORIGINAL-PATH)%"),
            ]
        );
        assert_eq!(json(Paths::default()), recommended());
    }

    /// Envoy refuses an operator that it does not know, and with it the whole listener.
    #[test]
    fn operators_are_ones_that_envoy_knows() {
        let known = [
            "REQ",
            "RESP",
            "ENVIRONMENT",
            "FILTER_STATE",
            "DYNAMIC_METADATA",
            "CLUSTER_METADATA",
            "START_TIME",
            // an extension; the YAML must bring it along
            "REQ_WITHOUT_QUERY",
        ];
        for paths in BOTH {
            for (key, operators) in pairs(paths).into_iter().filter(|(key, _)| key != "log_schema") {
                let inner = operators.strip_prefix('%').and_then(|rest| rest.strip_suffix('%')).unwrap();
                match inner.split_once('(') {
                    Some((operator, arguments)) => {
                        assert!(known.contains(&operator), "{key}: {operators}");
                        // at the end, or before the `:64` that bounds a header
                        let (_, bound) = arguments.rsplit_once(')').unwrap();
                        let digits = bound.strip_prefix(':').unwrap_or(bound);
                        assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{key}: {operators}");
                    }
                    None => {
                        assert!(
                            inner.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b'_')),
                            "{key}: {operators}"
                        );
                    }
                }
            }
            let yaml = envoy_yaml(paths);
            assert_eq!(yaml.contains("%REQ_WITHOUT_QUERY("), yaml.contains("envoy.formatter.req_without_query"));
        }
    }

    #[test]
    fn the_text_around_the_keys() {
        let without_keys = |yaml: String| {
            let lines =
                yaml.lines().filter(|line| !line.starts_with("        ") || line.contains("type")).map(str::to_owned);
            lines.filter(|line| !line.contains('%')).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!("istio", without_keys(istio_yaml(Paths::WithoutQuery)));
        insta::assert_snapshot!("envoy", without_keys(envoy_yaml(Paths::WithoutQuery)));
        insta::assert_snapshot!("envoy-with-query", without_keys(envoy_yaml(Paths::WithQuery)));
        assert_eq!(without_keys(istio_yaml(Paths::WithQuery)), without_keys(istio_yaml(Paths::WithoutQuery)));
    }
}
