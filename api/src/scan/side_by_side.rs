//! One input decoded on several threads.
//!
//! ```text
//!            ┌ locked ──────────────────────────┐                ┌ locked ────────────────────┐
//!  stream ─▶ │ read ─▶ inflate ─▶ cut ─▶ stretch │ ─▶ decode ─▶ │ in order ─▶ batches ─▶ out │      on each thread, again and again
//!            └──────────────────────────────────┘                └────────────────────────────┘
//! ```
//! Batches come out in the order of the input. At most [`AHEAD`] decoded stretches a thread wait for one before them; whoever is further ahead waits.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use indicatif::ProgressBar;
use ingest::inflate::{Encoding, Inflater};
use ingest::{AccessLogBatch, Carried, DecodeOptions, Stretch, StretchDecoder, Stretches};

/// Compressed bytes read at a time.
const CHUNK: usize = 256 << 10;
/// Stretches a thread that may be ahead of the slowest one.
const AHEAD: usize = 2;

/// What it takes to decode an input.
pub(super) struct Settings<'a> {
    pub(super) options: &'a Arc<DecodeOptions>,
    pub(super) source: &'a str,
    pub(super) received_at: DateTime<Utc>,
    /// At most so many threads.
    pub(super) threads: usize,
}

/// Decodes a stream to its end, or until `out` says `false`. An error says why it could not be read to its end; what came before was handed on.
pub(super) fn decode(
    stream: Box<dyn Read + Send>,
    settings: &Settings<'_>,
    progress: &ProgressBar,
    out: &mut (dyn FnMut(AccessLogBatch) -> bool + Send),
) -> Result<(), String> {
    let mut feed = Feed::new(stream, settings.options, progress.clone());
    let first = feed.next();
    // most inputs are small: they need no more threads
    let threads = if feed.ended { 1 } else { settings.threads.max(1) };
    let feed = Mutex::new(feed);
    let order = Order { next: 0, waiting: BTreeMap::new(), carried: Carried::nothing(), listening: true, out };
    let order = (Mutex::new(order), Condvar::new());
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| work(None, &feed, &order, settings, threads));
        }
        work(first, &feed, &order, settings, threads);
    });
    let mut order = order.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    let carried = std::mem::take(&mut order.carried);
    for batch in settings.decoder().finish(carried) {
        order.hand_on(batch);
    }
    feed.into_inner().unwrap_or_else(PoisonError::into_inner).fault.map_or(Ok(()), Err)
}

impl Settings<'_> {
    fn decoder(&self) -> StretchDecoder {
        StretchDecoder::new(Arc::clone(self.options), self.source, self.received_at)
    }
}

/// Where stretches come from.
struct Feed {
    stream: Box<dyn Read + Send>,
    inflater: Option<Inflater>,
    stretches: Option<Stretches>,
    chunk: Vec<u8>,
    ended: bool,
    fault: Option<String>,
    progress: ProgressBar,
}

impl Feed {
    fn new(stream: Box<dyn Read + Send>, options: &DecodeOptions, progress: ProgressBar) -> Self {
        Feed {
            stream,
            // a file on one's own disk may inflate to any size: it is decoded in pieces
            inflater: Some(Inflater::new(None)),
            stretches: Some(Stretches::new(options)),
            chunk: vec![0; CHUNK],
            ended: false,
            fault: None,
            progress,
        }
    }

    fn next(&mut self) -> Option<Stretch> {
        while let Some(stretches) = &mut self.stretches {
            if let Some(stretch) = stretches.next_stretch() {
                return Some(stretch);
            }
            if self.ended {
                return self.stretches.take().and_then(Stretches::finish);
            }
            self.read();
        }
        None
    }

    fn read(&mut self) {
        let (Some(stretches), Some(inflater)) = (&mut self.stretches, &mut self.inflater) else { return };
        // what needs no inflating is read to where it is decoded
        let plain = inflater.encoding() == Some(Encoding::Plain);
        let room = if plain { stretches.space() } else { self.chunk.as_mut_slice() };
        let read = match self.stream.read(room) {
            Ok(0) => {
                self.ended = true;
                let inflater = self.inflater.take().map(|inflater| inflater.finish(&mut |plain| stretches.push(plain)));
                self.fault = inflater.and_then(Result::err).map(|error| error.to_string());
                return;
            }
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return,
            Err(error) => {
                self.ended = true;
                self.fault = Some(error.to_string());
                return;
            }
        };
        self.progress.inc(read as u64);
        if plain {
            return stretches.fill(read);
        }
        let bytes = self.chunk.get(..read).unwrap_or_default();
        if let Err(error) = inflater.push(bytes, &mut |plain| stretches.push(plain)) {
            self.ended = true;
            self.fault = Some(error.to_string());
        }
    }
}

/// Where decoded stretches are put in order.
struct Order<'a> {
    /// The number of the stretch whose turn it is.
    next: u64,
    waiting: BTreeMap<u64, Decoded>,
    carried: Carried,
    listening: bool,
    out: &'a mut (dyn FnMut(AccessLogBatch) -> bool + Send),
}

struct Decoded {
    stretch: Stretch,
    batches: Vec<AccessLogBatch>,
    carried: Carried,
}

impl Order<'_> {
    /// Hands on what has its turn.
    fn settle(&mut self, decoder: &mut StretchDecoder) {
        while let Some(Decoded { stretch, mut batches, mut carried }) = self.waiting.remove(&self.next) {
            if !self.carried.is_nothing() {
                (batches, carried) = decoder.decode(&stretch, std::mem::take(&mut self.carried));
            }
            self.carried = carried;
            self.next += 1;
            batches.into_iter().for_each(|batch| self.hand_on(batch));
        }
    }

    fn hand_on(&mut self, batch: AccessLogBatch) {
        self.listening = self.listening && (self.out)(batch);
    }
}

fn work(
    mut stretch: Option<Stretch>,
    feed: &Mutex<Feed>,
    (order, moved): &(Mutex<Order<'_>>, Condvar),
    settings: &Settings<'_>,
    threads: usize,
) {
    let mut decoder = settings.decoder();
    while let Some(taken) = stretch.take().or_else(|| locked(feed).next()) {
        let (batches, carried) = decoder.decode(&taken, Carried::nothing());
        let number = taken.number();
        let mut order = locked(order);
        while order.listening && order.next != number && order.waiting.len() >= AHEAD * threads {
            order = moved.wait(order).unwrap_or_else(PoisonError::into_inner);
        }
        order.waiting.insert(number, Decoded { stretch: taken, batches, carried });
        order.settle(&mut decoder);
        let listening = order.listening;
        drop(order);
        moved.notify_all();
        if !listening {
            return;
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // a panic on another thread comes out of the scope; until then, what is behind the lock is whole
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
