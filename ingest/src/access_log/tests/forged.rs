//! What a caller may have written.

use super::*;

#[test]
fn repeated_keys_prove_nothing() {
    let forged = r#""downstream_peer_uri_san":"spiffe://cluster.local/ns/a/sa/admin""#;
    for keys in [format!("{forged},{INBOUND},{MTLS}"), format!("{INBOUND},{MTLS},{forged}")] {
        let line = recommended(&keys);
        check(&line, &["identity_verified=false", "transport_security=tls"]);
        assert!(columns(&line)["extra"].starts_with(r#"{"duplicate_keys":{"downstream_peer_uri_san":["spiffe://"#));
    }
    check(&recommended(&format!(r#"{INBOUND},{MTLS},"method":"PUT""#)), &["identity_verified=false", "method=GET"]);
    let denied = r#""response_code_details":"rbac_access_denied_matched_policy[ns[a]-policy[b]-rule[0]]""#;
    let fine = r#""response_code_details":"via_upstream""#;
    let rbac = |result: &str| format!(r#""rbac":{{"enforced_engine_result":"{result}"}}"#);
    let (no, yes) = (rbac("denied"), rbac("allowed"));
    for keys in [format!("{fine},{denied}"), format!("{denied},{fine}")] {
        check(&recommended(&format!("{INBOUND},{MTLS},{keys}")), &["rbac_decision=deny", "signals=17"]);
    }
    for keys in [format!("{yes},{no}"), format!("{no},{yes}")] {
        let line = format!(r#"{{"start_time":5,{INBOUND},{MTLS},{keys}}}"#);
        check(&line, &["rbac_decision=deny", "signals=17"]);
        check(&recommended(&format!("{INBOUND},{MTLS},{fine},{no}")), &["rbac_decision=unknown", "signals=0"]);
    }
}

/// A text template that imitates JSON: what a caller may have written proves nothing and hides nothing.
#[test]
fn json_of_strings_proves_nothing() {
    let template = |more: &str| {
        format!(
            r#"{{"start_time":"2026-11-22T14:39:24.727Z","response_code":"403","upstream_cluster":"inbound|8080||","method":"GET","protocol":"HTTP/1.1",
            "downstream_remote_address":"10.0.0.1:5000","user_agent":"x"{more}}}"#
        )
    };
    let forged = template(
        r#","downstream_peer_uri_san":"spiffe://cluster.local/ns/a/sa/admin","downstream_tls_version":"TLSv1.3""#,
    );
    check(&forged, &["identity_verified=false", "claims=source_principal", "transport_security=tls"]);
    // numbers without quotes, but an absent value is a dash
    let numbers = forged.replace(r#""403""#, r#"403,"route_name":"-""#);
    check(&numbers, &["identity_verified=false", "claims=source_principal", "response_code=403"]);
    check(&numbers.replace(r#""-""#, "null"), &["identity_verified=true", "claims="]);
    // a line that would not count, a schema that would say that nothing is missing, details that would outvote the metadata
    let rbac = r#""rbac":{"enforced_engine_result":"denied"}"#;
    for more in [
        r#","access_log_type":"DownstreamStart""#,
        r#","access_log_type":"NotSet""#,
        r#","log_schema":"meshwarden/1""#,
        r#","response_code_details":"via_upstream""#,
    ] {
        let line = template(&format!(",{rbac}{more}"));
        check(&line, &["rbac_decision=deny", "log_type=http", "reporter=destination", "access_log_type="]);
        assert_eq!(columns(&line)["signals"].parse::<i64>().unwrap() & signals::DENIED, signals::DENIED);
    }
    check(&template(r#","access_log_type":"DownstreamEnd""#), &["access_log_type=DownstreamEnd"]);
    let kept = columns(&template(r#","access_log_type":"DownstreamStart""#));
    assert!(kept["extra"].contains(r#""access_log_type":"DownstreamStart""#), "{}", kept["extra"]);
}

#[test]
fn a_path_that_may_be_the_callers_word() {
    let keys = r#""response_code":200,"bytes_received":0,"bytes_sent":0,"duration":1,"downstream_local_address":"10.0.0.2:80","downstream_remote_address":"10.0.0.1:5000","method":"GET","path":"/healthz","protocol":"HTTP/1.1""#;
    let line =
        |cluster: &str| format!(r#"{{"start_time":"2026-11-22T14:39:24.727Z",{keys},"upstream_cluster":"{cluster}"}}"#);
    check(&line("inbound|8080||"), &["direction=inbound", "claims=path"]);
    check(&line("outbound|80||a.b.svc.cluster.local"), &["direction=outbound", "claims="]);
    // of any other format nobody knows which operator feeds the path; the recommended one logs :PATH
    let other = line("inbound|8080||").replace(r#""method""#, r#""grpc_status":0,"method""#);
    check(&other, &["claims=", "path=/healthz"]);
    check(&recommended(INBOUND), &["claims=", "path=/a"]);
}

/// Another name of a key that the operator maps.
#[test]
fn a_second_name_of_a_key_is_one_thing_said_twice() {
    let mut options = DecodeOptions::default();
    let pairs = [("status", "response_code"), ("details", "response_code_details")];
    options.fields = crate::FieldMap::from_pairs(pairs.map(|(a, b)| (a.to_owned(), b.to_owned()))).unwrap();
    let line = r#"{"start_time":5,"upstream_cluster":"inbound|8080||","method":"GET","response_code":"200","response_code_details":"via_upstream","status":"403","details":"rbac_access_denied_matched_policy[none]"}"#;
    let columns = columns_with(line, &options).unwrap();
    assert_eq!((columns["rbac_decision"].as_str(), columns["signals"].as_str()), ("deny", "17"));
}

/// What `omit_empty_values` leaves out is null, and not unknown.
#[test]
fn a_key_that_a_configured_format_leaves_out_is_carried() {
    let labels = r#"{"t":"%START_TIME%","c":"%UPSTREAM_CLUSTER%","m":"%REQ(:METHOD)%","code":"%RESPONSE_CODE%","tls":"%DOWNSTREAM_TLS_VERSION%","san":"%DOWNSTREAM_PEER_URI_SAN%"}"#;
    let format = crate::JsonFormat::compile(&serde_json::from_str(labels).unwrap()).unwrap();
    let line = r#"{"t":"2026-11-22T14:39:24.727Z","c":"inbound|8080||","m":"GET","code":200}"#;
    for (omits, transport) in [(true, "plaintext"), (false, "unknown")] {
        let mut options = DecodeOptions::default();
        options.add_json_format(&format, omits).unwrap();
        assert_eq!(columns_with(line, &options).unwrap()["transport_security"], transport);
        let mut decoder = crate::Decoder::new(options.into(), "in", chrono::DateTime::UNIX_EPOCH);
        decoder.push(format!("{line}\n{line}\n").as_bytes());
        let rows = decoder.finish().unwrap().rows;
        let column = rows.column_by_name("transport_security").unwrap();
        assert_eq!(arrow::array::AsArray::as_string_view(column).value(1), transport);
    }
}

/// A label of two formats that fit alike.
#[test]
fn of_two_formats_that_fit_alike_none_proves_an_identity() {
    let format = |labels: &str| crate::JsonFormat::compile(&serde_json::from_str(labels).unwrap()).unwrap();
    let mut options = DecodeOptions::default();
    for who in ["%DOWNSTREAM_PEER_URI_SAN%", "%REQ(USER-AGENT)%"] {
        let labels = format!(r#"{{"t":"%START_TIME%","c":"%UPSTREAM_CLUSTER%","who":"{who}"}}"#);
        options.add_json_format(&format(&labels), true).unwrap();
    }
    let line = r#"{"t":"2026-11-22T14:39:24.727Z","c":"inbound|8080||","who":"spiffe://cluster.local/ns/bank/sa/ceo"}"#;
    let columns = columns_with(line, &options).unwrap();
    assert_eq!((columns["identity_verified"].as_str(), columns["signals"].as_str()), ("false", "16"));
}

/// A configured format whose first value is a caller's, and looks like ztunnel's.
#[test]
fn a_look_alike_of_ztunnels_is_read_by_the_configured_format() {
    let mut options = DecodeOptions::default();
    let format = "%REQ(X-FORWARDED-FOR)% [%START_TIME%] \"%REQ(:METHOD)%\" %RESPONSE_CODE%";
    options.add_text_format(crate::TextFormat::compile(format).unwrap());
    for forwarded in ["src.addr=1.2.3.4:5", "2026-11-22T14:30:00.000000Z info access", "info access", "10.0.0.1"] {
        let line = format!("{forwarded} [2026-11-22T14:39:24.727Z] \"GET\" 403");
        let columns = columns_with(&line, &options).unwrap();
        assert_eq!((columns["response_code"].as_str(), columns["forwarded_for"].as_str()), ("403", forwarded));
    }
}

/// Two formats of the same labels, one of which calls the details what the other calls the user agent.
#[test]
fn a_denial_by_either_of_two_formats_is_one() {
    let format = |labels: &str| crate::JsonFormat::compile(&serde_json::from_str(labels).unwrap()).unwrap();
    let whys = [r#""%RESPONSE_CODE_DETAILS%""#, r#""%REQ(USER-AGENT)%""#, r#"["%REQ(USER-AGENT)%"]"#];
    for (one, other) in [(whys[0], whys[1]), (whys[1], whys[0]), (whys[2], whys[0]), (whys[0], whys[2])] {
        let mut options = DecodeOptions::default();
        for why in [one, other] {
            let labels = format!(
                r#"{{"t":"%START_TIME%","c":"%UPSTREAM_CLUSTER%","m":"%REQ(:METHOD)%","code":"%RESPONSE_CODE%","why":{why}}}"#
            );
            options.add_json_format(&format(&labels), false).unwrap();
        }
        let line = r#"{"c":"inbound|8080||","code":403,"m":"GET","t":"2026-11-22T14:39:24.727Z","why":"rbac_access_denied_matched_policy[none]"}"#;
        let columns = columns_with(line, &options).unwrap();
        assert_eq!((columns["rbac_decision"].as_str(), columns["signals"].as_str()), ("deny", "17"), "{one} {other}");
    }
}

/// A text template whose numbers are unquoted, as the mesh's configuration has it: what it does not read is still its.
#[test]
fn a_configured_template_that_a_caller_wrote_into_proves_nothing() {
    let template = r#"{"start_time":"%START_TIME%","upstream_cluster":"%UPSTREAM_CLUSTER%","method":"%REQ(:METHOD)%","path":"%REQ(:PATH)%","response_code":%RESPONSE_CODE%,"user_agent":"%REQ(USER-AGENT)%","protocol":"%PROTOCOL%"}"#;
    let mut options = DecodeOptions::default();
    options.add_text_format(crate::TextFormat::compile(template).unwrap());
    let line = |path: &str, agent: &str| {
        format!(
            r#"{{"start_time":"2026-11-22T14:39:24.727Z","upstream_cluster":"inbound|8080||","method":"GET","path":"{path}","response_code":403,"user_agent":"{agent}","protocol":"HTTP/1.1"}}"#
        )
    };
    let san = r#""downstream_peer_uri_san":"spiffe://cluster.local/ns/bank/sa/ceo""#;
    for (line, doubtful) in [
        (line("/", "curl/8"), false),
        (line("/", &format!(r#"x",{san},"y":"z"#)), false),
        (line(&format!(r#"/",{san},"y":"z"#), "curl/8"), false),
        // two readings
        (line(&format!(r#"/","response_code":1,"user_agent":"x",{san},"y":"z"#), "curl/8"), true),
    ] {
        let columns = match columns_with(&line, &options) {
            Ok(columns) => columns,
            Err(refusal) => {
                assert!(doubtful && refusal.reason == RejectReason::BadTextFormat, "{line}\n{refusal:?}");
                continue;
            }
        };
        let verified = columns.get("identity_verified").is_some_and(|verified| verified == "true");
        let ambiguous = columns["signals"].parse::<i64>().unwrap() & crate::schema::signals::AMBIGUOUS != 0;
        assert_eq!((verified, ambiguous, doubtful), (false, false, false), "{line}\n{columns:#?}");
    }
}

/// A template whose time has another name, into which a caller wrote the keys of ztunnel's lines.
#[test]
fn a_template_is_no_line_of_ztunnels() {
    let ztunnel = r#""scope":"access","level":"info","time":"2026-11-22T14:39:24.727Z","message":"connection complete","direction":"inbound","src.addr":"10.0.0.9:1","src.identity":"spiffe://cluster.local/ns/bank/sa/ceo""#;
    let denied = r#""upstream_cluster":"inbound|80||","method":"GET","response_code":"403","response_code_details":"rbac_access_denied_matched_policy[none]""#;
    let line = format!(r#"{{"ts":"2026-11-22T14:39:24.727Z",{denied},"ua":"x",{ztunnel},"protocol":"HTTP/1.1"}}"#);
    let named = DecodeOptions {
        fields: crate::FieldMap::from_pairs([("ts".to_owned(), "start_time".to_owned())]).unwrap(),
        ..DecodeOptions::default()
    };
    let columns = columns_with(&line, &named).unwrap();
    assert_eq!((columns["rbac_decision"].as_str(), columns.get("source_principal")), ("deny", None));
    // the same from the mesh's configuration, with a second reading
    let template = r#"{"ts":"%START_TIME%","path":"%REQ(:PATH)%","code":%RESPONSE_CODE%,"d":"%RESPONSE_CODE_DETAILS%","ua":"%REQ(USER-AGENT)%","protocol":"%PROTOCOL%"}"#;
    let mut configured = DecodeOptions::default();
    configured.add_text_format(crate::TextFormat::compile(template).unwrap());
    let path = format!(r#"/","code":200,"d":"via_upstream","ua":"x",{ztunnel},"path":"/"#);
    let line = format!(
        r#"{{"ts":"2026-11-22T14:39:24.727Z","path":"{path}","code":403,"d":"rbac_access_denied_matched_policy[none]","ua":"y","protocol":"HTTP/1.1"}}"#
    );
    let refusal = columns_with(&line, &configured).unwrap_err();
    assert_eq!(refusal.reason, RejectReason::BadTextFormat, "{refusal:?}");
}

/// A list from which Envoy dropped a null.
#[test]
fn a_denial_in_a_list_that_lacks_a_value_is_one() {
    let labels = r#"{"t":"%START_TIME%","code":"%RESPONSE_CODE%","s":["%RESPONSE_CODE_DETAILS%","%REQ(USER-AGENT)%"]}"#;
    let format = crate::JsonFormat::compile(&serde_json::from_str(labels).unwrap()).unwrap();
    let mut options = DecodeOptions::default();
    options.add_json_format(&format, true).unwrap();
    let line = r#"{"code":403,"s":["rbac_access_denied_matched_policy[none]"],"t":"2026-11-22T14:39:24.727Z"}"#;
    let columns = columns_with(line, &options).unwrap();
    assert_eq!((columns["rbac_decision"].as_str(), columns["signals"].as_str()), ("deny", "17"));
    let mut decoder = crate::Decoder::new(options.into(), "in", DateTime::UNIX_EPOCH);
    decoder.push(format!("{line}\n").repeat(3).as_bytes());
    let batch = decoder.finish().unwrap();
    let carried = |column| batch.coverage.get(column);
    assert_eq!((carried("response_code"), carried("response_code_details"), carried("user_agent")), (3, 0, 0));
}

/// `%PATH%` is the original one, where there is one, as Envoy 1.40 writes it.
#[test]
fn a_path_operator_that_prefers_the_original() {
    for (operator, claimed) in [("%PATH%", true), ("%PATH(NQ:ORIG_OR_PATH)%", true), ("%PATH(NQ:PATH)%", false)] {
        let labels = format!(r#"{{"t":"%START_TIME%","c":"%UPSTREAM_CLUSTER%","p":"{operator}"}}"#);
        let format = crate::JsonFormat::compile(&serde_json::from_str(&labels).unwrap()).unwrap();
        let mut options = DecodeOptions::default();
        options.add_json_format(&format, false).unwrap();
        let line = r#"{"t":"2026-11-22T14:39:24.727Z","c":"inbound|8080||","p":"/healthz"}"#;
        let columns = columns_with(line, &options).unwrap();
        assert_eq!(columns.get("claims").is_some_and(|claims| claims.contains("path")), claimed, "{operator}");
    }
}

/// A certificate that was refused may be anybody's.
#[test]
fn a_peer_whose_certificate_was_refused_is_no_destination() {
    let peer = r#""upstream_peer_uri_san":"spiffe://cluster.local/ns/foo/sa/api","upstream_local_uri_san":"spiffe://cluster.local/ns/bar/sa/client""#;
    let reason = "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_SAN_matcher:TLS_error_end";
    let failed =
        format!(r#""upstream_transport_failure_reason":"{reason}","response_code":503,"response_flags":"URX,UF""#);
    let destination = "destination_principal=cluster.local/ns/foo/sa/api";
    let line = recommended(&format!("{OUTBOUND},{peer},{failed}"));
    check(&line, &[destination, "claims=source_principal,destination_principal", "identity_verified=false"]);
    check(&recommended(&format!("{OUTBOUND},{peer}")), &[destination, "claims=", "identity_verified=true"]);
    // a server's own certificate is its own, whatever became of the next hop
    check(&recommended(&format!("{INBOUND},{MTLS},{failed}")), &["claims=", "identity_verified=true"]);
}
