//! What a format writes into a file although it should not be there: tokens, cookies, query strings, whole payloads.
//!
//! meshwarden takes secrets out of what it keeps (query parameters, JWTs); whoever reads the log file itself still reads them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ingest::{Operator, Redaction};

use super::Note;

/// What is redacted by default is what should not be in the file.
static REDACTION: LazyLock<Redaction> = LazyLock::new(Redaction::default);

/// What of a request an operator reveals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reveals {
    /// A secret by its nature.
    Secret,
    /// All that a token says.
    Payload,
    /// A query string, where secrets often are.
    Query,
    /// The query string of the page before, mostly another site's.
    Referer,
    /// A certificate of some thousand bytes.
    Certificate,
}

/// What the operator reveals, if anything.
pub(crate) fn revealed(operator: &Operator) -> Option<Reveals> {
    let argument = operator.argument();
    let headers: Vec<String> = argument.split('?').map(str::to_ascii_lowercase).collect();
    let named = |name: &str| headers.iter().any(|header| header == name);
    match operator.name() {
        _ if REDACTION.hides(operator) || named("x-forwarded-client-cert") => Some(Reveals::Secret),
        "REQ" if named(":path") || named("x-envoy-original-path") => Some(Reveals::Query),
        "REQ" if named("referer") => Some(Reveals::Referer),
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
    let mut found: BTreeMap<Reveals, Vec<String>> = BTreeMap::new();
    for operator in operators {
        let Some(reveals) = revealed(operator) else { continue };
        let list = found.entry(reveals).or_default();
        if !list.contains(&operator.to_string()) {
            list.push(operator.to_string());
        }
    }
    found.into_iter().map(|(reveals, operators)| note(reveals, &operators.join(", "))).collect()
}

fn note(reveals: Reveals, operators: &str) -> Note {
    match reveals {
        Reveals::Secret => Note::risk(format!(
            "secrets get into the file by {operators}: take that out of the format; meshwarden redacts tokens in what it keeps, not in the file"
        )),
        Reveals::Payload => Note::risk(format!(
            "all claims of every token, personal data among them, get into the file by {operators}: log single claims, such as \
             %DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:sub)%"
        )),
        Reveals::Query => Note::risk(format!(
            "query strings, where tokens often are, get into the file by {operators}: whoever reads the file reads them (meshwarden redacts \
             its own copy); %REQ_WITHOUT_QUERY(...)% leaves them out"
        )),
        Reveals::Referer => Note::hint(format!(
            "query strings of the page before get into the file by {operators}: %REQ_WITHOUT_QUERY(REFERER)% leaves them out"
        )),
        Reveals::Certificate => Note::hint(format!(
            "a whole certificate gets into every line by {operators}: %DOWNSTREAM_PEER_URI_SAN% and %DOWNSTREAM_PEER_FINGERPRINT_256% say \
             who it is, too"
        )),
    }
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
            ("%REQ(REFERER)%", Some(Reveals::Referer)),
            ("%REQ(X-SESSION-TOKEN)%", Some(Reveals::Secret)),
            ("%REQ(X-USER-PASSWORD)%", Some(Reveals::Secret)),
            ("%CEL(request.headers['authorization'])%", Some(Reveals::Secret)),
            ("%CEL(request.headers['x-tenant'])%", None),
            ("%QUERY_PARAM(token)%", Some(Reveals::Secret)),
            ("%QUERY_PARAM(page)%", Some(Reveals::Query)),
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
            notes.iter().filter_map(|note| note.text.split(" by ").nth(1)?.split(": ").next()).collect();
        assert_eq!(shown, ["%REQ(COOKIE)%", "%REQ(:PATH)%, %PATH%"]);
    }
}
