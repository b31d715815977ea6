//! The reader thread: each input, one after the other, decoded into the queue.

use std::fs::File;
use std::io::Read;
use std::num::NonZero;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use indicatif::ProgressBar;
use ingest::{AccessLogBatch, DecodeOptions};
use tokio::sync::mpsc::Sender;

use super::inputs::Input;
use super::side_by_side::{self, Settings};

/// Threads that decode at most: a disk is not faster than that.
const THREADS: usize = 8;

/// What the thread tells.
#[derive(Debug)]
pub(super) enum Message {
    /// An input could be opened.
    Opened,
    /// Rows and rejects.
    Batch(AccessLogBatch),
    /// An input could not be read, or not to its end; what came before the fault has been sent.
    Failed {
        /// Its name.
        input: String,
        /// Why.
        reason: String,
    },
}

/// Reads every input, one after the other, until done or nobody listens any more.
pub(super) fn read(
    inputs: &[Input],
    options: &Arc<DecodeOptions>,
    received_at: DateTime<Utc>,
    out: &Sender<Message>,
    progress: &ProgressBar,
) {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
    for input in inputs {
        let opened: std::io::Result<Box<dyn Read + Send>> = match &input.path {
            None => Ok(Box::new(std::io::stdin())),
            Some(path) => File::open(path).map(|file| Box::new(file) as Box<dyn Read + Send>),
        };
        let outcome = match opened {
            Err(error) => Err(error.to_string()),
            Ok(stream) => {
                if out.blocking_send(Message::Opened).is_err() {
                    return;
                }
                let settings = Settings { options, source: &input.name, received_at, threads };
                side_by_side::decode(stream, &settings, progress, &mut |batch| {
                    out.blocking_send(Message::Batch(batch)).is_ok()
                })
            }
        };
        if let Err(reason) = outcome
            && out.blocking_send(Message::Failed { input: input.name.clone(), reason }).is_err()
        {
            return;
        }
    }
}
