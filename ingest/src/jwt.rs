//! Why a token was refused. Envoy says it in `response_code_details` only: `jwt_authn_access_denied{Jwt_is_expired}`.

/// The reason, spaces as `_`.
pub(crate) fn failure(details: &str) -> Option<&str> {
    details.strip_prefix("jwt_authn_access_denied{")?.strip_suffix('}').filter(|reason| !reason.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn failures() {
        for (details, reason) in [
            ("jwt_authn_access_denied{Jwt_is_expired}", Some("Jwt_is_expired")),
            ("jwt_authn_access_denied{a{b}}", Some("a{b}")),
            ("jwt_authn_access_denied{}", None),
            ("jwt_authn_access_denied", None),
            ("via_upstream", None),
        ] {
            assert_eq!(failure(details), reason, "{details}");
        }
    }
}
