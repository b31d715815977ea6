//! A block of Snappy, which says at its start how large it becomes. (The framed format, of files, is another one.)

use super::InflateError;

/// No element of a block makes more than 64 bytes of two: whoever claims more lies.
const MOST_PER_BYTE: u64 = 32;

/// Bytes that a block inflates to, by its first bytes (10 are enough); `None`: it is no block.
#[must_use]
pub fn snappy_length(start: &[u8]) -> Option<u64> {
    snap::raw::decompress_len(start).ok().map(|length| length as u64)
}

/// Inflates a block.
///
/// # Errors
/// If it is none, is damaged, or would inflate to more than `limit` bytes.
pub fn snappy_block(block: &[u8], limit: u64) -> Result<Vec<u8>, InflateError> {
    let corrupt = |detail: String| InflateError::Corrupt { encoding: "snappy", inflated: 0, detail };
    let length = snap::raw::decompress_len(block).map_err(|error| corrupt(error.to_string()))? as u64;
    if length > limit {
        return Err(InflateError::TooLarge { limit });
    }
    if length > (block.len() as u64).saturating_mul(MOST_PER_BYTE) {
        return Err(corrupt(format!("{} bytes cannot become {length}", block.len())));
    }
    snap::raw::Decoder::new().decompress_vec(block).map_err(|error| corrupt(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn blocks() {
        for plain in [&b""[..], b"a", &b"abc".repeat(100_000), &[7; 1 << 20]] {
            let block = snap::raw::Encoder::new().compress_vec(plain).unwrap();
            assert_eq!(snappy_length(block.get(..10.min(block.len())).unwrap()), Some(plain.len() as u64));
            assert_eq!(snappy_block(&block, plain.len() as u64).as_deref(), Ok(plain));
            for cut in 0..block.len().min(200) {
                let cut = block.get(..cut).unwrap();
                assert!(snappy_block(cut, 2 << 20).is_err() || plain.is_empty(), "{cut:?}");
            }
            if !plain.is_empty() {
                let error = snappy_block(&block, plain.len() as u64 - 1);
                assert!(matches!(error, Err(InflateError::TooLarge { .. })), "{error:?}");
            }
        }
        // 4 GiB of five bytes
        let lie = [0xff, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(snappy_length(&lie), Some(u64::from(u32::MAX)));
        assert!(matches!(snappy_block(&lie, u64::MAX), Err(InflateError::Corrupt { .. })));
        assert!(snappy_block(b"", 10).is_err());
    }
}
