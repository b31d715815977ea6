#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::FieldMap;
use crate::format::Paths;

fn compile(json: &str) -> JsonFormat {
    JsonFormat::compile(&serde_json::from_str(json).unwrap()).unwrap()
}

#[test]
fn the_recommended_format_needs_no_pairs() {
    for paths in [Paths::WithoutQuery, Paths::WithQuery] {
        let format = compile(&crate::format::json(paths));
        assert_eq!(format.pairs(), []);
        assert_eq!(format.fills().len(), 70);
        let time = "2026-11-22T14:39:24.727123Z";
        assert_eq!(format.start_time().unwrap().parse(time), crate::time::parse(time));
    }
}

#[test]
fn labels_map_by_their_operators() {
    let format = compile(
        r#"{
            "ts": "%START_TIME(%s)%", "status": "%RESPONSE_CODE%", "who": "%DOWNSTREAM_PEER_URI_SAN%",
            "path": "%REQ(:PATH)%", "uri": "%PATH%", "method": "%GRPC_STATUS_NUMBER%",
            "m1": "%REQ(:METHOD)%", "m2": "%REQ(:METHOD)%",
            "tenant": "%REQ(X-TENANT)%", "request_id": "%REQ(X-MY-ID)%", "protocol": "p=%RESPONSE_CODE%",
            "both": "%PROTOCOL% %DURATION%",
            "tls": {"v": ["%DOWNSTREAM_TLS_VERSION%", "%RESPONSE_CODE%"],
                    "more": {"sni": "%REQUESTED_SERVER_NAME%", "x": "%REQ(X-SNI)%"}},
            "call": "%REQ(:AUTHORITY)%|%REQ(X-A)%|%REQ(X-A)%", "lines": "%BYTES_SENT%\n%BYTES_RECEIVED%",
            "env": "prod", "n": 1, "log_schema": "mine", "bad": "100%", "time": "%START_TIME(%Q)%"
        }"#,
    );
    let used = |name: &str| &format.labels().iter().find(|label| label.name == name).unwrap().used;
    for (name, expected) in [
        ("ts", LabelUse::Key("start_time")),
        ("status", LabelUse::Key("response_code")),
        ("who", LabelUse::Key("downstream_peer_uri_san")),
        ("path", LabelUse::Key("path")),
        ("uri", LabelUse::Repeats("path")),
        // named like a key, but another one
        ("method", LabelUse::Key("grpc_status")),
        ("m1", LabelUse::Key("method")),
        ("m2", LabelUse::Repeats("method")),
        ("tenant", LabelUse::NoColumn),
        ("request_id", LabelUse::NoColumn),
        // others feed these keys
        ("protocol", LabelUse::Mixed(vec![None])),
        ("both", LabelUse::Mixed(vec![Some("protocol"), Some("duration")])),
        ("tls.v.0", LabelUse::Key("downstream_tls_version")),
        ("tls.v.1", LabelUse::Repeats("response_code")),
        ("tls.more.sni", LabelUse::Key("requested_server_name")),
        ("tls.more.x", LabelUse::NoColumn),
        ("call", LabelUse::Mixed(vec![Some("authority"), None, None])),
        ("lines", LabelUse::Mixed(vec![None, None])),
        ("env", LabelUse::Literal),
        ("n", LabelUse::Literal),
        ("log_schema", LabelUse::Literal),
    ] {
        assert_eq!(*used(name), expected, "{name}");
    }
    for (name, said) in [("bad", "`%` at byte 3"), ("time", "`%Q` is not understood")] {
        assert!(matches!(used(name), LabelUse::Invalid(reason) if reason.contains(said)), "{name}: {:?}", used(name));
    }
    let pairs = format.pairs();
    let shown: Vec<String> = pairs.iter().map(|(label, key)| format!("{label}={key}")).collect();
    assert_eq!(
        shown,
        ["m1=method", "method=grpc_status", "status=response_code", "ts=start_time", "who=downstream_peer_uri_san"]
    );
    assert_eq!(FieldMap::from_pairs(pairs).unwrap().pairs().len(), 5);
    assert_eq!(format.misleading(), ["log_schema", "protocol", "request_id"]);
    assert_eq!(format.start_time().unwrap().parse("1795563113"), Some(1_795_563_113_000_000));
    let extra = format.extra();
    for name in ["tls.v.1", "tls.more.x", "call.req(x-a)", "call.req(x-a)#2", "lines", "protocol", "env", "uri"] {
        assert!(extra.iter().any(|extra| extra == name), "{name}: {extra:?}");
    }
    let parts: Vec<String> =
        format.parts(false).iter().map(|part| format!("{} {:?}", part.name, part.keys())).collect();
    assert_eq!(parts.len(), 3, "{parts:?}");
}

#[test]
fn what_is_no_format() {
    for (json, said) in [("[]", "this is a list"), ("\"%PROTOCOL%\"", "this is a string"), ("{}", "no labels")] {
        let error = JsonFormat::compile(&serde_json::from_str(json).unwrap()).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let deep = (0..100).fold(Value::from("%PROTOCOL%"), |value, _| Value::from(vec![value]));
    let format = JsonFormat::compile(&serde_json::json!({ "a": deep })).unwrap();
    assert_eq!(format.labels().first().unwrap().used, LabelUse::Invalid("nested too deeply".to_owned()));
    assert_eq!(format.parts(false), []);
}
