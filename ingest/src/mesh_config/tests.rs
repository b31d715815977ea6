#![allow(clippy::unwrap_used, clippy::expect_used)]
use proptest::prelude::*;

use super::*;
use crate::{JsonFormat, TextFormat};

fn parse(text: &str) -> MeshFormats {
    let found = MeshFormats::parse(text);
    assert_eq!(found.problems, [], "{text}");
    found
}

/// Name, format, and what else is not the usual, of each provider.
fn shown(found: &MeshFormats) -> Vec<String> {
    let line = |provider: &Provider| {
        let format = match &provider.format {
            LogFormat::Text(text) => format!("text {text}"),
            LogFormat::Json(json) => format!("json {json}"),
            LogFormat::Default(default) => format!("{default:?}"),
            LogFormat::Protobuf => "protobuf".to_owned(),
        };
        let mut line = format!("{} {:?} {format}", provider.name.as_deref().unwrap_or("-"), provider.kind);
        if let Some(path) = provider.path.as_deref().filter(|path| *path != "/dev/stdout") {
            line += &format!(" to {path}");
        }
        if let Some(attributes) = &provider.attributes {
            line += &format!(" with {attributes}");
        }
        line + if provider.omit_empty_values { " omitting" } else { "" }
    };
    found.providers.iter().map(line).collect()
}

#[test]
fn mesh_config_wherever_it_stands() {
    for yaml in [
        "accessLogFile: /dev/stdout\naccessLogFormat: '%PROTOCOL%'\n",
        "meshConfig:\n  accessLogFile: /dev/stdout\n  accessLogFormat: '%PROTOCOL%'\n",
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  meshConfig:\n    accessLogFile: /dev/stdout\n    accessLogFormat: '%PROTOCOL%'\n",
        "apiVersion: sailoperator.io/v1\nkind: Istio\nspec:\n  values:\n    meshConfig:\n      accessLogFile: /dev/stdout\n      accessLogFormat: '%PROTOCOL%'\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: istio\n  namespace: istio-system\ndata:\n  mesh: |-\n    accessLogFile: /dev/stdout\n    accessLogFormat: '%PROTOCOL%'\n  meshNetworks: 'networks: {}'\n",
        r#"{"apiVersion":"v1","kind":"List","items":[{"kind":"ConfigMap","data":{"mesh":"accessLogFile: /dev/stdout\naccessLogFormat: '%PROTOCOL%'"}}]}"#,
    ] {
        assert_eq!(shown(&parse(yaml)), ["envoy File text %PROTOCOL%"], "{yaml}");
    }
}

const DEFAULT_MESH: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |-\n    defaultConfig:\n      discoveryAddress: istiod:15012\n    rootNamespace: istio-system\n";

#[test]
fn a_mesh_that_says_nothing_about_logs() {
    let telemetry =
        |rule: &str| format!("---\nkind: Telemetry\nmetadata: {{name: t}}\nspec: {{accessLogging: [{rule}]}}\n");
    let bare = "defaultConfig:\n  discoveryAddress: istiod:15012\n";
    for (yaml, silent, built_in) in [
        (DEFAULT_MESH.to_owned(), true, false),
        (bare.to_owned(), true, false),
        ("meshConfig: {}".to_owned(), true, false),
        (DEFAULT_MESH.to_owned() + &telemetry("{providers: [{name: envoy}]}"), false, true),
        (DEFAULT_MESH.to_owned() + &telemetry("{providers: [{name: Envoy}]}"), false, true),
        (DEFAULT_MESH.to_owned() + &telemetry("{providers: [{name: envoy}], disabled: true}"), false, false),
        (DEFAULT_MESH.to_owned() + &telemetry("{providers: [{name: other}]}"), false, false),
        (DEFAULT_MESH.to_owned() + "    defaultProviders: {accessLogging: [envoy]}\n", false, true),
        // the mesh, and so its encoding, is somewhere else
        (telemetry("{providers: [{name: envoy}]}"), false, false),
    ] {
        let found = parse(&yaml);
        assert_eq!(
            (found.is_silent(), found.built_in().is_some(), found.providers.len()),
            (silent, built_in, 0),
            "{yaml}"
        );
        assert!(
            found.built_in().is_none_or(|provider| provider.format == LogFormat::Default(DefaultFormat::IstioText))
        );
    }
}

#[test]
fn a_mesh_config_is_read_once() {
    let yaml = "accessLogFile: /dev/stdout\naccessLogFormat: '[%START_TIME%] %RESPONSE_CODE%'\n";
    assert_eq!(shown(&parse(yaml)), ["envoy File text [%START_TIME%] %RESPONSE_CODE%"]);
    assert_eq!(shown(&parse("a: '%START_TIME%'")), [r#"- File json {"a":"%START_TIME%"}"#]);
}

#[test]
fn encodings_of_the_mesh() {
    for (yaml, expected) in [
        ("accessLogFile: /var/log/a", "envoy File IstioText to /var/log/a"),
        ("accessLogFile: /dev/stdout\naccessLogEncoding: TEXT", "envoy File IstioText"),
        ("accessLogFile: /dev/stdout\naccessLogEncoding: JSON", "envoy File IstioJson"),
        ("accessLogFile: /dev/stdout\naccessLogEncoding: JSON\naccessLogFormat: ''", "envoy File IstioJson"),
        (
            "accessLogEncoding: JSON\naccessLogFormat: '{\"p\": \"%PROTOCOL%\"}'",
            r#"envoy File json {"p":"%PROTOCOL%"}"#,
        ),
        ("accessLogFormat: |\n  %PROTOCOL%\n", "envoy File text %PROTOCOL%\n"),
    ] {
        assert_eq!(shown(&parse(yaml)), [expected], "{yaml}");
    }
    for (yaml, said) in [
        (
            "accessLogEncoding: JSON\naccessLogFormat: '%PROTOCOL%'",
            "accessLogFormat `%PROTOCOL%` is no JSON object (expected",
        ),
        ("accessLogEncoding: JSON\naccessLogFormat: '[]'", "is no JSON object (valid JSON, but no object)"),
        ("accessLogEncoding: XML", "accessLogEncoding is not TEXT or JSON"),
        ("accessLogFile: [a]", "accessLogFile is not a string"),
        ("extensionProviders: {}", "extensionProviders is not a list"),
    ] {
        let found = MeshFormats::parse(yaml);
        assert_eq!(found.problems.len(), 1, "{yaml}");
        assert!(found.problems[0].to_string().contains(said), "{}", found.problems[0]);
    }
}

#[test]
fn extension_providers() {
    let found = parse(
        r#"
accessLogFile: ""
accessLogEncoding: JSON
defaultProviders:
  accessLogging: [json-sec]
  metrics: [prometheus]
extensionProviders:
- name: json-sec
  envoyFileAccessLog:
    path: /dev/stdout
    logFormat: { labels: { status: "%RESPONSE_CODE%", tls: { v: "%DOWNSTREAM_TLS_VERSION%" } } }
    omitEmptyValues: true
- name: keys
  envoyFileAccessLog: { path: /a, logFormat: { labels: {} } }
- name: text
  envoyFileAccessLog: { path: /dev/stdout, logFormat: { text: "%PROTOCOL%\n" } }
- name: none
  envoyFileAccessLog: { path: /dev/stdout }
- name: envoy
  envoyFileAccessLog: { path: /dev/stdout }
- name: als-http
  envoyHttpAls: { service: ns/als.ns.svc.cluster.local, port: 9000 }
- name: als-tcp
  envoyTcpAls: { service: als.ns.svc.cluster.local, port: 9000 }
- name: otel
  envoyOtelAls: { service: otel, port: 4317, logFormat: { text: "%PROTOCOL%", labels: { k: "%DURATION%" } } }
- name: zipkin
  zipkin: { service: z, port: 9411 }
"#,
    );
    assert_eq!(
        shown(&found),
        [
            r#"json-sec File json {"status":"%RESPONSE_CODE%","tls":{"v":"%DOWNSTREAM_TLS_VERSION%"}} omitting"#,
            "keys File IstioJson to /a",
            "text File text %PROTOCOL%\n",
            "none File IstioText",
            // the one that is built in follows the mesh's encoding
            "envoy File IstioJson",
            "als-http HttpAls protobuf",
            "als-tcp TcpAls protobuf",
            r#"otel OpenTelemetry text %PROTOCOL% with {"k":"%DURATION%"}"#,
        ]
    );
    assert_eq!(found.default_providers, ["json-sec"]);
    assert_eq!(found.providers[0].place, "the document, extensionProviders json-sec");
}

#[test]
fn telemetries() {
    let found = parse(
        r#"
apiVersion: telemetry.istio.io/v1alpha1
kind: Telemetry
metadata: { name: logs, namespace: istio-system }
spec:
  accessLogging:
  - match: { mode: SERVER }
    providers: [ { name: a }, { name: b } ]
    filter: { expression: "response.code >= 400" }
  - disabled: true
  tracing:
  - randomSamplingPercentage: 1
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: tracing-only, namespace: x }
spec: { tracing: [] }
"#,
    );
    let rule = |providers: &[&str], mode, disabled, filter: Option<&str>| AccessLogging {
        providers: providers.iter().map(|&name| name.to_owned()).collect(),
        mode,
        disabled,
        filter: filter.map(str::to_owned),
    };
    assert_eq!(
        found.telemetries,
        [Telemetry {
            namespace: Some("istio-system".to_owned()),
            name: "logs".to_owned(),
            access_logging: vec![
                rule(&["a", "b"], Mode::Server, false, Some("response.code >= 400")),
                rule(&[], Mode::ClientAndServer, true, None),
            ],
        }]
    );
    let odd =
        "kind: Telemetry\napiVersion: telemetry.istio.io/v1\nspec: { accessLogging: [ { match: { mode: INBOUND } } ] }";
    let odd = MeshFormats::parse(odd);
    assert!(odd.problems[0].to_string().contains("match.mode is not CLIENT, SERVER or"), "{}", odd.problems[0]);
}

#[test]
fn plain_envoy() {
    let logger = |config: &str| {
        format!(
            r#"
static_resources:
  listeners:
  - filter_chains:
    - filters:
      - typed_config:
          access_log:
          - name: a
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: /dev/stdout
              {config}
"#
        )
    };
    for (config, expected) in [
        (
            "log_format: { json_format: { s: '%RESPONSE_CODE%' }, omit_empty_values: true }",
            r#"- File json {"s":"%RESPONSE_CODE%"} omitting"#,
        ),
        ("log_format: { text_format: '%PROTOCOL%' }", "- File text %PROTOCOL%"),
        ("log_format: { text_format_source: { inline_string: '%PROTOCOL%' } }", "- File text %PROTOCOL%"),
        ("logFormat: { textFormatSource: { inlineString: '%PROTOCOL%' } }", "- File text %PROTOCOL%"),
        ("typed_json_format: { s: '%RESPONSE_CODE%' }", r#"- File json {"s":"%RESPONSE_CODE%"}"#),
        ("format: '%PROTOCOL%'", "- File text %PROTOCOL%"),
        ("log_format: { text_format_source: { inline_string: '' } }", "- File EnvoyText"),
        ("", "- File EnvoyText"),
    ] {
        assert_eq!(shown(&parse(&logger(config))), [expected], "{config}");
        // the same in an EnvoyFilter, and in a ConfigMap's file
        let filter =
            format!("kind: EnvoyFilter\nspec:\n  patch:\n    value:{}", logger(config).replace('\n', "\n      "));
        assert_eq!(shown(&parse(&filter)), [expected], "{filter}");
        let file = format!("kind: ConfigMap\ndata:\n  envoy.yaml: |\n{}", logger(config).replace('\n', "\n    "));
        assert_eq!(shown(&parse(&file)), [expected], "{file}");
    }
    let elsewhere = MeshFormats::parse(&logger("log_format: { text_format_source: { filename: /f } }"));
    assert!(matches!(elsewhere.problems[..], [MeshProblem::FormatElsewhere { .. }]));
    let others = r#"
- "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
- "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StderrAccessLog
- "@type": type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig
- "@type": type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig
- "@type": type.googleapis.com/envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig
  body: { string_value: "%PROTOCOL%" }
  attributes: { values: [ { key: k, value: { string_value: "%DURATION%" } } ] }
- "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
"#;
    assert_eq!(
        shown(&parse(others)),
        [
            "- File EnvoyText",
            "- File EnvoyText to /dev/stderr",
            "- HttpAls protobuf",
            "- TcpAls protobuf",
            r#"- OpenTelemetry text %PROTOCOL% with {"k":"%DURATION%"}"#,
        ]
    );
}

#[test]
fn what_format_prints_is_understood() {
    for paths in [crate::format::Paths::WithoutQuery, crate::format::Paths::WithQuery] {
        let format: Value = serde_json::from_str(&crate::format::json(paths)).unwrap();
        let istio = parse(&crate::format::istio_yaml(paths));
        assert_eq!(istio.providers[0].format, LogFormat::Json(format.clone()));
        assert_eq!(istio.telemetries[0].access_logging[0].providers, ["meshwarden"]);
        let envoy = parse(&crate::format::envoy_yaml(paths));
        assert_eq!(envoy.providers[0].format, LogFormat::Json(format.clone()));
        assert_eq!(JsonFormat::compile(&format).unwrap().fills().len(), 70);
    }
    for default in [DefaultFormat::IstioText, DefaultFormat::EnvoyText] {
        TextFormat::compile(LogFormat::Default(default).text().unwrap()).unwrap();
    }
}

#[test]
fn one_broken_document_costs_itself_only() {
    let text = "# first\n---\naccessLogFile: /dev/stdout\n---\na: [\n---\nkind: Secret\n---\n\n--- # last\naccessLogFile: /b\n...\n";
    let found = MeshFormats::parse(text);
    assert_eq!(shown(&found), ["envoy File IstioText", "envoy File IstioText to /b"]);
    assert!(
        matches!(&found.problems[..], [MeshProblem::Yaml { place, .. }] if place == "document 2"),
        "{:?}",
        found.problems
    );
    for nothing in ["", "---\n", "# nothing\n", "kind: Service\n"] {
        assert_eq!(MeshFormats::parse(nothing).problems, [MeshProblem::Nothing], "{nothing}");
    }
}

#[test]
fn hostile_text_is_bounded() {
    let laughs: String = (1..30)
        .map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}]\n", n - 1))
        .collect();
    for text in [
        format!("a0: &a0 [x]\n{laughs}"),
        format!("a: {}", "[".repeat(100_000)),
        format!("a: {}", "{a: ".repeat(100_000)),
        (0..10_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect(),
        "- ".repeat(100_000),
        "a: &a [*a]".to_owned(),
        "a: 1\na: 2".to_owned(),
        "\u{0}".to_owned(),
        "? ".repeat(100_000),
        "!".repeat(100_000),
        "a: !include /etc/passwd".to_owned(),
    ] {
        let found = MeshFormats::parse(&text);
        assert!(found.providers.is_empty());
        assert_eq!(found.problems.len(), 1, "{:?}", text.get(..40));
        assert!(found.problems[0].to_string().len() < 1000, "{}", found.problems[0]);
    }
    let many = MeshFormats::parse(&"--- 1\n".repeat(10_000));
    assert!(many.problems[0].to_string().contains("more than 4096 documents"));
    let long = MeshFormats::parse(&" ".repeat((16 << 20) + 1));
    assert!(matches!(long.problems[..], [MeshProblem::TooLarge { .. }]));
}

proptest! {
    #[test]
    fn any_text_is_read(text in "(kind: |ConfigMap|List|Telemetry|apiVersion: telemetry.istio.io/v1|data:|mesh: |accessLogF(ile|ormat): |items:|extensionProviders:|- |\\n|  |\\{|\\}|\\[|\\]|'|\"|x|&a|\\*a|@type){0,40}") {
        let found = MeshFormats::parse(&text);
        prop_assert!(!found.is_silent() || found.has_mesh_config || !found.problems.is_empty());
    }
}
