//! Follows files that are written, rotated and compressed: every line once, whatever the files are called meanwhile.
//!
//! ```text
//!  look: patterns ─▶ files ─▶ known bytes? ─ yes ─▶ go on where the stream was taken up to (file.rs, mark.rs)
//!                                          └ no ──▶ a new stream, from its start
//!  next: the streams in turn ─▶ whole records (cut.rs) ─▶ Chunk { bytes, state } ─▶ the journal keeps both in one frame
//! ```
//! A **stream** is what one writer wrote into one file from its start: bytes, not a name. What happens to files, and what becomes of it:
//!
//! | rotation | the stream |
//! |---|---|
//! | rename, a new file in its place | is read to its end where it is, by the file that is open; if it slept, and after a restart, the file is found again by its bytes |
//! | copy, then truncate | goes on in the copy, if it has more; the truncated file is a new stream |
//! | compressed afterwards | goes on in the compressed file, if it has more |
//! | a symbolic link that leads elsewhere | is read to its end by the file that is open; where the link leads now is a new stream |
//! | removed, and its inode used again | is read to its end by the file that is open; the other file is a new stream |
//!
//! A file to which nothing came for a minute is closed, and **sleeps** until a look sees that it grew.
//!
//! Files beside those that a pattern fits, whose names go on with `.` or `-`, are looked at as well for the rest of a stream that lost its file. A copy of
//! what was read is not read again: a file counts as a copy if its first kilobyte and the kilobyte before the place up to which the stream was taken are
//! the same. What no file has any more cannot be read: a rotation that writes nothing else down (copy and truncate, where the copy is elsewhere) loses what
//! was written since it was read last, a tenth of a second before. A link is looked at once a second: where it may lead elsewhere twice within
//! that, or while nobody looks, a pattern has to fit the files that it leads to; and where a log may be rotated twice, the rotated files.
//!
//! Memory: for each open file its last record as long as it is not whole, 16 MiB at most, and 4 MiB while it is read. At most 512 files are open; where more are
//! written at the same time, some wait.

mod cut;
mod file;
mod mark;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use file::{Inode, Read, Seen, Source, keep_last};
use mark::{Mark, PRINT, Print};

/// A file that a pattern fits is closed when nothing came for so long: that something came is seen from outside.
const CLOSED_AFTER: Duration = Duration::from_secs(60);
/// One that no name leads to any more is done with when nothing came for so long: its writer may still have it open.
const UNLINKED_AFTER: Duration = Duration::from_secs(10);
/// One that has another name now, which no pattern fits, is done with when nothing came for so long.
const RENAMED_AFTER: Duration = Duration::from_secs(600);
/// For so long the rest of a stream that lost its file is looked for beside it.
const LOOKED_FOR: Duration = Duration::from_secs(600);
/// A stream is remembered as long as a file of it is seen, and so much longer: rotated files that no pattern fits are kept for weeks.
const REMEMBERED: Duration = Duration::from_secs(60 * 24 * 3600);

/// Files that are open at a time, at most: what is beyond waits for others to be closed. Processes have 1024 where nobody says otherwise.
const MOST_OPEN: usize = 512;
/// Where more than half of that are open, a file is closed when nothing came for so long.
const CLOSED_AFTER_IF_MANY: Duration = Duration::from_secs(1);

/// What a stream is called, for as long as it is remembered. Nothing can be read from it.
pub type StreamId = [u8; 16];

/// Whole records of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Of which.
    pub stream: StreamId,
    /// Under which path it was first seen.
    pub path: PathBuf,
    /// Where in it the bytes begin; of compressed files: inflated.
    pub offset: u64,
    /// The bytes, plain.
    pub bytes: Vec<u8>,
    /// What [`Tailer::new`] has to be told so that it goes on behind them.
    pub state: Vec<u8>,
}

/// A file that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("'{}' cannot be followed: {source}", path.display())]
pub struct TailError {
    /// Which.
    pub path: PathBuf,
    /// Why not.
    pub source: std::io::Error,
}

/// What is followed right now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TailStats {
    /// Files that are open.
    pub open: u64,
    /// Streams that are remembered.
    pub streams: u64,
    /// Bytes on disk that are not taken yet, of open files that are not compressed.
    pub behind: u64,
}

/// Follows files. Blocking; it reads no clock but the monotonic one that it is handed.
pub struct Tailer {
    patterns: Vec<String>,
    streams: HashMap<StreamId, Stream>,
    /// Those that have an open file, in turn.
    turns: VecDeque<StreamId>,
    /// The files that are open.
    open: HashSet<Inode>,
    /// Files that are not open, as they were when they were looked at.
    known: HashMap<Inode, Known>,
    /// Names where the last look failed: each is said once.
    failing: HashSet<PathBuf>,
}

struct Stream {
    mark: Mark,
    open: Option<Open>,
    /// It lost its file, whose rest may be in another: until then that is looked for.
    lost_until: Option<Instant>,
    /// No file of it was there since.
    gone_since: Option<Instant>,
}

struct Open {
    source: Source,
    inode: Inode,
    /// A pattern fits one of its names.
    fits: bool,
    /// What its first kilobyte was when it was opened.
    start: Vec<u8>,
    /// The stream's first kilobyte, up to what was taken.
    first: Vec<u8>,
    /// The last kilobyte before what was taken.
    before: Vec<u8>,
    /// Read, and not a whole record yet.
    pending: Vec<u8>,
    idle_since: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Known {
    seen: Seen,
    /// Whose bytes it has.
    stream: Option<StreamId>,
    /// A pattern fits it, or did.
    fits: bool,
}

/// Which files are considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    /// Those that have the rest of a stream.
    Known,
    All,
}

impl std::fmt::Debug for Tailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tailer").field("patterns", &self.patterns).finish_non_exhaustive()
    }
}

impl Tailer {
    /// Follows what these patterns fit (`*`, `?`, `[a-z]`, `**` for any folders). `known`: what was taken before, as chunks said it.
    #[must_use]
    pub fn new(patterns: &[glob::Pattern], known: impl IntoIterator<Item = (StreamId, Vec<u8>)>, now: Instant) -> Self {
        let streams = known.into_iter().filter_map(|(id, state)| {
            let (mark, lost_until) = (Mark::decode(&state)?, Some(now + LOOKED_FOR));
            Some((id, Stream { mark, open: None, lost_until, gone_since: None }))
        });
        Self {
            patterns: patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
            streams: streams.collect(),
            turns: VecDeque::new(),
            open: HashSet::new(),
            known: HashMap::new(),
            failing: HashSet::new(),
        }
    }

    /// Looks which files there are. What cannot be looked at is answered when it begins to be so.
    pub fn look(&mut self, now: Instant) -> Vec<TailError> {
        let mut failed = Vec::new();
        let fitting = self.fitting();
        let fit: HashSet<Inode> = fitting.iter().map(|(inode, _)| *inode).collect();
        // a file that slept and has another name now, or none: what came meanwhile may be found beside it
        let slept = self.known.iter().filter(|(inode, known)| known.fits && !fit.contains(*inode));
        let slept: Vec<StreamId> = slept.filter_map(|(_, known)| known.stream).collect();
        slept.into_iter().for_each(|id| self.lost(id, now));
        let family = self.family(now);
        for open in self.streams.values_mut().filter_map(|stream| stream.open.as_mut()) {
            open.fits = fit.contains(&open.inode);
        }
        let there: HashSet<Inode> = family.iter().map(|(inode, _)| *inode).chain(fit).collect();
        self.known.retain(|inode, _| there.contains(inode));
        // the rest of what was begun goes before what is new: what is a copy is known then
        for (_, path) in family {
            failed.extend(self.consider(&path, Only::Known, now).err());
        }
        for (_, path) in fitting {
            failed.extend(self.consider(&path, Only::All, now).err());
        }
        // who removes a file between the listing and the look breaks nothing
        failed.retain(|failure| failure.source.kind() != std::io::ErrorKind::NotFound);
        let failing = failed.iter().map(|failure| failure.path.clone()).collect();
        let before = std::mem::replace(&mut self.failing, failing);
        failed.retain(|failure| !before.contains(&failure.path));
        failed
    }

    /// The next records, if there are any. Who takes them and fails has to try again with the same: they do not come again until a restart.
    pub fn next(&mut self, now: Instant) -> Option<Result<Chunk, TailError>> {
        for _ in 0..self.turns.len() {
            let id = self.turns.pop_front()?;
            let outcome = self.read(id, now);
            if self.streams.get(&id).is_some_and(|stream| stream.open.is_some()) {
                self.turns.push_back(id);
            }
            if let Some(outcome) = outcome.transpose() {
                return Some(outcome);
            }
        }
        None
    }

    /// Streams of which no file was seen for 60 days: their states need not be kept any more.
    pub fn forget(&mut self, now: Instant) -> Vec<StreamId> {
        let of_known: HashSet<StreamId> = self.known.values().filter_map(|known| known.stream).collect();
        let mut gone = Vec::new();
        for (id, stream) in &mut self.streams {
            let there = stream.open.is_some() || stream.lost_until.is_some() || of_known.contains(id);
            let since = *stream.gone_since.get_or_insert(now);
            if there {
                stream.gone_since = None;
            } else if now.duration_since(since) >= REMEMBERED {
                gone.push(*id);
            }
        }
        for id in &gone {
            self.streams.remove(id);
        }
        gone
    }

    /// What is followed right now.
    #[must_use]
    pub fn stats(&self) -> TailStats {
        let behind = |stream: &Stream| {
            let open = stream.open.as_ref().filter(|open| !open.source.is_compressed())?;
            Some(open.source.seen().ok()?.size.saturating_sub(stream.mark.offset))
        };
        TailStats {
            open: self.open.len() as u64,
            streams: self.streams.len() as u64,
            behind: self.streams.values().filter_map(behind).sum(),
        }
    }

    /// The files that a pattern fits, each once, by name.
    fn fitting(&self) -> Vec<(Inode, PathBuf)> {
        // what cannot be listed is not there
        let paths = self.patterns.iter().filter_map(|pattern| glob::glob(pattern).ok()).flatten();
        each_once(paths.filter_map(Result::ok))
    }

    /// Files beside those whose streams lost theirs, of the same name with something behind it.
    fn family(&mut self, now: Instant) -> Vec<(Inode, PathBuf)> {
        let mut names: HashMap<&Path, HashSet<&[u8]>> = HashMap::new();
        for stream in self.streams.values_mut() {
            stream.lost_until = stream.lost_until.filter(|until| *until > now);
            let path = &stream.mark.path;
            if stream.lost_until.is_some()
                && let (Some(folder), Some(name)) = (path.parent(), path.file_name())
            {
                names.entry(folder).or_default().insert(name.as_encoded_bytes());
            }
        }
        let mut family = Vec::new();
        for (folder, names) in names {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name();
                // every place where a name may end
                let name = name.as_encoded_bytes();
                let ends = (0..name.len()).filter(|place| matches!(name.get(*place), Some(b'.' | b'-')));
                if ends.filter_map(|end| name.get(..end)).any(|first| names.contains(first)) {
                    family.push(entry.path());
                }
            }
        }
        each_once(family.into_iter())
    }

    /// Opens a file if it has something that is not read yet.
    fn consider(&mut self, path: &Path, only: Only, now: Instant) -> Result<(), TailError> {
        let failed = |source| TailError { path: path.to_owned(), source };
        let seen = Seen::of(&std::fs::metadata(path).map_err(failed)?);
        let as_known = |known: &Known| known.seen == seen && (only == Only::Known || known.stream.is_some());
        if self.open.contains(&seen.inode)
            || self.open.len() >= MOST_OPEN
            || self.known.get(&seen.inode).is_some_and(as_known)
        {
            return Ok(());
        }
        let Some((mut source, seen)) = Source::open(path).map_err(failed)? else { return Ok(()) };
        if self.open.contains(&seen.inode) {
            return Ok(());
        }
        let start = source.start().map_err(failed)?;
        if start.len() < PRINT && !start.contains(&b'\n') {
            // too little to tell
            return Ok(());
        }
        let fits = only == Only::All;
        let (mut taken_by, mut starts) = (None, Starts::of(&start));
        for (id, stream) in &self.streams {
            match whose(stream, &mut source, &mut starts).map_err(failed)? {
                Whose::Others => {}
                Whose::NotYet => return Ok(()),
                Whose::Copy => {
                    self.known.insert(seen.inode, Known { seen, stream: Some(*id), fits });
                    return Ok(());
                }
                // nothing more than what was taken: it is looked at again when it grows
                Whose::Rest(_) if !source.is_compressed() && seen.size == stream.mark.offset => {
                    self.known.insert(seen.inode, Known { seen, stream: Some(*id), fits });
                    return Ok(());
                }
                Whose::Rest(before) => {
                    taken_by = Some((*id, before));
                    break;
                }
            }
        }
        if taken_by.is_none() && only == Only::Known {
            self.known.insert(seen.inode, Known { seen, stream: None, fits });
            return Ok(());
        }
        let (id, before) = taken_by.unwrap_or_else(|| (new_id(), Vec::new()));
        let nothing = Print::of_start(&[]);
        let stream = self.streams.entry(id).or_insert_with(|| Stream {
            mark: Mark { offset: 0, start: nothing, end: nothing, path: path.to_owned() },
            open: None,
            lost_until: None,
            gone_since: None,
        });
        source.go_to(stream.mark.offset).map_err(failed)?;
        let taken = usize::try_from(stream.mark.offset).unwrap_or(usize::MAX);
        stream.lost_until = None;
        stream.open = Some(Open {
            source,
            inode: seen.inode,
            fits,
            first: start.get(..taken.min(start.len())).unwrap_or_default().to_vec(),
            start,
            before,
            pending: Vec::new(),
            idle_since: None,
        });
        self.open.insert(seen.inode);
        self.turns.push_back(id);
        // the file of another stream, cut while it slept: a copy may have its rest
        if let Some(other) = self.known.remove(&seen.inode).and_then(|known| known.stream).filter(|other| *other != id)
        {
            self.lost(other, now);
        }
        Ok(())
    }

    /// Reads on in a stream: its next records, if they are whole.
    fn read(&mut self, id: StreamId, now: Instant) -> Result<Option<Chunk>, TailError> {
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(None) };
        let Some(open) = &mut stream.open else { return Ok(None) };
        let path = stream.mark.path.clone();
        let failed = |source| TailError { path, source };
        // before it is read: what is written from here on makes it another
        let seen = open.source.seen();
        let (at, mut before) = (stream.mark.offset + open.pending.len() as u64, open.before.clone());
        keep_last(&mut before, &open.pending);
        let fits = open.fits;
        let (seen, read) = match (seen, open.source.read(at, &before, &mut open.pending)) {
            (Ok(seen), Ok(read)) => (seen, read),
            (Ok(seen), Err(error)) => {
                self.close(id);
                // until it is another
                self.known.insert(seen.inode, Known { seen, stream: Some(id), fits });
                return Err(failed(error));
            }
            (Err(error), _) => {
                self.close(id);
                self.lost(id, now);
                return Err(failed(error));
            }
        };
        if read == Read::Some {
            open.idle_since = None;
            let count = cut::whole(&open.pending);
            return Ok(stream.whole(id, count));
        }
        let idle = now.duration_since(*open.idle_since.get_or_insert(now));
        let is_over = match read {
            Read::End => true,
            Read::None if open.fits => false,
            Read::None => idle >= if seen.unlinked { UNLINKED_AFTER } else { RENAMED_AFTER },
            Read::Some | Read::Cut | Read::Unfinished => false,
        };
        // nobody writes the end of the last line any more
        let (begun, count) = (!open.pending.is_empty(), if is_over { open.pending.len() } else { 0 });
        let last = stream.whole(id, count);
        // to half of what may be open, so that not each look waits for the next one
        let many = self.open.len() > MOST_OPEN / 2;
        // the end of a line that was begun may come when nobody can find the file
        let is_asleep = fits && !begun && idle >= if many { CLOSED_AFTER_IF_MANY } else { CLOSED_AFTER };
        match read {
            Read::None if !(is_over || is_asleep) => {}
            Read::Cut => {
                self.close(id);
                self.lost(id, now);
            }
            Read::Some | Read::None | Read::End | Read::Unfinished => {
                self.close(id);
                // copies may have grown meanwhile
                self.known.retain(|_, known| known.stream != Some(id));
                self.known.insert(seen.inode, Known { seen, stream: Some(id), fits });
            }
        }
        Ok(last)
    }

    fn close(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if let Some(open) = stream.open.take() {
            self.open.remove(&open.inode);
        }
        if stream.mark.offset == 0 {
            // nothing is known by which it could be found again
            self.streams.remove(&id);
        }
    }

    /// A stream has no file any more, unless it has one that is open: its rest is looked for in others, those that were copies until now included.
    fn lost(&mut self, id: StreamId, now: Instant) {
        if let Some(stream) = self.streams.get_mut(&id).filter(|stream| stream.open.is_none()) {
            stream.lost_until = Some(now + LOOKED_FOR);
            self.known.retain(|_, known| known.stream != Some(id));
        }
    }
}

impl Stream {
    /// Hands out the first bytes that wait; none, if there are none.
    fn whole(&mut self, id: StreamId, count: usize) -> Option<Chunk> {
        let open = self.open.as_mut().filter(|_| count > 0)?;
        let rest = open.pending.split_off(count.min(open.pending.len()));
        let bytes = std::mem::replace(&mut open.pending, rest);
        let missing = PRINT.saturating_sub(open.first.len()).min(bytes.len());
        open.first.extend_from_slice(bytes.get(..missing).unwrap_or_default());
        keep_last(&mut open.before, &bytes);
        let (offset, mark) = (self.mark.offset, &mut self.mark);
        mark.offset += bytes.len() as u64;
        (mark.start, mark.end) = (Print::of_start(&open.first), Print::of_end(&open.before));
        Some(Chunk { stream: id, path: mark.path.clone(), offset, bytes, state: mark.encode() })
    }
}

/// What a file's bytes are to a stream.
enum Whose {
    /// Those of another.
    Others,
    /// The same, and this file has them, too.
    Copy,
    /// The same, and this file has what comes after them. The last kilobyte before that.
    Rest(Vec<u8>),
    /// It cannot be told before the stream was read.
    NotYet,
}

/// A file's first kilobyte, and the prints of its first bytes: many streams are compared with it, and each print is made once.
struct Starts<'s> {
    bytes: &'s [u8],
    prints: HashMap<u16, Option<Print>>,
}

impl<'s> Starts<'s> {
    fn of(bytes: &'s [u8]) -> Self {
        Self { bytes, prints: HashMap::new() }
    }

    fn with(&mut self, other: &Print) -> bool {
        let bytes = self.bytes;
        let of_length = |length: u16| bytes.get(..usize::from(length)).map(Print::of_start);
        *self.prints.entry(other.length).or_insert_with(|| of_length(other.length)) == Some(*other)
    }
}

fn whose(stream: &Stream, source: &mut Source, starts: &mut Starts<'_>) -> std::io::Result<Whose> {
    let Mark { offset, start, end, .. } = &stream.mark;
    if *offset == 0 {
        let same = |open: &Open| open.start.iter().zip(starts.bytes).all(|(one, other)| one == other);
        return Ok(if stream.open.as_ref().is_some_and(same) { Whose::NotYet } else { Whose::Others });
    }
    if !starts.with(start) {
        return Ok(Whose::Others);
    }
    Ok(match (source.before(*offset)?, &stream.open) {
        (Some(before), None) if end.ends(&before) => Whose::Rest(before),
        (Some(before), Some(_)) if end.ends(&before) => Whose::Copy,
        (Some(_), _) => Whose::Others,
        // a copy that is being made, or was cut off: it has nothing that was not taken
        (None, _) => Whose::Copy,
    })
}

/// Files and their names, each file once, by name.
fn each_once(paths: impl Iterator<Item = PathBuf>) -> Vec<(Inode, PathBuf)> {
    let paths: BTreeSet<PathBuf> = paths.collect();
    let mut files: HashSet<Inode> = HashSet::new();
    let file = |path: PathBuf| {
        let metadata = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file)?;
        Some((Seen::of(&metadata).inode, path))
    };
    paths.into_iter().filter_map(file).filter(|(inode, _)| files.insert(*inode)).collect()
}

fn new_id() -> StreamId {
    let mut id = [0; 16];
    let (first, second) = id.split_at_mut(8);
    // keys of their own each, from the system
    first.copy_from_slice(&RandomState::new().hash_one(0).to_le_bytes());
    second.copy_from_slice(&RandomState::new().hash_one(1).to_le_bytes());
    id
}
