//! Comparing a few bytes without calling a function for it: the keys and names of a line are short, and there are many of them.

/// The bytes of a key, ready to be compared.
#[derive(Debug, Clone)]
pub(crate) struct Literal {
    bytes: Box<[u8]>,
    /// The first and the last eight or sixteen bytes, which may overlap; together they are all of up to 32.
    ends: Ends,
}

#[derive(Debug, Clone, Copy)]
enum Ends {
    /// 8 to 16 bytes.
    Short(u64, u64),
    /// 16 to 32 bytes.
    Long(u128, u128),
    Other,
}

impl Literal {
    pub(crate) fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let ends = match (first16(bytes).zip(last16(bytes)), first8(bytes).zip(last8(bytes))) {
            (Some((first, last)), _) if bytes.len() <= 32 => Ends::Long(first, last),
            (None, Some((first, last))) => Ends::Short(first, last),
            _ => Ends::Other,
        };
        Literal { bytes: bytes.into(), ends }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the text starts with it.
    #[inline]
    pub(crate) fn starts(&self, text: &[u8]) -> bool {
        let Some(text) = text.get(..self.bytes.len()) else { return false };
        match self.ends {
            Ends::Long(first, last) => first16(text) == Some(first) && last16(text) == Some(last),
            Ends::Short(first, last) => first8(text) == Some(first) && last8(text) == Some(last),
            Ends::Other => text == &*self.bytes,
        }
    }
}

/// Whether two texts are the same.
#[inline]
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    match one.len() {
        33..=64 => {
            let halves = |text: &[u8]| {
                Some((first16(text)?, first16(text.get(16..)?)?, last16(text.get(..text.len() - 16)?)?, last16(text)?))
            };
            halves(one) == halves(other)
        }
        16..=32 => first16(one) == first16(other) && last16(one) == last16(other),
        8..=15 => first8(one) == first8(other) && last8(one) == last8(other),
        0..=7 => one.iter().zip(other).all(|(one, other)| one == other),
        _ => one == other,
    }
}

#[inline]
fn first16(bytes: &[u8]) -> Option<u128> {
    bytes.first_chunk().map(|chunk| u128::from_le_bytes(*chunk))
}

#[inline]
fn last16(bytes: &[u8]) -> Option<u128> {
    bytes.last_chunk().map(|chunk| u128::from_le_bytes(*chunk))
}

#[inline]
fn first8(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

#[inline]
fn last8(bytes: &[u8]) -> Option<u64> {
    bytes.last_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn every_length_and_every_difference() {
        let text = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&()*+,-./:;<=>?@";
        for length in 1..=70 {
            let literal = Literal::new(text.get(..length).unwrap());
            assert_eq!(literal.len(), length);
            assert!(literal.starts(text.as_bytes()));
            assert!(!literal.starts(&text.as_bytes()[..length - 1]));
            assert!(same(&text.as_bytes()[..length], &text.as_bytes()[..length]));
            assert!(!same(&text.as_bytes()[..length], text.as_bytes()) || length == text.len());
            for place in 0..length {
                let mut other = text.as_bytes().to_vec();
                other[place] ^= 1;
                assert!(!literal.starts(&other), "{length} {place}");
                assert!(!same(&other[..length], &text.as_bytes()[..length]), "{length} {place}");
            }
        }
    }
}
