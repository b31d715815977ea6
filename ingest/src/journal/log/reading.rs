//! A segment that is read again: its frames, what a crash had torn off, and damage, which is kept aside.

use std::io::{self, IoSlice};

use super::super::disk::{Disk, DiskFile};
use super::super::error::JournalError;
use super::super::frame::{self, Found};
use super::{Damaged, Each, HEADER, Name, Recovery, SUFFIX, damaged_name};

/// One segment that is read again.
pub(super) struct Reading<'r, D> {
    disk: &'r D,
    file: &'r str,
    recovery: &'r mut Recovery,
    /// The last frame of any segment, or the last that is covered.
    last: &'r mut u64,
    /// The last one of this.
    pub(super) of_this: u64,
    /// There is damage in it that has no file of its own.
    pub(super) damage: bool,
    /// Whether damage gets files of its own.
    pub(super) keeps: bool,
}

impl<'r, D: Disk> Reading<'r, D> {
    pub(super) fn new(disk: &'r D, file: &'r str, recovery: &'r mut Recovery, last: &'r mut u64) -> Self {
        Reading { disk, file, recovery, last, of_this: 0, damage: false, keeps: true }
    }

    pub(super) fn segment(
        &mut self,
        name: Name,
        bytes: &[u8],
        end: u64,
        covered: u64,
        each: Each<'_>,
    ) -> Result<(), JournalError> {
        let mut place = HEADER.min(bytes.len());
        match bytes.get(..HEADER) {
            Some(header) if header == name.header() => {}
            // space that was given to the file, and nothing in it
            Some(header) if bytes.iter().all(|byte| *byte == 0) => self.recovery.torn_bytes += header.len() as u64,
            Some(_) => self.keep_aside(bytes, 0, HEADER)?,
            None => self.recovery.torn_bytes += bytes.len() as u64,
        }
        loop {
            match frame::at(name.salt, bytes, place) {
                Found::End => return Ok(()),
                Found::Damage { length, torn } => {
                    match torn {
                        true => self.recovery.torn_bytes += length as u64,
                        false => self.keep_aside(bytes, place, length)?,
                    }
                    place += length;
                }
                Found::Frame(frame) => {
                    place += frame::HEADER + frame.payload.len();
                    // never acknowledged
                    if frame.sequence >= end {
                        continue;
                    }
                    if *self.last + 1 < frame.sequence {
                        self.recovery.missing.push(*self.last + 1..=frame.sequence - 1);
                    }
                    *self.last = frame.sequence.max(*self.last);
                    self.of_this = frame.sequence;
                    if frame.sequence > covered {
                        each(frame.sequence, frame.payload)?;
                        self.recovery.replayed += 1;
                    }
                }
            }
        }
    }

    /// Copies damaged bytes into a file of their own, if that was not done before; without room for them the segment itself is kept.
    fn keep_aside(&mut self, bytes: &[u8], offset: usize, length: usize) -> Result<(), JournalError> {
        let mut kept_in = format!("{}-{offset}.damaged", self.file.trim_end_matches(SUFFIX));
        let bytes = bytes.get(offset..offset + length).unwrap_or_default();
        let created = if self.keeps { Some(self.disk.create(&kept_in)) } else { None };
        match created {
            None => kept_in = self.file.to_owned(),
            Some(Ok(mut file)) => {
                let written = file.append(&mut [IoSlice::new(bytes)]).and_then(|()| file.sync());
                match written.and_then(|()| self.disk.sync()).map_err(JournalError::io("write", &kept_in)) {
                    Ok(()) => {}
                    Err(JournalError::Full { .. }) => {
                        self.disk.remove(&kept_in).map_err(JournalError::io("remove", &kept_in))?;
                        kept_in = damaged_name(self.file);
                        self.damage = true;
                    }
                    Err(error) => return Err(error),
                }
            }
            Some(Err(error)) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Some(Err(error)) => return Err(JournalError::io("create", &kept_in)(error)),
        }
        let segment = self.file.to_owned();
        self.recovery.damaged.push(Damaged { segment, offset, bytes: bytes.len(), kept_in });
        Ok(())
    }
}
