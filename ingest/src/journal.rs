//! The journal: payloads as they were received, on stable storage before anybody is told that they were taken.
//!
//! ```text
//!  receivers ─▶ append ─▶ one thread: all that wait become frames, one write, one sync ─▶ each is told its sequence
//!                              │
//!                              └─ segments (journal/log.rs) ── after a crash ──▶ replayed from the first sequence that the tables do not cover
//! ```
//! How long a sender waits is one sync, or two where it came during one; nobody waits for a timer. Sequences are those of the store's appends: what the
//! tables cover, the journal may forget.
//!
//! This is the one place of the crate that writes files, and that has a thread of its own. It reads no clock: times come with the payload.

mod disk;
mod entry;
mod error;
mod frame;
mod log;
#[cfg(test)]
mod simulated;

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use bytes::Bytes;

use disk::{Disk, Folder};
pub use entry::{Idempotency, Label, Position};
pub use error::JournalError;
pub use log::{Damaged, Recovery};
use log::{Log, Pieces};

/// Bytes after which a segment is full.
const SEGMENT: u64 = 64 << 20;
/// Bytes that are written at once at most, unless one payload has more.
const GROUP: usize = 16 << 20;
/// Payloads that wait; who comes then waits to wait.
const WAITING: usize = 1024;

/// A payload to be kept.
#[derive(Debug, Clone)]
pub struct Payload {
    /// What belongs to it.
    pub label: Label,
    /// Its bytes, plain, in pieces.
    pub body: Arc<[Bytes]>,
}

/// A journal that is written. Dropping it writes what waits.
#[derive(Debug)]
pub struct Journal {
    requests: Option<mpsc::SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
    numbers: Arc<Numbers>,
}

/// What becomes of a payload: the sequence of its frame, once it is on stable storage.
pub type Kept = Result<u64, Arc<JournalError>>;

/// Whoever hears of the payloads that are read again: sequence, label, body.
pub type Each<'e> = &'e mut dyn FnMut(u64, Label, &[u8]) -> Result<(), JournalError>;

#[derive(Debug, Default)]
struct Numbers {
    last: AtomicU64,
    bytes: AtomicU64,
    syncs: AtomicU64,
}

enum Request {
    Append(Box<Payload>, Box<dyn FnOnce(Kept) + Send>),
    Forget(u64),
}

impl Journal {
    /// Opens the journal in a folder, made if need be, and hands out each payload after `covered`, the last sequence that nobody needs any more.
    /// Sequences go on after the last one that is there, or after `used`, if that is later: the last one that the tables know. Whoever opens it
    /// sees to it that no other process does.
    ///
    /// # Errors
    /// If the folder cannot be read or written, a frame is not understood, or `each` says so.
    pub fn open(folder: &Path, covered: u64, used: u64, each: Each<'_>) -> Result<(Journal, Recovery), JournalError> {
        let disk = Folder::open(folder).map_err(JournalError::io("open", &folder.display().to_string()))?;
        Journal::on(disk, covered, used, each)
    }

    fn on<D: Disk + 'static>(
        disk: D,
        covered: u64,
        used: u64,
        each: Each<'_>,
    ) -> Result<(Journal, Recovery), JournalError> {
        let (mut log, recovery) = Log::open(disk, SEGMENT, covered, salt, &mut |sequence, payload| {
            let (label, body) = Label::decode(payload).map_err(|reason| JournalError::Foreign { sequence, reason })?;
            each(sequence, label, body)
        })?;
        log.go_on_after(used);
        let numbers = Arc::new(Numbers::default());
        numbers.bytes.store(log.bytes(), Ordering::Relaxed);
        numbers.last.store(log.last(), Ordering::Relaxed);
        let (requests, waiting) = mpsc::sync_channel(WAITING);
        let shared = Arc::clone(&numbers);
        let thread =
            std::thread::Builder::new().name("journal".to_owned()).spawn(move || write(log, &waiting, &shared));
        let thread = thread.map_err(JournalError::io("start", "the thread that writes it"))?;
        Ok((Journal { requests: Some(requests), thread: Some(thread), numbers }, recovery))
    }

    /// Keeps a payload; `done` hears of it on the journal's thread, and must not take long. Blocks where very many wait.
    pub fn append(&self, payload: Payload, done: impl FnOnce(Kept) + Send + 'static) {
        let Some(requests) = &self.requests else { return done(Err(Arc::new(JournalError::Closed))) };
        let refused = requests
            .send(Request::Append(Box::new(payload), Box::new(done)))
            .err()
            .map(|mpsc::SendError(request)| request);
        if let Some(Request::Append(_, done)) = refused {
            done(Err(Arc::new(JournalError::Closed)));
        }
    }

    /// Says that the tables cover everything up to that sequence. Files go when all of what they hold is covered.
    pub fn forget(&self, covered: u64) {
        if let Some(requests) = &self.requests {
            // a journal that ended needs to forget nothing
            let _ = requests.send(Request::Forget(covered));
        }
    }

    /// The sequence of the last payload that it kept; what the tables cover, if it has kept none since.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.numbers.last.load(Ordering::Relaxed)
    }

    /// Bytes of its files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.numbers.bytes.load(Ordering::Relaxed)
    }

    /// How often it synced since it was opened.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.numbers.syncs.load(Ordering::Relaxed)
    }
}

/// Reads a journal from its start to its end, and changes nothing: whoever writes it may go on. What it would hand out after `covered`, what is wrong
/// with it, and its size in bytes.
///
/// # Errors
/// If its folder cannot be read.
pub fn inspect(folder: &Path, covered: u64) -> Result<(Recovery, u64), JournalError> {
    Log::inspect(&Folder::existing(folder), covered)
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // it ends when nothing waits any more; should it have panicked, who waited has heard nothing, and was promised nothing
            let _ = thread.join();
        }
    }
}

/// Writes what waits, until nobody is there to send more.
fn write<D: Disk>(mut log: Log<D>, waiting: &mpsc::Receiver<Request>, numbers: &Numbers) {
    while let Ok(first) = waiting.recv() {
        let (mut payloads, mut dones, mut bytes, mut covered) = (Vec::new(), Vec::new(), 0, None);
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Append(payload, done) => {
                    bytes += payload.body.iter().map(Bytes::len).sum::<usize>();
                    payloads.push((payload.label.encode(), payload.body));
                    dones.push(done);
                }
                Request::Forget(sequence) => covered = covered.max(Some(sequence)),
            }
            next = if bytes < GROUP { waiting.try_recv().ok() } else { None };
        }
        if !payloads.is_empty() {
            let frames = payloads.iter().map(|(label, body): &(Vec<u8>, Arc<[Bytes]>)| {
                std::iter::once(label.as_slice()).chain(body.iter().map(AsRef::as_ref)).collect()
            });
            let frames: Vec<Pieces<'_>> = frames.collect();
            let kept = log.append(&frames).map_err(Arc::new);
            numbers.last.store(log.last(), Ordering::Relaxed);
            numbers.bytes.store(log.bytes(), Ordering::Relaxed);
            numbers.syncs.fetch_add(1, Ordering::Relaxed);
            match kept {
                Ok(sequences) => sequences.zip(dones).for_each(|(sequence, done)| done(Ok(sequence))),
                Err(error) => dones.into_iter().for_each(|done| done(Err(Arc::clone(&error)))),
            }
        }
        if let Some(covered) = covered {
            // what stays too long is forgotten the next time
            let _ = log.forget(covered);
        }
        numbers.bytes.store(log.bytes(), Ordering::Relaxed);
    }
}

/// A number that no sender can know.
fn salt() -> u64 {
    RandomState::new().hash_one("segment")
}

#[cfg(test)]
mod tests;
