//! The only place that inflates: gzip, zstd or plain bytes in, plain bytes out, in bounded memory; and blocks of Snappy (snappy.rs).
//!
//! ```text
//! push(bytes) ─▶ detect by magic (or told) ─▶ gzip.rs / zstd / plain ─▶ each(≤ 64 KiB), up to `limit` bytes in all
//! ```
//!
//! Members and frames may be concatenated. What was handed on before an error was good as far as it went (gzip's checksum
//! comes last, so the error may yet say that it was not). Lengths are bytes.

mod gzip;
mod snappy;

use thiserror::Error;
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

use gzip::Gunzip;
pub use snappy::{snappy_block, snappy_length};

/// How bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Not at all.
    Plain,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Encoding {
    fn name(self) -> &'static str {
        match self {
            Encoding::Plain => "plain",
            Encoding::Gzip => "gzip",
            Encoding::Zstd => "zstd",
        }
    }
}

/// Why bytes could not be inflated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InflateError {
    /// More came out than was allowed.
    #[error("the data inflates to more than {limit} bytes; send it in smaller pieces, or raise the limit")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The bytes are not of that encoding, or damaged.
    #[error("the {encoding} data is damaged after {inflated} inflated bytes: {detail}")]
    Corrupt {
        /// Which encoding.
        encoding: &'static str,
        /// Bytes that were handed on before.
        inflated: u64,
        /// What is wrong.
        detail: String,
    },
    /// The bytes end in the middle.
    #[error(
        "the {encoding} data ends too early, after {inflated} inflated bytes: it was cut off in transfer or is still being written"
    )]
    Truncated {
        /// Which encoding.
        encoding: &'static str,
        /// Bytes that were handed on before.
        inflated: u64,
    },
}

/// Inflates one input, piece by piece.
pub struct Inflater {
    state: State,
    sink: Sink,
    failed: Option<InflateError>,
}

enum State {
    /// The first bytes, too few to tell.
    Detect(Vec<u8>),
    Plain,
    Gzip(Box<Gunzip>),
    Zstd(Zstd),
}

struct Zstd {
    decoder: ZstdDecoder<'static>,
    /// Bytes to the end of the part that the decoder is in (a header, a block, a checksum), as it says.
    next: usize,
    /// In the middle of a frame.
    inside: bool,
    /// The bytes of that part that are there, if not all of them are.
    begun: Vec<u8>,
}

/// What came out, and how much may.
struct Sink {
    limit: Option<u64>,
    total: u64,
}

/// Output is made in pieces of this size: the most memory that a hostile stream gets, beside the window.
const PIECE: usize = 64 << 10;

/// The largest zstd window, as a power of two: 8 MiB, what RFC 9659 allows in HTTP and every level up to 19 uses.
const ZSTD_WINDOW_LOG: u32 = 23;

impl Inflater {
    /// Tells gzip and zstd by their first bytes; anything else is plain. Refuses to hand on more than `limit` bytes.
    #[must_use]
    pub fn new(limit: Option<u64>) -> Self {
        Inflater { state: State::Detect(Vec::new()), sink: Sink { limit, total: 0 }, failed: None }
    }

    /// Takes the encoding as told (HTTP's `Content-Encoding`).
    #[must_use]
    pub fn with_encoding(encoding: Encoding, limit: Option<u64>) -> Self {
        let mut inflater = Inflater::new(limit);
        match State::of(encoding) {
            Ok(state) => inflater.state = state,
            Err(error) => inflater.failed = Some(error),
        }
        inflater
    }

    /// How the input is compressed; `None` as long as its first bytes do not tell.
    #[must_use]
    pub fn encoding(&self) -> Option<Encoding> {
        match self.state {
            State::Detect(_) => None,
            State::Plain => Some(Encoding::Plain),
            State::Gzip(_) => Some(Encoding::Gzip),
            State::Zstd(_) => Some(Encoding::Zstd),
        }
    }

    /// How many inflated bytes were handed on.
    #[must_use]
    pub fn inflated(&self) -> u64 {
        self.sink.total
    }

    /// Takes the next bytes and hands on what they inflate to. After an error, the same error again.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), InflateError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let pushed = self.try_push(bytes, each);
        if let Err(error) = &pushed {
            self.failed = Some(error.clone());
        }
        pushed
    }

    /// Ends the input.
    pub fn finish(mut self, each: &mut dyn FnMut(&[u8])) -> Result<(), InflateError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if let State::Zstd(zstd) = &mut self.state
            && !zstd.begun.is_empty()
        {
            zstd.begun(&mut vec![0; PIECE], &mut self.sink, each)?;
        }
        let truncated = |encoding: Encoding, sink: &Sink| {
            Err(InflateError::Truncated { encoding: encoding.name(), inflated: sink.total })
        };
        match self.state {
            State::Detect(first) => self.sink.hand_on(&first, each),
            State::Plain => Ok(()),
            State::Gzip(gunzip) if gunzip.inside() => truncated(Encoding::Gzip, &self.sink),
            State::Zstd(Zstd { inside: true, .. }) => truncated(Encoding::Zstd, &self.sink),
            State::Gzip(_) | State::Zstd(_) => Ok(()),
        }
    }

    fn try_push(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), InflateError> {
        if let State::Detect(first) = &mut self.state {
            first.extend_from_slice(bytes);
            let Some(encoding) = detect(first) else { return Ok(()) };
            let first = std::mem::take(first);
            self.state = State::of(encoding)?;
            return self.inflate(&first, each);
        }
        self.inflate(bytes, each)
    }

    fn inflate(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), InflateError> {
        let sink = &mut self.sink;
        match &mut self.state {
            // only try_push detects
            State::Detect(_) | State::Plain => sink.hand_on(bytes, each),
            State::Gzip(gunzip) => {
                gunzip.push(bytes, &mut |piece| sink.hand_on(piece, each)).map_err(|error| match error {
                    gzip::Error::Sink(error) => error,
                    gzip::Error::Corrupt(detail) => sink.corrupt(Encoding::Gzip, detail),
                })
            }
            State::Zstd(zstd) => zstd.push(bytes, sink, each),
        }
    }
}

impl State {
    fn of(encoding: Encoding) -> Result<State, InflateError> {
        Ok(match encoding {
            Encoding::Plain => State::Plain,
            Encoding::Gzip => State::Gzip(Box::default()),
            Encoding::Zstd => {
                let start = || {
                    let mut decoder = ZstdDecoder::new()?;
                    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
                    Ok(decoder)
                };
                let decoder = start().map_err(|error: std::io::Error| InflateError::Corrupt {
                    encoding: encoding.name(),
                    inflated: 0,
                    detail: format!("the decoder does not start: {error}"),
                })?;
                State::Zstd(Zstd { decoder, next: 0, inside: false, begun: Vec::new() })
            }
        })
    }
}

impl Zstd {
    /// One part at a time, and only when it is there as a whole: with an error the decoder keeps what it made in that call, and how much that is must
    /// not depend on the pieces in which the bytes come.
    fn push(&mut self, mut bytes: &[u8], sink: &mut Sink, each: &mut dyn FnMut(&[u8])) -> Result<(), InflateError> {
        // before a block's end the decoder asks for the next one's header, too
        const BLOCK_HEADER: usize = 3;
        // a larger part is a frame to skip, of which nothing comes out
        const LARGEST_BLOCK: usize = 128 << 10;
        let mut piece = vec![0; PIECE];
        while !bytes.is_empty() {
            let part = match self.next.saturating_sub(BLOCK_HEADER) {
                0 => self.next.max(1),
                part => part,
            };
            let (now, later) = bytes.split_at(part.saturating_sub(self.begun.len()).min(bytes.len()));
            bytes = later;
            if self.begun.len() + now.len() < part && part <= LARGEST_BLOCK {
                self.begun.extend_from_slice(now);
            } else if self.begun.is_empty() {
                self.part(now, &mut piece, sink, each)?;
            } else {
                self.begun.extend_from_slice(now);
                self.begun(&mut piece, sink, each)?;
            }
        }
        Ok(())
    }

    /// Inflates the part that was begun, as far as it is there.
    fn begun(&mut self, piece: &mut [u8], sink: &mut Sink, each: &mut dyn FnMut(&[u8])) -> Result<(), InflateError> {
        let mut begun = std::mem::take(&mut self.begun);
        self.part(&begun, piece, sink, each)?;
        begun.clear();
        self.begun = begun;
        Ok(())
    }

    fn part(
        &mut self,
        bytes: &[u8],
        piece: &mut [u8],
        sink: &mut Sink,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), InflateError> {
        let mut input = InBuffer::around(bytes);
        loop {
            let mut output = OutBuffer::around(piece);
            let at = input.pos();
            if at < bytes.len() {
                self.inside = true;
            }
            self.next =
                self.decoder.run(&mut input, &mut output).map_err(|error| sink.corrupt(Encoding::Zstd, error))?;
            let made = output.as_slice().len();
            // 0 says that a frame is complete and all of it was handed out
            self.inside = self.next != 0 && (self.inside || made > 0);
            sink.hand_on(output.as_slice(), each)?;
            let full = made == PIECE;
            if input.pos() == bytes.len() && !full {
                return Ok(());
            }
            if input.pos() == at && made == 0 {
                return Err(sink.corrupt(Encoding::Zstd, "the decoder makes no progress"));
            }
        }
    }
}

impl Sink {
    /// Hands on up to the limit.
    fn hand_on(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), InflateError> {
        let room = self.limit.map_or(u64::MAX, |limit| limit - self.total.min(limit));
        let fits = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        let (fitting, rest) = bytes.split_at(fits);
        if !fitting.is_empty() {
            each(fitting);
            self.total += fitting.len() as u64;
        }
        match self.limit {
            Some(limit) if !rest.is_empty() => Err(InflateError::TooLarge { limit }),
            _ => Ok(()),
        }
    }

    fn corrupt(&self, encoding: Encoding, detail: impl ToString) -> InflateError {
        InflateError::Corrupt { encoding: encoding.name(), inflated: self.total, detail: detail.to_string() }
    }
}

/// `None`: too few bytes to tell.
fn detect(first: &[u8]) -> Option<Encoding> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    // a zstd stream may start with a frame to skip: 0x50..=0x5f, then these
    const SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];
    let skippable = |first: &[u8]| match first.split_first() {
        Some((0x50..=0x5f, rest)) => Some(rest.to_vec()),
        _ => None,
    };
    if first.starts_with(&GZIP) {
        return Some(Encoding::Gzip);
    }
    if first.starts_with(&ZSTD) || skippable(first).is_some_and(|rest| rest.starts_with(&SKIPPABLE)) {
        return Some(Encoding::Zstd);
    }
    let may_become = GZIP.starts_with(first)
        || ZSTD.starts_with(first)
        || skippable(first).is_some_and(|rest| SKIPPABLE.starts_with(&rest));
    (!may_become).then_some(Encoding::Plain)
}

#[cfg(test)]
mod tests;
