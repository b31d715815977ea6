//! One frame of a segment: bytes that were acknowledged, or nothing.
//!
//! ```text
//!  magic 4 │ length 4 │ sequence 8 │ CRC32C of these and the salt 4 │ CRC32C of salt, sequence and payload 4 │ payload …
//! ```
//! Integers are little-endian. The salt is its segment's own and unknown to any sender: whatever a payload holds, it holds no frame of the segment. So
//! after damage the next frame is found by its magic and its header's checksum, and a payload is summed up but once.

/// What a frame begins with.
const MAGIC: [u8; 4] = *b"mwf\x01";
/// Bytes before the payload.
pub(super) const HEADER: usize = 24;

/// A frame in the bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) sequence: u64,
    pub(super) payload: &'a [u8],
}

/// What stands at a place of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Frame(Frame<'a>),
    /// The segment's end.
    End,
    /// Something else, up to the next frame or the end.
    Damage {
        /// Its length, bytes.
        length: usize,
        /// A frame that the end cut off, or zeros up to there, as a write that a crash interrupted leaves it.
        torn: bool,
    },
}

/// The header of a frame whose payload these pieces are; `None`: it is too long for one.
pub(super) fn header<'p>(
    salt: u64,
    sequence: u64,
    payload: impl Iterator<Item = &'p [u8]> + Clone,
) -> Option<[u8; HEADER]> {
    let length = u32::try_from(payload.clone().map(<[u8]>::len).sum::<usize>()).ok()?;
    let mut header = [0; HEADER];
    let fields = MAGIC.into_iter().chain(length.to_le_bytes()).chain(sequence.to_le_bytes());
    let fields = fields.chain(of_header(salt, length, sequence).to_le_bytes());
    let fields = fields.chain(of_payload(salt, sequence, payload).to_le_bytes());
    header.iter_mut().zip(fields).for_each(|(byte, field)| *byte = field);
    Some(header)
}

/// What stands at that place.
pub(super) fn at(salt: u64, segment: &[u8], place: usize) -> Found<'_> {
    let rest = segment.get(place..).unwrap_or_default();
    if rest.is_empty() {
        return Found::End;
    }
    let length = match parse(salt, rest) {
        Some(Parsed::Frame(frame)) => return Found::Frame(frame),
        // the next one is where this one says that it ends
        Some(Parsed::BadPayload { length }) => HEADER + length,
        // space that was given to a file before what belongs there was written
        None if rest.iter().all(|byte| *byte == 0) => return Found::Damage { length: rest.len(), torn: true },
        None => {
            let after = rest.get(1..).unwrap_or_default();
            let mut magics = memchr::memmem::find_iter(after, &MAGIC);
            let next = magics.find(|at| after.get(*at..).is_some_and(|rest| parse(salt, rest).is_some()));
            next.map_or(rest.len().max(HEADER), |next| next + 1)
        }
    };
    Found::Damage { length: length.min(rest.len()), torn: length > rest.len() }
}

enum Parsed<'a> {
    Frame(Frame<'a>),
    /// The header is right, the payload is not, or not all there.
    BadPayload {
        length: usize,
    },
}

fn parse(salt: u64, bytes: &[u8]) -> Option<Parsed<'_>> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (sequence, rest) = rest.split_first_chunk::<8>()?;
    let (header_crc, rest) = rest.split_first_chunk::<4>()?;
    let (payload_crc, rest) = rest.split_first_chunk::<4>()?;
    let (length, sequence) = (u32::from_le_bytes(*length), u64::from_le_bytes(*sequence));
    let right = *magic == MAGIC && of_header(salt, length, sequence) == u32::from_le_bytes(*header_crc);
    let length = usize::try_from(length).ok().filter(|_| right)?;
    let payload = rest.get(..length);
    let payload = payload
        .filter(|payload| of_payload(salt, sequence, [*payload].into_iter()) == u32::from_le_bytes(*payload_crc));
    Some(match payload {
        Some(payload) => Parsed::Frame(Frame { sequence, payload }),
        None => Parsed::BadPayload { length },
    })
}

fn of_header(salt: u64, length: u32, sequence: u64) -> u32 {
    let crc = crc32c::crc32c(&salt.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &length.to_le_bytes());
    crc32c::crc32c_append(crc, &sequence.to_le_bytes())
}

fn of_payload<'p>(salt: u64, sequence: u64, payload: impl Iterator<Item = &'p [u8]>) -> u32 {
    let crc = crc32c::crc32c(&salt.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &sequence.to_le_bytes());
    payload.fold(crc, crc32c::crc32c_append)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn frame(salt: u64, sequence: u64, payload: &[u8]) -> Vec<u8> {
        [header(salt, sequence, [payload].into_iter()).unwrap().as_slice(), payload].concat()
    }

    #[test]
    fn frames_follow_each_other() {
        let bytes = [frame(7, 1, b"one"), frame(7, 2, b""), frame(7, 3, b"three")].concat();
        assert_eq!(at(7, &bytes, 0), Found::Frame(Frame { sequence: 1, payload: b"one" }));
        assert_eq!(at(7, &bytes, 27), Found::Frame(Frame { sequence: 2, payload: b"" }));
        assert_eq!(at(7, &bytes, bytes.len()), Found::End);
        assert_eq!(at(7, &bytes, bytes.len() + 1), Found::End);
        // of another segment
        assert_eq!(at(8, &bytes, 0), Found::Damage { length: bytes.len(), torn: false });
    }

    #[test]
    fn any_damage_costs_the_frames_that_it_is_in_and_no_others() {
        let frames = [frame(7, 1, b"one"), frame(7, 2, b"two"), frame(7, 3, b"three")];
        let bytes = frames.concat();
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[place] ^= 1 << bit;
                let (mut sequences, mut lost, mut from) = (Vec::new(), 0, 0);
                loop {
                    match at(7, &damaged, from) {
                        Found::Frame(frame) => {
                            sequences.push(frame.sequence);
                            from += HEADER + frame.payload.len();
                        }
                        Found::Damage { length, .. } => {
                            lost += length;
                            from += length;
                        }
                        Found::End => break,
                    }
                }
                let hit = [0, 27, 54].iter().rposition(|start| place >= *start).unwrap();
                let kept: Vec<u64> = (1..=3).filter(|n| *n != hit as u64 + 1).collect();
                assert_eq!((sequences, lost), (kept, frames[hit].len()), "bit {bit} of byte {place}");
            }
        }
    }

    #[test]
    fn a_frame_that_was_cut_off_is_torn() {
        let bytes = frame(7, 1, b"payload");
        for end in 1..bytes.len() {
            assert_eq!(at(7, &bytes[..end], 0), Found::Damage { length: end, torn: true }, "{end}");
        }
    }

    #[test]
    fn zeros_at_the_end_are_torn_and_nowhere_else() {
        let bytes = [frame(7, 1, b"payload"), vec![0; 100]].concat();
        assert_eq!(at(7, &bytes, 31), Found::Damage { length: 100, torn: true });
        let bytes = [bytes, frame(7, 2, b"payload")].concat();
        assert_eq!(at(7, &bytes, 31), Found::Damage { length: 100, torn: false });
    }

    #[test]
    fn a_payload_that_looks_like_frames_is_none() {
        let inner = frame(8, 9, b"forged");
        let mut bytes = [frame(7, 1, &inner), frame(7, 2, b"two")].concat();
        for place in [5, 30] {
            bytes[place] ^= 1;
            assert_eq!(at(7, &bytes, 0), Found::Damage { length: HEADER + inner.len(), torn: false });
            bytes[place] ^= 1;
        }
    }
}
