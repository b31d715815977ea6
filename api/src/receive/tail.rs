//! `serve --tail GLOB`: files of the machine, followed through rotations; see [`ingest::tail`].
//!
//! ```text
//!  every second: look ─▶ next chunk ─▶ journal: bytes and position in one frame ─▶ the next one …
//!                                              └─▶ into the tables, a few at a time
//! ```
//! The journal is what says up to where a file was taken: after a crash, and after any restart, each goes on where the last frame ends. Where the disk is
//! full the files wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use glob::{MatchOptions, Pattern};
use ingest::journal::{Label, Position};
use ingest::tail::{Chunk, Tailer};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::Receiver;
use crate::clock::Clock;
use crate::detect_loop::Detector;
use crate::intake::{KeysError, Repeat};

/// How often it is looked for new files.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long it waits when nothing came.
const IDLE: Duration = Duration::from_millis(100);
/// How long it waits after a chunk could not be kept.
const RETRY: Duration = Duration::from_secs(1);
/// Chunks on their way from the journal into the tables.
const UNDER_WAY: usize = 4;
/// How often streams are forgotten of which no file is there any more.
const FORGET_EVERY: Duration = Duration::from_secs(600);

/// A pattern that is none.
#[derive(Debug, thiserror::Error)]
#[error("'{pattern}' is no pattern of paths: {source}")]
pub(crate) struct PatternError {
    /// The pattern.
    pub(crate) pattern: String,
    /// What is wrong.
    pub(crate) source: glob::PatternError,
}

/// What is followed: patterns of paths.
#[derive(Clone, Debug, Default)]
pub(crate) struct TailSettings(Vec<Pattern>);

impl TailSettings {
    /// Checks the patterns; none: nothing is followed.
    ///
    /// # Errors
    /// If one is no pattern.
    pub(crate) fn new(patterns: &[String]) -> Result<Self, PatternError> {
        let checked = |pattern: &String| {
            let wrong = |source| PatternError { pattern: pattern.clone(), source };
            Pattern::new(pattern).map_err(wrong)?;
            // what is remembered of a file has to be true in another working directory, too
            let here = std::env::current_dir().ok().filter(|_| !pattern.starts_with('/'));
            let here = here.map(|here| format!("{}/", Pattern::escape(&here.to_string_lossy())));
            Pattern::new(&(here.unwrap_or_default() + pattern)).map_err(wrong)
        };
        patterns.iter().map(checked).collect::<Result<_, _>>().map(Self)
    }
}

/// Files that are being followed.
pub(crate) struct Tailing {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Tailing {
    /// Begins; `None`: there is nothing to follow.
    pub(crate) async fn start(
        settings: TailSettings,
        detector: Detector,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, KeysError> {
        let TailSettings(patterns) = settings;
        if patterns.is_empty() {
            return Ok(None);
        }
        let known = detector.intake().positions(Receiver::Tail.name()).await?;
        let tailer = Tailer::new(&patterns, known, Instant::now());
        let (stop, stopped) = watch::channel(false);
        let following =
            Following { patterns, detector, clock, stopped, under_way: Arc::new(Semaphore::new(UNDER_WAY)) };
        Ok(Some(Self { stop, task: tokio::spawn(following.run(tailer)) }))
    }

    /// Ends it: everything that was kept is in the tables then.
    pub(crate) async fn end(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "following files ended early");
        }
    }
}

struct Following {
    patterns: Vec<Pattern>,
    detector: Detector,
    clock: Arc<dyn Clock>,
    stopped: watch::Receiver<bool>,
    under_way: Arc<Semaphore>,
}

impl Following {
    async fn run(mut self, mut tailer: Tailer) {
        let (mut look_at, mut forget_at) = (Instant::now(), Instant::now() + FORGET_EVERY);
        while !*self.stopped.borrow() {
            let now = Instant::now();
            let looks = now >= look_at;
            let step = tokio::task::spawn_blocking(move || {
                let failed = if looks { tailer.look(now) } else { Vec::new() };
                let (next, stats) = (tailer.next(now), looks.then(|| tailer.stats()));
                (tailer, failed, next, stats)
            });
            let (back, failed, next, stats) = match step.await {
                Ok(step) => step,
                Err(error) => return tracing::error!(%error, "following files ended early"),
            };
            tailer = back;
            if looks {
                // a look that takes long is no reason to look again at once
                look_at = Instant::now() + LOOK_EVERY;
            }
            for failed in failed {
                self.failed(&failed);
            }
            if let Some(stats) = stats {
                self.detector.metrics().following(&stats);
            }
            match next {
                Some(Ok(chunk)) => self.take(chunk).await,
                Some(Err(failed)) => self.failed(&failed),
                None => self.wait(IDLE).await,
            }
            if now >= forget_at {
                forget_at = now + FORGET_EVERY;
                let gone = tailer.forget(now);
                let forgotten = self.detector.intake().forget_streams(Receiver::Tail.name(), &gone).await;
                if let Err(error) = forgotten {
                    tracing::warn!(%error, "files that are gone could not be forgotten");
                }
            }
        }
        // what is under way is acknowledged to nobody, but the last flush should see it
        drop(self.under_way.acquire_many(u32::try_from(UNDER_WAY).unwrap_or(u32::MAX)).await);
    }

    /// Keeps a chunk, however long that takes, unless the service ends: then it is read again after the next start.
    async fn take(&mut self, chunk: Chunk) {
        let label = self.label(&chunk);
        let bytes = Bytes::from(chunk.bytes);
        let length = bytes.len() as u64;
        let mut tried = false;
        let taken = loop {
            match self.detector.intake().take(label.clone(), Repeat::Unknown, vec![bytes.clone()]).await {
                Ok(taken) => break taken,
                Err(error) => {
                    self.detector.metrics().receive_failed(Receiver::Tail);
                    if !std::mem::replace(&mut tried, true) {
                        tracing::error!(%error, path = %chunk.path.display(), "lines of a file could not be kept: they are tried again");
                    }
                }
            }
            self.wait(RETRY).await;
            if *self.stopped.borrow() {
                return;
            }
        };
        let Ok(permit) = Arc::clone(&self.under_way).acquire_owned().await else { return };
        let detector = self.detector.clone();
        tokio::spawn(async move {
            let _permit = permit;
            let into_tables = Receiver::Tail.into_tables(&detector, taken, length).await;
            if let Err(error) = into_tables {
                tracing::error!(%error, "lines that were kept are not in the tables yet: they will be after a restart");
            }
        });
    }

    fn label(&self, chunk: &Chunk) -> Label {
        let Chunk { stream, path, offset, state, .. } = chunk;
        // patterns, not paths: there are few of them, also where pods come and go
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        let source = self.patterns.iter().find(|pattern| pattern.matches_path_with(path, options)).map(Pattern::as_str);
        let short: String = stream.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Label {
            received_at: self.clock.now(),
            source: source.unwrap_or(Receiver::Tail.name()).to_owned(),
            id: format!("{}#{short}+{offset}", path.display()),
            idempotency: None,
            position: Some(Position {
                receiver: Receiver::Tail.name().to_owned(),
                stream: *stream,
                state: state.clone(),
            }),
        }
    }

    fn failed(&self, error: &ingest::tail::TailError) {
        self.detector.metrics().receive_failed(Receiver::Tail);
        tracing::warn!(%error, "a file is not followed for now");
    }

    async fn wait(&mut self, time: Duration) {
        // the sender lives as long as the service: an error cannot be
        let _ = tokio::time::timeout(time, self.stopped.wait_for(|stopped| *stopped)).await;
    }
}
