//! Which files a command line means.

use std::path::{Path, PathBuf};

/// Endings of files that a folder is searched for. A file that is named itself is read whatever it is called.
const ENDINGS: [&str; 6] = ["log", "jsonl", "ndjson", "json", "gz", "zst"];

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

/// The inputs behind `paths`, folders searched in order of name, and those that cannot be read with the reason.
pub(super) fn expand(paths: &[PathBuf]) -> (Vec<Input>, Vec<(String, String)>) {
    let (mut inputs, mut unreadable) = (Vec::new(), Vec::new());
    for path in paths {
        if path.as_os_str() == "-" {
            inputs.push(Input { name: "stdin".to_owned(), path: None, bytes: 0 });
        } else {
            walk(path, true, &mut inputs, &mut unreadable);
        }
    }
    (inputs, unreadable)
}

fn walk(path: &Path, named: bool, inputs: &mut Vec<Input>, unreadable: &mut Vec<(String, String)>) {
    let name = path.display().to_string();
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return unreadable.push((name, error.to_string())),
    };
    if !metadata.is_dir() {
        let known =
            path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)));
        if named || known {
            inputs.push(Input { name, path: Some(path.to_owned()), bytes: metadata.len() });
        }
        return;
    }
    let entries = std::fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>());
    match entries {
        Ok(mut entries) => {
            entries.sort();
            let hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            for entry in entries.iter().filter(|entry| !hidden(entry)) {
                walk(entry, false, inputs, unreadable);
            }
        }
        Err(error) => unreadable.push((name, error.to_string())),
    }
}
