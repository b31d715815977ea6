//! Which of the things named on the command line are configuration, and which are logs.
//!
//! ```text
//!  path ─┬─ .yaml, .yml ────────────────────────────────▶ configuration
//!        ├─ starts like YAML or like JSON of kubectl ───▶ read: configuration, if there is something in it that concerns access logs
//!        └─ anything else, folders included ────────────▶ log
//! ```
//! Only the first bytes of what may be a log are looked at. Of stdin they are peeked at, and the log's reader still gets them.

use std::fs::File;
use std::io::{BufRead, Read};
use std::path::Path;

/// Bytes that tell.
const HEAD: usize = 8 << 10;

/// The most of a configuration that is read; more is refused by its parser.
const LONGEST: u64 = (16 << 20) + 1;

/// What an input is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A configuration, with its text.
    Yaml(String),
    /// Anything else; whether it can be read is its reader's to say.
    Log,
}

/// What `path` is; `-` is stdin.
///
/// # Errors
/// If a file that is called a configuration cannot be read as text.
pub(crate) fn kind(path: &Path) -> std::io::Result<Kind> {
    if path.as_os_str() == "-" {
        let mut stdin = std::io::stdin().lock();
        let looks = looks_like_yaml(stdin.fill_buf().unwrap_or_default());
        return if looks { text(stdin).map(Kind::Yaml) } else { Ok(Kind::Log) };
    }
    if path.is_dir() {
        return Ok(Kind::Log);
    }
    let named = path
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("yaml") || ending.eq_ignore_ascii_case("yml"));
    if named {
        return text(File::open(path)?).map(Kind::Yaml);
    }
    // a fifo can be read once; whoever reads the log does
    if !path.is_file() {
        return Ok(Kind::Log);
    }
    let mut head = vec![0; HEAD];
    let read = File::open(path).and_then(|mut file| file.read(&mut head)).unwrap_or_default();
    if !looks_like_yaml(head.get(..read).unwrap_or_default()) {
        return Ok(Kind::Log);
    }
    let read = File::open(path).and_then(text);
    Ok(read.ok().filter(|text| super::mesh::is_configuration(text)).map_or(Kind::Log, Kind::Yaml))
}

fn text(file: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// Whether the first line that says something is `key:` or `- key:`, or the start of an object as kubectl prints it. No line of a log is.
fn looks_like_yaml(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let says = |line: &&str| !line.is_empty() && !line.starts_with('#') && !matches!(*line, "---" | "...");
    let Some(line) = text.trim_start_matches('\u{feff}').lines().map(str::trim_end).find(says) else { return false };
    let of_kubectl = ["{\"apiVersion\"", "{\"kind\"", "{\"items\"", "{\"meshConfig\""];
    if matches!(line, "{" | "[") || of_kubectl.iter().any(|start| line.starts_with(start)) {
        return true;
    }
    let line = line.strip_prefix("- ").unwrap_or(line);
    let key = line.split_once(':').filter(|(_, rest)| rest.is_empty() || rest.starts_with(' ')).map(|(key, _)| key);
    key.is_some_and(|key| {
        key.starts_with(|c: char| c.is_ascii_alphabetic())
            && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::looks_like_yaml;

    #[test]
    fn configuration_is_told_from_logs_by_its_first_line() {
        for (head, yaml) in [
            ("apiVersion: v1\nkind: ConfigMap", true),
            ("# of the mesh\n---\nmeshConfig:\n  accessLogFile: x", true),
            ("- kind: Telemetry", true),
            ("{\n    \"apiVersion\": \"v1\"", true),
            ("{\"apiVersion\":\"v1\",\"kind\":\"List\"", true),
            ("", false),
            ("{\"start_time\":\"2026\",\"path\":\"apiVersion: kind\"}", false),
            ("[2026-11-22T14:39:24.727Z] \"GET / HTTP/1.1\" 200", false),
            ("2026-11-22T14:39:24Z stdout F {", false),
            ("__CURSOR=s=1", false),
            ("name container {\"a\":1}", false),
            ("\u{1f}\u{8b}", false),
            ("error: something", true),
        ] {
            assert_eq!(looks_like_yaml(head.as_bytes()), yaml, "{head}");
        }
    }
}
