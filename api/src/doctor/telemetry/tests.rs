#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

const PROVIDERS: &str = "
meshConfig:
  extensionProviders:
  - name: one
    envoyFileAccessLog: { path: /dev/stdout }
  - name: two
    envoyFileAccessLog: { logFormat: { labels: { s: '%RESPONSE_CODE%' } } }
  - name: other-file
    envoyFileAccessLog: { path: /var/log/a }
  - name: als
    envoyHttpAls: { service: a, port: 1 }
";

/// Every note, `weight text`.
fn notes(yaml: &str) -> Vec<String> {
    let mesh = MeshFormats::parse(yaml);
    assert_eq!(mesh.problems, [], "{yaml}");
    let telemetries = examine(&mesh, &mesh);
    let rules = telemetries.iter().flat_map(|telemetry| &telemetry.rules).flat_map(|rule| rule.notes.clone());
    let all =
        rules.chain(telemetries.iter().flat_map(|telemetry| telemetry.notes.clone())).chain(of_the_mesh(&mesh, &mesh));
    all.map(|note| format!("{} {}", note.weight.as_str(), note.text)).collect()
}

fn telemetry(rules: &str) -> String {
    let rules: String = rules.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {{ name: t, namespace: istio-system }}\nspec:\n  accessLogging:\n{rules}"
    )
}

#[test]
fn what_telemetries_hide_and_double() {
    for (rules, expected) in [
        ("- providers: [ { name: one } ]", vec![]),
        ("- providers: [ { name: one }, { name: two } ]", vec!["risk one and two both write to /dev/stdout", "twice"]),
        ("- providers: [ { name: one } ]\n- providers: [ { name: two } ]", vec!["risk one and two both write"]),
        ("- providers: [ { name: ENVOY }, { name: one } ]", vec!["risk ENVOY and one both write"]),
        ("- providers: [ { name: one }, { name: other-file }, { name: als } ]", vec![]),
        ("- providers: [ { name: one } ]\n  disabled: true", vec!["risk it switches logging off"]),
        // another one logs the same
        ("- providers: [ { name: two } ]\n- providers: [ { name: one } ]\n  disabled: true", vec![]),
        (
            "- providers: [ { name: two } ]\n  match: { mode: CLIENT }\n- providers: [ { name: one } ]\n  disabled: true",
            vec!["risk it switches logging off"],
        ),
        (
            "- providers: [ { name: one } ]\n- providers: [ { name: one } ]\n  disabled: true",
            vec!["risk it switches logging off"],
        ),
        ("- match: { mode: CLIENT }", vec!["risk no rule here makes the inbound side log"]),
        ("- match: { mode: SERVER }", vec!["risk no rule here makes the outbound side or a gateway log"]),
        (
            "- providers: [ { name: one } ]\n  match: { mode: CLIENT }\n- providers: [ { name: one } ]\n  match: { mode: SERVER }",
            vec![],
        ),
        (
            "- providers: [ { name: one } ]\n  match: { mode: CLIENT }\n- providers: [ { name: two } ]\n  match: { mode: SERVER }",
            vec![],
        ),
        ("- match: { mode: SERVER }\n  disabled: true", vec!["risk it switches the inbound side off"]),
        ("- providers: [ { name: nobody } ]", vec!["wrong no extensionProviders here defines nobody"]),
        (
            "- providers: [ { name: one } ]\n  filter: { expression: 'response.code >= 400' }",
            vec!["risk the filter drops", "TCP connections denied by a policy", "baseline"],
        ),
        (
            "- providers: [ { name: one } ]\n  match: { mode: CLIENT }\n  filter: { expression: 'true' }\n- providers: [ { name: one } ]\n  match: { mode: SERVER }",
            vec!["risk several rules name one with different filters"],
        ),
    ] {
        let found = notes(&format!("{PROVIDERS}{}", telemetry(rules)));
        for said in &expected {
            assert!(found.iter().any(|note| note.contains(said)), "{rules}: {said} is not in {found:#?}");
        }
        if expected.is_empty() {
            assert!(found.iter().all(|note| note.starts_with("note nothing here switches")), "{rules}: {found:#?}");
        }
    }
}

#[test]
fn what_the_mesh_does_not_do_although_it_seems_to() {
    let file = PROVIDERS.replace("meshConfig:\n", "meshConfig:\n  accessLogFile: /dev/stdout\n");
    let with = |defaults: &str| format!("{file}  defaultProviders:\n    accessLogging: {defaults}\n");
    for (yaml, said) in [
        (with("[one]"), "risk accessLogFile is not used: defaultProviders.accessLogging (one)"),
        (with("[one, two]"), "risk one and two both write to /dev/stdout"),
        (with("[envoy, one]"), "risk envoy and one both write to /dev/stdout"),
        (with("[nobody]"), "wrong defaultProviders.accessLogging names nobody"),
        (file.clone(), "note nothing here switches one on"),
        (format!("{file}{}", telemetry("- providers: [ { name: one } ]")), "note where this applies, accessLogFile"),
        (telemetry("- providers: [ { name: one } ]"), "note one is not defined here"),
    ] {
        let found = notes(&yaml);
        assert!(found.iter().any(|note| note.contains(said)), "{said} is not in {found:#?}");
    }
    let found = notes(&with("[one]"));
    assert!(
        !found.iter().any(|note| note.contains("twice")),
        "accessLogFile does not log beside a default provider: {found:#?}"
    );
}
