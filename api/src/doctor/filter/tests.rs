#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::Evidence::*;
use super::*;

fn with(fate: Fate, expression: &str) -> Vec<Evidence> {
    let fates = fates(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    fates.into_iter().filter(|(_, found)| *found == fate).map(|(evidence, _)| evidence).collect()
}

/// What only a line without a response code shows.
const WITHOUT_A_CODE: [Evidence; 4] = [TcpDenied, PlaintextRejected, TcpToUnknown, BlackHole];

#[test]
fn what_filters_drop() {
    let but = |more: &[Evidence]| {
        let mut all = WITHOUT_A_CODE.to_vec();
        all.extend(more);
        Evidence::ALL.into_iter().filter(|evidence| all.contains(evidence)).collect::<Vec<_>>()
    };
    let small = [GrpcDenied, PlaintextAccepted, HttpToUnknown, Answered];
    for (expression, dropped) in [
        ("true", vec![]),
        ("false", Evidence::ALL.to_vec()),
        ("response.code >= 400", but(&small)),
        (" (response.code>=400) ", but(&small)),
        ("response.code >= 400 && response.code < 500", but(&[small.as_slice(), &[HandshakeFailed]].concat())),
        ("response.code == 0 || response.code >= 400", but(&small)),
        ("has(response.code) && response.code >= 400", but(&small)),
        ("!has(response.code) || response.code >= 400", small.to_vec()),
        ("response.code in [401, 403]", but(&[&small[..], &[HandshakeFailed]].concat())),
        ("!(response.code < 400)", but(&small)),
        ("response.code >= 400 || response.flags != 0", {
            let mut dropped = small.to_vec();
            dropped.extend([TcpDenied, TcpToUnknown]);
            Evidence::ALL.into_iter().filter(|evidence| dropped.contains(evidence)).collect()
        }),
        ("!connection.mtls", vec![HttpDenied, GrpcDenied, TcpDenied, Forbidden, TokenRefused, Answered]),
        ("connection.mtls == false", vec![HttpDenied, GrpcDenied, TcpDenied, Forbidden, TokenRefused, Answered]),
        (
            "connection.mtls",
            vec![PlaintextRejected, PlaintextAccepted, HttpToUnknown, TcpToUnknown, BlackHole, HandshakeFailed],
        ),
        (SAFE, vec![Answered]),
        (
            "has(connection.termination_details) || response.code_details.startsWith('rbac_access_denied')",
            Evidence::ALL.into_iter().filter(|e| ![HttpDenied, GrpcDenied, TcpDenied].contains(e)).collect(),
        ),
        (
            "xds.cluster_name == 'BlackHoleCluster' || response.code >= 500",
            // the clusters of the other lines are not known
            vec![HttpToUnknown, TcpToUnknown],
        ),
    ] {
        assert_eq!(with(Fate::Dropped, expression), dropped, "{expression}");
    }
}

#[test]
fn what_is_not_known_is_not_guessed() {
    for (expression, logged) in [
        ("request.path != '/healthz'", vec![]),
        ("request.headers['x-a'] == 'b' || response.code == 403", vec![HttpDenied, Forbidden]),
        ("size(request.path) > 5 || has(connection.termination_details)", vec![TcpDenied]),
        ("source.address.startsWith('10.')", vec![]),
        ("response.code / 100 == 4", vec![]),
        ("response.code >= 400 ? true : false", vec![]),
    ] {
        assert_eq!(with(Fate::Logged, expression), logged, "{expression}");
        assert!(!with(Fate::Depends, expression).is_empty(), "{expression}");
    }
    // a request's attribute drops what is no request
    assert_eq!(with(Fate::Dropped, "request.path != '/healthz'"), WITHOUT_A_CODE);
}

#[test]
fn what_is_not_understood_is_said() {
    let deep = format!("{}true{}", "(".repeat(100), ")".repeat(100));
    for (expression, said) in [
        ("", "ends too early"),
        ("response.code >=", "ends too early"),
        ("response.code >= 400)", "`)` is not expected"),
        ("response.code >= 4.5", "no whole number"),
        ("a == 'b", "does not end"),
        ("has(1)", "has() takes an attribute"),
        ("a # b", "`#`"),
        ("a b", "`b`"),
        (deep.as_str(), "too deeply"),
    ] {
        let error = fates(expression).unwrap_err();
        assert!(error.contains(said), "{expression}: {error}");
        assert!(notes(expression).iter().any(|note| note.text.contains("does not understand")), "{expression}");
    }
    assert!(fates(&"a||".repeat(10_000)).is_err());
}

#[test]
fn notes_name_what_is_lost_and_what_to_write_instead() {
    let notes: Vec<String> = notes("response.code >= 400").into_iter().map(|note| note.text).collect();
    for said in ["TCP connections denied by a policy", "plaintext that STRICT turned away", SAFE, "baseline"] {
        assert!(notes.iter().any(|note| note.contains(said)), "{said}: {notes:?}");
    }
    assert_eq!(super::notes("true"), []);
}
