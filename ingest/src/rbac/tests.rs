#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::Decision::{Allow, Deny, Unknown};
use super::*;

const NO_POLICY: Policy<'_> = Policy { namespace: None, name: None, rule: None };

fn logged<'t, 'a>(texts: &'t [&'a str]) -> Details<'t, 'a> {
    Details { texts, of_responses: true }
}

fn policy<'a>(namespace: &'a str, name: &'a str, rule: i32) -> Policy<'a> {
    Policy { namespace: Some(namespace), name: Some(name), rule: Some(rule) }
}

#[test]
fn denials_in_details() {
    let other = |name| Policy { name: Some(name), ..NO_POLICY };
    for (details, expected) in [
        (
            "rbac_access_denied_matched_policy[ns[foo]-policy[deny-admin]-rule[0]]",
            (Deny, policy("foo", "deny-admin", 0)),
        ),
        ("rbac_access_denied_matched_policy[ns[foo]-policy[p]-rule[12]]", (Deny, policy("foo", "p", 12))),
        ("rbac_access_denied_matched_policy[none]", (Deny, NO_POLICY)),
        ("rbac_access_denied_matched_policy[]", (Deny, NO_POLICY)),
        ("rbac_access_denied", (Deny, NO_POLICY)),
        ("rbac_access_denied_matched_policy[istio-ext-authz-ns[a]-policy[b]-rule[1]]", (Deny, policy("a", "b", 1))),
        (
            "rbac_access_denied_matched_policy[istio-ext-authz-opa-x-ns[a]-policy[b]-rule[1]]",
            (Deny, policy("a", "b", 1)),
        ),
        (
            "rbac_access_denied_matched_policy[ns[a]-policy[b]-rule[0]-deny-due-to-bad-CUSTOM-action]",
            (Deny, policy("a", "b", 0)),
        ),
        (
            "rbac_access_denied_matched_policy[default-deny-all-due-to-bad-CUSTOM-action]",
            (Deny, other("default-deny-all-due-to-bad-CUSTOM-action")),
        ),
        ("rbac_access_denied_matched_policy[my[odd]one]", (Deny, other("my[odd]one"))),
        ("rbac_access_denied_matched_policy[ns[a]-policy[b]-rule[]]", (Deny, other("ns[a]-policy[b]-rule[]"))),
        (
            "rbac_access_denied_matched_policy[ns[a]-policy[b]-rule[99999999999]]",
            (Deny, Policy { rule: None, ..policy("a", "b", 0) }),
        ),
        ("via_upstream", (Unknown, NO_POLICY)),
        ("ext_authz_denied", (Unknown, NO_POLICY)),
    ] {
        let none = Metadata::default();
        assert_eq!(none.decide(logged(&[details])), expected, "{details}");
        assert_eq!(none.decide(logged(&["-", details])), expected, "{details}");
    }
}

#[test]
fn metadata_and_details() {
    let denial = Some("rbac_access_denied_matched_policy[ns[a]-policy[b_c]-rule[0]]");
    for (json, details, expected, only) in [
        (r#"{"enforced_engine_result":"allowed"}"#, None, (Allow, NO_POLICY), true),
        (
            r#"{"enforced_engine_result":"allowed","enforced_effective_policy_id":"ns[a]-policy[b]-rule[2]"}"#,
            None,
            (Allow, policy("a", "b", 2)),
            true,
        ),
        (r#"{"enforced_engine_result":"denied"}"#, None, (Deny, NO_POLICY), true),
        (
            r#"{"enforced_engine_result":"denied","enforced_effective_policy_id":"ns[a]-policy[b c]-rule[0]"}"#,
            denial,
            (Deny, policy("a", "b c", 0)),
            true,
        ),
        // contradiction: the caller got the denial
        (
            r#"{"enforced_engine_result":"allowed","enforced_effective_policy_id":"ns[x]-policy[y]-rule[0]"}"#,
            denial,
            (Deny, policy("a", "b_c", 0)),
            true,
        ),
        (r#"{"enforced_engine_result":"odd"}"#, None, (Unknown, NO_POLICY), false),
        (r#"{"enforced_engine_result":1}"#, None, (Unknown, NO_POLICY), false),
        (r#"{"enforced_engine_result":"allowed","enforced_effective_policy_id":7}"#, None, (Allow, NO_POLICY), false),
        (r#"{"enforced_engine_result":"allowed","other":"x"}"#, None, (Allow, NO_POLICY), false),
        ("[]", None, (Unknown, NO_POLICY), false),
        ("{}", None, (Unknown, NO_POLICY), false),
        ("not json", denial, (Deny, policy("a", "b_c", 0)), false),
    ] {
        let metadata = Metadata::parse(json);
        assert_eq!(
            metadata.decide(Details { texts: details.as_slice(), of_responses: details.is_some() }),
            expected,
            "{json}"
        );
        assert_eq!(metadata.only_enforced(), only, "{json}");
    }
}

#[test]
fn a_denial_that_the_details_do_not_know_of() {
    let denied = Metadata::parse(r#"{"enforced_engine_result":"denied"}"#);
    assert_eq!(
        denied.decide(Details { texts: &["odd"], of_responses: false }),
        (Deny, NO_POLICY),
        "the format logs no details"
    );
    assert_eq!(denied.decide(logged(&[])), (Unknown, NO_POLICY), "it does, and there are none");
    assert_eq!(denied.decide(logged(&["via_upstream"])), (Unknown, NO_POLICY));
    let allowed = Metadata::parse(r#"{"enforced_engine_result":"allowed"}"#);
    assert_eq!(allowed.decide(logged(&["via_upstream"])), (Allow, NO_POLICY));
}

#[test]
fn dry_runs() {
    let deny = r#""istio_dry_run_deny_shadow_engine_result""#;
    let allow = r#""istio_dry_run_allow_shadow_engine_result""#;
    let enforced = r#""enforced_engine_result":"allowed""#;
    let id = r#""enforced_effective_policy_id":"ns[a]-policy[b]-rule[0]""#;
    for (json, tcp, expected) in [
        ("{}".to_owned(), false, None),
        (format!("{{{enforced}}}"), false, None),
        (format!(r#"{{{deny}:"denied"}}"#), false, Some(Deny)),
        (format!(r#"{{{deny}:"allowed"}}"#), false, Some(Allow)),
        (format!(r#"{{{deny}:"allowed",{allow}:"allowed"}}"#), false, Some(Allow)),
        (format!(r#"{{{deny}:"denied",{allow}:"allowed"}}"#), false, Some(Deny)),
        (format!(r#"{{{allow}:"denied"}}"#), false, Some(Deny)),
        (format!(r#"{{{allow}:"denied"}}"#), true, Some(Unknown)),
        (format!(r#"{{{allow}:"denied",{enforced}}}"#), false, Some(Deny)),
        (format!(r#"{{{allow}:"denied",{enforced},{id}}}"#), false, Some(Allow)),
        (format!(r#"{{{allow}:"odd"}}"#), false, Some(Unknown)),
    ] {
        assert_eq!(Metadata::parse(&json).shadow(tcp), expected, "{json}");
    }
}
