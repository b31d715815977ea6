//! Connections that ztunnel refused, and what it then knows of them.

use super::*;

#[test]
fn decisions() {
    const CLOSED: &str = "connection closed due to policy rejection";
    for (error, decision, policy) in [
        ("", "allow", ("", "")),
        (CLOSED, "deny", ("", "")),
        (&format!("{CLOSED}: allow policies exist, but none allowed"), "deny", ("", "")),
        (&format!("{CLOSED}: explicitly denied by: foo/deny-bar"), "deny", ("foo", "deny-bar")),
        (&format!("{CLOSED}: explicitly denied by: a/b/c"), "deny", ("a", "b/c")),
        (&format!("{CLOSED}: explicitly denied by: deny-bar"), "deny", ("", "deny-bar")),
        (&format!("{CLOSED}: workload mismatch"), "deny", ("", "")),
        (&format!("{CLOSED}s"), "unknown", ("", "")),
        (&format!("io error: {CLOSED}"), "unknown", ("", "")),
        ("connection closed due to policy change", "unknown", ("", "")),
        ("connection failed: Connection refused (os error 111)", "unknown", ("", "")),
        ("-", "allow", ("", "")),
    ] {
        let (namespace, name) = policy;
        let expected = [
            format!("rbac_decision={decision}"),
            format!("rbac_policy_namespace={namespace}"),
            format!("rbac_policy={name}"),
            "rbac_rule=".to_owned(),
            format!("signals={}", i32::from(decision == "deny")),
            format!("connection_termination_details={}", if error == "-" { "" } else { error }),
        ];
        check(&complete(SIDES, "inbound", error), &expected.each_ref().map(String::as_str));
        // the other end says nothing of policy unless its error does, and is not the judge
        let decision = if decision == "deny" { "deny" } else { "unknown" };
        check(&complete(SIDES, "outbound", error), &[&format!("rbac_decision={decision}"), "signals=0"]);
    }
}

#[test]
fn plaintext() {
    let strict =
        "connection closed due to policy rejection: explicitly denied by: istio-system/istio_converted_static_strict";
    let by_name =
        "connection closed due to policy rejection: explicitly denied by: foo/converted_peer_authentication_db";
    let other = "connection closed due to policy rejection: explicitly denied by: foo/istio_converted";
    for (sides, direction, error, expected, signals) in [
        (PLAIN, "inbound", "", "plaintext", 4),
        (PLAIN, "inbound", strict, "plaintext", 5),
        (PLAIN, "inbound", by_name, "plaintext", 5),
        (PLAIN, "inbound", other, "plaintext", 5),
        (PLAIN, "outbound", "", "unknown", 0),
        (SIDES, "inbound", strict, "mutual_tls", 1),
        (r#"dst.identity="spiffe://td/ns/a/sa/b""#, "inbound", "", "mutual_tls", 0),
        ("dst.addr=10.0.0.2:15008 dst.hbone_addr=10.0.0.2:80", "inbound", "", "unknown", 0),
    ] {
        let transport = format!("transport_security={expected}");
        check(&complete(sides, direction, error), &[&transport, &format!("signals={signals}")]);
    }
    check(&complete(PLAIN, "inbound", ""), &["source_principal=", "identity_verified=", "rbac_decision=allow"]);
}

#[test]
fn identities_that_no_handshake_proved() {
    for (direction, error, verified) in [
        ("inbound", "connection closed due to policy rejection", true),
        ("inbound", "connection failed: Connection refused", true),
        ("inbound", "connection closed: peer certificate revoked by CRL", false),
        (
            "outbound",
            "connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008: deadline has elapsed",
            false,
        ),
        ("outbound", "tls error: invalid peer certificate", false),
        ("outbound", "http2 handshake failed: connection error", false),
        ("outbound", "connection closed: peer certificate revoked by CRL", false),
        ("outbound", "http status: 401 Unauthorized", true),
        ("outbound", "receive: io error: reset", true),
        ("outbound", "connection closed due to connection drain", false),
    ] {
        let transport = if verified { "mutual_tls" } else { "unknown" };
        let claims = if verified { "" } else { "source_principal" };
        let expected = [
            format!("identity_verified={verified}"),
            format!("claims={claims}"),
            format!("transport_security={transport}"),
        ];
        check(&complete(SIDES, direction, error), &expected.each_ref().map(String::as_str));
    }
    // bytes went through the tunnel
    let drained = complete(SIDES, "outbound", "connection closed due to connection drain").replace("sent=0", "sent=1");
    check(&drained, &["identity_verified=true"]);
}

#[test]
fn early_refusals_know_little() {
    let sides = "src.addr=10.0.0.9:4444 dst.addr=10.0.0.2:15008";
    check(
        &line(
            "warn",
            "connection failed",
            &format!(r#"{sides} direction="inbound" error="tls error: peer sent no certificates""#),
        ),
        &[
            "time=1795358364727123",
            "ended_at=1795358364727123",
            "duration_ms=",
            "transport_security=unknown",
            "rbac_decision=unknown",
            "signals=0",
            "destination_port=15008",
        ],
    );
    check(
        &line("warn", "connection failed", &format!(r#"{sides} direction="outbound" error="unknown waypoint: x""#)),
        &["egress=unknown", "signals=0"],
    );
    let strict =
        "connection closed due to policy rejection: explicitly denied by: istio-system/istio_converted_static_strict";
    check(
        &line("warn", "connection failed", &format!(r#"{sides} direction="inbound" error={strict:?}"#)),
        &["transport_security=plaintext", "rbac_decision=deny", "signals=5"],
    );
    check(
        &line("warn", "connection failed", &format!(r#"{SIDES} direction="inbound""#)),
        &["identity_verified=false", "transport_security=unknown", "rbac_decision=unknown"],
    );
}
