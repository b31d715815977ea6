#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::collections::BTreeMap;

use chrono::DateTime;
use proptest::prelude::*;

use super::*;
use crate::options::DecodeOptions;
use crate::schema::{ACCESS_LOGS, feeding_keys};
use crate::ztunnel::looks_like;

mod refused;

/// The columns of a line that are not null, as text.
fn columns(line: &str) -> Result<BTreeMap<&'static str, String>, Refusal> {
    let options = DecodeOptions::default();
    let received_at = DateTime::from_timestamp_micros(1_795_000_000_000_000).unwrap();
    let context = Context { options: &options, source: "test", line: 7, received_at, written: None };
    let mut row = Row::new();
    let carried = decode(line, &context, &mut row)?;
    let mut columns = BTreeMap::new();
    for ((column, value), keys) in ACCESS_LOGS.iter().zip(row.values()).zip(feeding_keys()) {
        let text = match value {
            Value::Null => {
                assert!(column.nullable, "{}", column.name);
                continue;
            }
            Value::Text(text) => text.to_string(),
            Value::Int64(number) | Value::Timestamp(number) => number.to_string(),
            Value::Int32(number) => number.to_string(),
            Value::Boolean(truth) => truth.to_string(),
            Value::Binary(_) => unreachable!(),
        };
        assert!(keys.is_empty() || keys.meets(carried), "{} is filled, so it must be carried", column.name);
        columns.insert(column.name, text);
    }
    Ok(columns)
}

/// Checks columns of one line: `name=value`, or `name=` for null.
fn check(line: &str, expected: &[&str]) {
    assert!(looks_like(line), "{line}");
    let columns = columns(line).unwrap();
    for pair in expected {
        let (name, value) = pair.split_once('=').unwrap();
        assert!(ACCESS_LOGS.iter().any(|column| column.name == name), "{name}");
        assert_eq!(columns.get(name).map_or("", String::as_str), value, "{name} of {line}\n{columns:#?}");
    }
}

fn line(level: &str, message: &str, fields: &str) -> String {
    format!("2026-11-22T14:39:24.727123Z\t{level}\taccess\t{message}\t{fields}")
}

const SIDES: &str = r#"src.addr=10.0.0.1:41000 src.workload="client-1" src.namespace="bar" src.identity="spiffe://td.example/ns/bar/sa/client" dst.addr=10.0.0.2:15008 dst.hbone_addr=10.0.0.2:8080 dst.service="api.foo.svc.cluster.local" dst.workload="server-1" dst.namespace="foo" dst.identity="spiffe://cluster.local/ns/foo/sa/server""#;
const PLAIN: &str = r#"src.addr=10.0.0.7:5555 dst.addr=10.0.0.2:8080 dst.service="api.foo.svc.cluster.local" dst.workload="server-1" dst.namespace="foo""#;
const OUTSIDE: &str = r#"src.addr=10.0.0.1:41000 src.workload="client-1" src.namespace="bar" dst.addr=203.0.113.9:443"#;

fn complete(sides: &str, direction: &str, error: &str) -> String {
    let end = r#"bytes_sent=74 bytes_recv=773 duration="1006ms""#;
    match error {
        "" => line("info", "connection complete", &format!("{sides} direction={direction:?} {end}")),
        error => {
            let end = r#"bytes_sent=0 bytes_recv=0 duration="0ms""#;
            line("error", "connection complete", &format!("{sides} direction={direction:?} {end} error={error:?}"))
        }
    }
}

#[test]
fn an_inbound_connection() {
    check(
        &complete(SIDES, "inbound", ""),
        &[
            "time=1795358363721123",
            "ended_at=1795358364727123",
            "received_at=1795000000000000",
            "log_id=test:7",
            "source=test",
            "reporter=ztunnel",
            "direction=inbound",
            "log_type=tcp",
            "access_log_type=",
            "source_principal=td.example/ns/bar/sa/client",
            "source_namespace=bar",
            "source_service_account=client",
            "source_trust_domain=td.example",
            "source_ip=10.0.0.1",
            "source_port=41000",
            "destination_principal=cluster.local/ns/foo/sa/server",
            "destination_namespace=foo",
            "destination_service_account=server",
            "destination_trust_domain=cluster.local",
            "destination_ip=10.0.0.2",
            "destination_port=8080",
            "destination_service=api.foo.svc.cluster.local",
            "identity_verified=true",
            "bytes_received=773",
            "bytes_sent=74",
            "duration_ms=1006",
            "connection_termination_details=",
            "rbac_decision=allow",
            "transport_security=mutual_tls",
            "egress=",
            "signals=0",
            r#"extra={"dst.addr":"10.0.0.2:15008","dst.namespace":"foo","dst.workload":"server-1","level":"info","message":"connection complete","scope":"access","src.namespace":"bar","src.workload":"client-1"}"#,
        ],
    );
}

#[test]
fn an_outbound_connection() {
    check(
        &complete(SIDES, "outbound", ""),
        &[
            "reporter=ztunnel",
            "direction=outbound",
            // what the client sent is received from it
            "bytes_received=74",
            "bytes_sent=773",
            "identity_verified=true",
            "rbac_decision=unknown",
            "transport_security=mutual_tls",
            "egress=in_mesh",
            "egress_host=",
            "signals=0",
        ],
    );
    check(
        &complete(OUTSIDE, "outbound", ""),
        &[
            "source_principal=",
            "identity_verified=",
            "source_namespace=",
            "destination_ip=203.0.113.9",
            "destination_port=443",
            "destination_service=",
            "transport_security=unknown",
            "egress=passthrough",
            "egress_host=",
            "signals=8",
        ],
    );
}

#[test]
fn egress() {
    for (destination, expected) in [
        (r#"dst.service="api.foo.svc.cluster.local""#, "in_mesh"),
        (r#"dst.service="api.foo.SVC.cluster.local" dst.workload="a""#, "in_mesh"),
        (r#"dst.service="db.example.com""#, "registered"),
        (r#"dst.workload="server-1""#, "in_mesh"),
        ("dst.hbone_addr=api.foo:80", "in_mesh"),
        (r#"dst.service="""#, "passthrough"),
        ("", "passthrough"),
    ] {
        let expected = format!("egress={expected}");
        let sides = format!("src.addr=10.0.0.1:41000 dst.addr=203.0.113.9:443 {destination}");
        check(&complete(&sides, "outbound", ""), &[&expected, "egress_host="]);
        check(&complete(&sides, "inbound", ""), &["egress="]);
    }
}

#[test]
fn an_opened_connection_does_not_count() {
    for (sides, direction, signals) in [(PLAIN, "inbound", 0), (OUTSIDE, "outbound", 0), (SIDES, "inbound", 0)] {
        check(
            &line("debug", "connection opened", &format!("{sides} direction={direction:?}")),
            &["access_log_type=TcpConnectionStart", "rbac_decision=unknown", &format!("signals={signals}")],
        );
    }
    check(
        &line("debug", "connection opened", &format!(r#"{SIDES} direction="outbound""#)),
        &["identity_verified=false", "transport_security=unknown"],
    );
}

#[test]
fn addresses_that_are_none() {
    check(
        &complete("src.addr=[2001:DB8::1]:5 dst.addr=[::ffff:10.0.0.2]:80", "inbound", ""),
        &["source_ip=2001:db8::1", "source_port=5", "destination_ip=10.0.0.2", "destination_port=80"],
    );
    // a service of another network, by name
    let named = r#"src.addr=10.0.0.1:5 dst.addr=198.51.100.4:15008 dst.hbone_addr=API.foo.svc.cluster.local:8080"#;
    check(
        &complete(named, "outbound", ""),
        &[
            "destination_ip=",
            "destination_port=8080",
            "destination_service=api.foo.svc.cluster.local",
            r#"extra={"dst.addr":"198.51.100.4:15008","dst.hbone_addr":"API.foo.svc.cluster.local:8080","level":"info","message":"connection complete","scope":"access"}"#,
        ],
    );
    check(
        &complete(r#"src.addr=10.xx.xx.xx:5 dst.addr=? src.identity="root""#, "inbound", ""),
        &[
            "source_ip=",
            "source_port=",
            "destination_ip=",
            "source_principal=",
            "identity_verified=",
            r#"extra={"dst.addr":"?","level":"info","message":"connection complete","scope":"access","src.addr":"10.xx.xx.xx:5","src.identity":"root"}"#,
        ],
    );
    check(
        &complete(r#"src.identity="spiffe://td/a""#, "inbound", ""),
        &["source_principal=td/a", "source_namespace=", "identity_verified=true"],
    );
}

#[test]
fn numbers_that_are_none() {
    let odd = r#"bytes_sent=-1 bytes_recv=99999999999999999999 duration="1.5s""#;
    check(
        &line("info", "connection complete", &format!(r#"direction="inbound" {odd}"#)),
        &[
            "bytes_sent=",
            "bytes_received=",
            "duration_ms=",
            "time=1795358364727123",
            r#"extra={"bytes_recv":99999999999999999999,"bytes_sent":"-1","duration":"1.5s","level":"info","message":"connection complete","scope":"access"}"#,
        ],
    );
    for duration in ["9223372036854775807ms", "1795358364728ms"] {
        let line = line("info", "connection complete", &format!(r#"direction="inbound" duration={duration:?}"#));
        let kept = format!("duration_ms={}", duration.trim_end_matches("ms"));
        check(&line, &["time=1795358364727123", "ended_at=1795358364727123", &kept]);
    }
}

#[test]
fn repeated_keys() {
    let identity = r#"src.identity="spiffe://td/ns/a/sa/b""#;
    check(
        &complete(&format!("{SIDES} {identity} src.cluster=\"a\" x=1 x=2 duplicate_keys=3"), "inbound", ""),
        &[
            "source_principal=td.example/ns/bar/sa/client",
            "identity_verified=false",
            r#"extra={"dst.addr":"10.0.0.2:15008","dst.namespace":"foo","dst.workload":"server-1","duplicate_keys":{"duplicate_keys":[3],"src.identity":["spiffe://td/ns/a/sa/b"],"x":[2]},"level":"info","message":"connection complete","scope":"access","src.cluster":"a","src.namespace":"bar","src.workload":"client-1","x":1}"#,
        ],
    );
    let error = r#"error="x" error="connection closed due to policy rejection: explicitly denied by: a/b""#;
    check(
        &complete(&format!("{SIDES} {error}"), "inbound", ""),
        &["rbac_decision=deny", "rbac_policy=b", "connection_termination_details=x", "identity_verified=false"],
    );
}

#[test]
fn refusals() {
    let time = |time: &str| complete(SIDES, "inbound", "").replace("2026-11-22T14:39:24.727123Z", time);
    for (line, expected) in [
        (time("2026-13-22T14:39:24.727123Z"), RejectReason::BadTime),
        (time("1969-12-31T23:59:59Z"), RejectReason::BadTime),
        (line("info", "connection complete", SIDES), RejectReason::NotAnAccessLog),
        (complete(SIDES, "sideways", ""), RejectReason::NotAnAccessLog),
        (r#"{"level":"info","scope":"access","message":"connection complete","direction":"inbound"}"#.to_owned(), RejectReason::BadTime),
        (r#"{"level":"info","time":"2026-11-22T14:39:24Z","scope":"ztunnel::state","message":"no allow policies matched"}"#.to_owned(), RejectReason::NotAnAccessLog),
    ] {
        assert_eq!(columns(&line).unwrap_err().reason, expected, "{line}");
    }
}

#[test]
fn an_identity_with_needless_escapes() {
    let json = r#"{"level":"info","time":"2026-11-22T14:39:24Z","scope":"access","message":"connection complete","src.addr":"10.0.0.1\u003a5","src.identity":"spiffe:\/\/td\/ns\/a\/sa\/b","direction":"inbound","duration":"1ms"}"#;
    check(
        json,
        &["source_principal=td/ns/a/sa/b", "source_namespace=a", "source_ip=10.0.0.1", "identity_verified=true"],
    );
}

#[test]
fn secrets_are_taken_out() {
    let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln";
    let line = complete(&format!("{PLAIN} password=\"a\" x=\"{jwt}\""), "inbound", &format!("receive: {jwt}"));
    check(&line, &["connection_termination_details=receive: [redacted-jwt]"]);
    let columns = columns(&line).unwrap();
    assert!(
        !columns["extra"].contains("eyJ") && columns["extra"].contains(r#""password":"[redacted]""#),
        "{columns:?}"
    );
}

#[test]
fn columns_that_are_carried() {
    // but for the keys of the recommended format that feed the same columns, nothing is said to be carried that no line fills
    let mut filled: Vec<&str> = Vec::new();
    let strict = "connection closed due to policy rejection: explicitly denied by: foo/deny";
    for line in [
        complete(SIDES, "inbound", strict),
        complete(SIDES, "outbound", "tls error: x"),
        line("debug", "connection opened", &format!(r#"{SIDES} direction="inbound""#)),
    ] {
        filled.extend(columns(&line).unwrap().keys());
    }
    let carried = ACCESS_LOGS.iter().zip(feeding_keys()).filter(|(_, keys)| keys.meets(CARRIED));
    let empty: Vec<_> = carried.map(|(column, _)| column.name).filter(|name| !filled.contains(name)).collect();
    assert_eq!(empty, ["upstream_cluster", "route_name", "rbac_rule"]);
}

#[test]
fn rows() {
    let lines = [
        complete(SIDES, "inbound", ""),
        complete(SIDES, "outbound", "http status: 401 Unauthorized"),
        complete(PLAIN, "inbound", "connection closed due to policy rejection: allow policies exist, but none allowed"),
        complete(OUTSIDE, "outbound", ""),
    ];
    let shown = |line: &String| {
        let columns = columns(line).unwrap();
        columns.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<String>()
    };
    insta::assert_snapshot!("rows", lines.iter().map(shown).collect::<Vec<_>>().join("\n"));
}

/// A field of a line: its name, and whether text writes it bare.
const FIELDS: [(&str, bool); 18] = [
    ("src.addr", true),
    ("src.workload", false),
    ("src.namespace", false),
    ("src.identity", false),
    ("src.cluster", false),
    ("dst.addr", true),
    ("dst.hbone_addr", true),
    ("dst.service", false),
    ("dst.workload", false),
    ("dst.namespace", false),
    ("dst.identity", false),
    ("dst.cluster", false),
    ("direction", false),
    ("bytes_sent", true),
    ("bytes_recv", true),
    ("duration", false),
    ("error", false),
    ("new.field", false),
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~]{0,20}",
        Just("spiffe://cluster.local/ns/a/sa/b".to_owned()),
        Just("api.foo.svc.cluster.local".to_owned()),
        Just("5ms".to_owned()),
        Just("connection closed due to policy rejection: explicitly denied by: a/b".to_owned()),
    ]
}

fn bare() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("10.0.0.1:80".to_owned()),
        Just("[::1]:80".to_owned()),
        "[a-z]{1,5}:[0-9]{1,5}",
        any::<u64>().prop_map(|number| number.to_string()),
        "[a-z0-9.:]{1,9}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn text_and_json_become_the_same_row(
        direction in prop_oneof![Just("inbound"), Just("outbound")],
        message in prop_oneof![4 => Just("connection complete"), 1 => Just("connection opened"), 1 => Just("connection failed")],
        values in prop::collection::vec(prop::option::of((text(), bare())), FIELDS.len()),
    ) {
        let mut text = format!("2026-11-22T14:39:24.727123Z\tinfo\taccess\t{message}\t");
        let mut json = format!(r#"{{"level":"info","time":"2026-11-22T14:39:24.727123Z","scope":"access","message":"{message}""#);
        for ((name, is_bare), value) in FIELDS.into_iter().zip(values) {
            let Some((quoted, bare)) = value else { continue };
            let quoted = if name == "direction" { direction.to_owned() } else { quoted };
            let number = is_bare && bare.parse::<u64>().is_ok_and(|number| number.to_string() == bare);
            let written = if is_bare { bare } else { quoted };
            text.push_str(&if is_bare { format!("{name}={written} ") } else { format!("{name}={written:?} ") });
            let value = if number { written } else { serde_json::Value::from(written).to_string() };
            json.push_str(&format!(",\"{name}\":{value}"));
        }
        json.push('}');
        prop_assert!(looks_like(&text) && looks_like(&json));
        prop_assert_eq!(columns(&text), columns(&json), "{}\n{}", text, json);
    }

    #[test]
    fn any_line_does(rest in any::<String>(), cut in 0..300_usize) {
        let _ = columns(&line("info", "connection complete", &rest));
        let line = complete(SIDES, "inbound", &rest);
        let _ = columns(line.get(..line.floor_char_boundary(cut)).unwrap());
        let _ = columns(&rest);
    }
}
