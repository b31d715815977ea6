//! Keys and words that stand beside a record because somebody told a shipper or a terminal so.

use super::*;

#[test]
fn keys_that_shippers_are_told_to_add_hide_no_record() {
    let ztunnel = "2026-11-22T14:39:24.727123Z\tinfo\taccess\tconnection complete\tsrc.addr=10.0.0.1:5";
    let record = r#"{"start_time":"2026-11-22T14:39:24.727Z","method":"GET"}"#;
    for added in [
        r#""path":"/var/log/containers/a_b_istio-proxy-c.log""#,
        r#""filepath":"/var/log/x","offset":12"#,
        r#""cluster":"eu-1","env":"prod","hostname":"n1""#,
    ] {
        for content in [TEXT, record, ztunnel] {
            for name in ["log", "message"] {
                let line = format!(r#"{{"date":1795358364.7,{added},"{name}":{}}}"#, quoted(content));
                assert!(one(&line).starts_with(&format!("record {content}")), "{line}: {}", one(&line));
            }
        }
    }
}

/// Whoever calls an application chooses what its log says, but not the keys that it has.
#[test]
fn an_access_log_of_an_application_is_not_opened() {
    let forged = [TEXT, r#"{"start_time":"2026-11-22T14:39:24.727Z","method":"GET"}"#];
    for own in [
        r#""status":200"#,
        r#""status":200,"path":"/var/log/x""#,
        // what a request says is no file
        r#""path":"/login""#,
        r#""path":"/var/log/x?a=1""#,
        r#""path":"/api","cluster":"eu""#,
        r#""method":"GET","path":"/var/log/x""#,
        r#""level":"info","path":"/var/log/x""#,
        r#""user_agent":"curl","path":"/var/log/x""#,
        r#""offset":"1""#,
        r#""cluster":1"#,
        r#""my_header":"x""#,
        r#""attributes":{"response_code":200}"#,
    ] {
        for content in forged {
            let line = format!(r#"{{"time":"2026-11-22T14:39:24.727Z",{own},"message":{}}}"#, quoted(content));
            assert_eq!(one(&line), "bare", "{line}");
        }
    }
    // and what is no record stays what it is
    for content in ["hello", "{}", r#"{"a":1}"#, "[a", ""] {
        let line = format!(r#"{{"path":"/var/log/x","log":{}}}"#, quoted(content));
        assert_eq!(one(&line), "bare", "{line}");
    }
}

#[test]
fn words_before_a_line_of_ztunnels_with_blanks() {
    let line = "2024-10-30T11:49:40.421833Z error access connection complete src.addr=192.168.240.64:55909";
    for (words, node) in [
        (format!("{TIME} "), ""),
        ("ztunnel-x7 istio-proxy ".to_owned(), " pod=ztunnel-x7 container=istio-proxy"),
        (
            "istio-system ztunnel-x7 istio-proxy ".to_owned(),
            " pod=ztunnel-x7 namespace=istio-system container=istio-proxy",
        ),
    ] {
        assert_eq!(one(&format!("{words}{line}")), format!("record {line}{node}"), "{words}");
    }
    assert_eq!(one(&format!("{TIME} 2024-10-30T11:49:40Z x access")), "bare");
}

/// In a text template that imitates JSON a quote of a caller's begins keys of its own, and the template's next key follows them.
#[test]
fn a_caller_names_no_pod() {
    let forged = r#""kubernetes":{"pod_name":"victim-1","namespace_name":"bank"}"#;
    let template = |agent: &str| {
        format!(
            r#"{{"start_time":"2026-11-22T14:39:24.727Z","response_code":"200","upstream_cluster":"-","user_agent":"{agent}","method":"GET"}}"#
        )
    };
    for agent in [
        format!(r#"x",{forged},"z":""#),
        r#"x","kubernetes.pod_name":"victim-1","z":""#.to_owned(),
        r#"x","container_name":"k8s_istio-proxy_victim-1_bank_1_0","z":""#.to_owned(),
        format!(r#"x",{forged},"stream":""#),
    ] {
        let line = template(&agent);
        serde_json::from_str::<serde_json::Value>(&line).unwrap();
        assert_eq!(one(&line), "bare", "{line}");
        assert_eq!(one(&format!("{TIME} stdout F {line}")), format!("record {line}"));
    }
    // the last key, too, is followed by what the template writes behind it
    let last = format!(
        r#"{{"start_time":"2026-11-22T14:39:24.727Z","response_code":"200","user_agent":"x",{forged},"stream":""}}"#
    );
    assert_eq!(one(&last), "bare");
    // a shipper puts its keys before or behind, and Envoy's own JSON lets nobody write keys
    let plain = template("x");
    let behind = format!("{},{forged}}}", plain.strip_suffix('}').unwrap());
    let before = format!("{{{forged},{}", plain.strip_prefix('{').unwrap());
    let typed = template(&format!(r#"x",{forged},"z":""#)).replace(r#""200""#, "200").replace(r#""-""#, "null");
    for line in [behind, before, typed] {
        assert_eq!(one(&line), "bare pod=victim-1 namespace=bank", "{line}");
    }
}
