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
}

impl Label {
    /// What stands before the body. Texts beyond 64 KiB are cut off.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.received_at.timestamp_micros().to_le_bytes());
        match &self.idempotency {
            None => bytes.push(0),
            Some(Idempotency { key, body }) => {
                bytes.push(1);
                bytes.extend_from_slice(key);
                bytes.extend_from_slice(body);
            }
        }
        for text in [&self.source, &self.id] {
            let text = text.get(..text.floor_char_boundary(usize::from(u16::MAX))).unwrap_or_default();
            bytes.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
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
        let (has_key, rest) = rest.split_first().ok_or(cut)?;
        let (idempotency, rest) = match has_key {
            0 => (None, rest),
            1 => {
                let (key, rest) = rest.split_first_chunk::<32>().ok_or(cut)?;
                let (body, rest) = rest.split_first_chunk::<32>().ok_or(cut)?;
                (Some(Idempotency { key: *key, body: *body }), rest)
            }
            _ => return Err("its key is none"),
        };
        let (source, rest) = text(rest).ok_or(cut)?;
        let (id, body) = text(rest).ok_or(cut)?;
        Ok((Label { received_at, source, id, idempotency }, body))
    }
}

fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    Some((std::str::from_utf8(text).ok()?.to_owned(), rest))
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
            body in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let idempotency = key.map(|(key, body)| Idempotency { key, body });
            let received_at = DateTime::from_timestamp_micros(micros).unwrap();
            let label = Label { received_at, source, id, idempotency };
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
        };
        let bytes = label.encode();
        assert_eq!(Label::decode(&bytes).unwrap().0.source.len(), 65_534);
    }
}
