//! Which files a command line means.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Endings of files in a folder that are passed over: they are no logs, whatever else is in the folder. A file that is named itself is
/// read whatever it is called, and a file without a known ending may be a rotated log.
const NO_LOGS: [&str; 12] = ["md", "html", "htm", "sql", "toml", "yaml", "yml", "png", "svg", "pdf", "sh", "py"];

/// One input.
#[derive(Debug)]
pub(super) struct Input {
    /// The name in `source` and `log_id`: the path as given, `stdin` for `-`.
    pub(super) name: String,
    /// Where to read; `None` is stdin.
    pub(super) path: Option<PathBuf>,
    /// Size on disk, 0 if unknown.
    pub(super) bytes: u64,
}

/// What `paths` mean.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// What is read, folders searched in order of name. A file that is reached twice (named again, by a link) is read once.
    pub(super) read: Vec<Input>,
    /// What cannot be read, and why.
    pub(super) unreadable: Vec<(String, String)>,
    /// What was passed over, and why.
    pub(super) passed_over: Vec<(String, &'static str)>,
    seen: HashSet<PathBuf>,
}

/// The inputs behind `paths`.
pub(super) fn expand(paths: &[PathBuf]) -> Inputs {
    let mut inputs = Inputs::default();
    for path in paths {
        if path.as_os_str() == "-" {
            inputs.read.push(Input { name: "stdin".to_owned(), path: None, bytes: 0 });
        } else {
            inputs.walk(path, true);
        }
    }
    inputs
}

impl Inputs {
    fn walk(&mut self, path: &Path, named: bool) {
        let name = path.display().to_string();
        // a pipe such as /dev/fd/63 has no path of its own, and is read once anyway
        let real = |metadata: std::fs::Metadata| {
            let in_a_folder = metadata.is_file() || metadata.is_dir();
            Ok((in_a_folder.then(|| path.canonicalize()).transpose()?, metadata))
        };
        let (real, metadata) = match std::fs::metadata(path).and_then(real) {
            Ok(known) => known,
            Err(error) => return self.unreadable.push((name, error.to_string())),
        };
        if real.is_some_and(|real| !self.seen.insert(real)) {
            return self.passed_over.push((name, "it was read already"));
        }
        if metadata.is_dir() {
            return self.folder(path, name);
        }
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        if !named && ending.is_some_and(|ending| NO_LOGS.contains(&ending.as_str())) {
            return self.passed_over.push((name, "it is no log by its name"));
        }
        if !named && !metadata.is_file() {
            return self.passed_over.push((name, "it is no file"));
        }
        self.read.push(Input { name, path: Some(path.to_owned()), bytes: metadata.len() });
    }

    fn folder(&mut self, path: &Path, name: String) {
        let entries = std::fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>());
        match entries {
            Ok(mut entries) => {
                entries.sort();
                for entry in entries {
                    match entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
                        true => self.passed_over.push((entry.display().to_string(), "it is hidden")),
                        false => self.walk(&entry, false),
                    }
                }
            }
            Err(error) => self.unreadable.push((name, error.to_string())),
        }
    }
}
