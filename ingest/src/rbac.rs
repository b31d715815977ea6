//! What AuthorizationPolicy decided about a request, and which policy and rule.
//!
//! Two witnesses: the RBAC filter's metadata (HTTP, only with the recommended format) and the text that a denial leaves
//! in `response_code_details` (HTTP) or `connection_termination_details` (TCP):
//!
//! ```text
//! rbac_access_denied_matched_policy[ns[foo]-policy[deny-admin]-rule[0]]     the id: up to the last `]`
//! rbac_access_denied_matched_policy[none]                                   no ALLOW policy matched
//! ```
//!
//! The details decide whether it was a denial: they say what the caller got, and Envoy never leaves them out of one. The
//! metadata names the policy, and is the only witness of what was allowed; its denial counts where the format does not log
//! the details. Where it does and they say nothing of a denial, the two contradict each other: unknown. A client's line
//! says `via_upstream`: unknown.

use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Three-valued: the log may not carry what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Decision {
    Allow,
    Deny,
    #[default]
    Unknown,
}

/// The policy that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Policy<'a> {
    pub(crate) namespace: Option<&'a str>,
    /// The whole id where it does not have Istio's form.
    pub(crate) name: Option<&'a str>,
    pub(crate) rule: Option<i32>,
}

/// The RBAC metadata of a line: the values of its keys that are strings.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    results: BTreeMap<String, String>,
    /// Nothing but the two enforced keys, both understood.
    only_enforced: bool,
}

/// The details that a line logs, of the response and of the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Details<'t, 'a> {
    pub(crate) texts: &'t [&'a str],
    /// The format logs those of the response: where they say nothing of a denial, none was answered.
    pub(crate) of_responses: bool,
}

impl Decision {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Decision::Allow => "allow",
            Decision::Deny => "deny",
            Decision::Unknown => "unknown",
        }
    }

    fn of_result(result: &str) -> Decision {
        match result {
            "allowed" => Decision::Allow,
            "denied" => Decision::Deny,
            _ => Decision::Unknown,
        }
    }
}

const ENFORCED_RESULT: &str = "enforced_engine_result";
const ENFORCED_POLICY: &str = "enforced_effective_policy_id";

impl Metadata {
    /// Reads the metadata object, given as JSON text. What is no object yields no keys.
    pub(crate) fn parse(json: &str) -> Metadata {
        let object: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json).unwrap_or_default();
        let keys = object.len();
        let strings = object.into_iter().filter_map(|(key, raw)| Some((key, serde_json::from_str(raw.get()).ok()?)));
        let mut metadata = Metadata { results: strings.collect(), only_enforced: false };
        let enforced = usize::from(metadata.enforced() != Decision::Unknown)
            + usize::from(metadata.results.contains_key(ENFORCED_POLICY));
        metadata.only_enforced = enforced == keys && metadata.enforced() != Decision::Unknown;
        metadata
    }

    /// Whether the columns hold all that the metadata says.
    pub(crate) fn only_enforced(&self) -> bool {
        self.only_enforced
    }

    fn enforced(&self) -> Decision {
        self.get(ENFORCED_RESULT).map_or(Decision::Unknown, Decision::of_result)
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.results.get(key).map(String::as_str)
    }

    /// What the dry-run policies would have decided; `None` without any. The DENY and the ALLOW policies report apart.
    ///
    /// An unmatched dry-run ALLOW denies only if no enforced ALLOW policy exists (one that exists and matched is named
    /// by the enforced result).
    pub(crate) fn shadow(&self, tcp: bool) -> Option<Decision> {
        let of = |key: &str| self.get(key).map(Decision::of_result);
        let deny = of("istio_dry_run_deny_shadow_engine_result");
        let allow = of("istio_dry_run_allow_shadow_engine_result");
        match (deny, allow) {
            (None, None) => None,
            (Some(Decision::Deny), _) => Some(Decision::Deny),
            (_, Some(Decision::Deny)) => Some(match self.enforced() {
                Decision::Allow if self.get(ENFORCED_POLICY).is_some() => Decision::Allow,
                // TCP metadata has no enforced keys: whether an ALLOW policy exists is not known
                Decision::Unknown if tcp => Decision::Unknown,
                _ => Decision::Deny,
            }),
            (Some(Decision::Unknown), _) | (_, Some(Decision::Unknown)) => Some(Decision::Unknown),
            _ => Some(Decision::Allow),
        }
    }

    /// What was enforced, and by which policy.
    pub(crate) fn decide<'a>(&'a self, details: Details<'_, 'a>) -> (Decision, Policy<'a>) {
        let denial = details.texts.iter().copied().find_map(denial);
        let decision = match (denial, self.enforced()) {
            (Some(_), _) => Decision::Deny,
            (None, Decision::Deny) if details.of_responses => Decision::Unknown,
            (None, enforced) => enforced,
        };
        // the metadata keeps the blanks of a policy's name; it may speak of another verdict than the denial does
        let agrees = decision == self.enforced();
        let id = self.get(ENFORCED_POLICY).filter(|_| agrees).or(denial.flatten());
        (decision, id.map(Policy::of_id).unwrap_or_default())
    }
}

impl<'a> Policy<'a> {
    /// `ns[<namespace>]-policy[<name>]-rule[<index>]`, with what CUSTOM policies put around it.
    fn of_id(id: &'a str) -> Policy<'a> {
        Policy::istio(id).unwrap_or(Policy { name: Some(id), ..Policy::default() })
    }

    fn istio(id: &'a str) -> Option<Policy<'a>> {
        let id = id.strip_suffix("-deny-due-to-bad-CUSTOM-action").unwrap_or(id);
        let id = match id.strip_prefix("istio-ext-authz-") {
            // `istio-ext-authz-<provider>-ns[...` from Istio 1.30 on
            Some(rest) if !rest.starts_with("ns[") => rest.split_once("-ns[")?.1,
            Some(rest) => rest.strip_prefix("ns[")?,
            None => id.strip_prefix("ns[")?,
        };
        let (namespace, rest) = id.split_once("]-policy[")?;
        let (name, rule) = rest.split_once("]-rule[")?;
        let rule = rule.strip_suffix(']')?;
        let kubernetes = |name: &str| !name.contains(['[', ']']);
        let index = !rule.is_empty() && rule.bytes().all(|byte| byte.is_ascii_digit());
        (kubernetes(namespace) && kubernetes(name) && index).then(|| Policy {
            namespace: Some(namespace),
            name: Some(name),
            rule: rule.parse().ok(),
        })
    }
}

/// Whatever in a text reads like the details of a denial, the first few of them: up to the last `]` of its word, or the bare words.
pub(crate) fn denials(text: &str) -> impl Iterator<Item = &str> {
    const MOST: usize = 16;
    text.match_indices("rbac_access_denied").take(MOST).filter_map(|(at, _)| {
        let rest = text.get(at..)?;
        let word = rest.split([' ', '"']).next().unwrap_or(rest);
        Some(word.rsplit_once(']').map_or("rbac_access_denied", |(id, _)| word.get(..=id.len()).unwrap_or(word)))
    })
}

/// `None`: no denial by RBAC. `Some(None)`: by no policy in particular.
fn denial(details: &str) -> Option<Option<&str>> {
    let rest = details.strip_prefix("rbac_access_denied")?;
    let id = rest.strip_prefix("_matched_policy[").and_then(|rest| rest.strip_suffix(']'));
    Some(id.filter(|id| !id.is_empty() && *id != "none"))
}

#[cfg(test)]
mod tests;
