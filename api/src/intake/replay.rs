//! Taking in again what the journal has and the tables do not cover: what a start after a crash waits for.
//!
//! ```text
//!  journal ─▶ frame ─▶ decoded on a thread of the pool, a few at a time ─▶ in their order ─▶ core.append_at ─▶ much in memory? a flush, beside the rest
//! ```
//! More is kept in memory than while lines are received, where it is flushed at 64 MiB: whoever starts is waited for, and a flush takes the core away that decodes.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use ingest::journal::{JournalError, Label};
use ingest::{AccessLogBatch, DecodeOptions};
use query::store::Flushed;
use query::{Core, CoreError};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::{Decoding, IntakeError};

/// Rows in memory, bytes, from which on they are flushed, beside what is read next.
const MUCH: u64 = 128 << 20;
/// The same, from which on nothing more is read until they are.
const TOO_MUCH: u64 = 256 << 20;
/// Bytes of frames that are decoded at a time, at most, unless one has more.
const UNDER_WAY: usize = 16 << 20;
/// Frames that are decoded at a time.
const FRAMES: usize = 64;
/// Frames with fewer bytes are decoded at once: handing them to another thread would take longer.
const SMALL: usize = 16 << 10;

/// What is taken in again, frame by frame. To be used on a thread that may block.
pub(super) struct Replay {
    core: Arc<Core>,
    options: Arc<DecodeOptions>,
    runtime: Handle,
    /// In the order of their sequences.
    under_way: VecDeque<Frame>,
    /// Their bytes.
    bytes: usize,
    flushing: Option<JoinHandle<Result<Flushed, CoreError>>>,
}

struct Frame {
    sequence: u64,
    bytes: usize,
    decoded: Decoded,
}

enum Decoded {
    Already(Vec<AccessLogBatch>),
    Soon(JoinHandle<Vec<AccessLogBatch>>),
}

impl Replay {
    /// Inside of a runtime.
    pub(super) fn new(core: Arc<Core>, options: Arc<DecodeOptions>) -> Self {
        let runtime = Handle::current();
        Self { core, options, runtime, under_way: VecDeque::new(), bytes: 0, flushing: None }
    }

    /// Takes the next frame in, sooner or later.
    pub(super) fn frame(&mut self, sequence: u64, label: Label, body: &[u8]) -> Result<(), JournalError> {
        let bytes = body.len();
        let decoding =
            Decoding { options: Arc::clone(&self.options), label, body: [Bytes::copy_from_slice(body)].into() };
        let decoded = match bytes < SMALL {
            true => Decoded::Already(decoding.decoded()),
            false => Decoded::Soon(self.runtime.spawn_blocking(move || decoding.decoded())),
        };
        self.under_way.push_back(Frame { sequence, bytes, decoded });
        self.bytes += bytes;
        while self.under_way.len() > FRAMES || (self.bytes > UNDER_WAY && self.under_way.len() > 1) {
            self.first()?;
        }
        Ok(())
    }

    /// Takes in all that is left.
    pub(super) fn end(mut self) -> Result<(), JournalError> {
        while !self.under_way.is_empty() {
            self.first()?;
        }
        Ok(())
    }

    fn first(&mut self) -> Result<(), JournalError> {
        let Some(Frame { sequence, bytes, decoded }) = self.under_way.pop_front() else { return Ok(()) };
        self.bytes -= bytes;
        let Self { core, runtime, flushing, .. } = self;
        let taken = runtime.block_on(async {
            let batches = match decoded {
                Decoded::Already(batches) => batches,
                Decoded::Soon(batches) => batches.await?,
            };
            core.append_at(sequence, &batches).await?;
            let mut held = core.store().bytes_in_memory();
            if held >= TOO_MUCH
                && let Some(flushing) = flushing.take()
            {
                flushing.await??;
                held = core.store().bytes_in_memory();
            }
            if held >= MUCH && flushing.as_ref().is_none_or(JoinHandle::is_finished) {
                if let Some(flushed) = flushing.take() {
                    flushed.await??;
                }
                let core = Arc::clone(core);
                *flushing = Some(tokio::spawn(async move { core.flush().await }));
            }
            Ok::<_, IntakeError>(())
        });
        taken.map_err(|error| JournalError::NotTaken(Box::new(error)))
    }
}
