//! Blocks that were let go, for the next ones: fresh memory costs the system more than decoding what is in it.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::buffer::Buffer;
use bytes::Bytes;

/// Blocks that are kept at most.
const KEPT: usize = 16;

/// Blocks of one size that nobody uses any more.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    block_bytes: usize,
    unused: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A block in use. When the last array that points into it is gone, it goes back.
#[derive(Debug)]
struct Lent {
    bytes: Vec<u8>,
    pool: Pool,
}

impl Pool {
    /// For blocks of so many bytes.
    pub(super) fn new(block_bytes: usize) -> Self {
        Pool { block_bytes, unused: Arc::default() }
    }

    /// A block of at least so many bytes, whatever they are.
    pub(super) fn take(&self, least: usize) -> Vec<u8> {
        if least <= self.block_bytes
            && let Some(block) = self.unused.lock().unwrap_or_else(PoisonError::into_inner).pop()
        {
            return block;
        }
        vec![0; self.block_bytes.max(least)]
    }

    /// The first `filled` bytes of a block, for arrays to point into.
    pub(super) fn lend(&self, bytes: Vec<u8>, filled: usize) -> Buffer {
        Buffer::from(Bytes::from_owner(Lent { bytes, pool: self.clone() }).slice(..filled))
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut unused = self.pool.unused.lock().unwrap_or_else(PoisonError::into_inner);
        if self.bytes.len() == self.pool.block_bytes && unused.len() < KEPT {
            unused.push(std::mem::take(&mut self.bytes));
        }
    }
}
