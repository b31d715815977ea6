//! The way in for whatever is received: onto stable storage, then into the tables, in one order.
//!
//! ```text
//!  payload ─▶ is there room? ─▶ its key is known? ─ no ─┬▶ journal: one sync for all that wait ─▶ sequence ─▶ its turn ─▶ core.append_at ─▶ queryable
//!                 │                    └▶ decode, beside that ─────────────────────────────────┘
//!                 └ yes: taken already (or refused, if its body is another)
//!  after a start: journal ─▶ decode ─▶ core.append_at, from the first sequence that the tables do not cover
//!  after a flush: tables cover S ─▶ keys up to S are kept ─▶ journal forgets up to S
//! ```
//! Frames are taken in in the order of their sequences, so that what a flush commits is always "everything up to S". A core in memory has no journal:
//! there nothing is promised.

mod keys;
mod positions;
mod room;
mod source;
mod turns;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use ingest::crash;
use ingest::journal::{Idempotency, Journal, JournalError, Kept, Label, Payload, Recovery};
use ingest::{AccessLogBatch, DecodeOptions, Decoder};
use query::store::Flushed;
use query::{Core, CoreError};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

pub use keys::KeysError;
use keys::{Claim, Claimed, Keys};
use room::Room;
use turns::{Turn, Turns};

/// The folder of the journal, in that of the data.
const FOLDER: &str = "journal";
/// The file of the keys, there.
const KEYS: &str = "idempotency.db";

/// The folder of the journal of the service that has that folder.
pub(crate) fn journal_folder(data: &Path) -> PathBuf {
    data.join(FOLDER)
}

/// The way in. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub struct Intake {
    core: Arc<Core>,
    decode: Arc<DecodeOptions>,
    keys: Keys,
    kept: Option<Arc<Keeping>>,
}

#[derive(Debug)]
struct Keeping {
    journal: Journal,
    room: Room,
    /// What was wrong with it when it was opened.
    found: JournalStats,
    turns: Turns,
}

/// What a journal holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct JournalStats {
    /// Bytes that may still be taken in, for lack of room on the disk.
    pub(crate) room: u64,
    /// Bytes that were found damaged when it was opened.
    pub(crate) damaged: u64,
    /// Frames that were acknowledged and not there when it was opened.
    pub(crate) missing: u64,
    /// Size of its files, bytes.
    pub(crate) bytes: u64,
    /// Writes to stable storage since the program started.
    pub(crate) syncs: u64,
}

/// How a payload that is sent again is told from another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat<'k> {
    /// It is not.
    Unknown,
    /// By the key that its sender gives it, for 24 hours.
    ByKey(&'k str),
    /// By the door and the SHA-256 of what was sent, for an hour: senders without keys send the same bytes again when they do not know what became of them.
    ByContent(&'k str, [u8; 32]),
}

impl<'k> From<Option<&'k str>> for Repeat<'k> {
    fn from(key: Option<&'k str>) -> Self {
        key.map_or(Repeat::Unknown, Repeat::ByKey)
    }
}

/// A payload that is on stable storage, if there is any.
#[derive(Debug)]
pub(crate) struct Taken {
    sequence: Option<u64>,
    stage: Stage,
    core: Arc<Core>,
}

#[derive(Debug)]
enum Stage {
    /// Not in the tables yet.
    New { turn: Option<Turn>, decoded: tokio::task::JoinHandle<Vec<AccessLogBatch>> },
    /// Taken before: it is in the tables, or about to be.
    Again { turns: Option<Turns>, decoded: Decoding },
}

/// A body that can be decoded.
#[derive(Debug)]
struct Decoding {
    options: Arc<DecodeOptions>,
    label: Label,
    body: Arc<[Bytes]>,
}

/// Why a payload was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The journal did not keep it: it is nowhere.
    #[error(transparent)]
    Journal(#[from] Arc<JournalError>),
    /// The keys cannot be asked: it is nowhere.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Too little room is left on the disk: it is nowhere.
    #[error("the disk has no room left that may be used")]
    NoRoom,
    /// The folder's volume cannot be looked at.
    #[error("the volume of '{}' cannot be looked at: {source}", folder.display())]
    Volume {
        /// The data's folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another body was taken under its key.
    #[error("another body was sent under this key")]
    OtherBody,
    /// The tables did not take it; if there is a journal, it is in it, and comes into the tables after a start.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// A task ended before it was done.
    #[error("taking lines in was cut short: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl Intake {
    /// A way in without a journal.
    ///
    /// # Errors
    /// If no memory can be used as a database.
    pub async fn in_memory(core: Arc<Core>, decode: Arc<DecodeOptions>) -> Result<Self, IntakeError> {
        Ok(Self { core, decode, keys: Keys::in_memory().await?, kept: None })
    }

    /// Opens the journal in the data's folder, and takes in again what the tables do not cover. `reserve`: bytes that stay free on its volume.
    ///
    /// # Errors
    /// If the journal cannot be read or written, or the tables do not take what is in it.
    pub async fn open(
        core: Arc<Core>,
        decode: Arc<DecodeOptions>,
        data: &Path,
        reserve: Option<u64>,
    ) -> Result<(Self, Recovery), IntakeError> {
        let volume = |source| IntakeError::Volume { folder: data.to_owned(), source };
        let room = Room::of(data, reserve).map_err(volume)?;
        let flushed = core.store().flushed();
        let (folder, keys) = (journal_folder(data), Keys::open(&data.join(KEYS), flushed).await?);
        let covered = keys.covered().await?.min(flushed);
        let runtime = tokio::runtime::Handle::current();
        let (into, options, known) = (core.clone(), decode.clone(), keys.clone());
        let opening = tokio::task::spawn_blocking(move || {
            let mut flushing: Option<tokio::task::JoinHandle<Result<Flushed, CoreError>>> = None;
            Journal::open(&folder, covered, flushed, &mut |sequence, label, body| {
                if let Some(idempotency) = label.idempotency {
                    known.again(idempotency, sequence, label.received_at);
                }
                if let Some(position) = &label.position {
                    known.at(position.clone(), sequence);
                }
                if sequence <= flushed {
                    return Ok(());
                }
                let batches = decoded(&options, label, [body].into_iter());
                let taken = runtime.block_on(async {
                    into.append_at(sequence, &batches).await?;
                    if into.store().wants_flush() {
                        // it goes on beside what is read next; the one before has to be through: what waits in memory is bounded
                        let core = into.clone();
                        let next = tokio::spawn(async move { core.flush().await });
                        if let Some(before) = flushing.replace(next) {
                            before.await??;
                        }
                    }
                    Ok::<_, IntakeError>(())
                });
                taken.map_err(|error| JournalError::NotTaken(Box::new(error)))
            })
        });
        let (journal, recovery) = opening.await?.map_err(Arc::new)?;
        crash::at("journal", "replayed");
        let turns = Turns::after(journal.last());
        let intake = Self {
            core,
            decode,
            keys,
            kept: Some(Arc::new(Keeping { journal, room, found: JournalStats::of(&recovery), turns })),
        };
        Ok((intake, recovery))
    }

    /// The tables that it leads to.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Takes a payload: when this returns, it is on stable storage. One that was taken from the same source already, as `repeat` tells, is not taken again.
    pub(crate) async fn take(
        &self,
        mut label: Label,
        repeat: Repeat<'_>,
        pieces: Vec<Bytes>,
    ) -> Result<Taken, IntakeError> {
        let bytes: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        if self.room_left().is_some_and(|left| left <= bytes) {
            return Err(IntakeError::NoRoom);
        }
        let body: Arc<[Bytes]> = pieces.into();
        let claimed = match repeat {
            Repeat::Unknown => None,
            Repeat::ByKey(_) | Repeat::ByContent(..) => {
                let idempotency = idempotency(&label.source, repeat, Arc::clone(&body)).await?;
                match self.keys.claim(idempotency, label.received_at).await? {
                    Claim::New(claimed) => {
                        label.idempotency = Some(idempotency);
                        Some(claimed)
                    }
                    Claim::Taken(sequence) => return Ok(self.again(sequence, label, body)),
                    Claim::OtherBody => return Err(IntakeError::OtherBody),
                }
            }
        };
        let decoding = Decoding { options: Arc::clone(&self.decode), label, body };
        let turn = match &self.kept {
            None => {
                claimed.into_iter().for_each(|claimed| claimed.taken(0));
                None
            }
            Some(kept) => Some(kept.append(decoding.payload(), claimed, self.keys.clone())),
        };
        // beside the sync
        let decoded = tokio::task::spawn_blocking(move || decoding.decoded());
        let turn = match turn {
            None => None,
            Some(heard) => Some(heard.await.unwrap_or_else(|_| Err(Arc::new(JournalError::Closed)))?),
        };
        let sequence = turn.as_ref().map(Turn::sequence);
        Ok(Taken { sequence, stage: Stage::New { turn, decoded }, core: Arc::clone(&self.core) })
    }

    fn again(&self, sequence: u64, label: Label, body: Arc<[Bytes]>) -> Taken {
        let turns = self.kept.as_ref().map(|kept| kept.turns.clone());
        let decoded = Decoding { options: Arc::clone(&self.decode), label, body };
        let sequence = turns.as_ref().map(|_| sequence);
        Taken { sequence, stage: Stage::Again { turns, decoded }, core: Arc::clone(&self.core) }
    }

    /// Up to where a receiver's streams were taken, by stream.
    ///
    /// # Errors
    /// If the file that has them cannot be read.
    pub(crate) async fn positions(&self, receiver: &str) -> Result<Vec<([u8; 16], Vec<u8>)>, KeysError> {
        self.keys.positions(receiver).await
    }

    /// Forgets streams of a receiver that are gone for good.
    ///
    /// # Errors
    /// If the file that has them cannot be written.
    pub(crate) async fn forget_streams(&self, receiver: &str, streams: &[[u8; 16]]) -> Result<(), KeysError> {
        self.keys.forget_streams(receiver, streams).await
    }

    /// The tables cover everything up to that sequence: the journal may forget it, once its keys are kept.
    ///
    /// # Errors
    /// If the keys cannot be kept: then the journal forgets nothing, and the next time is as good.
    pub async fn forget(&self, covered: u64) -> Result<(), KeysError> {
        self.keys.keep(covered).await?;
        crash::at("keys", "kept");
        if let Some(kept) = &self.kept {
            kept.journal.forget(covered);
        }
        Ok(())
    }

    /// Bytes that may still be taken in; `None`: nobody knows, or they go into memory.
    pub(crate) fn room_left(&self) -> Option<u64> {
        self.kept.as_ref()?.room.left()
    }

    /// What the journal holds; zeros, if there is none.
    pub(crate) fn journal(&self) -> JournalStats {
        let Some(kept) = &self.kept else { return JournalStats::default() };
        let Keeping { journal, room, found, .. } = kept.as_ref();
        JournalStats { bytes: journal.bytes(), syncs: journal.syncs(), room: room.left().unwrap_or(0), ..*found }
    }
}

impl JournalStats {
    fn of(recovery: &Recovery) -> Self {
        let damaged = recovery.damaged.iter().map(|damaged| damaged.bytes as u64).sum();
        let missing = recovery.missing.iter().map(|missing| missing.end() - missing.start() + 1).sum();
        Self { damaged, missing, ..Self::default() }
    }
}

impl Keeping {
    /// Appends to the journal; whoever listens hears of the turn.
    fn append(
        self: &Arc<Self>,
        payload: Payload,
        claimed: Option<Claimed>,
        keys: Keys,
    ) -> oneshot::Receiver<Result<Turn, Arc<JournalError>>> {
        let (told, heard) = oneshot::channel();
        let (keeping, position) = (Arc::clone(self), payload.label.position.clone());
        self.journal.append(payload, move |kept: Kept| {
            // whoever went away has a turn all the same, or the next one would wait for ever
            let turn = kept.map(|sequence| {
                claimed.into_iter().for_each(|claimed| claimed.taken(sequence));
                position.into_iter().for_each(|position| keys.at(position, sequence));
                keeping.turns.take(sequence)
            });
            let _ = told.send(turn);
        });
        heard
    }
}

impl Taken {
    /// The journal's sequence, if there is a journal.
    pub(crate) fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// Whether it had been taken before.
    pub(crate) fn is_again(&self) -> bool {
        matches!(self.stage, Stage::Again { .. })
    }

    /// Takes it into the tables, unless it was taken before; `each` sees the batches in any case. When this returns, all lines are queryable.
    pub(crate) async fn into_tables(self, mut each: impl FnMut(&AccessLogBatch)) -> Result<(), IntakeError> {
        let Taken { sequence, stage, core } = self;
        let batches = match stage {
            Stage::New { turn: None, decoded } => {
                let batches = decoded.await?;
                for batch in &batches {
                    core.append(batch).await?;
                }
                batches
            }
            Stage::New { turn: Some(turn), decoded } => {
                let batches = decoded.await?;
                turn.come().await;
                core.append_at(turn.sequence(), &batches).await?;
                batches
            }
            Stage::Again { turns, decoded } => {
                let batches = tokio::task::spawn_blocking(move || decoded.decoded()).await?;
                if let (Some(turns), Some(sequence)) = (turns, sequence) {
                    turns.passed(sequence).await;
                }
                batches
            }
        };
        batches.iter().for_each(&mut each);
        crash::at("ingest", "taken");
        Ok(())
    }
}

impl Decoding {
    fn payload(&self) -> Payload {
        Payload { label: self.label.clone(), body: Arc::clone(&self.body) }
    }

    fn decoded(self) -> Vec<AccessLogBatch> {
        decoded(&self.options, self.label, self.body.iter().map(AsRef::as_ref))
    }
}

/// What tells a payload from others: keys are their source's own. By content, key and body are one ([`keys`]).
async fn idempotency(source: &str, repeat: Repeat<'_>, body: Arc<[Bytes]>) -> Result<Idempotency, IntakeError> {
    // no source holds a NUL
    let named = Sha256::new().chain_update(source).chain_update([0]);
    let key = match repeat {
        Repeat::ByKey(key) => named.chain_update(key).finalize().into(),
        Repeat::ByContent(door, sent) => {
            let both = named.chain_update(door).chain_update([0]).chain_update(sent).finalize().into();
            return Ok(Idempotency { key: both, body: both });
        }
        Repeat::Unknown => named.finalize().into(),
    };
    let digest = move || body.iter().fold(Sha256::new(), |sha, piece| sha.chain_update(piece)).finalize().into();
    Ok(Idempotency { key, body: tokio::task::spawn_blocking(digest).await? })
}

/// The lines of a body, in batches; named as the label says.
fn decoded<'b>(
    options: &Arc<DecodeOptions>,
    label: Label,
    body: impl Iterator<Item = &'b [u8]>,
) -> Vec<AccessLogBatch> {
    let Label { received_at, source, id, .. } = label;
    let mut decoder = Decoder::new(Arc::clone(options), id, received_at);
    let mut batches = Vec::new();
    for piece in body {
        decoder.push(piece);
        batches.extend(std::iter::from_fn(|| decoder.next_batch()));
    }
    batches.extend(decoder.finish());
    batches.into_iter().map(|batch| source::named(batch, &source)).collect()
}
