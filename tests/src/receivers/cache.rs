//! Where what tests install is kept, and how programs are run. Blocking: tests wait anyway.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::ReceiverError;

/// `$MESHWARDEN_CACHE`, else `$XDG_CACHE_HOME/meshwarden`, else `~/.cache/meshwarden`; in it `name`.
pub(crate) fn folder(name: &str) -> Result<PathBuf, ReceiverError> {
    let named = |variable: &str| std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
    let folder = named("MESHWARDEN_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|path| path.join("meshwarden")))
        .or_else(|| named("HOME").map(|path| path.join(".cache/meshwarden")))
        .ok_or(ReceiverError::NoCache)?
        .join(name);
    fs::create_dir_all(&folder).map_err(ReceiverError::file(&folder))?;
    Ok(folder)
}

/// Installs these releases (`name==version`) from PyPI into one folder of `folder`, for `PYTHONPATH`, if it is not there.
pub(crate) fn pip(folder: &Path, releases: &[&str]) -> Result<PathBuf, ReceiverError> {
    let name = releases.join("+");
    let library = folder.join(&name);
    if !library.is_dir() {
        // made elsewhere and moved: another test never sees half of it
        let fresh = folder.join(format!("{name}.{}", std::process::id()));
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]);
        run(pip.arg(&fresh).args(releases), b"")?;
        if fs::rename(&fresh, &library).is_err() {
            // another test was faster
            fs::remove_dir_all(&fresh).map_err(ReceiverError::file(&fresh))?;
        }
    }
    Ok(library)
}

/// Runs a program to its end and returns what it wrote to its standard output.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Result<String, ReceiverError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let not_started = |source| ReceiverError::Start { program, source };
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(not_started)?;
    if let Some(mut stdin) = child.stdin.take() {
        // a program that does not read its input says why in its output
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output().map_err(ReceiverError::file("standard output"))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        return Err(ReceiverError::Failed {
            command: format!("{command:?}"),
            status: output.status.to_string(),
            said: String::from_utf8_lossy(&said).trim().to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A port on loopback that nobody listens on.
pub(super) fn free_port() -> Result<u16, ReceiverError> {
    let wrong = || ReceiverError::file("a port on loopback");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(wrong())?;
    Ok(listener.local_addr().map_err(wrong())?.port())
}

/// Asks again and again until there is an answer.
pub(super) fn wait<T>(
    what: &str,
    limit: Duration,
    log: &Path,
    mut ask: impl FnMut() -> Result<Option<T>, ReceiverError>,
) -> Result<T, ReceiverError> {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if begun.elapsed() > limit {
            let said = fs::read_to_string(log).unwrap_or_default();
            return Err(ReceiverError::Late { what: what.to_owned(), seconds: limit.as_secs(), said });
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The whole lines of a file of JSON; none if it is not there yet.
pub(super) fn json_lines(path: &Path) -> Result<Vec<Value>, ReceiverError> {
    let Ok(text) = fs::read_to_string(path) else { return Ok(Vec::new()) };
    let whole = text.rfind('\n').and_then(|end| text.get(..end)).unwrap_or_default();
    let parse =
        |line: &str| serde_json::from_str(line).map_err(|source| ReceiverError::Line { line: line.to_owned(), source });
    whole.lines().map(parse).collect()
}
