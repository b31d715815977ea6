//! Istio's authorization policies as the Envoy filters that istiod writes for them: `envoy.filters.http.rbac` (or the
//! network filter for TCP) for AUDIT, then DENY, then ALLOW; dry-run policies as shadow rules of the same filter.

use serde_json::{Map, Value, json};

/// One rule of an `AuthorizationPolicy`.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    namespace: &'static str,
    policy: &'static str,
    index: usize,
    principals: Vec<Value>,
    permissions: Vec<Value>,
}

impl Rule {
    /// A rule that matches everything until it is narrowed.
    pub(crate) fn new(namespace: &'static str, policy: &'static str, index: usize) -> Self {
        Self { namespace, policy, index, principals: Vec::new(), permissions: Vec::new() }
    }

    /// `from.source.principals`: one of the given `cluster.local/ns/N/sa/S`.
    pub(crate) fn principals(mut self, principals: &[&str]) -> Self {
        let ids: Vec<_> = principals
            .iter()
            .map(|principal| json!({"authenticated": {"principal_name": {"exact": format!("spiffe://{principal}")}}}))
            .collect();
        self.principals.push(json!({"or_ids": {"ids": ids}}));
        self
    }

    /// `from.source.namespaces`.
    pub(crate) fn source_namespace(mut self, namespace: &str) -> Self {
        let regex = format!(".*/ns/{namespace}/.*");
        self.principals.push(json!({"or_ids": {"ids": [
            {"authenticated": {"principal_name": {"safe_regex": {"regex": regex}}}}
        ]}}));
        self
    }

    /// `from.source.notRequestPrincipals: ["*"]`: callers without a valid token.
    pub(crate) fn without_token(mut self) -> Self {
        self.principals.push(json!({"not_id": {"or_ids": {"ids": [{"metadata": {
            "filter": "envoy.filters.http.jwt_authn",
            "path": [{"key": "payload"}, {"key": "iss"}],
            "value": {"string_match": {"safe_regex": {"regex": ".+"}}},
        }}]}}}));
        self
    }

    /// `to.operation.paths` with a trailing `*`.
    pub(crate) fn path_prefix(mut self, prefix: &str) -> Self {
        self.permissions.push(json!({"or_rules": {"rules": [{"url_path": {"path": {"prefix": prefix}}}]}}));
        self
    }

    /// `to.operation.ports`.
    pub(crate) fn port(mut self, port: u16) -> Self {
        self.permissions.push(json!({"or_rules": {"rules": [{"destination_port": port}]}}));
        self
    }

    fn entry(&self) -> (String, Value) {
        let any = |parts: &[Value]| if parts.is_empty() { vec![json!({"any": true})] } else { parts.to_vec() };
        let name = format!("ns[{}]-policy[{}]-rule[{}]", self.namespace, self.policy, self.index);
        let policy = json!({
            "permissions": [{"and_rules": {"rules": any(&self.permissions)}}],
            "principals": [{"and_ids": {"ids": any(&self.principals)}}],
        });
        (name, policy)
    }
}

/// What is enforced and tried out at one workload.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policies {
    pub(crate) audit: Vec<Rule>,
    pub(crate) deny: Vec<Rule>,
    pub(crate) allow: Vec<Rule>,
    pub(crate) dry_run_deny: Vec<Rule>,
    pub(crate) dry_run_allow: Vec<Rule>,
}

impl Policies {
    /// The HTTP filters, in Istio's order.
    pub(crate) fn http_filters(&self) -> Vec<Value> {
        self.filters("envoy.filters.http.rbac", "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC", None)
    }

    /// The network filters, in Istio's order.
    pub(crate) fn network_filters(&self) -> Vec<Value> {
        let kind = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC";
        self.filters("envoy.filters.network.rbac", kind, Some("tcp."))
    }

    fn filters(&self, name: &str, kind: &str, stat_prefix: Option<&str>) -> Vec<Value> {
        let none: &[Rule] = &[];
        let actions = [
            ("LOG", self.audit.as_slice(), none, ""),
            ("DENY", &self.deny, self.dry_run_deny.as_slice(), "istio_dry_run_deny_"),
            ("ALLOW", &self.allow, &self.dry_run_allow, "istio_dry_run_allow_"),
        ];
        let filter = |(action, enforced, tried, shadow): (&str, &[Rule], &[Rule], &str)| {
            let mut config = json!({"@type": kind});
            if let Some(prefix) = stat_prefix {
                config["stat_prefix"] = json!(prefix);
            }
            if !enforced.is_empty() {
                config["rules"] = rules(action, enforced);
            }
            if !tried.is_empty() {
                config["shadow_rules"] = rules(action, tried);
                config["shadow_rules_stat_prefix"] = json!(shadow);
            }
            let used = !enforced.is_empty() || !tried.is_empty();
            used.then(|| json!({"name": name, "typed_config": config}))
        };
        actions.into_iter().filter_map(filter).collect()
    }
}

fn rules(action: &str, rules: &[Rule]) -> Value {
    let policies: Map<_, _> = rules.iter().map(Rule::entry).collect();
    json!({"action": action, "policies": policies})
}
