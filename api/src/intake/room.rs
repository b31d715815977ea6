//! Room on the volume that holds the data: when it runs short nothing more is taken in, so that what was taken in can still be written to the tables.
//!
//! A journal that filled the disk to the last byte could never be emptied: the tables that take over from it need room, too. Room is looked at
//! with each payload, so whoever frees some need not tell.

use std::io;
use std::path::{Path, PathBuf};

/// What stays free unless it is said otherwise: so many bytes,
const RESERVE: u64 = 512 << 20;
/// or on a small volume this part of it.
const PART: u64 = 20;

/// The room of one volume.
#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    reserve: u64,
}

/// Of one volume, bytes.
struct Volume {
    free: u64,
    total: u64,
}

impl Room {
    /// The room of the volume of that folder, of which `reserve` bytes are to stay free.
    pub(super) fn of(folder: &Path, reserve: Option<u64>) -> io::Result<Self> {
        let reserve = match reserve {
            Some(reserve) => reserve,
            None => RESERVE.min(volume(folder)?.total / PART),
        };
        Ok(Room { folder: folder.to_owned(), reserve })
    }

    /// Bytes that may still be taken in; `None`: the volume cannot be asked.
    pub(super) fn left(&self) -> Option<u64> {
        Some(volume(&self.folder).ok()?.free.saturating_sub(self.reserve))
    }
}

#[cfg(unix)]
fn volume(folder: &Path) -> io::Result<Volume> {
    let volume = rustix::fs::statvfs(folder)?;
    let bytes = |blocks: u64| blocks.saturating_mul(volume.f_frsize);
    Ok(Volume { free: bytes(volume.f_bavail), total: bytes(volume.f_blocks) })
}

/// Nobody can be asked: the journal says when the disk is full.
#[cfg(not(unix))]
fn volume(_folder: &Path) -> io::Result<Volume> {
    Ok(Volume { free: u64::MAX, total: u64::MAX })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_reserved_is_not_given_away() {
        let folder = tempfile::tempdir().unwrap();
        let all = Room::of(folder.path(), Some(0)).unwrap().left().unwrap();
        let usual = Room::of(folder.path(), None).unwrap().left().unwrap();
        assert!(usual < all && all - usual <= RESERVE + (256 << 20));
        assert_eq!(Room::of(folder.path(), Some(u64::MAX)).unwrap().left(), Some(0));
        assert!(Room::of(Path::new("/nowhere"), None).is_err());
    }
}
