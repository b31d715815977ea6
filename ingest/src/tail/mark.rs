//! How far a stream was taken, and by what its bytes are known again, in whatever file they are then.
//!
//! ```text
//!  version 1 │ offset 8 │ start: length 2, SHA-256 16 │ end: length 2, SHA-256 16 │ path …
//!
//!  ├── start: up to 1 KiB ──┤ … … … ├── end: up to 1 KiB ──┤ offset
//! ```
//! Integers are little-endian; the hashes are the first 16 bytes of the SHA-256; the path is the one under which the stream was first seen, in bytes.
//!
//! Neither inode nor name says which bytes are in a file: a rotation gives a file another name, or its bytes another inode, and inodes are used again. An
//! access log's first and last kilobyte hold times and request ids, so that no other has the same.

use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

/// The version that is written, and the only one there is.
const VERSION: u8 = 1;

/// Bytes by which a place is known again.
pub(super) const PRINT: usize = 1024;

/// A few bytes, to be compared with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Print {
    /// How many.
    pub(super) length: u16,
    hash: [u8; 16],
}

impl Print {
    /// Of the first kilobyte.
    pub(super) fn of_start(bytes: &[u8]) -> Self {
        Self::of(bytes.get(..PRINT).unwrap_or(bytes))
    }

    /// Of the last kilobyte.
    pub(super) fn of_end(bytes: &[u8]) -> Self {
        Self::of(bytes.get(bytes.len().saturating_sub(PRINT)..).unwrap_or(bytes))
    }

    fn of(bytes: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        let mut hash = [0; 16];
        hash.copy_from_slice(digest.split_at(16).0);
        Self { length: u16::try_from(bytes.len()).unwrap_or(u16::MAX), hash }
    }

    /// Whether bytes end with these.
    pub(super) fn ends(&self, bytes: &[u8]) -> bool {
        let from = bytes.len().checked_sub(usize::from(self.length));
        from.and_then(|from| bytes.get(from..)).is_some_and(|end| Self::of(end) == *self)
    }
}

/// How far a stream was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Bytes that were taken (of compressed files: inflated).
    pub(super) offset: u64,
    /// Its first bytes, none beyond `offset`.
    pub(super) start: Print,
    /// The last bytes before `offset`.
    pub(super) end: Print,
    /// Under which path it was first seen.
    pub(super) path: PathBuf,
}

impl Mark {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.offset.to_le_bytes());
        for print in [&self.start, &self.end] {
            bytes.extend_from_slice(&print.length.to_le_bytes());
            bytes.extend_from_slice(&print.hash);
        }
        bytes.extend_from_slice(self.path.as_os_str().as_bytes());
        bytes
    }

    /// `None`: it is none.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        if *version != VERSION {
            return None;
        }
        let (offset, rest) = rest.split_first_chunk::<8>()?;
        let (start, rest) = print(rest)?;
        let (end, path) = print(rest)?;
        let path = PathBuf::from(std::ffi::OsString::from_vec(path.to_vec()));
        Some(Self { offset: u64::from_le_bytes(*offset), start, end, path })
    }
}

fn print(bytes: &[u8]) -> Option<(Print, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (hash, rest) = rest.split_first_chunk::<16>()?;
    let length = u16::from_le_bytes(*length);
    (usize::from(length) <= PRINT).then_some((Print { length, hash: *hash }, rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(offset: u64, bytes in prop::collection::vec(any::<u8>(), 0..3000), path in "\\PC{0,40}") {
            let (start, end) = (Print::of_start(&bytes), Print::of_end(&bytes));
            prop_assert!(end.ends(&bytes));
            let mark = Mark { offset, start, end, path: path.into() };
            prop_assert_eq!(Mark::decode(&mark.encode()), Some(mark));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Some(mark) = Mark::decode(&bytes) {
                prop_assert_eq!(mark.encode(), bytes);
            }
        }
    }

    #[test]
    fn other_bytes_are_told_apart() {
        let line = |n: u32| format!("{n:0200}\n");
        let bytes: String = (0..20).map(line).collect();
        let (start, end) = (Print::of_start(bytes.as_bytes()), Print::of_end(bytes.as_bytes()));
        assert_eq!((start.length, end.length), (1024, 1024));
        let more = bytes.clone() + &line(20);
        assert_eq!(Print::of_start(more.as_bytes()), start);
        assert_ne!(Print::of_start(&more.as_bytes()[1..]), start);
        assert!(!end.ends(more.as_bytes()) && !end.ends(&bytes.as_bytes()[..1023]));
    }
}
