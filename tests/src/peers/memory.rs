//! How much memory `meshwarden scan` takes for much data: read from a pipe, so that it need not lie on a disk.

use super::error::PeersError;
use super::measure::Sample;
use super::programs::Bench;

/// What is allowed, bytes: 400 MB.
pub(super) const MOST: u64 = 400_000_000;
/// For so many bytes read: 10 GB. Less proves nothing.
pub(super) const OF: u64 = 10_000_000_000;

/// Bytes read, and what came of it.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) bytes: u64,
    pub(super) sample: Sample,
}

/// Runs `meshwarden scan -` once. Its time is that of the generator too, which shares its cores.
pub(super) fn measure(bench: &Bench, bytes: u64) -> Result<Memory, PeersError> {
    let (scan, feed) = bench.fed_scan(bytes)?;
    Ok(Memory { bytes, sample: scan.fed(&feed)? })
}
