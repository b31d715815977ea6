//! From the wire to the checked: every key of [`SinkToml`] is taken apart here, so a new one breaks the build.

use std::path::Path;

use query::finding::Severity;

use super::{Config, ConfigError, Origin, SecretSource, SinkConfig, SinkToml, Target, secrets};
use crate::deliver::egress::{Allow, Endpoint};
use crate::deliver::syslog::{Facility, Framing};
use crate::deliver::{file, syslog, webhook};

/// Default size at which a file is rotated.
const MAX_BYTES: u64 = 104_857_600;
/// Default number of rotated files.
const KEEP: u32 = 10;

pub(super) fn config(
    sinks: Vec<SinkToml>,
    retry_scale: Option<f64>,
    folder: &Path,
    secrets: &dyn SecretSource,
) -> Result<Config, ConfigError> {
    let retry_scale = retry_scale.unwrap_or(1.0);
    if !(retry_scale > 0.0 && retry_scale <= 100.0) {
        return Err(ConfigError::RetryScale(retry_scale));
    }
    let mut checked: Vec<SinkConfig> = Vec::with_capacity(sinks.len());
    for wire in sinks {
        let sink = sink(wire, folder, secrets)?;
        if checked.iter().any(|other| other.name == sink.name) {
            return Err(ConfigError::NameTwice(sink.name));
        }
        if let Some(other) = checked.iter().find(|other| same_file(&other.target, &sink.target)) {
            let path =
                if let Target::File(file) = &sink.target { file.path.display().to_string() } else { String::new() };
            return Err(ConfigError::PathTwice { name: sink.name, path, other: other.name.clone() });
        }
        checked.push(sink);
    }
    Ok(Config { sinks: checked, retry_scale })
}

fn same_file(one: &Target, other: &Target) -> bool {
    matches!((one, other), (Target::File(one), Target::File(other)) if one.path == other.path)
}

fn sink(wire: SinkToml, folder: &Path, source: &dyn SecretSource) -> Result<SinkConfig, ConfigError> {
    let SinkToml {
        name,
        kind,
        min_severity,
        from,
        url,
        secret,
        secret_env,
        secret_file,
        allow_private,
        allow,
        address,
        facility,
        framing,
        hostname,
        path,
        max_bytes,
        keep,
    } = wire;
    let well_named = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(well_named) {
        return Err(ConfigError::Name(name));
    }
    let value = |key, value: &str, hint: &str| ConfigError::Value {
        name: name.clone(),
        key,
        value: value.to_owned(),
        hint: hint.to_owned(),
    };
    let missing = |key, hint| ConfigError::Missing { name: name.clone(), key, hint };
    let none_of = |keys: &[(&'static str, bool)]| match keys.iter().find(|(_, present)| *present) {
        Some((key, _)) => Err(ConfigError::Foreign { name: name.clone(), key, kind: kind.clone() }),
        None => Ok(()),
    };
    let of_webhook = [
        ("url", url.is_some()),
        ("secret", secret.is_some()),
        ("secret_env", secret_env.is_some()),
        ("secret_file", secret_file.is_some()),
    ];
    let of_network = [("allow_private", allow_private.is_some()), ("allow", allow.is_some())];
    let of_syslog = [
        ("address", address.is_some()),
        ("facility", facility.is_some()),
        ("framing", framing.is_some()),
        ("hostname", hostname.is_some()),
    ];
    let of_file = [("path", path.is_some()), ("max_bytes", max_bytes.is_some()), ("keep", keep.is_some())];

    let min_severity = match min_severity {
        None => Severity::Info,
        Some(word) => {
            word.parse().map_err(|_| value("min_severity", &word, "use info, low, medium, high or critical"))?
        }
    };
    let from = match from.as_deref() {
        None | Some("start") => Origin::Start,
        Some("end") => Origin::End,
        Some(word) => {
            return Err(value("from", word, "use start (every change of the feed) or end (changes from now on)"));
        }
    };
    let mut networks = Vec::new();
    for text in allow.unwrap_or_default() {
        networks.push(text.parse().map_err(|source| ConfigError::Network { name: name.clone(), source })?);
    }
    let allow = Allow::new(allow_private.unwrap_or(false), networks);

    let target = match kind.as_str() {
        "webhook" => {
            none_of(&of_syslog)?;
            none_of(&of_file)?;
            let url = url.ok_or_else(|| missing("url", "write url = \"https://…\""))?;
            let endpoint = Endpoint::parse(&url, &allow).map_err(|source| ConfigError::Address {
                name: name.clone(),
                key: "url",
                value: url.rsplit('@').next().unwrap_or_default().to_owned(),
                source: Box::new(source),
            })?;
            let secrets = secrets::collect(&name, (secret, secret_env, secret_file), source)?;
            if secrets.is_empty() {
                return Err(missing("secret", SECRET_HINT));
            }
            Target::Webhook(webhook::Settings { endpoint, secrets })
        }
        "syslog" => {
            none_of(&of_webhook)?;
            none_of(&of_file)?;
            let address = address.ok_or_else(|| missing("address", "write address = \"host:514\""))?;
            let (host, port) = host_and_port(&address)
                .ok_or_else(|| value("address", &address, "write host:port, an IPv6 address in [brackets]"))?;
            if let Ok(ip) = host.parse() {
                allow.check(ip).map_err(|refusal| ConfigError::Address {
                    name: name.clone(),
                    key: "address",
                    value: address.clone(),
                    source: Box::new(refusal.into()),
                })?;
            }
            let facility = match &facility {
                None => Facility::default(),
                Some(word) => Facility::from_name(word).ok_or_else(|| value("facility", word, FACILITY_HINT))?,
            };
            let framing = match framing.as_deref() {
                None | Some("octet-counting") => Framing::OctetCounting,
                Some("newline") => Framing::Newline,
                Some(word) => return Err(value("framing", word, "use octet-counting or newline")),
            };
            if let Some(text) = &hostname
                && (text.is_empty() || text.len() > 255 || !text.bytes().all(|byte| byte.is_ascii_graphic()))
            {
                return Err(value("hostname", text, "use 1 to 255 printable ASCII characters without spaces"));
            }
            Target::Syslog(syslog::Settings { host, port, allow, facility, framing, hostname })
        }
        "file" => {
            none_of(&of_webhook)?;
            none_of(&of_network)?;
            none_of(&of_syslog)?;
            let path = path.ok_or_else(|| missing("path", "write path = \"findings.ndjson\""))?;
            if path.is_empty() || path.ends_with('/') {
                return Err(value("path", &path, "name a file"));
            }
            let max_bytes = max_bytes.unwrap_or(MAX_BYTES);
            if max_bytes < 4096 {
                return Err(value("max_bytes", &max_bytes.to_string(), "use at least 4096"));
            }
            let keep = keep.unwrap_or(KEEP);
            if !(1..=10_000).contains(&keep) {
                return Err(value("keep", &keep.to_string(), "use 1 to 10000"));
            }
            Target::File(file::Settings { path: folder.join(path), max_bytes, keep })
        }
        word => return Err(value("type", word, "use webhook, syslog or file")),
    };
    Ok(SinkConfig { name, min_severity, from, target })
}

const SECRET_HINT: &str = "write secret = \"whsec_…\" (make one with: echo whsec_$(openssl rand -base64 32)), \
                           secret_env = \"NAME\" or secret_file = \"/path\"";

const FACILITY_HINT: &str = "use kern, user, mail, daemon, auth, syslog, lpr, news, uucp, cron, authpriv, ftp, ntp, audit, \
                             alert, clock or local0 to local7";

/// `host:port`, an IPv6 address in brackets.
fn host_and_port(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let port: u16 = port.parse().ok()?;
    (!host.is_empty() && port != 0).then(|| (host.to_owned(), port))
}
