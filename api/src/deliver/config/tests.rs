//! Every key, and every way to get one wrong.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::{Config, SecretSource, Target};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct Drawer;

impl SecretSource for Drawer {
    fn variable(&self, name: &str) -> Result<String, String> {
        if name == "SOC_SECRET" { Ok(SECRET.to_owned()) } else { Err("the variable is not set".to_owned()) }
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        if path == Path::new("/run/secret") {
            Ok(format!("{SECRET}\n{SECRET}\n"))
        } else {
            Err("no such file".to_owned())
        }
    }
}

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("/data"), &Drawer).map_err(|error| error.to_string())
}

#[test]
fn every_type_with_its_keys() {
    let config = parse(&format!(
        r#"
        retry_scale = 0.5
        [[sinks]]
        name = "soc"
        type = "webhook"
        url = "https://soc.example/hook"
        secret = ["{SECRET}", "{SECRET}"]
        secret_env = "SOC_SECRET"
        secret_file = "/run/secret"
        min_severity = "medium"
        from = "end"
        allow = ["10.0.0.0/8"]
        [[sinks]]
        name = "siem"
        type = "syslog"
        address = "[::1]:514"
        allow_private = true
        [[sinks]]
        name = "archive"
        type = "file"
        path = "findings.ndjson"
        "#
    ))
    .unwrap();
    assert_eq!(config.names().collect::<Vec<_>>(), ["soc", "siem", "archive"]);
    let [Target::Webhook(webhook), Target::Syslog(syslog), Target::File(file)] =
        [&config.sinks[0].target, &config.sinks[1].target, &config.sinks[2].target]
    else {
        panic!("{config:?}")
    };
    assert_eq!(webhook.secrets.len(), 5);
    assert_eq!((syslog.host.as_str(), syslog.port), ("::1", 514));
    assert_eq!((file.path.as_path(), file.max_bytes, file.keep), (Path::new("/data/findings.ndjson"), 104_857_600, 10));
    assert!(!format!("{config:?}").contains("MfKQ9r8"), "a secret shows in {config:?}");
    assert!(parse("").unwrap().sinks.is_empty());
}

#[test]
fn errors_name_sink_key_value_and_way_out() {
    let webhook = format!("type = \"webhook\"\nurl = \"https://soc.example/\"\nsecret = \"{SECRET}\"");
    let table = [
        ("name = \"SOC\"\ntype = \"file\"\npath = \"f\"", "sink 'SOC': a name consists of a-z, 0-9 and '-'"),
        ("name = \"a\"\ntype = \"smtp\"", "sink 'a': 'type' is 'smtp': use webhook, syslog or file"),
        ("name = \"a\"\ntype = \"webhook\"", "sink 'a': 'url' is missing: write url = "),
        (
            "name = \"a\"\ntype = \"webhook\"\nurl = \"https://soc.example\"",
            "sink 'a': 'secret' is missing: write secret = ",
        ),
        (
            "name = \"a\"\ntype = \"webhook\"\nurl = \"https://soc.example\"\nsecret = \"hunter2hunter2\"",
            "sink 'a': a secret from 'secret': it does not start with 'whsec_'",
        ),
        (
            "name = \"a\"\ntype = \"webhook\"\nurl = \"https://soc.example\"\nsecret_env = \"NOPE\"",
            "sink 'a': 'secret_env' is 'NOPE', and no secret could be read there: the variable is not set",
        ),
        (
            "name = \"a\"\ntype = \"webhook\"\nurl = \"http://0x7f.1/\"\nsecret_env = \"SOC_SECRET\"",
            "sink 'a': 'url' is 'http://0x7f.1/': 127.0.0.1 is a loopback address",
        ),
        (
            "name = \"a\"\ntype = \"file\"\npath = \"f\"\nurl = \"https://x\"",
            "sink 'a': 'url' does not belong to type file: remove it",
        ),
        ("name = \"a\"\ntype = \"file\"\npath = \"f\"\nkeep = 0", "sink 'a': 'keep' is '0': use 1 to 10000"),
        (
            "name = \"a\"\ntype = \"file\"\npath = \"f\"\nmax_bytes = 1",
            "sink 'a': 'max_bytes' is '1': use at least 4096",
        ),
        ("name = \"a\"\ntype = \"syslog\"\naddress = \"siem\"", "sink 'a': 'address' is 'siem': write host:port"),
        ("name = \"a\"\ntype = \"syslog\"\naddress = \"10.0.0.1:514\"", "'allow_private = true'"),
        (
            "name = \"a\"\ntype = \"syslog\"\naddress = \"siem:514\"\nfacility = \"local8\"",
            "sink 'a': 'facility' is 'local8': use kern",
        ),
        (
            "name = \"a\"\ntype = \"syslog\"\naddress = \"siem:514\"\nframing = \"nul\"",
            "sink 'a': 'framing' is 'nul': use octet-counting",
        ),
        (
            "name = \"a\"\ntype = \"syslog\"\naddress = \"siem:514\"\nallow = [\"10\"]",
            "sink 'a': 'allow': '10' is no network",
        ),
        (
            "name = \"a\"\ntype = \"file\"\npath = \"f\"\nmin_severity = \"bad\"",
            "sink 'a': 'min_severity' is 'bad': use info, low",
        ),
        ("name = \"a\"\ntype = \"file\"\npath = \"f\"\nfrom = \"now\"", "sink 'a': 'from' is 'now': use start"),
        ("name = \"a\"\ntype = \"file\"\npath = \"f\"\ncolour = \"red\"", "line 5: unknown field `colour`"),
    ];
    for (sink, expected) in table {
        let error = parse(&format!("[[sinks]]\n{sink}\n")).unwrap_err();
        assert!(error.contains(expected), "{error}\nexpected: {expected}");
        assert!(!error.contains("hunter2"), "a secret shows in {error}");
    }
    let twice = parse(&format!("[[sinks]]\nname = \"a\"\n{webhook}\n[[sinks]]\nname = \"a\"\n{webhook}")).unwrap_err();
    assert!(twice.starts_with("sink 'a' is configured twice"), "{twice}");
    let file = "type = \"file\"\npath = \"f\"";
    let twice = parse(&format!("[[sinks]]\nname = \"a\"\n{file}\n[[sinks]]\nname = \"b\"\n{file}")).unwrap_err();
    assert!(twice.starts_with("sink 'b': 'path' is '/data/f', which sink 'a' writes already"), "{twice}");
    assert!(parse("retry_scale = 0").unwrap_err().starts_with("'retry_scale' is 0"));
    let leak = parse("[[sinks]]\nname = \"a\"\nsecrt = \"hunter2\"").unwrap_err();
    assert!(leak.starts_with("line 3: unknown field `secrt`") && !leak.contains("hunter2"), "{leak}");
}
