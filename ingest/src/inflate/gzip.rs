//! gzip members, one after the other, pushed in pieces (RFC 1952).
//!
//! ```text
//! member: 1f 8b 08 FLG MTIME(4) XFL OS │ [XLEN(2) extra] [name 0] [comment 0] [HCRC(2)] │ deflate │ CRC32(4) ISIZE(4)
//! ```
//!
//! A state machine of its own, because the libraries' decoders either pull their input or cannot tell a cut stream from
//! a damaged one. Only deflate itself is flate2's.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{InflateError, PIECE};

/// Why a push failed.
pub(super) enum Error {
    /// The receiver of the output refused.
    Sink(InflateError),
    /// Not gzip.
    Corrupt(String),
}

/// Inflates gzip members.
pub(super) struct Gunzip {
    state: State,
    /// Header bits that say which parts follow.
    flags: u8,
    deflate: Decompress,
    crc: Crc,
    piece: Vec<u8>,
    /// A member has ended: zeros that pad it are passed over, as gzip(1) does.
    padded: bool,
}

/// Which part of a member comes next.
enum State {
    /// The first ten bytes; so many are there.
    Start([u8; 10], usize),
    /// The length of the extra field.
    ExtraLength([u8; 2], usize),
    /// So many bytes to skip.
    Skip(u16, Then),
    /// Skip up to a zero byte.
    Text(Then),
    Deflate,
    /// Checksum and length.
    End([u8; 8], usize),
}

/// What follows an optional part of the header.
#[derive(Clone, Copy)]
enum Then {
    Name,
    Comment,
    HeaderCrc,
    Deflate,
}

const HAS_HEADER_CRC: u8 = 2;
const HAS_EXTRA: u8 = 4;
const HAS_NAME: u8 = 8;
const HAS_COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

impl Default for Gunzip {
    fn default() -> Self {
        Gunzip {
            state: State::Start([0; 10], 0),
            flags: 0,
            deflate: Decompress::new(false),
            crc: Crc::new(),
            piece: vec![0; PIECE],
            padded: false,
        }
    }
}

impl Gunzip {
    /// Whether the bytes so far end within a member.
    pub(super) fn inside(&self) -> bool {
        !matches!(self.state, State::Start(_, 0))
    }

    /// Takes the next bytes.
    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        each: &mut dyn FnMut(&[u8]) -> Result<(), InflateError>,
    ) -> Result<(), Error> {
        while !bytes.is_empty() {
            bytes = match &mut self.state {
                State::Start(_, 0) if self.padded && bytes.first() == Some(&0) => {
                    let zeros = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
                    bytes.get(zeros..).unwrap_or_default()
                }
                State::Start(first, have) => {
                    let rest = fill(first, have, bytes);
                    let (first, have) = (*first, *have);
                    self.check_start(&first, have)?;
                    rest
                }
                State::ExtraLength(length, have) => {
                    let rest = fill(length, have, bytes);
                    if *have == length.len() {
                        self.state = State::Skip(u16::from_le_bytes(*length), Then::Name);
                        self.skip_empty();
                    }
                    rest
                }
                State::Skip(left, then) => {
                    let skipped = usize::from(*left).min(bytes.len());
                    *left -= u16::try_from(skipped).unwrap_or(*left);
                    let then = *then;
                    if *left == 0 {
                        self.part(then);
                    }
                    bytes.get(skipped..).unwrap_or_default()
                }
                State::Text(then) => match memchr::memchr(0, bytes) {
                    Some(end) => {
                        let then = *then;
                        self.part(then);
                        bytes.get(end + 1..).unwrap_or_default()
                    }
                    None => &[],
                },
                State::Deflate => self.inflate(bytes, each)?,
                State::End(end, have) => {
                    let rest = fill(end, have, bytes);
                    if *have == end.len() {
                        let end = *end;
                        self.check_end(end)?;
                    }
                    rest
                }
            };
        }
        Ok(())
    }

    fn check_start(&mut self, first: &[u8; 10], have: usize) -> Result<(), Error> {
        const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
        if first.iter().zip(MAGIC).take(have).any(|(is, should)| *is != should) {
            return Err(Error::Corrupt("no gzip header where a member should start".to_owned()));
        }
        if have < first.len() {
            return Ok(());
        }
        let [_, _, _, flags, ..] = *first;
        if flags & RESERVED != 0 {
            return Err(Error::Corrupt(format!("unknown header flags {flags:#04x}")));
        }
        self.flags = flags;
        self.deflate.reset(false);
        self.crc.reset();
        match flags & HAS_EXTRA {
            0 => self.part(Then::Name),
            _ => self.state = State::ExtraLength([0; 2], 0),
        }
        Ok(())
    }

    /// Goes on with the first of the parts, from `then` on, that this member has.
    fn part(&mut self, then: Then) {
        let has = |flag: u8| self.flags & flag != 0;
        self.state = match then {
            Then::Name if has(HAS_NAME) => State::Text(Then::Comment),
            Then::Name | Then::Comment if has(HAS_COMMENT) => State::Text(Then::HeaderCrc),
            Then::Name | Then::Comment | Then::HeaderCrc if has(HAS_HEADER_CRC) => State::Skip(2, Then::Deflate),
            _ => State::Deflate,
        };
    }

    fn skip_empty(&mut self) {
        if let State::Skip(0, then) = self.state {
            self.part(then);
        }
    }

    fn inflate<'b>(
        &mut self,
        mut bytes: &'b [u8],
        each: &mut dyn FnMut(&[u8]) -> Result<(), InflateError>,
    ) -> Result<&'b [u8], Error> {
        loop {
            let (read, made) = (self.deflate.total_in(), self.deflate.total_out());
            let status = self.deflate.decompress(bytes, &mut self.piece, FlushDecompress::None);
            let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
            let read = count(self.deflate.total_in(), read);
            let made = count(self.deflate.total_out(), made);
            bytes = bytes.get(read..).unwrap_or_default();
            let piece = self.piece.get(..made).unwrap_or_default();
            self.crc.update(piece);
            // what came before an error was made, too: how much of it must not depend on the pieces in which the bytes come
            each(piece).map_err(Error::Sink)?;
            // not in the decoder's words: it has others for the same damage where it comes upon it a call later
            let status = status.map_err(|_| Error::Corrupt("the deflate stream breaks its own rules".to_owned()))?;
            if status == Status::StreamEnd {
                self.state = State::End([0; 8], 0);
                return Ok(bytes);
            }
            // without more input, too, there may be output inside: the rest of a run
            if bytes.is_empty() && made == 0 {
                return Ok(bytes);
            }
            if read == 0 && made == 0 {
                return Err(Error::Corrupt("the decoder makes no progress".to_owned()));
            }
        }
    }

    fn check_end(&mut self, end: [u8; 8]) -> Result<(), Error> {
        let [a, b, c, d, e, f, g, h] = end;
        let (sum, length) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        if sum != self.crc.sum() || length != self.crc.amount() {
            return Err(Error::Corrupt("the checksum does not match".to_owned()));
        }
        self.state = State::Start([0; 10], 0);
        self.padded = true;
        Ok(())
    }
}

/// Copies what is still missing; the rest of the bytes comes back.
fn fill<'b, const N: usize>(buffer: &mut [u8; N], have: &mut usize, bytes: &'b [u8]) -> &'b [u8] {
    let taken = (N - *have).min(bytes.len());
    let (head, rest) = bytes.split_at(taken);
    if let Some(place) = buffer.get_mut(*have..*have + taken) {
        place.copy_from_slice(head);
    }
    *have += taken;
    rest
}
