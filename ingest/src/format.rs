//! The access-log format that fills every column, as text to put into a mesh's configuration.
//!
//! `formats/recommended.json` is the one list of its keys and command operators; the functions here dress it as the YAML
//! that Istio and plain Envoy want.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};

/// The recommended format: a JSON object of key to Envoy's command operators, as Envoy's `json_format` and Istio's
/// `labels` take it.
#[must_use]
pub fn recommended() -> &'static str {
    include_str!("../formats/recommended.json")
}

/// For Istio: an extension provider for `meshConfig`, and the Telemetry resource that switches it on for the mesh.
///
/// From Istio 1.26 on `omitEmptyValues: true` beside `logFormat` saves nearly half of the bytes.
#[must_use]
pub fn istio_yaml() -> String {
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
        labels(8)
    )
}

/// For plain Envoy: the `access_log` of an HTTP connection manager, a TCP proxy or a listener.
#[must_use]
pub fn envoy_yaml() -> String {
    format!(
        "\
access_log:
- name: envoy.access_loggers.file
  typed_config:
    \"@type\": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
    path: /dev/stdout
    log_format:
      json_format:
{}      formatters:
      - name: envoy.formatter.req_without_query
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery
",
        labels(8)
    )
}

/// One `key: "operators"` per line. A JSON string is a YAML string, too.
fn labels(indent: usize) -> String {
    let line =
        |(key, operators): (String, String)| format!("{:indent$}{key}: {}\n", "", serde_json::Value::from(operators));
    pairs().into_iter().map(line).collect()
}

/// The keys and operators in the order of the file, which a map would sort.
fn pairs() -> Vec<(String, String)> {
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
    serde_json::Deserializer::from_str(recommended()).deserialize_map(InOrder).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn both_forms_have_every_key() {
        assert_eq!(pairs().len(), 70);
        for yaml in [istio_yaml(), envoy_yaml()] {
            for (key, operators) in pairs() {
                assert!(yaml.contains(&format!("        {key}: \"{operators}\"\n")), "{key}");
            }
        }
    }

    #[test]
    fn the_text_around_the_keys() {
        let without_keys = |yaml: String| {
            let lines =
                yaml.lines().filter(|line| !line.starts_with("        ") || line.contains("type")).map(str::to_owned);
            lines.filter(|line| !line.contains('%')).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!("istio", without_keys(istio_yaml()));
        insta::assert_snapshot!("envoy", without_keys(envoy_yaml()));
    }
}
