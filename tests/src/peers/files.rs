//! The log files, made once and kept in the cache folder.
//!
//! A name holds everything that its content depends on: `v1-536870912-recommended.jsonl`. Read once before anything is measured, so
//! that all find them in the page cache.

use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::PeersError;
use super::render::render;
use super::traffic::{Traffic, VERSION};
use crate::mesh::Format;
use crate::receivers::cache;

/// A file to read.
#[derive(Clone, Debug)]
pub(super) struct LogFile {
    pub(super) path: PathBuf,
    /// Of what is to be decoded: of a compressed file, inflated.
    pub(super) bytes: u64,
    pub(super) lines: u64,
}

impl LogFile {
    /// At least `bytes` of whole lines in a format.
    pub(super) fn plain(folder: &Path, format: Format, bytes: u64) -> Result<Self, PeersError> {
        let path = folder.join(format!("v{VERSION}-{bytes}-{}", format.file_name()));
        if !path.is_file() {
            make(&path, |fresh| {
                let mut out = BufWriter::with_capacity(1 << 20, File::create(fresh)?);
                write(format, bytes, &mut out)?;
                out.flush()
            })?;
        }
        let (bytes, lines) = read(&path)?;
        Ok(Self { path, bytes, lines })
    }

    /// The same file compressed by gzip, as a log rotation does it.
    pub(super) fn gzipped(&self) -> Result<Self, PeersError> {
        let mut name = self.path.clone().into_os_string();
        name.push(".gz");
        let path = PathBuf::from(name);
        if !path.is_file() {
            make(&path, |fresh| {
                let mut gzip = Command::new("gzip");
                let status = gzip.arg("-c").arg(&self.path).stdout(File::create(fresh)?).status()?;
                if status.success() { Ok(()) } else { Err(std::io::Error::other(format!("gzip: {status}"))) }
            })?;
        }
        read(&path)?;
        Ok(Self { path, ..self.clone() })
    }
}

/// Writes at least `bytes` of whole lines.
pub(super) fn write(format: Format, bytes: u64, out: &mut impl Write) -> std::io::Result<()> {
    let mut line = Vec::new();
    let mut written = 0;
    for values in Traffic::new() {
        line.clear();
        render(&values, format, &mut line);
        out.write_all(&line)?;
        written += line.len() as u64;
        if written >= bytes {
            break;
        }
    }
    Ok(())
}

/// Where files are kept.
pub(super) fn folder() -> Result<PathBuf, PeersError> {
    Ok(cache::folder("peers")?)
}

/// Made elsewhere and moved: half of a file is never taken for one.
fn make(path: &Path, content: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<(), PeersError> {
    let mut fresh = path.to_path_buf().into_os_string();
    fresh.push(format!(".{}", std::process::id()));
    content(Path::new(&fresh)).map_err(PeersError::file(&fresh))?;
    fs::rename(&fresh, path).map_err(PeersError::file(path))
}

/// Bytes and lines.
fn read(path: &Path) -> Result<(u64, u64), PeersError> {
    let mut file = File::open(path).map_err(PeersError::file(path))?;
    let mut chunk = vec![0; 1 << 20];
    let (mut bytes, mut lines) = (0, 0);
    loop {
        let length = file.read(&mut chunk).map_err(PeersError::file(path))?;
        if length == 0 {
            return Ok((bytes, lines));
        }
        let part = chunk.get(..length).unwrap_or_default();
        bytes += length as u64;
        lines += memchr::memchr_iter(b'\n', part).count() as u64;
    }
}
