//! What a frame of the journal says: a payload as it was received, and what its rows are named after.
//!
//! ```text
//!  version 1 │ received_at 8 │ has a key 1 │ [SHA-256 of the key 32 │ SHA-256 of the body 32] │ source 2 + n │ id 2 + n │ body …
//! ```
//! Integers are little-endian, times µs since 1970, UTC; texts are UTF-8 behind their length.

use chrono::{DateTime, Utc};

/// The version that is written, and the only one there is.
const VERSION: u8 = 1;

/// What a sender says so that sending something again is no second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Idempotency {
    /// SHA-256 of its key.
    pub key: [u8; 32],
    /// SHA-256 of the body, inflated.
    pub body: [u8; 32],
}

/// Up to where a stream was taken with this payload: a file, a partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Whose stream it is, as `tail`.
    pub receiver: String,
    /// Which.
    pub stream: [u8; 16],
    /// What its receiver needs to go on behind it; at most 64 KiB.
    pub state: Vec<u8>,
}

/// What belongs to a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// The column `source` of its rows.
    pub source: String,
    /// What their `log_id` begins with.
    pub id: String,
    /// If its sender named one.
    pub idempotency: Option<Idempotency>,
    /// If it is of a stream that can be read again.
    pub position: Option<Position>,
}

impl Label {
    /// What stands before the body. Texts beyond 64 KiB are cut off.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.received_at.timestamp_micros().to_le_bytes());
        bytes.push(u8::from(self.idempotency.is_some()) + 2 * u8::from(self.position.is_some()));
        if let Some(Idempotency { key, body }) = &self.idempotency {
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(body);
        }
        if let Some(Position { receiver, stream, state }) = &self.position {
            put_counted(&mut bytes, receiver.as_bytes());
            bytes.extend_from_slice(stream);
            put_counted(&mut bytes, state);
        }
        for text in [&self.source, &self.id] {
            let text = text.get(..text.floor_char_boundary(usize::from(u16::MAX))).unwrap_or_default();
            put_counted(&mut bytes, text.as_bytes());
        }
        bytes
    }

    /// Takes a frame's payload apart; what is wrong with it otherwise.
    pub(super) fn decode(payload: &[u8]) -> Result<(Label, &[u8]), &'static str> {
        let cut = "it is too short";
        let (version, rest) = payload.split_first().ok_or(cut)?;
        (*version == VERSION).then_some(()).ok_or("its version is unknown")?;
        let (received_at, rest) = rest.split_first_chunk::<8>().ok_or(cut)?;
        let received_at =
            DateTime::from_timestamp_micros(i64::from_le_bytes(*received_at)).ok_or("its time is none")?;
        let (has, rest) = rest.split_first().ok_or(cut)?;
        (*has <= 3).then_some(()).ok_or("it has what this version does not know")?;
        let (idempotency, rest) = match has & 1 {
            0 => (None, rest),
            _ => {
                let (key, rest) = rest.split_first_chunk::<32>().ok_or(cut)?;
                let (body, rest) = rest.split_first_chunk::<32>().ok_or(cut)?;
                (Some(Idempotency { key: *key, body: *body }), rest)
            }
        };
        let (position, rest) = match has & 2 {
            0 => (None, rest),
            _ => {
                let (receiver, rest) = text(rest).ok_or(cut)?;
                let (stream, rest) = rest.split_first_chunk::<16>().ok_or(cut)?;
                let (state, rest) = counted(rest).ok_or(cut)?;
                (Some(Position { receiver, stream: *stream, state: state.to_vec() }), rest)
            }
        };
        let (source, rest) = text(rest).ok_or(cut)?;
        let (id, body) = text(rest).ok_or(cut)?;
        Ok((Label { received_at, source, id, idempotency, position }, body))
    }
}

fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (text, rest) = counted(bytes)?;
    Some((std::str::from_utf8(text).ok()?.to_owned(), rest))
}

/// Bytes behind their length; what is beyond 64 KiB is cut off.
fn put_counted(into: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = bytes.get(..usize::from(u16::MAX)).unwrap_or(bytes);
    into.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes());
    into.extend_from_slice(bytes);
}

fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            micros in 0..4_102_444_800_000_000_i64,
            source in "\\PC{0,40}",
            id in "\\PC{0,40}",
            key in prop::option::of(any::<([u8; 32], [u8; 32])>()),
            at in prop::option::of((any::<[u8; 16]>(), prop::collection::vec(any::<u8>(), 0..40))),
            body in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let idempotency = key.map(|(key, body)| Idempotency { key, body });
            let received_at = DateTime::from_timestamp_micros(micros).unwrap();
            let position = at.map(|(stream, state)| Position { receiver: "tail".to_owned(), stream, state });
            let label = Label { received_at, source, id, idempotency, position };
            let bytes = [label.encode(), body.clone()].concat();
            prop_assert_eq!(Label::decode(&bytes), Ok((label, body.as_slice())));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok((label, body)) = Label::decode(&bytes) {
                prop_assert_eq!([label.encode(), body.to_vec()].concat(), bytes);
            }
        }
    }

    #[test]
    fn a_long_text_is_cut_off() {
        let label = Label {
            received_at: DateTime::UNIX_EPOCH,
            source: "é".repeat(40_000),
            id: String::new(),
            idempotency: None,
            position: None,
        };
        let bytes = label.encode();
        assert_eq!(Label::decode(&bytes).unwrap().0.source.len(), 65_534);
    }
}
