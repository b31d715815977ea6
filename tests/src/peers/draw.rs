//! Numbers that look random and are the same in every run: a hash of what they are drawn for, then SplitMix64.
//!
//! Both sides of a request log it. What is drawn for the request (its id, its port) must be the same on both lines, so a draw starts from
//! what the lines share and not from where the generator stands.

use std::fmt::Write as _;

/// A sequence of draws.
#[derive(Clone, Debug)]
pub(super) struct Draw(u64);

impl Draw {
    /// The sequence that belongs to `numbers` and `texts`.
    pub(super) fn of(numbers: &[u64], texts: &[&str]) -> Self {
        let mut draw = Self(0x6d65_7368);
        for number in numbers {
            draw.0 = draw.0.wrapping_add(*number);
            draw.0 = draw.next();
        }
        for part in texts.iter().flat_map(|text| text.as_bytes().chunks(8)) {
            let word = part.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
            draw.0 ^= word;
            draw.0 = draw.next();
        }
        draw
    }

    /// 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// 0 to `bound` - 1.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// So many hexadecimal digits.
    pub(super) fn hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits + 16);
        while text.len() < digits {
            let _ = write!(text, "{:016x}", self.next());
        }
        text.truncate(digits);
        text
    }

    /// A random UUID (version 4).
    pub(super) fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff,
        )
    }
}
