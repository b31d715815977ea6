//! Segments of a journal on a disk: written in order, synced before anybody hears of it, read again after a crash.
//!
//! ```text
//!  0000000007-00000000000000004711-9f3c….journal      number, first sequence, salt (hex)
//!  header 32 │ frame │ frame │ …                      a new segment after SEGMENT bytes, after a start, and after a failure
//! ```
//! Invariants:
//! - What [`Log::append`] answered with `Ok` is on stable storage: frames, then the file's name.
//! - A file that failed to sync is never asked again, and never written again: the next segment begins with the sequence that was not acknowledged,
//!   and whatever of it the old one holds all the same is void.
//! - Sequences rise by one. What is missing between two frames was lost, and is reported.
//! - What is handed out after a start is on stable storage by then: of the last segment nobody knows whether it was ever synced, so it is written
//!   anew; where there is no room for that it is synced as it is.
//! - Nothing that was found damaged is thrown away: it is kept aside in a file of its own.

mod reading;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::RangeInclusive;

use super::disk::{Disk, DiskFile};
use super::error::JournalError;
use super::frame;
use crate::crash;
use reading::Reading;

/// What a segment begins with.
const MAGIC: [u8; 8] = *b"mwjrnl\0\x01";
/// Bytes before the first frame.
const HEADER: usize = 32;
/// Pieces that one call of the operating system takes.
const SLICES: usize = 512;
const SUFFIX: &str = ".journal";
/// Of a segment that is being written anew.
const UNFINISHED: &str = ".unfinished";

/// Whoever hears of the frames that are read again: sequence and payload.
pub(super) type Each<'e> = &'e mut dyn FnMut(u64, &[u8]) -> Result<(), JournalError>;

/// A payload in pieces, as it came.
pub(super) type Pieces<'p> = Vec<&'p [u8]>;

/// The segments of one journal.
#[derive(Debug)]
pub(super) struct Log<D: Disk> {
    disk: D,
    /// Bytes after which a segment is full.
    segment_bytes: u64,
    /// Those that are not written any more, oldest first.
    closed: VecDeque<Closed>,
    open: Option<Open<D::File>>,
    /// The next frame's.
    sequence: u64,
    /// The next segment's.
    number: u64,
    salt: fn() -> u64,
}

#[derive(Debug)]
struct Closed {
    name: String,
    /// The sequence of its last frame; 0: it has none.
    last: u64,
    bytes: u64,
    /// It holds damage for which there was no room elsewhere: it gets another name instead of being removed.
    damaged: bool,
}

#[derive(Debug)]
struct Open<F> {
    file: F,
    name: String,
    salt: u64,
    /// Bytes that are on stable storage, or were written to be.
    length: u64,
    /// The last sequence that it holds.
    last: u64,
    /// Whether its name is on stable storage.
    named: bool,
}

/// What was found when a journal was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Frames that were handed out.
    pub replayed: u64,
    /// Bytes at the ends of segments that a crash had cut off: nobody was told that they are kept.
    pub torn_bytes: u64,
    /// Damage: in which file, from which byte on, how many bytes; and the file that they were kept aside in.
    pub damaged: Vec<Damaged>,
    /// Sequences that were acknowledged and are not there.
    pub missing: Vec<RangeInclusive<u64>>,
}

/// Bytes of a segment that are no frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// The segment.
    pub segment: String,
    /// Where they start, bytes.
    pub offset: usize,
    /// How many.
    pub bytes: usize,
    /// The file that has them now.
    pub kept_in: String,
}

/// What a segment's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    number: u64,
    first: u64,
    salt: u64,
}

impl<D: Disk> Log<D> {
    /// Opens the segments that are there, and hands out each frame after `covered`, which is the last that nobody needs any more.
    pub(super) fn open(
        disk: D,
        segment_bytes: u64,
        covered: u64,
        salt: fn() -> u64,
        each: Each<'_>,
    ) -> Result<(Self, Recovery), JournalError> {
        let names = disk.names().map_err(JournalError::io("list", "the folder"))?;
        for unfinished in names.iter().filter(|name| name.ends_with(UNFINISHED)) {
            disk.remove(unfinished).map_err(JournalError::io("remove", unfinished))?;
        }
        let segments = names.into_iter().filter_map(|name| Some((Name::parse(&name)?, name)));
        let mut segments: Vec<(Name, String)> = segments.collect();
        segments.sort_unstable();
        let newest = segments.pop();
        let mut recovery = Recovery::default();
        let (mut closed, mut last) = (VecDeque::new(), covered);
        for (place, (name, file)) in segments.iter().enumerate() {
            let next = segments.get(place + 1).or(newest.as_ref());
            let end = next.map_or(u64::MAX, |(next, _)| next.first);
            let bytes = disk.read(file).map_err(JournalError::io("read", file))?;
            let mut reading = Reading::new(&disk, file, &mut recovery, &mut last);
            reading.segment(*name, &bytes, end, covered, each)?;
            let (last, damaged) = (reading.of_this, reading.damage);
            closed.push_back(Closed { name: file.clone(), last, bytes: bytes.len() as u64, damaged });
        }
        let number = newest.as_ref().map_or(0, |(name, _)| name.number) + 1;
        let mut log = Log { disk, segment_bytes, closed, open: None, sequence: last + 1, number, salt };
        if let Some((name, file)) = newest {
            log.renew(name, file, covered, &mut recovery, each)?;
        }
        log.forget(covered)?;
        Ok((log, recovery))
    }

    /// Reads all segments, and changes nothing: whoever writes the journal may go on.
    pub(super) fn inspect(disk: &D, covered: u64) -> Result<(Recovery, u64), JournalError> {
        let names = disk.names().map_err(JournalError::io("list", "the folder"))?;
        let mut segments: Vec<(Name, String)> =
            names.into_iter().filter_map(|name| Some((Name::parse(&name)?, name))).collect();
        segments.sort_unstable();
        let (mut recovery, mut last, mut length) = (Recovery::default(), covered, 0);
        for (place, (name, file)) in segments.iter().enumerate() {
            let end = segments.get(place + 1).map_or(u64::MAX, |(next, _)| next.first);
            let bytes = match disk.read(file) {
                Ok(bytes) => bytes,
                // it was forgotten meanwhile
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(JournalError::io("read", file)(error)),
            };
            length += bytes.len() as u64;
            let mut reading = Reading::new(disk, file, &mut recovery, &mut last);
            reading.keeps = false;
            reading.segment(*name, &bytes, end, covered, &mut |_, _| Ok(()))?;
        }
        Ok((recovery, length))
    }

    /// Writes what the newest segment holds beyond `covered` into a segment of its own, hands it out, and forgets the old one. On a full disk the old one
    /// is synced instead: better a journal that opens.
    fn renew(
        &mut self,
        name: Name,
        file: String,
        covered: u64,
        recovery: &mut Recovery,
        each: Each<'_>,
    ) -> Result<(), JournalError> {
        let bytes = self.disk.read(&file).map_err(JournalError::io("read", &file))?;
        let mut last = self.sequence - 1;
        let mut frames: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut reading = Reading::new(&self.disk, &file, recovery, &mut last);
        reading.segment(name, &bytes, u64::MAX, covered, &mut |sequence, payload| {
            frames.push((sequence, payload.to_vec()));
            Ok(())
        })?;
        let (of_this, damaged) = (reading.of_this, reading.damage);
        let length = bytes.len() as u64;
        drop(bytes);
        self.sequence = last + 1;
        let Some((first, _)) = frames.first() else {
            self.closed.push_back(Closed { name: file, last: 0, bytes: 0, damaged });
            return Ok(());
        };
        let new = Name { number: self.number, first: *first, salt: (self.salt)() };
        match self.write_anew(new, &frames) {
            Ok(length) => {
                self.closed.push_back(Closed { name: file, last: 0, bytes: 0, damaged });
                self.number += 1;
                self.closed.push_back(Closed { name: new.to_string(), last, bytes: length, damaged: false });
            }
            Err(JournalError::Full { .. }) => {
                self.disk.sync_file(&file).map_err(JournalError::io("sync", &file))?;
                self.disk.sync().map_err(JournalError::io("sync", "the folder"))?;
                self.closed.push_back(Closed { name: file, last: of_this, bytes: length, damaged });
            }
            Err(error) => return Err(error),
        }
        frames.iter().try_for_each(|(sequence, payload)| each(*sequence, payload))
    }

    /// A whole segment of these frames, on stable storage; its bytes.
    fn write_anew(&self, name: Name, frames: &[(u64, Vec<u8>)]) -> Result<u64, JournalError> {
        let (whole, unfinished) = (name.to_string(), format!("{name}{UNFINISHED}"));
        let written = self.write_frames(name, &unfinished, frames);
        if written.is_err() {
            // what is left of it is removed at the next start otherwise
            let _ = self.disk.remove(&unfinished);
        }
        let length = written?;
        crash::at("journal", "renewed");
        self.disk.rename(&unfinished, &whole).map_err(JournalError::io("rename", &unfinished))?;
        self.disk.sync().map_err(JournalError::io("sync", "the folder"))?;
        Ok(length)
    }

    fn write_frames(&self, name: Name, file: &str, frames: &[(u64, Vec<u8>)]) -> Result<u64, JournalError> {
        let header = name.header();
        let mut length = header.len();
        let mut new = self.disk.create(file).map_err(JournalError::io("create", file))?;
        new.append(&mut [IoSlice::new(&header)]).map_err(JournalError::io("write", file))?;
        for (sequence, payload) in frames {
            let header = frame::header(name.salt, *sequence, [payload.as_slice()].into_iter());
            let header = header.ok_or(JournalError::TooLong)?;
            let written = new.append(&mut [IoSlice::new(&header), IoSlice::new(payload)]);
            written.map_err(JournalError::io("write", file))?;
            length += header.len() + payload.len();
        }
        new.sync().map_err(JournalError::io("sync", file))?;
        Ok(length as u64)
    }

    /// The next sequence is a later one than that.
    pub(super) fn go_on_after(&mut self, used: u64) {
        self.sequence = self.sequence.max(used + 1);
    }

    /// The sequence of the last frame that is kept; 0: there was none yet.
    pub(super) fn last(&self) -> u64 {
        self.sequence - 1
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, |open| open.length);
        self.closed.iter().map(|closed| closed.bytes).sum::<u64>() + open
    }

    /// Appends one frame for each payload; their sequences. When it answers, they are on stable storage, or none of them is.
    pub(super) fn append(&mut self, payloads: &[Pieces<'_>]) -> Result<RangeInclusive<u64>, JournalError> {
        let first = self.sequence;
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        match self.write(&mut open, payloads) {
            Ok((length, last)) => {
                (open.length, open.last, self.sequence) = (length, last, last + 1);
                match open.length >= self.segment_bytes {
                    true => self.close(open),
                    false => self.open = Some(open),
                }
                Ok(first..=last)
            }
            Err((error, Broken::No)) => {
                self.open = Some(open);
                Err(error)
            }
            Err((error, Broken::Yes)) => {
                // what it may hold beyond is void by the first sequence of the next one; shorter is only tidier
                let _ = open.file.truncate(open.length);
                self.close(open);
                Err(error)
            }
        }
    }

    /// Removes the segments of which every frame is covered.
    pub(super) fn forget(&mut self, covered: u64) -> Result<(), JournalError> {
        let mut removed = false;
        // one that has a later one behind it: that says where the sequences go on
        while let Some(oldest) = self.closed.front().filter(|oldest| oldest.last <= covered) {
            crash::at("journal", "forgets");
            match oldest.damaged {
                true => self.disk.rename(&oldest.name, &damaged_name(&oldest.name)),
                false => self.disk.remove(&oldest.name),
            }
            .map_err(JournalError::io("remove", &oldest.name))?;
            self.closed.pop_front();
            removed = true;
            crash::at("journal", "forgot");
        }
        match removed {
            true => self.disk.sync().map_err(JournalError::io("sync", "the folder")),
            false => Ok(()),
        }
    }

    /// A new segment, not yet on stable storage.
    fn begin(&mut self) -> Result<Open<D::File>, JournalError> {
        let name = Name { number: self.number, first: self.sequence, salt: (self.salt)() };
        let file_name = name.to_string();
        let mut file = self.disk.create(&file_name).map_err(JournalError::io("create", &file_name))?;
        self.number += 1;
        let header = name.header();
        if let Err(error) = file.append(&mut [IoSlice::new(&header)]) {
            // an empty segment is none; it is removed when its turn comes
            self.closed.push_back(Closed { name: file_name.clone(), last: 0, bytes: 0, damaged: false });
            return Err(JournalError::io("write", &file_name)(error));
        }
        let last = self.sequence - 1;
        Ok(Open { file, name: file_name, salt: name.salt, length: HEADER as u64, last, named: false })
    }

    /// Writes and syncs; the new length and the last sequence.
    fn write(&self, open: &mut Open<D::File>, payloads: &[Pieces<'_>]) -> Result<(u64, u64), (JournalError, Broken)> {
        let failed = |action: &'static str, name: &str, broken| {
            let error = JournalError::io(action, name);
            move |source: io::Error| (error(source), broken)
        };
        let mut headers = Vec::with_capacity(payloads.len());
        for (payload, sequence) in payloads.iter().zip(self.sequence..) {
            let header = frame::header(open.salt, sequence, payload.iter().copied());
            headers.push(header.ok_or((JournalError::TooLong, Broken::No))?);
        }
        let frames = headers.iter().zip(payloads);
        let slices = frames.flat_map(|(header, payload)| std::iter::once(&header[..]).chain(payload.iter().copied()));
        let mut slices: Vec<IoSlice<'_>> = slices.filter(|piece| !piece.is_empty()).map(IoSlice::new).collect();
        let length = open.length + slices.iter().map(|slice| slice.len() as u64).sum::<u64>();
        crash::at("journal", "begin");
        for slices in slices.chunks_mut(SLICES) {
            if let Err(source) = open.file.append(slices) {
                // what was written of it must not be there when the next frames are
                let broken = if open.file.truncate(open.length).is_ok() { Broken::No } else { Broken::Yes };
                return Err(failed("write", &open.name, broken)(source));
            }
        }
        crash::at("journal", "written");
        open.file.sync().map_err(failed("sync", &open.name, Broken::Yes))?;
        if !open.named {
            self.disk.sync().map_err(failed("sync", "the folder", Broken::Yes))?;
            open.named = true;
        }
        crash::at("journal", "synced");
        Ok((length, self.sequence + payloads.len() as u64 - 1))
    }

    fn close(&mut self, open: Open<D::File>) {
        let Open { name, last, length, .. } = open;
        self.closed.push_back(Closed { name, last, bytes: length, damaged: false });
    }
}

/// Whether a segment may be written on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    Yes,
    No,
}

/// What a segment is called that is kept for its damage.
fn damaged_name(segment: &str) -> String {
    format!("{}.damaged", segment.trim_end_matches(SUFFIX))
}

impl Name {
    fn parse(name: &str) -> Option<Name> {
        let mut parts = name.strip_suffix(SUFFIX)?.split('-');
        let (number, first, salt) = (parts.next()?, parts.next()?, parts.next()?);
        let salt = u64::from_str_radix(salt, 16).ok()?;
        let parsed = Name { number: number.parse().ok()?, first: first.parse().ok()?, salt };
        // no other spelling, so that no two files are one segment
        (parts.next().is_none() && parsed.to_string() == name).then_some(parsed)
    }

    fn header(self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        let fields = MAGIC.into_iter().chain(self.first.to_le_bytes()).chain(self.salt.to_le_bytes());
        header.iter_mut().zip(fields).for_each(|(byte, field)| *byte = field);
        if let Some((fields, crc)) = header.split_last_chunk_mut::<4>() {
            *crc = crc32c::crc32c(fields).to_le_bytes();
        }
        header
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Name { number, first, salt } = self;
        write!(f, "{number:010}-{first:020}-{salt:016x}{SUFFIX}")
    }
}

#[cfg(test)]
mod tests;
