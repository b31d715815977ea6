//! A file that a stream is read from: as it is, growing perhaps, or compressed, which has an end.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::SystemTime;

use super::mark::PRINT;
use crate::inflate::{InflateError, Inflater};

/// Bytes that are read at a time.
pub(super) const AT_ONCE: usize = 4 << 20;
/// Compressed bytes that are inflated at a time: gzip makes 1 MiB of them at most, zstd (blocks of one byte) 32 MiB.
const INFLATED_AT_ONCE: usize = 1 << 10;

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Inode {
    device: u64,
    number: u64,
}

/// A file at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) inode: Inode,
    /// On disk, bytes.
    pub(super) size: u64,
    modified: Option<SystemTime>,
    /// No name leads to it any more.
    pub(super) unlinked: bool,
}

impl Seen {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            inode: Inode { device: metadata.dev(), number: metadata.ino() },
            size: metadata.len(),
            modified: metadata.modified().ok(),
            unlinked: metadata.nlink() == 0,
        }
    }
}

/// What reading says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// There may be more.
    Some,
    /// For now there is no more.
    None,
    /// There will be no more.
    End,
    /// What was read before is not there any more: the file was cut, and perhaps written again.
    Cut,
    /// It ends in the middle: it is still being written.
    Unfinished,
}

/// An open file.
pub(super) struct Source {
    file: File,
    compressed: Option<Compressed>,
}

/// How far a compressed file was inflated.
struct Compressed {
    /// `None`: its end was reached.
    inflater: Option<Inflater>,
    /// What its end said.
    end: Read,
    /// Compressed bytes that were read.
    read: u64,
    /// Inflated, and not handed out yet.
    ready: Vec<u8>,
    /// Where those begin, inflated.
    at: u64,
    /// The last kilobyte before that.
    before: Vec<u8>,
    /// What is wrong with what comes after `ready`.
    failed: Option<io::Error>,
}

impl Source {
    /// Opens a file; `None`: it is none (a folder, a pipe).
    pub(super) fn open(path: &Path) -> io::Result<Option<(Self, Seen)>> {
        // a pipe would wait for a writer
        if !std::fs::metadata(path)?.is_file() {
            return Ok(None);
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let mut magic = [0; 4];
        let read = file.read_at(&mut magic, 0)?;
        let is_compressed = matches!(magic.get(..read), Some([0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd]));
        let compressed = is_compressed.then(Compressed::new);
        Ok(Some((Self { file, compressed }, Seen::of(&metadata))))
    }

    /// Whether it is inflated.
    pub(super) fn is_compressed(&self) -> bool {
        self.compressed.is_some()
    }

    /// Goes on reading at `offset`, wherever it was.
    pub(super) fn go_to(&mut self, offset: u64) -> io::Result<()> {
        if let Some(compressed) = &mut self.compressed
            && compressed.at != offset
        {
            *compressed = Compressed::new();
            self.before(offset)?;
        }
        Ok(())
    }

    /// The file as it is now.
    pub(super) fn seen(&self) -> io::Result<Seen> {
        Ok(Seen::of(&self.file.metadata()?))
    }

    /// The first kilobyte, or as much as there is. To be asked before anything else is read.
    pub(super) fn start(&mut self) -> io::Result<Vec<u8>> {
        let Some(compressed) = &mut self.compressed else { return read_at(&self.file, 0, PRINT) };
        while compressed.ready.len() < PRINT && compressed.inflate(&self.file)? {}
        Ok(compressed.ready.get(..PRINT).unwrap_or(&compressed.ready).to_vec())
    }

    /// The kilobyte before `offset`, or as much as there is; `None`: the file is shorter. Reading goes on at `offset`.
    pub(super) fn before(&mut self, offset: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(compressed) = &mut self.compressed else {
            let length = usize::try_from(offset).unwrap_or(PRINT).min(PRINT);
            let before = read_at(&self.file, offset - length as u64, length)?;
            return Ok((before.len() == length).then_some(before));
        };
        if compressed.at > offset {
            *compressed = Compressed::new();
        }
        while compressed.at < offset {
            if compressed.ready.is_empty() && !compressed.inflate(&self.file)? {
                return Ok(None);
            }
            let left = usize::try_from(offset - compressed.at).unwrap_or(usize::MAX);
            compressed.take(left.min(compressed.ready.len()), &mut Vec::new());
        }
        Ok((compressed.at == offset).then(|| compressed.before.clone()))
    }

    /// Puts the next bytes, from `at` on, behind those that are there; `before` are the last ones before that, to make sure that it is still the same
    /// file's rest.
    pub(super) fn read(&mut self, at: u64, before: &[u8], into: &mut Vec<u8>) -> io::Result<Read> {
        let Some(compressed) = &mut self.compressed else {
            let read = read_at(&self.file, at - before.len() as u64, before.len() + AT_ONCE)?;
            let Some(next) = read.strip_prefix(before) else { return Ok(Read::Cut) };
            into.extend_from_slice(next);
            return Ok(if next.is_empty() { Read::None } else { Read::Some });
        };
        if compressed.ready.is_empty() {
            if let Some(error) = compressed.failed.take() {
                return Err(error);
            }
            if !compressed.inflate(&self.file)? {
                return Ok(compressed.end);
            }
        }
        while compressed.ready.len() < AT_ONCE && compressed.failed.is_none() {
            match compressed.inflate(&self.file) {
                Ok(true) => {}
                Ok(false) => break,
                // what came before is good as far as it goes
                Err(error) => compressed.failed = Some(error),
            }
        }
        compressed.take(compressed.ready.len(), into);
        Ok(Read::Some)
    }
}

impl Compressed {
    fn new() -> Self {
        Self {
            inflater: Some(Inflater::new(None)),
            end: Read::Some,
            read: 0,
            ready: Vec::new(),
            at: 0,
            before: Vec::new(),
            failed: None,
        }
    }

    /// Inflates a little more, so that something is ready; `false`: there is no more.
    fn inflate(&mut self, file: &File) -> io::Result<bool> {
        let begun = self.ready.len();
        while let Some(inflater) = &mut self.inflater {
            let bytes = read_at(file, self.read, INFLATED_AT_ONCE)?;
            self.read += bytes.len() as u64;
            let ready = &mut self.ready;
            let mut each = |piece: &[u8]| ready.extend_from_slice(piece);
            let inflated = match bytes.is_empty() {
                false => inflater.push(&bytes, &mut each),
                true => self.inflater.take().map_or(Ok(()), |inflater| inflater.finish(&mut each)),
            };
            match inflated {
                Ok(()) => self.end = Read::End,
                Err(InflateError::Truncated { .. }) => self.end = Read::Unfinished,
                Err(error) => {
                    let error = io::Error::new(io::ErrorKind::InvalidData, error);
                    self.inflater = None;
                    if self.ready.len() == begun {
                        return Err(error);
                    }
                    self.failed = Some(error);
                }
            }
            if self.ready.len() > begun {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Hands out bytes that are ready.
    fn take(&mut self, count: usize, into: &mut Vec<u8>) {
        let from = into.len();
        let rest = self.ready.split_off(count.min(self.ready.len()));
        into.extend(std::mem::replace(&mut self.ready, rest));
        self.at += count as u64;
        keep_last(&mut self.before, into.get(from..).unwrap_or_default());
    }
}

/// The last kilobyte of what was there and what follows it.
pub(super) fn keep_last(before: &mut Vec<u8>, next: &[u8]) {
    before.extend_from_slice(next.get(next.len().saturating_sub(PRINT)..).unwrap_or(next));
    before.drain(..before.len().saturating_sub(PRINT));
}

/// As many bytes as there are from there on, up to `length`.
fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    // the size tells how much there is to be had: most of the time it is little
    let there = file.metadata()?.len().saturating_sub(offset);
    let mut bytes = vec![0; length.min(usize::try_from(there).unwrap_or(usize::MAX))];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
