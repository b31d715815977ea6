//! A file of lines that survives crashes: the part of the archive that touches the disk. Blocking.
//!
//! ```text
//! open    cut off a torn last line ─▶ read the id of the last whole one (of path.1 if this file is empty)
//! append  write ─▶ fsync            an error in between: cut back to the length before
//! rotate  path.9 → path.10, …, path.1 → path.2, path → path.1, new path ─▶ fsync of the folder
//! ```

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Step in which a file is read backwards, bytes.
const BLOCK: u64 = 64 * 1024;

/// An open file of lines.
pub(super) struct Log {
    file: File,
    length: u64,
    last_id: Option<String>,
}

#[derive(Deserialize)]
struct Line {
    id: String,
}

impl Log {
    /// Opens or makes the file and repairs its end.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let is_new = !path.exists();
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
        if is_new {
            sync_folder(path)?;
        }
        let length = file.metadata()?.len();
        let whole = last_break(&mut file, length)?;
        if whole < length {
            file.set_len(whole)?;
            file.sync_all()?;
        }
        let last_id = match whole {
            0 => match File::open(numbered(path, 1)) {
                Ok(mut previous) => last_id(&mut previous)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            },
            _ => last_id(&mut file)?,
        };
        Ok(Self { file, length: whole, last_id })
    }

    /// Length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// The id in the last line.
    pub(super) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// Whether the open file still is the one at `path`.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        match (self.file.metadata(), fs::metadata(path)) {
            (Ok(open), Ok(there)) => {
                open.dev() == there.dev() && open.ino() == there.ino() && open.len() == self.length
            }
            _ => false,
        }
    }

    /// Appends one line, which ends with a line feed.
    pub(super) fn append(&mut self, id: &str, line: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(line).and_then(|()| self.file.sync_data());
        if written.is_err() {
            // best effort: the next open cuts off what this leaves behind, unless it is a whole line, which then stands
            let _ = self.file.set_len(self.length).and_then(|()| self.file.sync_all());
        }
        written?;
        self.length = self.length.saturating_add(line.len() as u64);
        self.last_id = Some(id.to_owned());
        Ok(())
    }

    /// Makes room for a new file, keeps `keep` old ones.
    pub(super) fn rotate(self, path: &Path, keep: u32) -> io::Result<Self> {
        for number in (1..keep).rev() {
            rename_if_there(&numbered(path, number), &numbered(path, number + 1))?;
        }
        rename_if_there(path, &numbered(path, 1))?;
        sync_folder(path)?;
        Self::open(path)
    }
}

/// `path.number`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// A new name is on stable storage when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Where the last line feed before `end` ends; 0 if there is none.
fn last_break(file: &mut File, end: u64) -> io::Result<u64> {
    let mut end = end;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let block = read(file, start, end)?;
        if let Some(position) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start.saturating_add(position as u64).saturating_add(1));
        }
        end = start;
    }
    Ok(0)
}

/// The id in the last whole line; `None` for an empty file and for a line that is not ours.
fn last_id(file: &mut File) -> io::Result<Option<String>> {
    let end = last_break(file, file.metadata()?.len())?;
    let start = last_break(file, end.saturating_sub(1))?;
    let line = read(file, start, end)?;
    Ok(serde_json::from_slice::<Line>(&line).ok().map(|line| line.id))
}

fn read(file: &mut File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(end.saturating_sub(start)).read_to_end(&mut bytes)?;
    Ok(bytes)
}
