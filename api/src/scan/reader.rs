//! The reader thread: bytes of each input through inflater and decoder into the queue.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use indicatif::ProgressBar;
use ingest::inflate::{Encoding, Inflater};
use ingest::{AccessLogBatch, DecodeOptions, Decoder};
use tokio::sync::mpsc::Sender;

use super::inputs::Input;

/// Compressed bytes read at a time.
const CHUNK: usize = 256 << 10;

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
    for input in inputs {
        let opened: std::io::Result<Box<dyn Read>> = match &input.path {
            None => Ok(Box::new(std::io::stdin().lock())),
            Some(path) => File::open(path).map(|file| Box::new(file) as Box<dyn Read>),
        };
        let outcome = match opened {
            Err(error) => Err(error.to_string()),
            Ok(stream) => {
                if out.blocking_send(Message::Opened).is_err() {
                    return;
                }
                one(stream, Decoder::new(options.clone(), &*input.name, received_at), out, progress)
            }
        };
        if let Err(reason) = outcome
            && out.blocking_send(Message::Failed { input: input.name.clone(), reason }).is_err()
        {
            return;
        }
    }
}

fn one(
    mut stream: Box<dyn Read>,
    mut decoder: Decoder,
    out: &Sender<Message>,
    progress: &ProgressBar,
) -> Result<(), String> {
    // a file on one's own disk may inflate to any size: it is decoded in pieces
    let mut inflater = Inflater::new(None);
    let mut chunk = vec![0; CHUNK];
    let mut fault = None;
    loop {
        // what needs no inflating is read to where it is decoded
        let plain = inflater.encoding() == Some(Encoding::Plain);
        let room = if plain { decoder.space() } else { chunk.as_mut_slice() };
        let read = match stream.read(room) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                fault = Some(error.to_string());
                break;
            }
        };
        progress.inc(read as u64);
        let mut pushed = Ok(());
        if plain {
            decoder.fill(read);
        } else {
            let bytes = chunk.get(..read).unwrap_or_default();
            pushed = inflater.push(bytes, &mut |plain| decoder.push(plain));
        }
        while let Some(batch) = decoder.next_batch() {
            if out.blocking_send(Message::Batch(batch)).is_err() {
                return Ok(());
            }
        }
        if let Err(error) = pushed {
            fault = Some(error.to_string());
            break;
        }
    }
    if fault.is_none() {
        fault = inflater.finish(&mut |plain| decoder.push(plain)).err().map(|error| error.to_string());
    }
    while let Some(batch) = decoder.next_batch() {
        if out.blocking_send(Message::Batch(batch)).is_err() {
            return Ok(());
        }
    }
    if let Some(batch) = decoder.finish() {
        // nobody listens: nobody wants it
        let _ = out.blocking_send(Message::Batch(batch));
    }
    fault.map_or(Ok(()), Err)
}
