//! What a format writes into a file although it should not be there: tokens, cookies, query strings, whole payloads.
//!
//! meshwarden takes secrets out of what it keeps (query parameters, JWTs); whoever reads the log file itself still reads them.

use ingest::Operator;

use super::Note;

/// Headers that are secrets.
const HEADERS: [&str; 9] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
    "x-forwarded-access-token",
    "x-forwarded-client-cert",
];

/// What of a request an operator reveals.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reveals {
    /// A secret by its nature.
    Secret,
    /// A query string, where secrets often are.
    Query,
    /// All that a token says.
    Payload,
    /// A certificate of some thousand bytes.
    Certificate,
}

/// What the operator reveals, if anything.
pub(crate) fn revealed(operator: &Operator) -> Option<Reveals> {
    let argument = operator.argument();
    let headers: Vec<String> = argument.split('?').map(str::to_ascii_lowercase).collect();
    let named = |name: &str| headers.iter().any(|header| header == name);
    match operator.name() {
        "REQ" | "REQ_WITHOUT_QUERY" | "RESP" | "TRAILER" if HEADERS.iter().any(|name| named(name)) => {
            Some(Reveals::Secret)
        }
        "REQ" if named(":path") || named("x-envoy-original-path") || named("referer") => Some(Reveals::Query),
        "QUERY_PARAM" | "QUERY_PARAMS" => Some(Reveals::Query),
        "PATH" => (argument.split(':').next() != Some("NQ")).then_some(Reveals::Query),
        "DYNAMIC_METADATA" => {
            let whole = ["envoy.filters.http.jwt_authn", "envoy.filters.http.jwt_authn:payload"];
            whole.contains(&argument.trim_end_matches(':')).then_some(Reveals::Payload)
        }
        "DOWNSTREAM_PEER_CERT" | "UPSTREAM_PEER_CERT" => Some(Reveals::Certificate),
        _ => None,
    }
}

/// One note for each kind of secret.
pub(crate) fn notes<'o>(operators: impl IntoIterator<Item = &'o Operator>) -> Vec<Note> {
    let mut found: [Vec<String>; 4] = Default::default();
    let [secrets, queries, payloads, certificates] = &mut found;
    for operator in operators {
        let list = match revealed(operator) {
            None => continue,
            Some(Reveals::Secret) => &mut *secrets,
            Some(Reveals::Query) => &mut *queries,
            Some(Reveals::Payload) => &mut *payloads,
            Some(Reveals::Certificate) => &mut *certificates,
        };
        if !list.contains(&operator.to_string()) {
            list.push(operator.to_string());
        }
    }
    let said = |list: &[String]| list.join(", ");
    let mut notes = Vec::new();
    if !secrets.is_empty() {
        notes.push(Note::risk(format!(
            "{} writes secrets into the log: take it out of the format; meshwarden redacts tokens in what it keeps, not in the file",
            said(secrets)
        )));
    }
    if !payloads.is_empty() {
        notes.push(Note::risk(format!(
            "{} writes all claims of every token, personal data among them: log single claims, such as \
             %DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:sub)%",
            said(payloads)
        )));
    }
    if !queries.is_empty() {
        notes.push(Note::risk(format!(
            "{} logs query strings, where tokens often are: whoever reads the file reads them (meshwarden redacts its own copy); \
             %REQ_WITHOUT_QUERY(...)% leaves them out",
            said(queries)
        )));
    }
    if !certificates.is_empty() {
        notes.push(Note::note(format!(
            "{} writes a whole certificate on every line; %DOWNSTREAM_PEER_URI_SAN% and %DOWNSTREAM_PEER_FINGERPRINT_256% say who it is",
            said(certificates)
        )));
    }
    notes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_reveals_what() {
        for (operator, expected) in [
            ("%REQ(Authorization)%", Some(Reveals::Secret)),
            ("%REQ(COOKIE):64%", Some(Reveals::Secret)),
            ("%RESP(Set-Cookie)%", Some(Reveals::Secret)),
            ("%REQ(X-A?AUTHORIZATION)%", Some(Reveals::Secret)),
            ("%REQ(:PATH)%", Some(Reveals::Query)),
            ("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", Some(Reveals::Query)),
            ("%REQ(REFERER)%", Some(Reveals::Query)),
            ("%QUERY_PARAM(token)%", Some(Reveals::Query)),
            ("%PATH%", Some(Reveals::Query)),
            ("%PATH(WQ:ORIG)%", Some(Reveals::Query)),
            ("%PATH(NQ:PATH)%", None),
            ("%REQ_WITHOUT_QUERY(:PATH)%", None),
            ("%DYNAMIC_METADATA(envoy.filters.http.jwt_authn)%", Some(Reveals::Payload)),
            ("%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload)%", Some(Reveals::Payload)),
            ("%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:iss)%", None),
            ("%DOWNSTREAM_PEER_CERT%", Some(Reveals::Certificate)),
            ("%REQ(USER-AGENT)%", None),
            ("%RESPONSE_CODE%", None),
        ] {
            let format = ingest::TextFormat::compile(operator).unwrap();
            assert_eq!(revealed(format.operators().first().unwrap()), expected, "{operator}");
        }
    }

    #[test]
    fn each_kind_is_said_once() {
        let format =
            ingest::TextFormat::compile("%REQ(:PATH)% %REQ(:PATH)% %PATH% %REQ(COOKIE)% %RESPONSE_CODE%").unwrap();
        let notes = notes(format.operators());
        let shown: Vec<&str> =
            notes.iter().filter_map(|note| note.text.split(" writes ").next()?.split(" logs ").next()).collect();
        assert_eq!(shown, ["%REQ(COOKIE)%", "%REQ(:PATH)%, %PATH%"]);
    }
}
